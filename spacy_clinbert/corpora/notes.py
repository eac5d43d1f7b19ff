"""A stream of notes out of a table: CSV, Parquet or JSON lines, with MIMIC's columns unless others are named."""

import codecs
import csv
import gzip
import json
import logging
import re
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from ..errors import ClinbertError

# MIMIC-III's NOTEEVENTS has ROW_ID and TEXT, MIMIC-IV's discharge and radiology tables note_id and text.
ID_COLUMNS = ("ROW_ID", "note_id")
TEXT_COLUMNS = ("TEXT",)
# Bounds what an unclosed quote can swallow; a hundred times the longest note of MIMIC.
MAX_CHARACTERS = 50_000_000
PARQUET_ROWS = 256
# What is longer, or has line ends, may be a piece of a text, and ids come into logs.
_ID = re.compile(r"\S(?:[^\r\n\t]{0,62}\S)?")

# A row's note id and text as the table gives them, or why the row cannot be read.
_Row = Union[Tuple[Any, Any], str]


class Note(NamedTuple):
    """One note.

    note_id (str): its id in the table.
    text (str): the note, character for character.
    """

    note_id: str
    text: str


class Rejected(NamedTuple):
    """A row that gives no note.

    note_id (str): its note id, or `row N`, counted from 1 without the header, where it has none.
    reason (str): why, without any of its text.
    """

    note_id: str
    reason: str


def log_rejected(rejected: Rejected) -> None:
    """Log a warning for a rejected row."""
    logging.getLogger("spacy_clinbert").warning("note %s is left out: %s", *rejected)


def read_notes(
    path: Union[str, Path],
    id_column: Optional[str] = None,
    text_column: Optional[str] = None,
    on_reject: Callable[[Rejected], None] = log_rejected,
) -> Iterator[Note]:
    """Read notes one after the other; memory does not grow with their number.

    path (Union[str, Path]): a file named .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet.
    id_column (Optional[str]): the column of the note ids, upper or lower case alike; by default `ROW_ID` or `note_id`.
    text_column (Optional[str]): the column of the texts; by default `TEXT`.
    on_reject (Callable[[Rejected], None]): called with each row that gives no note (no id, no text, invalid UTF-8,
        broken JSON); the rows after it are read.
    RETURNS (Iterator[Note]): the notes in the order of the file.
    RAISES (ClinbertError): no such file, a missing column, a truncated or damaged file, broken quotes in a CSV file.
    """
    path = Path(path)
    ids = (id_column,) if id_column else ID_COLUMNS
    texts = (text_column,) if text_column else TEXT_COLUMNS
    for number, row in enumerate(_rows(path, ids, texts), 1):
        note = _note(row, number)
        if isinstance(note, Rejected):
            on_reject(note)
        else:
            yield note


def _note(row: _Row, number: int) -> Union[Note, Rejected]:
    if isinstance(row, str):
        return Rejected(f"row {number}", row)
    name, text = _name(row[0]), row[1]
    if not name:
        return Rejected(f"row {number}", "it has no note id of one line and at most 64 characters")
    if text is None:
        return Rejected(name, "it has no text")
    if not isinstance(text, str):
        return Rejected(name, "its text is not a string")
    return Note(name, text) if _is_unicode(text) else Rejected(name, "its text is not valid UTF-8")


def _name(note_id: Any) -> str:
    usable = isinstance(note_id, (str, int)) and not isinstance(note_id, bool)
    return str(note_id) if usable and _ID.fullmatch(str(note_id)) and _is_unicode(str(note_id)) else ""


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _rows(path: Path, ids: Sequence[str], texts: Sequence[str]) -> Iterator[_Row]:
    """The rows of a table, with one sentence for whatever makes the whole file unreadable."""
    if not path.is_file():
        raise ClinbertError(f"{path} is no file: give a table of notes")
    name = path.name.lower()
    try:
        if name.endswith((".csv", ".csv.gz")):
            yield from _csv_rows(path, ids, texts)
        elif name.endswith((".jsonl", ".jsonl.gz")):
            yield from _json_rows(path, ids, texts)
        elif name.endswith(".parquet"):
            yield from _parquet_rows(path, ids, texts)
        else:
            raise ClinbertError(f"{path} is none of .csv, .csv.gz, .jsonl, .jsonl.gz, .parquet: name it by its format")
    except EOFError as error:
        raise ClinbertError(f"{path} is cut off before its end: copy it again, whole") from error
    except (OSError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or "it is damaged or of another format"
        raise ClinbertError(f"{path} cannot be read ({reason}): check it or copy it again") from error


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb") as lines:
        for number, line in enumerate(lines):
            line = line.removeprefix(codecs.BOM_UTF8) if number == 0 else line
            # A bad byte becomes a lone surrogate, so that only its row is lost.
            yield line.decode("utf8", "surrogateescape")


def _csv_rows(path: Path, ids: Sequence[str], texts: Sequence[str]) -> Iterator[_Row]:
    csv.field_size_limit(MAX_CHARACTERS)
    # Not strict, the module would drop a stray quote out of a text in silence and shift its offsets.
    rows = csv.reader(_lines(path), strict=True)
    try:
        header = next(rows, [])
    except csv.Error as error:
        raise ClinbertError(f"{path} has a broken first line: it should name the columns") from error
    id_index = header.index(_column(path, header, ids, "id_column"))
    text_index = header.index(_column(path, header, texts, "text_column"))
    number = 0
    try:
        for row in filter(None, rows):
            number += 1
            if len(row) == len(header):
                # An empty cell is how CSV writes a missing value.
                yield row[id_index] or None, row[text_index] or None
            else:
                yield f"it has {len(row)} columns, the header {len(header)}"
    except csv.Error as error:
        # The reader is out of step: it would take what follows of the text for notes and their ids.
        raise ClinbertError(
            f"{path}, row {number + 1}: its quotes are not those of a CSV file, or it is longer than any note: "
            "repair it, since no row after it can be told apart"
        ) from error


def _json_rows(path: Path, ids: Sequence[str], texts: Sequence[str]) -> Iterator[_Row]:
    names: List[str] = []
    lacking = {"id_column": ids, "text_column": texts}
    for line in _lines(path):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            yield "it is not JSON"
            continue
        if not isinstance(record, dict):
            yield "it is not a JSON object"
            continue
        names = names or list(record)
        lacking = {option: wanted for option, wanted in lacking.items() if _find(record, wanted) is None}
        yield _value(record, ids), _value(record, texts)
    # A row may lack a field; a field that no row has is misnamed.
    for option, wanted in lacking.items() if names else ():
        _column(path, names, wanted, option)


def _parquet_rows(path: Path, ids: Sequence[str], texts: Sequence[str]) -> Iterator[_Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as table:
            names = table.schema_arrow.names
            columns = [_column(path, names, ids, "id_column"), _column(path, names, texts, "text_column")]
            for batch in table.iter_batches(PARQUET_ROWS, columns=columns):
                yield from zip(_values(batch.column(columns[0])), _values(batch.column(columns[1])), strict=True)
    except pa.ArrowException as error:
        raise ClinbertError(f"{path} is damaged or not a Parquet file: check it or copy it again") from error


def _values(column: Any) -> Iterable[Any]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    # Parquet does not check its strings: as bytes, only the row with the bad one is lost.
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    return (v.decode("utf8", "surrogateescape") if isinstance(v, bytes) else v for v in column.to_pylist())


def _find(names: Iterable[str], wanted: Sequence[str]) -> Optional[str]:
    """The first wanted name among the names, in the same case if there is one."""
    lowered = {name.lower(): name for name in names}
    return next((w if w in names else lowered[w.lower()] for w in wanted if w.lower() in lowered), None)


def _value(record: Dict[str, Any], wanted: Sequence[str]) -> Any:
    name = _find(record, wanted)
    return None if name is None else record[name]


def _column(path: Path, names: Sequence[str], wanted: Sequence[str], option: str) -> str:
    found = _find(names, wanted)
    if found is None:
        # A table without header would give note text for names.
        shown = ", ".join(name if re.fullmatch(r"[\w.-]{1,40}", name) else "…" for name in names[:20]) or "none"
        raise ClinbertError(
            f"{path} has no column {' or '.join(wanted)} (its columns: {shown}): "
            f"name the right one with {option} (--{option.replace('_', '-')})"
        )
    return found
