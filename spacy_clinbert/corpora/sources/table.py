"""Any table with a column of note ids and one of texts: CSV, JSON lines or Parquet."""

from pathlib import Path
from typing import Iterator

from ..notes import Note, read_table
from ..tables import SUFFIXES, Columns
from .forms import Form, Request

COLUMNS = Columns(
    ("ROW_ID", "note_id"),
    ("TEXT", "note_text"),
    ("SUBJECT_ID", "person_id", "patient_id", "patient"),
    ("CATEGORY", "note_type"),
    ("ISERROR",),
)


def _recognises(source: str) -> bool:
    return Path(source).is_file() and source.lower().endswith(SUFFIXES)


def _read(request: Request) -> Iterator[Note]:
    return read_table(Path(request.source), request.columns(COLUMNS), request.on_reject)


FORM = Form("table", "a table named " + ", ".join(SUFFIXES), _recognises, _read)
