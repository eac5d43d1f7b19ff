"""Which document, or which sentence, is for training and which for development; test is as shipped."""

import hashlib
import math
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Dict, FrozenSet, Set

from .records import Entry

SPLITS = ("train", "dev", "test")
DEV_SHARE = 0.1
# ClinicalBERT's run_ner.py: seed 42, and the last of nine parts for development.
PAPER_SEED, PAPER_PARTS = 42, 9


@dataclass(frozen=True)
class Division:
    """How the training documents were divided.

    dev (FrozenSet[str]): the groups (patients or documents) drawn for development.
    documents (int): how many documents there are, in all splits.
    rule (str): how the development split came about, in words.
    """

    dev: FrozenSet[str]
    documents: int
    rule: str

    def split(self, entry: Entry) -> str:
        """The split of a document."""
        return "dev" if entry.split == "train" and group(entry) in self.dev else entry.split


def group(entry: Entry) -> str:
    """What must not be torn apart: all documents of a patient, or a document."""
    return entry.patient or entry.id


def divide(entries: Iterable[Entry], mode: str, seed: int) -> Division:
    """Draw the development split: a tenth of the training documents, by patient where the corpus names patients.

    Drawn by a hash of each name, so that neither the order of files nor other documents' names matter.

    entries (Iterable[Entry]): the documents.
    mode (str): "document", "shipped" or "paper"; with the latter two no documents are drawn.
    seed (int): the seed.
    RETURNS (Division): the division. A corpus that ships with a development split keeps it.
    """
    groups: Set[str] = set()
    patients = shipped = False
    documents = 0
    for entry in entries:
        documents += 1
        shipped |= entry.split == "dev"
        if entry.split == "train":
            groups.add(group(entry))
            patients |= bool(entry.patient)
    if mode == "shipped" or (shipped and mode == "document"):
        return Division(frozenset(), documents, "as shipped")
    if mode == "paper":
        rule = f"train and dev merged, their sentences shuffled with seed {PAPER_SEED}, the last of {PAPER_PARTS} parts"
        return Division(frozenset(), documents, rule + ": dev leaks across documents")
    drawn = sorted(groups, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    share = max(1, round(DEV_SHARE * len(groups))) if len(groups) > 1 else 0
    rule = f"{DEV_SHARE:.0%} of train, drawn by {'patient' if patients else 'document'} with seed {seed}"
    return Division(frozenset(drawn[:share]), documents, rule)


def paper_dev(sentences: Dict[str, int]) -> Dict[str, FrozenSet[int]]:
    """Say which sentences ClinicalBERT's run_ner.py takes for development.

    sentences (Dict[str, int]): the number of sentences of each document for training or development, in their order.
    RETURNS (Dict[str, FrozenSet[int]]): for each document, the numbers of those sentences, from 0.
    """
    places = [(name, number) for name, count in sentences.items() for number in range(count)]
    random.Random(PAPER_SEED).shuffle(places)
    part = math.ceil(len(places) / PAPER_PARTS)
    dev: Dict[str, Set[int]] = {name: set() for name in sentences}
    for name, number in places[part * (PAPER_PARTS - 1) :]:
        dev[name].add(number)
    return {name: frozenset(numbers) for name, numbers in dev.items()}
