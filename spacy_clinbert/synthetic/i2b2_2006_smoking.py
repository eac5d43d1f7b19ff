"""A synthetic corpus in the form of i2b2 2006 smoking."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Tuple

from ..corpora.i2b2_2006_smoking import TEST, TRAIN, record_xml, status_cats
from ..corpora.record_files import record_file
from ..corpora.records import Record
from .grammar import load_templates
from .outline import outline
from .partners import stated, tokenised

CONTENTS = (TRAIN, TEST)
TEST_SHARE = 0.25
# Training records of each class in the real corpus (Uzuner et al. 2008), and what says so.
CLASSES = {
    "PAST SMOKER": (36, "smoking_past"),
    "CURRENT SMOKER": (35, "smoking_current"),
    "SMOKER": (9, "smoking_unclear"),
    "NON-SMOKER": (66, "smoking_never"),
    "UNKNOWN": (252, ""),
}
SECTIONS = ("social_history", "history_of_present_illness")


def make_record(number: int, seed: int) -> Tuple[str, Record]:
    """Make a record; it depends on the seed and its number alone.

    Every fourth record is for test, and only test records draw on the templates and terms that are held out.

    number (int): number of the record, from 1.
    seed (int): seed of the corpus.
    RETURNS (Tuple[str, Record]): train or test, and the record.
    """
    rng = random.Random(f"i2b2_2006_smoking {seed} {number}")
    split = "test" if number % round(1 / TEST_SHARE) == 0 else "train"
    grammar = load_templates("terms", "sentences", "phi", "smoking", held_out=split == "test")
    status = rng.choices(list(CLASSES), [weight for weight, _ in CLASSES.values()])[0]
    blocks = outline("discharge", grammar, rng)
    rule = CLASSES[status][1]
    if rule:
        blocks = stated(blocks, SECTIONS, grammar.expand(rule, rng), rng)
    return split, Record(str(number), tokenised(blocks, grammar, rng).text, cats=status_cats(status))


def write_i2b2_2006_smoking(folder: Path, records: Iterator[Tuple[str, Record]]) -> None:
    """Write a corpus as released: one file a split.

    folder (Path): an existing folder.
    records (Iterator[Tuple[str, Record]]): split and record, as `make_record` gives them.
    """
    with ExitStack() as stack:
        add = {
            split: stack.enter_context(record_file(folder / name)) for split, name in zip(("train", "test"), CONTENTS)
        }
        for split, record in records:
            add[split](record_xml(record))
