"""A synthetic corpus of labelled texts: sections of notes, by their category, as in MTS-Dialog."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import List, Tuple

from ..corpora.labelled import native_line
from ..corpora.records import Record
from .grammar import load_templates
from .outline import Block, outline
from .shipped import shipped_split, split_files

FILES = {"train": "train.jsonl", "dev": "dev.jsonl", "test": "test.jsonl"}
CONTENTS = tuple(FILES.values())
LABELS = (
    *("allergies", "chief_complaint", "discharge_diagnosis", "discharge_instructions", "family_history"),
    *("history_of_present_illness", "past_medical_history", "social_history"),
)


def make_record(number: int, seed: int) -> Tuple[str, Record]:
    """Make a text; it depends on the seed and its number alone.

    Test texts alone draw on the templates and terms that are held out.

    number (int): number of the text, from 1.
    seed (int): seed of the corpus.
    RETURNS (Tuple[str, Record]): split, and the text without the title that would say its label.
    """
    rng = random.Random(f"labelled {seed} {number}")
    split = shipped_split(number)
    grammar = load_templates("terms", "sentences", "phi", held_out=split == "test")
    blocks: List[Block] = []
    while not blocks:
        # Not every note has every section.
        blocks = [block for block in outline("discharge", grammar, rng) if block.category in LABELS and block.items]
    block = rng.choice(blocks)
    text = (" " if block.flow else "\n").join(item.mark + item.phrase.text for item in block.items)
    return split, Record(str(number), text, cats={one: float(one == block.category) for one in LABELS})


def write_labelled(folder: Path, records: Iterator[Tuple[str, Record]]) -> None:
    """Write a corpus: a table for each split.

    folder (Path): an existing folder.
    records (Iterator[Tuple[str, Record]]): split and text, as `make_record` gives them.
    """
    with split_files(folder, FILES) as files:
        for split, record in records:
            files[split].write(native_line(record))
