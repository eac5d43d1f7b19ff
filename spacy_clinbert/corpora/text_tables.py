"""Tables that are text: CSV and JSON lines, read as streams."""

import csv
import json
from itertools import chain
from typing import Any, Dict, Iterator, List, Sequence, Tuple, Union

from ..errors import ClinbertError
from .columns import Columns, Row, find_column, find_columns, need_column
from .places import AnyPath, shown, text_lines

# Bounds what an unclosed quote can swallow; a hundred times the longest note of MIMIC.
MAX_CHARACTERS = 50_000_000


def csv_header(path: AnyPath) -> List[str]:
    """Read the names of the columns of a CSV file."""
    return _csv_table(path)[0]


def _csv_table(path: AnyPath) -> Tuple[List[str], Iterator[List[str]]]:
    """The header of a CSV file and the rows under it."""
    csv.field_size_limit(MAX_CHARACTERS)
    lines = text_lines(path)
    first = next(lines, "")
    others = [mark for mark in ";\t|" if mark in first]
    if others and "," not in first:
        raise ClinbertError(f"{shown(path)}: its columns are divided by {others[0]!r}, not by commas: convert it")
    # Not strict, the module would drop a stray quote out of a text in silence and shift its offsets.
    rows = csv.reader(chain([first], lines), strict=True)
    try:
        return next(rows, []), rows
    except csv.Error as error:
        raise ClinbertError(f"{shown(path)} has a broken first line: it should name the columns") from error


def csv_rows(path: AnyPath, columns: Columns) -> Iterator[Row]:
    """Read the rows of a CSV file: the cells of `columns`, or why a row cannot be read."""
    header, rows = _csv_table(path)
    found = find_columns(shown(path), header, columns)
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
            f"{shown(path)}, row {number + 1}: its quotes are not those of a CSV file, or it is longer than any note: "
            "repair it, since no row after it can be told apart"
        ) from error


def json_header(path: AnyPath) -> List[str]:
    """Read the names in the first object of JSON lines; none where no line is an object."""
    return next((list(record) for record in _records(path) if isinstance(record, dict)), [])


def json_rows(path: AnyPath, columns: Columns) -> Iterator[Row]:
    """Read the rows of JSON lines: the cells of `columns`, or why a row cannot be read."""
    names: List[str] = []
    lacking = {"id_column": columns.note_id, "text_column": columns.text}
    for record in _records(path):
        if isinstance(record, str):
            yield record
            continue
        names = names or list(record)
        lacking = {option: wanted for option, wanted in lacking.items() if find_column(record, wanted) is None}
        yield [_value(record, wanted) for wanted in columns]
    # A row may lack a field; a field that no row has is misnamed.
    for option, wanted in lacking.items() if names else ():
        need_column(shown(path), names, wanted, option)


def _records(path: AnyPath) -> Iterator[Union[Dict[str, Any], str]]:
    """The objects of JSON lines, and for each other line why it is none."""
    for line in text_lines(path):
        if line.strip():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                yield "it is not JSON"
            else:
                yield record if isinstance(record, dict) else "it is not a JSON object"


def _value(record: Dict[str, Any], wanted: Sequence[str]) -> Any:
    name = find_column(record, wanted)
    return None if name is None else record[name]
