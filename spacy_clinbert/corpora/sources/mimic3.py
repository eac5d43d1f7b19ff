"""MIMIC-III's NOTEEVENTS: one quoted table with line feeds inside its texts.

Its header is upper case in the full release and lower case in the demo; some categories have a blank behind them
('Physician '); ISERROR is 1 where a physician marked the note as an error, else empty
(https://mimic.mit.edu/docs/iii/tables/noteevents).
"""

from typing import Dict, Iterator

from ..notes import Note, read_table
from ..places import AnyPath, place
from ..tables import Columns
from .forms import Form, Request, has_columns, table_files

COLUMNS = Columns(("ROW_ID",), ("TEXT",), ("SUBJECT_ID",), ("CATEGORY",), ("ISERROR",))


def _recognises(source: str) -> bool:
    return bool(table_files(source, ["noteevents"])) or has_columns(source, "row_id", "subject_id", "iserror", "text")


def tables(source: str) -> Dict[str, AnyPath]:
    """Give the table of a source, under no name since it is the only one."""
    return {"": next(iter(table_files(source, ["noteevents"])), place(source))}


def _read(request: Request) -> Iterator[Note]:
    return read_table(tables(request.source)[""], request.columns(COLUMNS), request.on_reject)


FORM = Form("mimic3", "MIMIC-III's NOTEEVENTS.csv.gz, or its folder", _recognises, _read)
