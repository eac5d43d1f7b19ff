"""The rows of a table of notes: CSV, Parquet or JSON lines, read as a stream."""

import codecs
import csv
import gzip
import json
import re
import zlib
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from ..errors import ClinbertError

# Bounds what an unclosed quote can swallow; a hundred times the longest note of MIMIC.
MAX_CHARACTERS = 50_000_000
PARQUET_ROWS = 256
SUFFIXES = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet")

# A row's cells in the order of `Columns`, None for a missing one, or why the row cannot be read.
Row = Union[List[Any], Tuple[Any, ...], str]


class Columns(NamedTuple):
    """The columns of a table of notes: for each, names of which the first that is there counts, in any case.

    MIMIC-III's NOTEEVENTS has ROW_ID and TEXT, MIMIC-IV's discharge and radiology tables note_id and text.

    note_id (Sequence[str]): note ids; there must be one.
    text (Sequence[str]): texts; there must be one.
    patient (Sequence[str]): ids of patients.
    category (Sequence[str]): kinds of note.
    error (Sequence[str]): MIMIC-III's ISERROR; a row marked there is rejected.
    """

    note_id: Sequence[str] = ("ROW_ID", "note_id")
    text: Sequence[str] = ("TEXT",)
    patient: Sequence[str] = ()
    category: Sequence[str] = ()
    error: Sequence[str] = ()

    def named(self, id_column: Optional[str], text_column: Optional[str]) -> "Columns":
        """Put names that a user gives in the place of those looked for.

        id_column (Optional[str]): the column of the note ids.
        text_column (Optional[str]): the column of the texts.
        RETURNS (Columns): the columns with those names.
        """
        given = {"note_id": id_column, "text": text_column}
        return self._replace(**{field: (name,) for field, name in given.items() if name})


def table_rows(path: Path, columns: Columns) -> Iterator[Row]:
    """Read the rows of a table.

    path (Path): a file named .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet.
    columns (Columns): the columns to look for.
    RETURNS (Iterator[Row]): the rows in the order of the file.
    RAISES (ClinbertError): no such file, a missing column, a truncated or damaged file, broken quotes in a CSV file.
    """
    with _readable(path):
        name = path.name.lower()
        if name.endswith((".csv", ".csv.gz")):
            yield from _csv_rows(path, columns)
        elif name.endswith((".jsonl", ".jsonl.gz")):
            yield from _json_rows(path, columns)
        else:
            yield from _parquet_rows(path, columns)


def column_names(path: Path) -> List[str]:
    """Read the names of a table's columns; of JSON lines, those of the first object.

    path (Path): a file named .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet.
    RETURNS (List[str]): the names; none where no line of JSON lines is an object.
    RAISES (ClinbertError): as `read_notes`.
    """
    with _readable(path):
        name = path.name.lower()
        if name.endswith((".csv", ".csv.gz")):
            return _csv_table(path)[0]
        if name.endswith((".jsonl", ".jsonl.gz")):
            return next((list(record) for record in _records(path) if isinstance(record, dict)), [])
        with _parquet_table(path) as table:
            return table.schema_arrow.names


def find_columns(table: str, names: Sequence[str], columns: Columns) -> List[Optional[str]]:
    """Find the columns among the names that a table has.

    table (str): name of the table, for the error.
    names (Sequence[str]): the names of its columns.
    columns (Columns): the columns to look for.
    RETURNS (List[Optional[str]]): the name found for each of `Columns`, None for one that the table lacks.
    RAISES (ClinbertError): if there is no column of note ids or of texts.
    """
    must = [_column(table, names, columns.note_id, "id_column"), _column(table, names, columns.text, "text_column")]
    return [*must, *(_find(names, wanted) for wanted in columns[2:])]


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """One sentence for whatever makes a whole table unreadable."""
    if not path.is_file():
        raise ClinbertError(f"{path} is no file: give a table of notes")
    if not path.name.lower().endswith(SUFFIXES):
        raise ClinbertError(f"{path} is none of {', '.join(SUFFIXES)}: name it by its format")
    try:
        yield
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


def _csv_table(path: Path) -> Tuple[List[str], Iterator[List[str]]]:
    """The header of a CSV file and the rows under it."""
    csv.field_size_limit(MAX_CHARACTERS)
    lines = _lines(path)
    first = next(lines, "")
    others = [mark for mark in ";\t|" if mark in first]
    if others and "," not in first:
        raise ClinbertError(f"{path}: its columns are divided by {others[0]!r}, not by commas: convert it")
    # Not strict, the module would drop a stray quote out of a text in silence and shift its offsets.
    rows = csv.reader(chain([first], lines), strict=True)
    try:
        return next(rows, []), rows
    except csv.Error as error:
        raise ClinbertError(f"{path} has a broken first line: it should name the columns") from error


def _csv_rows(path: Path, columns: Columns) -> Iterator[Row]:
    header, rows = _csv_table(path)
    found = find_columns(str(path), header, columns)
    indices = [None if name is None else header.index(name) for name in found]
    number = 0
    try:
        for row in filter(None, rows):
            number += 1
            if len(row) == len(header):
                # An empty cell is how CSV writes a missing value.
                yield [None if index is None else row[index] or None for index in indices]
            else:
                yield f"it has {len(row)} columns, the header {len(header)}"
    except csv.Error as error:
        # The reader is out of step: it would take what follows of the text for notes and their ids.
        raise ClinbertError(
            f"{path}, row {number + 1}: its quotes are not those of a CSV file, or it is longer than any note: "
            "repair it, since no row after it can be told apart"
        ) from error


def _records(path: Path) -> Iterator[Union[Dict[str, Any], str]]:
    """The objects of JSON lines, and for each other line why it is none."""
    for line in _lines(path):
        if line.strip():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                yield "it is not JSON"
            else:
                yield record if isinstance(record, dict) else "it is not a JSON object"


def _json_rows(path: Path, columns: Columns) -> Iterator[Row]:
    names: List[str] = []
    lacking = {"id_column": columns.note_id, "text_column": columns.text}
    for record in _records(path):
        if isinstance(record, str):
            yield record
            continue
        names = names or list(record)
        lacking = {option: wanted for option, wanted in lacking.items() if _find(record, wanted) is None}
        yield [_value(record, wanted) for wanted in columns]
    # A row may lack a field; a field that no row has is misnamed.
    for option, wanted in lacking.items() if names else ():
        _column(str(path), names, wanted, option)


@contextmanager
def _parquet_table(path: Path) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as table:
            yield table
    except pa.ArrowException as error:
        raise ClinbertError(f"{path} is damaged or not a Parquet file: check it or copy it again") from error


def _parquet_rows(path: Path, columns: Columns) -> Iterator[Row]:
    with _parquet_table(path) as table:
        found = find_columns(str(path), table.schema_arrow.names, columns)
        for batch in table.iter_batches(PARQUET_ROWS, columns=[name for name in found if name is not None]):
            missing = [None] * batch.num_rows
            yield from zip(*(missing if name is None else _values(batch.column(name)) for name in found), strict=True)


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


def _column(table: str, names: Sequence[str], wanted: Sequence[str], option: str) -> str:
    found = _find(names, wanted)
    if found is None:
        # A table without header would give note text for names.
        shown = ", ".join(name if re.fullmatch(r"[\w.-]{1,40}", name) else "…" for name in names[:20]) or "none"
        raise ClinbertError(
            f"{table} has no column {' or '.join(wanted)} (its columns: {shown}): "
            f"name the right one with {option} (--{option.replace('_', '-')})"
        )
    return found
