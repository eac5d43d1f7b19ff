"""The rows of a table of notes: CSV, Parquet or JSON lines, read as a stream, from a disk or any filesystem."""

from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, Optional

from ..errors import ClinbertError
from .columns import Columns, Row, find_columns
from .parquet_tables import Groups, parquet_header, parquet_rows
from .places import AnyPath, readable, shown
from .text_tables import csv_header, csv_rows, json_header, json_rows

CSV, JSON, PARQUET = (".csv", ".csv.gz"), (".jsonl", ".jsonl.gz"), ".parquet"
SUFFIXES = (*CSV, *JSON, PARQUET)

__all__ = ["PARQUET", "SUFFIXES", "Columns", "Row", "check_columns", "column_names", "find_columns", "table_rows"]


def table_rows(path: AnyPath, columns: Columns, groups: Optional[Groups] = None) -> Iterator[Row]:
    """Read the rows of a table.

    path (AnyPath): a file named .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet.
    columns (Columns): the columns to look for.
    groups (Optional[Groups]): the row groups of a Parquet file to read; by default all.
    RETURNS (Iterator[Row]): the rows in the order of the file.
    RAISES (ClinbertError): no such file, a missing column, a truncated or damaged file, broken quotes in a CSV file.
    """
    with _readable(path):
        name = path.name.lower()
        if name.endswith(CSV):
            yield from csv_rows(path, columns)
        elif name.endswith(JSON):
            yield from json_rows(path, columns)
        else:
            yield from parquet_rows(path, columns, groups)


def check_columns(path: AnyPath, columns: Columns) -> None:
    """Read a table as far as the first row that has an id and a text, which shows that both are named rightly.

    path (AnyPath): a file named .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet.
    columns (Columns): the columns to look for.
    RAISES (ClinbertError): as `table_rows`.
    """
    for row in table_rows(path, columns):
        if not isinstance(row, str) and None not in row[:2]:
            return


def column_names(path: AnyPath) -> List[str]:
    """Read the names of a table's columns; of JSON lines, those of the first object.

    path (AnyPath): a file named .csv, .csv.gz, .jsonl, .jsonl.gz or .parquet.
    RETURNS (List[str]): the names; none where no line of JSON lines is an object.
    RAISES (ClinbertError): as `read_notes`.
    """
    with _readable(path):
        name = path.name.lower()
        if name.endswith(CSV):
            return csv_header(path)
        return json_header(path) if name.endswith(JSON) else parquet_header(path)


@contextmanager
def _readable(path: AnyPath) -> Iterator[None]:
    # A remote filesystem that refuses to say would be taken for one without the file: it is asked by opening.
    if isinstance(path, Path) and not path.is_file():
        raise ClinbertError(f"{shown(path)} is no file: give a table of notes")
    if not path.name.lower().endswith(SUFFIXES):
        raise ClinbertError(f"{shown(path)} is none of {', '.join(SUFFIXES)}: name it by its format")
    with readable(path):
        yield
