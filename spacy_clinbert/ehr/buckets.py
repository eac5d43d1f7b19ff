"""Rows of a table divided by patient into files on disk, so that patients come together whatever the order of rows.

Rows wait in memory until there are enough of them for a file, a *run*, in which each bucket of patients is one record
batch. A bucket is read from all runs; what is too large for the memory is read in parts.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from .split import bucket_of, part_of, patient_keys

BUCKETS = 256
KEY = "_key"
# Where a source says that its rows stand, which is nothing of what they hold.
_PLACE = ("file", "row")
_LZ4 = pa.ipc.IpcWriteOptions(compression="lz4")
BATCH_ROWS = 100_000
# Rows in a run, and the most rows in the memory when buckets are read: some 100 bytes each, several times over.
RUN_ROWS = 1_000_000
PORTION_ROWS = 500_000


class Portion(NamedTuple):
    """Patients that are worked on together: those of some buckets, or of a part of one.

    first, end (int): the buckets; part, parts (int): which part of how many.
    """

    first: int
    end: int
    part: int
    parts: int


class Buckets:
    """A table on disk in buckets of patients.

    folder (Path): a folder of its own, which is made.

    `rows` counts those in each bucket, `digest` is a checksum of all rows in any order.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.rows = np.zeros(BUCKETS, dtype=np.int64)
        self._runs: list[Path] = []
        self.digest = 0
        self._waiting: list[pl.DataFrame] = []

    def fill(self, table: pl.LazyFrame) -> "Buckets":
        """Read a table, which has a `subject_id`, into the buckets, as a stream."""
        self._add(pl.DataFrame(schema=table.collect_schema()))
        for batch in table.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
            self._add(batch)
            if sum(frame.height for frame in self._waiting) >= RUN_ROWS:
                self._flush()
        # What is too little for a run stays in memory.
        self._waiting = [pl.concat(self._waiting)]
        self.rows += np.bincount(_buckets(self._waiting[0]), minlength=BUCKETS)
        return self

    def _add(self, frame: pl.DataFrame) -> None:
        # A sum, since rows may come in any order; the manifest names the version of polars, whose hash this is.
        content = frame.select(pl.exclude(_PLACE))
        self.digest = (self.digest + int(content.hash_rows(seed=1).to_numpy().sum(dtype=np.uint64))) % 2**64
        # Rows without patient, which are rejected later, are together too.
        encoded = frame["subject_id"].cast(pl.String).fill_null("").to_arrow().dictionary_encode()
        keys = patient_keys(encoded.dictionary.to_pylist())[encoded.indices.to_numpy()]
        self._waiting.append(frame.with_columns(pl.Series(KEY, keys, pl.UInt64)))

    def _flush(self) -> None:
        frame = pl.concat(self._waiting)
        self._waiting = [frame.clear()]
        buckets = _buckets(frame)
        counts = np.bincount(buckets, minlength=BUCKETS)
        self.rows += counts
        ordered = frame[np.argsort(buckets, kind="stable")]
        batch = ordered.to_arrow(compat_level=pl.CompatLevel.oldest()).combine_chunks().to_batches()[0]
        self._runs.append(self._folder / f"{len(self._runs):06d}.arrow")
        with pa.ipc.new_file(str(self._runs[-1]), batch.schema, options=_LZ4) as run:
            # Of an empty slice Arrow would write the offsets of all strings.
            empty = batch.take(pa.array([], pa.int64()))
            for start, count in zip((np.cumsum(counts) - counts).tolist(), counts.tolist(), strict=True):
                run.write_batch(batch.slice(start, count) if count else empty)

    def read(self, portion: Portion) -> pl.DataFrame:
        """Read the rows of some patients.

        portion (Portion): which ones.
        RETURNS (pl.DataFrame): their rows, in no order that means anything.
        """
        (rest,) = self._waiting
        buckets = _buckets(rest)
        frames = [_part(rest.filter(pl.Series((buckets >= portion.first) & (buckets < portion.end))), portion)]
        for path in self._runs:
            with pa.memory_map(str(path)) as file, pa.ipc.open_file(file) as run:
                batches = [run.get_batch(bucket) for bucket in range(portion.first, portion.end)]
                frames.append(_part(pl.DataFrame(pl.from_arrow(pa.Table.from_batches(batches))), portion))
        return pl.concat(frames).drop(KEY)


def _buckets(frame: pl.DataFrame) -> np.ndarray:
    return bucket_of(frame[KEY].to_numpy(), BUCKETS)


def _part(frame: pl.DataFrame, portion: Portion) -> pl.DataFrame:
    if portion.parts == 1:
        return frame
    return frame.filter(pl.Series(part_of(frame[KEY].to_numpy(), portion.parts) == portion.part))


def portions(rows: np.ndarray) -> Iterator[Portion]:
    """Divide the patients into portions of at most `PORTION_ROWS` rows or so.

    rows (np.ndarray): the rows in each bucket.
    YIELDS (Portion): which together are all patients.
    """
    first = 0
    while first < BUCKETS:
        end = first + 1
        while end < BUCKETS and rows[first : end + 1].sum() <= PORTION_ROWS:
            end += 1
        parts = max(1, -(-int(rows[first:end].sum()) // PORTION_ROWS))
        yield from (Portion(first, end, part, parts) for part in range(parts))
        first = end
