"""Tables of results: written row after row, by the format that the name of the file says."""

import gzip
import json
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Iterator, Protocol, Union

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import ClinbertError

# A row group is what readers take into memory at once.
ROWS_IN_GROUP = 4096
SUFFIXES = (".parquet", ".jsonl", ".jsonl.gz")


class TableWriter(Protocol):
    """What takes record batches of one schema and puts them into a file."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Append the rows of a batch."""


def check_table_path(path: Path) -> None:
    """Refuse a place for a table before any work is done for it.

    path (Path): where the table shall lie.
    RAISES (ClinbertError): if it is a folder, or its name is of no format that `table_writer` knows.
    """
    if path.is_dir():
        raise ClinbertError(f"{path} is a folder: name a file in it")
    if not path.name.lower().endswith(SUFFIXES):
        raise ClinbertError(f"{path} is none of {', '.join(SUFFIXES)}: name the output by the format it shall have")


@contextmanager
def table_writer(path: Path, schema: pa.Schema) -> Iterator[TableWriter]:
    """Open a table for writing; the same rows give the same bytes, however they are cut into batches.

    path (Path): a file named .parquet, .jsonl or .jsonl.gz.
    schema (pa.Schema): the columns.
    YIELDS (TableWriter): what takes the rows.
    """
    with path.open("wb") as raw:
        if path.name.lower().endswith(".parquet"):
            with pq.ParquetWriter(raw, schema, compression="zstd") as parquet:
                groups = _ParquetGroups(parquet, schema)
                yield groups
                groups.flush()
        elif path.name.lower().endswith(".gz"):
            # Neither name nor time in the header: the same rows, the same bytes.
            with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
                yield _JsonLines(packed)
        else:
            yield _JsonLines(raw)


class _ParquetGroups:
    def __init__(self, parquet: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._parquet = parquet
        self._pending = schema.empty_table()

    def write(self, batch: pa.RecordBatch) -> None:
        self._pending = pa.concat_tables([self._pending, pa.Table.from_batches([batch])])
        while self._pending.num_rows >= ROWS_IN_GROUP:
            self._write_group(self._pending.slice(0, ROWS_IN_GROUP))
            self._pending = self._pending.slice(ROWS_IN_GROUP)

    def flush(self) -> None:
        if self._pending.num_rows:
            self._write_group(self._pending)

    def _write_group(self, rows: pa.Table) -> None:
        # Pages end where chunks end, and chunks are the batches.
        self._parquet.write_table(rows.combine_chunks())


class _JsonLines:
    def __init__(self, file: Union[IO[bytes], gzip.GzipFile]) -> None:
        self._file = file

    def write(self, batch: pa.RecordBatch) -> None:
        self._file.writelines(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in batch.to_pylist())
