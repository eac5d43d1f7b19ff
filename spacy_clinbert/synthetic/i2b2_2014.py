"""A synthetic corpus in the form of i2b2 2014, with that corpus' traps."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Tuple

from ..corpora import cdata
from ..corpora.i2b2_2014 import CATEGORIES, ROOT, TEST, TRAIN, tags
from ..corpora.records import Mention, Record
from .grammar import Grammar, Phrase, Span, load_templates
from .layout import lay_out
from .outline import Block, Item, outline

CONTENTS = (*TRAIN, TEST)
KINDS = {"discharge": 4, "physician": 6}
# Notes of a patient, and the folders that patients go to in turn: a quarter is for test.
NOTES = 3
FOLDERS = (TRAIN[0], TRAIN[0], TRAIN[1], TEST)
# Of notes: the last offsets off by 4, as in 180-03; "and" for &, as in 188-05; an annotation without a type.
SHIFTED, SPOKEN, UNTYPED = 0.03, 0.5, 0.05
_LABELS = {label for labels in CATEGORIES.values() for label in labels.split()}


def make_record(number: int, seed: int) -> Tuple[str, Record]:
    """Make a note; it depends on the seed and its number alone.

    A patient has three notes. Every fourth patient is for test, and only test notes draw on the templates and terms
    that are held out.

    number (int): number of the note, from 1.
    seed (int): seed of the corpus.
    RETURNS (Tuple[str, Record]): the folder it belongs to and the note.
    """
    rng = random.Random(f"i2b2_2014 {seed} {number}")
    patient, note = divmod(number - 1, NOTES)
    folder = FOLDERS[patient % len(FOLDERS)]
    grammar = load_templates("terms", "sentences", "phi", held_out=folder == TEST)
    day = f"20{rng.randint(60, 99)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    date = Phrase(f"Record date: {day}", (Span(13, 13 + len(day), "DATE"),))
    body = outline(rng.choices(list(KINDS), list(KINDS.values()))[0], grammar, rng)
    head, closing = (_block(rule, grammar, rng) for rule in ("phi_head", "phi_closing"))
    page = lay_out([Block(None, "", (Item("", date),)), head, *body, closing])
    text = f"\n\n\n{page.text}\n"
    mentions = [
        Mention(((start + 3, end + 3),), label) for start, end, label in sorted(page.concepts) if label in _LABELS
    ]
    return folder, Record(f"{100 + patient}-{note + 1:02}", text, tuple(mentions))


def write_i2b2_2014(folder: Path, records: Iterator[Tuple[str, Record]]) -> None:
    """Write a corpus as released, with what is wrong in some released files.

    folder (Path): an existing folder.
    records (Iterator[Tuple[str, Record]]): folder and note, as `make_record` gives them.
    """
    for place, record in records:
        rng = random.Random(record.text)
        (folder / place).mkdir(parents=True, exist_ok=True)
        content = cdata.to_xml(record, ROOT, _tags(record, rng))
        (folder / place / f"{record.id}.xml").write_bytes(content.encode("utf-8"))


def _block(rule: str, grammar: Grammar, rng: random.Random) -> Block:
    items = tuple(Item("", grammar.expand(rule, rng)) for _ in range(rng.randint(1, 3)))
    return Block(None, "", items, flow=False)


def _tags(record: Record, rng: random.Random) -> Iterator[cdata.Tag]:
    shifted = len(record.mentions) - (rng.randint(1, 5) if rng.random() < SHIFTED else 0)
    for number, (name, attributes) in enumerate(tags(record)):
        changed = dict(attributes)
        if number >= shifted:
            changed |= {key: str(int(changed[key]) + 4) for key in ("start", "end")}
        elif rng.random() < SPOKEN:
            changed["text"] = changed["text"].replace("&", "and")
        yield name, changed
    if rng.random() < UNTYPED:
        start, end = record.mentions[0].fragments[0]
        place = {"start": str(start), "end": str(end), "text": record.text[start:end]}
        yield "OTHER", {"id": f"P{len(record.mentions)}", **place, "TYPE": "", "comment": ""}
