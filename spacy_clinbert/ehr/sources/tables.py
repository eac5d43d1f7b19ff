"""Tables of a source as streams of typed columns: CSV, plain or gzipped, and Parquet."""

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Optional

import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from polars.io.plugins import register_io_source

from ...errors import ClinbertError
from .cells import ID, TYPES, convert

SUFFIXES = (".csv", ".csv.gz", ".parquet")
# Where a row stands, for the list of what was rejected; `fault` is why it is no row of the table, null if it is one.
PLACE = {"file": pl.String(), "row": pl.Int64(), "fault": pl.String()}
PARQUET_ROWS = 1 << 17
CSV_BYTES = 1 << 23


class Column(NamedTuple):
    """A column to read.

    names (str): what it is called in sources, blank between names; the first that is there counts, in any case.
    kind (str): what it holds, one of `cells.TYPES`.
    needed (bool): whether a table without it is an error; else it is null there.
    """

    names: str
    kind: str = ID
    needed: bool = True


Columns = Mapping[str, Column]


def find_table(folder: Path, name: str) -> Optional[Path]:
    """Find a table in a folder.

    folder (Path): the folder; name (str): the table's name without suffix, upper or lower case alike.
    RETURNS (Optional[Path]): its file, or None.
    """
    files = {path.name.lower(): path for path in sorted(folder.iterdir())} if folder.is_dir() else {}
    return next((files[name + end] for end in SUFFIXES if name + end in files), None)


def need_table(folder: Path, name: str) -> Path:
    """Find a table as `find_table` does; a ClinbertError says that it is missing."""
    path = find_table(folder, name)
    if path is None:
        raise ClinbertError(f"{folder} has no table {name} (named {name} with {', '.join(SUFFIXES)}): put it there")
    return path


def column_names(path: Path) -> list[str]:
    """Read the names of a table's columns in lower case; errors as of `scan_table`."""
    with readable(path):
        if path.name.lower().endswith(".parquet"):
            with pq.ParquetFile(path) as table:
                return [name.lower() for name in table.schema_arrow.names]
        line = first_line(path)
        names = line.split("\t") if "\t" in line else next(csv.reader([line]), [])
        return [name.strip().lower() for name in names]


def scan_table(path: Path, columns: Columns) -> pl.LazyFrame:
    """Read a table with named columns as a stream.

    path (Path): a file .csv, .csv.gz or .parquet; between the columns of a CSV file stand commas or tabs.
    columns (Columns): the columns to read, by the names that they shall have.
    RETURNS (pl.LazyFrame): these columns and those of `PLACE`; a row of a CSV file with too many or too few cells has
        a fault and nothing else.
    RAISES (ClinbertError): if it cannot be read or lacks a column; what is damaged behind the header is found only
        when the rows are read, within `forms.reading`.
    """
    names = column_names(path)
    others = [mark for mark in ";|" if len(names) == 1 and mark in names[0]]
    if others:
        raise ClinbertError(f"{path}: its columns are divided by {others[0]!r}, not by commas or tabs: convert it")
    places = {ours: _place(path, names, column) for ours, column in columns.items()}
    if path.name.lower().endswith(".parquet"):
        return stream(lambda: _parquet_batches(path, places), columns, path.name)
    return scan_csv(path, columns, places, len(names), "\t" if "\t" in first_line(path) else ",", skip=1)


def scan_csv(
    path: Path, columns: Columns, places: Mapping[str, Optional[int]], width: int, delimiter: str, skip: int
) -> pl.LazyFrame:
    """Read a CSV file whose columns are told by position.

    path (Path): the file.
    columns (Columns): the columns to read; places (Mapping[str, Optional[int]]): where each is, from 0, None for none.
    width (int): how many columns the file has; delimiter (str): what divides them, a tab where quotes are letters like
        any other (so are Athena's vocabularies); skip (int): lines of header.
    RETURNS (pl.LazyFrame): as of `scan_table`.
    """
    return stream(lambda: _csv_batches(path, places, width, delimiter, skip), columns, path.name)


def stream(read: Callable[[], Iterator[pl.DataFrame]], columns: Columns, file: str) -> pl.LazyFrame:
    """Make a lazy table of what yields its parts.

    read (Callable[[], Iterator[pl.DataFrame]]): yields the columns, as they are, with `row` and `fault`.
    columns (Columns): what the columns hold.
    file (str): how the file is named where a row is rejected.
    RETURNS (pl.LazyFrame): the columns with their types, and those of `PLACE`.
    """
    types = {ours: TYPES[column.kind] for ours, column in columns.items()}

    def batches(
        wanted: Optional[list[str]], predicate: Optional[pl.Expr], rows: Optional[int], _: Optional[int]
    ) -> Iterator[pl.DataFrame]:
        for raw in read():
            typed = [convert(raw[ours], column.kind).alias(ours) for ours, column in columns.items()]
            batch = pl.DataFrame(typed).with_columns(
                pl.lit(file).alias("file"), raw["row"].cast(pl.Int64), raw["fault"].cast(pl.String)
            )
            batch = batch if rows is None else batch.head(rows)
            rows = rows if rows is None else rows - batch.height
            batch = batch if predicate is None else batch.filter(predicate)
            yield batch if wanted is None else batch.select(wanted)
            if rows == 0:
                return

    return register_io_source(batches, schema={**types, **PLACE})


def first_line(path: Path) -> str:
    """Read the first line of a text file, plain or gzipped, without a byte order mark."""
    with readable(path), gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb") as lines:
        return lines.readline(1 << 20).decode("utf-8-sig", "replace").rstrip("\r\n")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """One sentence for whatever makes a file unreadable; none of what the libraries say, since they quote cells."""
    try:
        yield
    except (EOFError, zlib.error, pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged, cut off, empty or of another format"
        raise ClinbertError(f"{path} cannot be read ({reason}): check it or copy it again, whole") from None


def _place(path: Path, names: Sequence[str], column: Column) -> Optional[int]:
    wanted = next((name for name in column.names.split() if name in names), None)
    if wanted is None and column.needed:
        raise ClinbertError(
            f"{path} has no column {' or '.join(column.names.split())}: name it so, or give another table"
        )
    if wanted is None:
        return None
    if names.count(wanted) > 1:
        raise ClinbertError(f"{path} has {names.count(wanted)} columns {wanted}: leave one")
    return names.index(wanted)


def _csv_batches(
    path: Path, places: Mapping[str, Optional[int]], width: int, delimiter: str, skip: int
) -> Iterator[pl.DataFrame]:
    ragged: dict[int, str] = {}

    def note(bad: Any) -> str:
        ragged[bad.number - skip] = f"it has {bad.actual_columns} columns, not {width}"
        return "skip"

    numbered = [str(place) for place in range(width)]
    with readable(path):
        # One thread, so that Arrow tells the numbers of ragged rows.
        table = pa.csv.open_csv(
            path,
            pa.csv.ReadOptions(use_threads=False, column_names=numbered, skip_rows=skip, block_size=CSV_BYTES),
            pa.csv.ParseOptions(
                delimiter=delimiter,
                quote_char=delimiter != "\t" and '"',
                newlines_in_values=delimiter != "\t",
                invalid_row_handler=note,
            ),
            pa.csv.ConvertOptions(
                column_types={name: pa.string() for name in numbered},
                include_columns=[str(place) for place in dict.fromkeys(places.values()) if place is not None],
                strings_can_be_null=True,
                null_values=["", "NULL", "NA", "\\N"],
            ),
        )
        row = 1
        for batch in table:
            # A row that was skipped has a number too.
            rows = pl.int_range(row, row + batch.num_rows + len(ragged), eager=True)
            rows = rows.filter(~rows.is_in(list(ragged))).head(batch.num_rows)
            row = rows[-1] + 1 if batch.num_rows else row
            yield _batch(batch, places, {place: place for place in numbered}, rows)
    faults = {name: pl.Series(name, [None] * len(ragged), pl.String) for name in places}
    if ragged:
        yield pl.DataFrame({**faults, "row": list(ragged), "fault": list(ragged.values())})


def _parquet_batches(path: Path, places: Mapping[str, Optional[int]]) -> Iterator[pl.DataFrame]:
    with readable(path), pq.ParquetFile(path) as table:
        names = dict(enumerate(table.schema_arrow.names))
        named = {str(place): name for place, name in names.items()}
        wanted = [names[place] for place in dict.fromkeys(places.values()) if place is not None]
        row = 1
        for batch in table.iter_batches(PARQUET_ROWS, columns=wanted):
            rows = pl.int_range(row, row + batch.num_rows, eager=True)
            row += batch.num_rows
            yield _batch(batch, places, named, rows)


def _batch(
    batch: pa.RecordBatch, places: Mapping[str, Optional[int]], named: Mapping[str, str], rows: pl.Series
) -> pl.DataFrame:
    """The wanted columns of a batch, those that are not there null."""
    frame = pl.DataFrame(pl.from_arrow(batch))
    nothing = pl.repeat(None, frame.height, dtype=pl.String, eager=True)
    cells = [(nothing if place is None else frame[named[str(place)]]).alias(ours) for ours, place in places.items()]
    return pl.DataFrame([*cells, rows.alias("row"), nothing.alias("fault")])
