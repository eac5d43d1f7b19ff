"""Notes as SEGMENTS whose every wordpiece has a number of its own, which tells where it came from."""

import random
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from spacy_clinbert.pretraining.pieces import PieceIds
from spacy_clinbert.pretraining.schemas import SEGMENTS

FIRST = 10


class Corpus(NamedTuple):
    """Notes and where each wordpiece stands.

    rows (list[dict]): rows of SEGMENTS.
    ids (PieceIds): every 13th wordpiece is never masked, every third continues a word.
    origin (dict[int, tuple]): of a wordpiece, its note's row, sentence number, and section number.
    """

    rows: list[dict]
    ids: PieceIds
    origin: dict[int, tuple[int, int, int]]

    def batch(self, rows: slice = slice(None)) -> pa.RecordBatch:
        return pa.RecordBatch.from_pylist(self.rows[rows], SEGMENTS)

    def documents(self) -> list[list[list[int]]]:
        return [row["pieces"] for row in self.rows]


def number_pieces(notes: list[list[int]], patients: list[str], seed: int = 0) -> Corpus:
    """Make notes of the sentences' numbers of wordpieces; sections and their categories are drawn."""
    rng = random.Random(seed)
    rows: list[dict] = []
    origin: dict[int, tuple[int, int, int]] = {}
    for note, (lengths, patient) in enumerate(zip(notes, patients, strict=True)):
        starts = [number == 0 or rng.random() < 0.25 for number in range(len(lengths))]
        section, pieces, categories = -1, [], []
        for number, length in enumerate(lengths):
            section += starts[number]
            fresh = range(FIRST + len(origin), FIRST + len(origin) + length)
            origin |= dict.fromkeys(fresh, (note, number, section))
            pieces.append(list(fresh))
            categories.append(f"section {section}")
        row = {"note_id": f"note {note}", "patient": patient, "category": "", "pieces": pieces, "starts": starts}
        rows.append({**row, "sentences": [f"s{number}" for number in range(len(lengths))], "sections": categories})
    size = FIRST + len(origin)
    fixed = np.arange(size) % 13 == 0
    fixed[:FIRST] = True
    words = np.arange(FIRST, size, dtype=np.int32)
    return Corpus(rows, PieceIds(2, 3, 4, words, fixed, np.arange(size) % 3 == 0), origin)


def random_corpus(notes: int, seed: int = 0, longest: int = 40) -> Corpus:
    """Make notes of 1 to 30 sentences of 0 to `longest` wordpieces, three notes a patient; each seventh has none."""
    rng = random.Random(seed)
    lengths = [[rng.randint(0, longest) for _ in range(rng.randint(1, 30))] for _ in range(notes)]
    return number_pieces(lengths, ["" if note % 7 == 0 else f"p{note // 3}" for note in range(notes)], seed)
