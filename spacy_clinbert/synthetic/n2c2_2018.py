"""A synthetic corpus in the form of n2c2 2018 track 2, with that corpus' traps."""

import random
from bisect import bisect
from collections.abc import Iterator
from pathlib import Path
from typing import Dict, List

from ..corpora.n2c2_2018 import LABELS, TEST, TRAIN, write
from ..corpora.records import Mention, Record, Relation
from .brat import GOES_ON, mentions_of
from .grammar import Grammar, Phrase, load_templates
from .layout import lay_out
from .outline import INLINE, OWN_LINE, Block, Item

CONTENTS = (TRAIN, TEST)
# The real corpus has 303 documents for training and 202 for test; here most are for training.
TEST_SHARE = 0.25


def make_record(number: int, seed: int) -> Record:
    """Make a discharge summary; it depends on the seed and its number alone.

    Lines break where they are full, also inside mentions, and some mentions skip words. Each mention other than a drug
    is related to the nearest drug of its sentence.

    number (int): number of the document, from 1; every fourth is for test and draws also on what is held out.
    seed (int): seed of the corpus.
    RETURNS (Record): the document; its id begins with its folder.
    """
    rng = random.Random(f"n2c2_2018 {seed} {number}")
    folder = TEST if number % round(1 / TEST_SHARE) == 0 else TRAIN
    grammar = load_templates("terms", "sentences", "placeholders", "medications", held_out=folder == TEST)
    note = lay_out(list(_blocks(grammar, rng)))
    mentions = mentions_of(one for one in note.concepts if one.label.removesuffix(GOES_ON) in LABELS)
    relations = _relations(mentions, [start for start, _ in note.sentences])
    return Record(f"{folder}/{100000 + number}", note.text, tuple(mentions), tuple(relations))


def write_n2c2_2018(folder: Path, records: Iterator[Record]) -> None:
    """Write a corpus as released: a folder for training and one for test.

    folder (Path): an existing folder.
    records (Iterator[Record]): documents, as `make_record` gives them.
    """
    write(records, folder)


def _blocks(grammar: Grammar, rng: random.Random) -> Iterator[Block]:
    def items(rule: str, low: int, high: int, mark: str = "") -> List[Item]:
        phrases = dict.fromkeys(grammar.expand(rule, rng) for _ in range(rng.randint(low, high)))
        return [Item(mark.format(place), phrase) for place, phrase in enumerate(phrases, start=1)]

    def block(title: str, category: str, items: List[Item], flow: bool = False, after: str = OWN_LINE) -> Block:
        return Block(Phrase(title), category, tuple(items), flow=flow, after=after)

    yield block("Admission Date", "dates", items("date", 1, 1), after=INLINE)
    yield block("Service", "service", items("serviceline", 1, 1), after=INLINE)
    yield block("History of Present Illness", "history_of_present_illness", items("rx_history", 3, 8), flow=True)
    yield block("Medications on Admission", "admission_medications", items("rx_home", 2, 7, "{}. "))
    yield block("Social History", "social_history", items("social", 1, 3), flow=True)
    yield block("Brief Hospital Course", "brief_hospital_course", items("rx_course", 5, 14), flow=True)
    yield block("Discharge Medications", "discharge_medications", items("rx_line", 3, 10, "{}. "))
    yield block("Discharge Instructions", "discharge_instructions", items("rx_advice", 2, 4), flow=True)


def _relations(mentions: List[Mention], sentences: List[int]) -> Iterator[Relation]:
    drugs: Dict[int, List[int]] = {}
    for index, mention in enumerate(mentions):
        if mention.label == "Drug":
            drugs.setdefault(bisect(sentences, mention.fragments[0][0]), []).append(index)
    for index, mention in enumerate(mentions):
        start = mention.fragments[0][0]
        near = drugs.get(bisect(sentences, start), []) if mention.label != "Drug" else []
        if near:
            drug = min(near, key=lambda other: abs(mentions[other].fragments[0][0] - start))
            yield Relation(index, drug, f"{mention.label}-Drug")
