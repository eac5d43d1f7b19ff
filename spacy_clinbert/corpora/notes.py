"""A stream of notes out of a table: CSV, Parquet or JSON lines, with MIMIC's columns unless others are named."""

import logging
import re
from typing import Any, Callable, Iterable, Iterator, NamedTuple, Optional, Union

from .columns import Columns, Row
from .parquet_tables import Groups
from .places import AnyPath, place
from .tables import table_rows

# What is longer, or has line ends, may be a piece of a text, and ids come into logs.
_ID = re.compile(r"\S(?:[^\r\n\t]{0,62}\S)?")


class Note(NamedTuple):
    """One note.

    note_id (str): its id in the table.
    text (str): the note, character for character.
    patient (str): id of the patient; empty where the source does not say or was not asked.
    category (str): kind of note, without blanks around it; empty where the source does not say or was not asked.
    """

    note_id: str
    text: str
    patient: str = ""
    category: str = ""


class Rejected(NamedTuple):
    """A row that gives no note.

    note_id (str): its note id, or `row N`, counted from 1 without the header, where it has none; in a folder of tables
        `FILE, row N`.
    reason (str): why, without any of its text.
    """

    note_id: str
    reason: str


def log_rejected(rejected: Rejected) -> None:
    """Log a warning for a rejected row."""
    logging.getLogger("spacy_clinbert").warning("note %s is left out: %s", *rejected)


def read_notes(
    path: Union[str, AnyPath],
    id_column: Optional[str] = None,
    text_column: Optional[str] = None,
    on_reject: Callable[[Rejected], None] = log_rejected,
) -> Iterator[Note]:
    """Read notes one after the other; memory does not grow with their number.

    path (Union[str, AnyPath]): a file named .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet, or the address of one, such
        as s3://bucket/notes.csv.gz (a `str`, as a `Path` would drop one of its slashes).
    id_column (Optional[str]): the column of the note ids, upper or lower case alike; by default `ROW_ID` or `note_id`.
    text_column (Optional[str]): the column of the texts; by default `TEXT`.
    on_reject (Callable[[Rejected], None]): called with each row that gives no note (no id, no text, invalid UTF-8,
        broken JSON); the rows after it are read.
    RETURNS (Iterator[Note]): the notes in the order of the file.
    RAISES (ClinbertError): no such file, a missing column, a truncated or damaged file, broken quotes in a CSV file.
    """
    return read_table(place(path), Columns().named(id_column, text_column), on_reject)


def read_table(
    path: AnyPath,
    columns: Columns,
    on_reject: Callable[[Rejected], None],
    file: str = "",
    groups: Optional[Groups] = None,
) -> Iterator[Note]:
    """Read the notes of a table, with patients and categories where columns are given for them.

    path (AnyPath): a file named .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet.
    columns (Columns): the columns to look for.
    on_reject (Callable[[Rejected], None]): called with each row that gives no note.
    file (str): what to name the table by, where it is one of many.
    groups (Optional[Groups]): the row groups of a Parquet file to read; by default all.
    RETURNS (Iterator[Note]): the notes in the order of the file.
    RAISES (ClinbertError): as `read_notes`.
    """
    return notes_of(table_rows(path, columns, groups), on_reject, groups.before if groups else 0, file)


def notes_of(
    rows: Iterable[Row], on_reject: Callable[[Rejected], None], before: int = 0, file: str = ""
) -> Iterator[Note]:
    """Make notes of rows and hand over the rows that give none.

    rows (Iterable[Row]): cells in the order of `Columns`, None for a missing value, or why a row cannot be read.
    on_reject (Callable[[Rejected], None]): called with each row that gives no note.
    before (int): rows of the source before them, as rows without id are named by their number.
    file (str): what to name their table by, where it is one of many.
    RETURNS (Iterator[Note]): the notes in the order of the rows.
    """
    # No output could hold a file name of broken bytes.
    row_of = f"{file}, row".encode("utf8", "replace").decode() if file else "row"
    for number, row in enumerate(rows, before + 1):
        note = _note(row, f"{row_of} {number}")
        if isinstance(note, Rejected):
            on_reject(note)
        else:
            yield note


def _note(row: Row, where: str) -> Union[Note, Rejected]:
    if isinstance(row, str):
        return Rejected(where, row)
    note_id, text, patient, category, error = row
    name = _name(note_id)
    if not name:
        return Rejected(where, "it has no note id of one line and at most 64 characters")
    if _label(error).lower() in ("1", "true"):
        return Rejected(name, "marked as an error (ISERROR)")
    if text is None:
        return Rejected(name, "it has no text")
    if not isinstance(text, str):
        return Rejected(name, "its text is not a string")
    note = Note(name, text, _label(patient), _label(category))
    return note if _is_unicode("".join(note)) else Rejected(name, "its text is not valid UTF-8")


def _label(value: Any) -> str:
    # Where values are missing, pandas writes NaN for them, and whole numbers as 7.0.
    return "" if value is None or value != value else re.sub(r"\A(\d+)\.0\Z", r"\1", str(value).strip())


def _name(note_id: Any) -> str:
    usable = isinstance(note_id, (str, int)) and not isinstance(note_id, bool)
    return str(note_id) if usable and _ID.fullmatch(str(note_id)) and _is_unicode(str(note_id)) else ""


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
