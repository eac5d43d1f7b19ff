"""A synthetic corpus in the form of i2b2 2006 de-identification, with that corpus' traps."""

import random
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import List, Optional, Tuple

from ..corpora.i2b2_2006 import TEST, TRAIN, record_xml
from ..corpora.record_files import record_file
from ..corpora.records import Mention, Record
from .grammar import Span, load_templates
from .outline import outline
from .partners import tokenised

CONTENTS = (TRAIN, TEST)
# The real corpus has 669 records for training and 220 for test.
TEST_SHARE = 0.25
TYPES = {
    **{name: name for name in ("PATIENT", "DOCTOR", "HOSPITAL", "DATE", "AGE", "PHONE")},
    **dict.fromkeys(("STREET", "CITY", "STATE", "ZIP", "COUNTRY", "ORGANIZATION"), "LOCATION"),
    **dict.fromkeys(("MEDICALRECORD", "IDNUM", "USERNAME", "EMAIL"), "ID"),
    "FAX": "PHONE",
}
# Neither years nor ages below 90 are marked.
_YEAR = re.compile(r"(?:(?<=[/-]\d)[/-]\d+|(?<=[/-]\d\d)[/-]\d+|[ ,]+\d{4})$|^\d{4}$")
OLDEST = 89


def make_record(number: int, seed: int) -> Tuple[str, Record]:
    """Make a record; it depends on the seed and its number alone.

    Every fourth record is for test, and only test records draw on the templates and terms that are held out.

    number (int): number of the record, from 1.
    seed (int): seed of the corpus.
    RETURNS (Tuple[str, Record]): train or test, and the record.
    """
    rng = random.Random(f"i2b2_2006 {seed} {number}")
    split = "test" if number % round(1 / TEST_SHARE) == 0 else "train"
    grammar = load_templates("terms", "sentences", "phi", held_out=split == "test")
    text, spans = tokenised(outline("discharge", grammar, rng), grammar, rng)
    mentions: List[Mention] = []
    for span in sorted(spans):
        mention = _mention(text, span)
        if mention:
            mentions.append(mention)
    return split, Record(str(number), text, tuple(mentions))


def write_i2b2_2006(folder: Path, records: Iterator[Tuple[str, Record]]) -> None:
    """Write a corpus as released: one file a split; the training file has the malformed tag of the real one.

    folder (Path): an existing folder.
    records (Iterator[Tuple[str, Record]]): split and record, as `make_record` gives them.
    """
    with ExitStack() as stack:
        add = {
            split: stack.enter_context(record_file(folder / name)) for split, name in zip(("train", "test"), CONTENTS)
        }
        malformed = 0
        for split, record in records:
            xml = record_xml(record)
            if split == "train" and not malformed:
                xml, malformed = re.subn(r'(<PHI TYPE="DATE">[^<]*)</PHI>', r'\1<PHI TYPE="DOCTOR">', xml, count=1)
            add[split](xml)


def _mention(text: str, span: Span) -> Optional[Mention]:
    start, end = span.start, span.end
    if span.label == "DATE":
        end = start + len(_YEAR.sub("", text[start:end]))
    unmarked = span.label == "AGE" and int(text[start:end]) <= OLDEST
    if span.label not in TYPES or unmarked or start == end:
        return None
    return Mention(((start, end),), TYPES[span.label])
