"""A synthetic corpus in the form of n2c2 2018 track 1."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Dict, List, Tuple

from ..corpora.n2c2_2018_track1 import CRITERIA, TEST, TRAIN, write
from ..corpora.records import Record
from .grammar import Grammar, load_templates

CONTENTS = (TRAIN, TEST)
TEST_SHARE = 0.25
# Of patients who do not meet a criterion, those of whom the notes say so.
SAID = 0.6
# How many meet a criterion, as in the real training set (Stubbs et al. 2019), but 5% at least and 95% at most.
MET = dict(zip(CRITERIA, (0.38, 0.62, 0.05, 0.80, 0.41, 0.52, 0.06, 0.95, 0.33, 0.05, 0.56, 0.95, 0.09), strict=True))
BETWEEN = "*" * 100


def make_record(number: int, seed: int) -> Tuple[str, Record]:
    """Make a patient; it depends on the seed and its number alone.

    Every fourth patient is for test, and only they draw on the templates and terms that are held out.

    number (int): number of the patient, from 1.
    seed (int): seed of the corpus.
    RETURNS (Tuple[str, Record]): the folder it belongs to and the patient, two to five notes in a row.
    """
    rng = random.Random(f"n2c2_2018_track1 {seed} {number}")
    test = number % round(1 / TEST_SHARE) == 0
    grammar = load_templates("terms", "surrogates", "criteria", held_out=test)
    cats = {criterion: float(rng.random() < share) for criterion, share in MET.items()}
    text = "\n\n"
    year = rng.randint(2060, 2095)
    for lines in _notes(cats, grammar, rng):
        text += f"Record date: {year}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}\n\n"
        text += "".join(f"{line}\n" for line in lines) + f"\n{BETWEEN}\n"
        year += 1
    return f"{TEST}/test" if test else TRAIN, Record(str(100 + number), text, cats=cats)


def write_n2c2_2018_track1(folder: Path, records: Iterator[Tuple[str, Record]]) -> None:
    """Write a corpus as released.

    folder (Path): an existing folder.
    records (Iterator[Tuple[str, Record]]): folder and patient, as `make_record` gives them.
    """
    for place, record in records:
        write([record], folder / place)


def _notes(cats: Dict[str, float], grammar: Grammar, rng: random.Random) -> List[List[str]]:
    notes = [
        [grammar.expand("criteria_filler", rng).text for _ in range(rng.randint(3, 9))]
        for _ in range(rng.randint(2, 5))
    ]
    for criterion, met in cats.items():
        if met or rng.random() < SAID:
            rule = f"{criterion.lower().replace('-', '_')}_{'met' if met else 'not'}"
            # Criteria of the last months count from the last note.
            note = notes[-1] if criterion.endswith(("MOS", "YR")) else rng.choice(notes)
            note.insert(rng.randint(0, len(note)), grammar.expand(rule, rng).text)
    return [[grammar.expand("opening", rng).text, *note] for note in notes]
