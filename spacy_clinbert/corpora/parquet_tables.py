"""Parquet tables, whole or by their row groups, read as streams."""

from contextlib import contextmanager
from typing import Any, Iterable, Iterator, List, NamedTuple, Optional

from ..errors import ClinbertError
from .columns import Columns, Row, find_columns
from .places import AnyPath, shown

PARQUET_ROWS = 256


class Groups(NamedTuple):
    """Row groups of a Parquet file that follow each other.

    first (int), end (int): the numbers of the first one and of the one after the last.
    before (int): the rows of the file before them.
    """

    first: int
    end: int
    before: int


def parquet_header(path: AnyPath) -> List[str]:
    """Read the names of the columns of a Parquet file."""
    with _parquet_table(path) as table:
        return table.schema_arrow.names


def parquet_rows(path: AnyPath, columns: Columns, groups: Optional[Groups] = None) -> Iterator[Row]:
    """Read the rows of a Parquet file, or of some of its row groups: the cells of `columns`."""
    with _parquet_table(path) as table:
        found = find_columns(shown(path), table.schema_arrow.names, columns)
        names = [name for name in found if name is not None]
        numbers = range(table.num_row_groups)[groups.first : groups.end] if groups else range(table.num_row_groups)
        for batch in table.iter_batches(PARQUET_ROWS, list(numbers), names):
            missing = [None] * batch.num_rows
            yield from zip(*(missing if name is None else _values(batch.column(name)) for name in found), strict=True)


def cut_parquet(path: AnyPath, columns: Columns, size: int) -> List[Groups]:
    """Cut a Parquet file by its row groups, as far as its metadata tells.

    path (AnyPath): the file; columns (Columns): the columns to look for.
    size (int): bytes of text, unpacked, that row groups have together, unless they are one.
    RETURNS (List[Groups]): all its row groups, in order.
    RAISES (ClinbertError): if it is no Parquet file, or lacks a column of ids or texts.
    """
    with _parquet_table(path) as table:
        text = find_columns(shown(path), table.schema_arrow.names, columns)[1]
        cut: List[Groups] = []
        first = before = rows = held = 0
        for number in range(table.num_row_groups):
            group = table.metadata.row_group(number)
            chunks = (group.column(index) for index in range(group.num_columns))
            length = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema == text)
            if number > first and held + length > size:
                cut.append(Groups(first, number, before))
                first, before, rows, held = number, before + rows, 0, 0
            rows += group.num_rows
            held += length
        if table.num_row_groups:
            cut.append(Groups(first, table.num_row_groups, before))
        return cut


@contextmanager
def _parquet_table(path: AnyPath) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Writers may leave checksums; without a look at them a turned bit would change a note in silence.
        with path.open("rb") as file, pq.ParquetFile(file, page_checksum_verification=True) as table:
            yield table
    except pa.ArrowException as error:
        raise ClinbertError(f"{shown(path)} is damaged or not a Parquet file: check it or copy it again") from error


def _values(column: Any) -> Iterable[Any]:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    # Parquet does not check its strings: as bytes, only the row with the bad one is lost.
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_binary())
    return (v.decode("utf8", "surrogateescape") if isinstance(v, bytes) else v for v in column.to_pylist())
