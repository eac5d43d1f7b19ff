"""The shards of prepared patients: Parquet files of each split, a row a patient."""

from pathlib import Path
from typing import Optional

import pyarrow as pa
import pyarrow.parquet as pq

from ..scale.made import Shard, describe

# Patients in a shard at least, before the next begins; and in a row group, which the training reads at once.
SHARD_ROWS = 100_000
GROUP_ROWS = 10_000
# What small numbers in lists take the least room with.
_COMPRESSION = {"compression": "zstd", "compression_level": 3, "write_statistics": False}


class ShardWriter:
    """The shards of one split, written one after the other.

    folder (Path): where they go; split (str): how their names begin.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self.folder, self.split = folder, split
        self.shards: list[Shard] = []
        self._waiting: list[pa.Table] = []
        self._rows = 0
        self._writer: Optional[pq.ParquetWriter] = None

    def write(self, rows: pa.Table) -> None:
        """Add patients."""
        self._waiting.append(rows)
        if sum(table.num_rows for table in self._waiting) >= GROUP_ROWS:
            self._flush()
        if self._rows >= SHARD_ROWS:
            self._end()

    def close(self) -> list[Shard]:
        """End the last shard; give all of them."""
        self._flush()
        self._end()
        return self.shards

    def _flush(self) -> None:
        table = pa.concat_tables(self._waiting) if self._waiting else None
        self._waiting = []
        if table is not None and table.num_rows:
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._path, table.schema, **_COMPRESSION)
            self._writer.write_table(table, GROUP_ROWS)
            self._rows += table.num_rows

    def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self.shards.append(describe(self._path, self._rows))
            self._writer, self._rows = None, 0

    @property
    def _path(self) -> Path:
        return self.folder / f"{self.split}-{len(self.shards):05d}.parquet"
