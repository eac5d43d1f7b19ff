"""A synthetic corpus in the form of MedNLI, with that form's traps."""

import random
import uuid
from pathlib import Path
from typing import Iterator, Tuple

from ..corpora.mednli import LABELS, native_line
from ..corpora.records import Record
from .grammar import load_templates
from .shipped import shipped_split, split_files

FILES = {"train": "mli_train_v1.jsonl", "dev": "mli_dev_v1.jsonl", "test": "mli_test_v1.jsonl"}
CONTENTS = tuple(FILES.values())
# What a premise may be about: rules of templates/nli.json.
TOPICS = ("has", "has", "has", "lacks", "lacks", "given", "given", "operated", "fever", "pressure", "kidney")
NO_LABEL, LINE_FEED, LEADING_BLANK = 0.01, 0.01, 0.03


def make_pair(number: int, seed: int) -> Tuple[str, Record]:
    """Make a pair; it depends on the seed and its number alone.

    As in the real corpus, three pairs in a row share a premise and have a label each. Test pairs alone draw on the
    templates and terms that are held out.

    number (int): number of the pair, from 1.
    seed (int): seed of the corpus.
    RETURNS (Tuple[str, Record]): split and pair; a pair on whose label the annotators did not agree has no categories.
    """
    group, place = divmod(number - 1, len(LABELS))
    split = shipped_split(group + 1)
    grammar = load_templates("terms", "sentences", "placeholders", "nli", held_out=split == "test")
    shared = random.Random(f"mednli {seed} premise {group}")
    topic = shared.choice(TOPICS)
    phrase = grammar.expand(f"{topic}_premise", shared)
    premise = phrase.text
    if shared.random() < LINE_FEED:
        premise = premise.replace(" ", "\n", 1)
    if shared.random() < LEADING_BLANK:
        premise = " " + premise
    label = shared.sample(LABELS, len(LABELS))[place]
    rng = random.Random(f"mednli {seed} {number}")
    hypothesis = grammar.expand(f"{topic}_{label}", rng).text
    about = next((phrase.text[span.start : span.end] for span in phrase.spans if span.label == "topic"), "")
    hypothesis = hypothesis.replace("[X]", about)
    hypothesis = hypothesis[:1].upper() + hypothesis[1:]
    text = f"{premise}\n{hypothesis}"
    parts = {"premise": (0, len(premise)), "hypothesis": (len(premise) + 1, len(text))}
    cats = {} if rng.random() < NO_LABEL else {one: float(one == label) for one in LABELS}
    return split, Record(str(uuid.UUID(int=rng.getrandbits(128))), text, cats=cats, parts=parts)


def write_mednli(folder: Path, pairs: Iterator[Tuple[str, Record]]) -> None:
    """Write a corpus as released: a file of JSON lines for each split.

    folder (Path): an existing folder.
    pairs (Iterator[Tuple[str, Record]]): split and pair, as `make_pair` gives them.
    """
    with split_files(folder, FILES) as files:
        for split, record in pairs:
            files[split].write(native_line(record))
