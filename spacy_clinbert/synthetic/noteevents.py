"""Synthetic notes in the form of MIMIC-III's NOTEEVENTS.csv.gz, and what is known of them."""

import csv
import gzip
import io
import json
import random
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Dict, Iterator, List, TextIO, Tuple, Union

from .grammar import load_grammar
from .layout import GoldNote, lay_out
from .outline import note_kinds, outline

# https://mimic.mit.edu/docs/iii/tables/noteevents
COLUMNS = (
    "ROW_ID",
    "SUBJECT_ID",
    "HADM_ID",
    "CHARTDATE",
    "CHARTTIME",
    "STORETIME",
    "CATEGORY",
    "DESCRIPTION",
    "CGID",
    "ISERROR",
    "TEXT",
)
CONTENTS = NOTES, GOLD = ("NOTEEVENTS.csv.gz", "gold.jsonl")
Row = List[Union[int, str]]


def make_note(number: int, seed: int) -> Tuple[Row, GoldNote]:
    """Make a note; it depends on the seed and its number alone.

    It draws on all templates, those held out of the i2b2 training split too: notes are unlabelled text to pretrain on.

    number (int): ROW_ID, from 1.
    seed (int): seed of the corpus.
    RETURNS (Tuple[Row, GoldNote]): the row of NOTEEVENTS, whose last field is the text, and the note with its gold.
    """
    rng = random.Random(f"noteevents {seed} {number}")
    kinds = note_kinds()
    kind = rng.choices(list(kinds), [kind["weight"] for kind in kinds.values()])[0]
    note = lay_out(outline(kind, load_grammar(surrogates=False, held_out=True), rng))
    day = date(2100, 1, 1) + timedelta(days=rng.randrange(36500))
    # Discharge summaries, ECG and echo reports carry a date but no time.
    timed = kinds[kind]["category"].startswith(("Nursing", "Physician", "Radiology"))
    clock = f"{day} {rng.randrange(23):02}:{rng.randrange(60):02}:00" if timed else ""
    stored = f"{clock[:-5]}59:59" if kinds[kind]["category"].startswith(("Nursing", "Physician")) else ""
    caregiver: Union[int, str] = rng.randint(14000, 21000) if stored else ""
    subject = 10 + (number - 1) // 5
    row = [number, subject, 100000 + subject, str(day), clock, stored, kinds[kind]["category"]]
    return [*row, rng.choice(kinds[kind]["descriptions"]), caregiver, "", note.text], note


def write_noteevents(folder: Path, notes: Iterator[Tuple[Row, GoldNote]]) -> None:
    """Write `NOTEEVENTS.csv.gz` and `gold.jsonl`, one note at a time.

    `gold.jsonl` has a line a note: note_id (its ROW_ID), sections, sentences, placeholders and concepts, all in
    characters of TEXT.

    folder (Path): an existing folder.
    notes (Iterator[Tuple[Row, GoldNote]]): rows and notes, as `make_note` gives them.
    """
    with _gzip_text(folder / NOTES) as table, (folder / GOLD).open("w", encoding="utf-8", newline="\n") as gold:
        # As in the real table, numbers are bare and all else is quoted.
        writer = csv.writer(table, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row, note in notes:
            writer.writerow(row)
            gold.write(json.dumps(_gold(row[0], note)) + "\n")


def _gold(note_id: Union[int, str], note: GoldNote) -> Dict[str, Any]:
    return {
        "note_id": note_id,
        "sections": [section._asdict() for section in note.sections],
        "sentences": note.sentences,
        "placeholders": [(start, end) for start, end, _ in note.placeholders],
        "concepts": note.concepts,
    }


@contextmanager
def _gzip_text(path: Path) -> Iterator[TextIO]:
    # Without file name and time in its header, the same notes give the same bytes.
    with (
        path.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=6) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as text,
    ):
        yield text
