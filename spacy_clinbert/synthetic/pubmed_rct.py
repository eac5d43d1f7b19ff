"""A synthetic corpus in the form of PubMed RCT, with numbers replaced by @ as in one of its releases."""

import random
import re
from pathlib import Path
from typing import Iterator, List, Tuple

from ..corpora.pubmed_rct import LABELS, native_line
from ..corpora.records import Record
from .grammar import load_templates
from .shipped import shipped_split, split_files

FILES = {"train": "train.txt", "dev": "dev.txt", "test": "test.txt"}
CONTENTS = tuple(FILES.values())
# Fewest and most sentences of each role: some abstracts have no background, some no objective.
SENTENCES = {"BACKGROUND": (0, 2), "OBJECTIVE": (0, 1), "METHODS": (2, 4), "RESULTS": (2, 4), "CONCLUSIONS": (1, 2)}
SECOND_BLANK_LINE = 0.02
# As in the real corpus, tokens stand apart.
_TOKEN = re.compile(r"@|\w+(?:[-'/]\w+)*|\S")


def make_abstract(number: int, seed: int) -> Tuple[str, List[Record]]:
    """Make an abstract; it depends on the seed and its number alone.

    Test abstracts alone draw on the templates and terms that are held out.

    number (int): number of the abstract, from 1.
    seed (int): seed of the corpus.
    RETURNS (Tuple[str, List[Record]]): split, and the sentences in order.
    """
    rng = random.Random(f"pubmed_rct {seed} {number}")
    split = shipped_split(number)
    grammar = load_templates("terms", "rct", held_out=split == "test")
    condition, treatment = (grammar.expand(rule, rng).text for rule in ("trial_condition", "trial_arm"))
    records: List[Record] = []
    said = set()
    for label in LABELS:
        for _ in range(rng.randint(*SENTENCES[label])):
            text = grammar.expand(f"trial_{label.lower()}", rng).text
            text = text.replace("[C]", condition).replace("[T]", treatment)
            text = " ".join(_TOKEN.findall(re.sub(r"\d+(?:\.\d+)?", "@", text[:1].upper() + text[1:])))
            if text not in said:
                said.add(text)
                cats = {one: float(one == label) for one in LABELS}
                records.append(Record(f"{10_000_000 + number}/{len(records) + 1}", text, cats=cats))
    return split, records


def write_pubmed_rct(folder: Path, abstracts: Iterator[Tuple[str, List[Record]]]) -> None:
    """Write a corpus as released: a file for each split.

    folder (Path): an existing folder.
    abstracts (Iterator[Tuple[str, List[Record]]]): split and sentences, as `make_abstract` gives them.
    """
    with split_files(folder, FILES) as files:
        for split, records in abstracts:
            name = records[0].id.rpartition("/")[0]
            rng = random.Random(f"pubmed_rct {name}")
            files[split].write(f"###{name}\n" + "".join(map(native_line, records)) + "\n")
            if rng.random() < SECOND_BLANK_LINE:
                files[split].write("\n")
