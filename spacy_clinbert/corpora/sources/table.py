"""Any table with a column of note ids and one of texts: CSV, JSON lines or Parquet."""

from pathlib import Path
from typing import Dict, Iterator

from ..notes import Note, read_table
from ..places import AnyPath, place, readable
from ..tables import SUFFIXES, Columns
from .forms import Form, Request

COLUMNS = Columns(
    ("ROW_ID", "note_id"),
    ("TEXT", "note_text"),
    ("SUBJECT_ID", "person_id", "patient_id", "patient"),
    ("CATEGORY", "note_type"),
    ("ISERROR",),
)


def tables(source: str) -> Dict[str, AnyPath]:
    """Give the table of a source, under no name since it is the only one."""
    return {"": place(source)}


def _recognises(source: str) -> bool:
    if not source.lower().endswith(SUFFIXES):
        return False
    path = place(source)
    with readable(path):
        # A filesystem may refuse to say what there is; opening the file will tell why.
        return path.is_file() if isinstance(path, Path) else not path.is_dir()


def _read(request: Request) -> Iterator[Note]:
    return read_table(place(request.source), request.columns(COLUMNS), request.on_reject)


FORM = Form("table", "a table named " + ", ".join(SUFFIXES), _recognises, _read)
