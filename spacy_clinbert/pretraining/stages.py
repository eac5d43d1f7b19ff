"""What the workers of an export do with a chunk of notes: stage A makes its segments, stage B its shard. No torch."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..corpora.notes import Rejected
from ..scale.files import table_writer
from ..scale.made import make
from .blocks import block_batches
from .export_settings import ExportSettings
from .export_tokenizer import read_wordpieces
from .instances import instance_batches
from .pieces import PieceIds
from .pool import Pool
from .schemas import BLOCKS, INSTANCES, SEGMENTS
from .segments import segment_batches
from .tfrecord import write_tfrecords
from .work import TOKENIZER

POOL = "pool.arrow"


class Chunk(NamedTuple):
    """Notes that make a shard.

    number (int): which chunk of the source; notes (pa.RecordBatch): NOTES; copies (list[str]): ids left out as copies.
    """

    number: int
    notes: pa.RecordBatch
    copies: list[str]


class Job(NamedTuple):
    """What all chunks of an export share: its folder, its work folder, its settings and the ids of its tokenizer."""

    out: Path
    work: Path
    settings: ExportSettings
    ids: "PieceIds | None"

    def segments(self, number: int) -> Path:
        """Where the segments of a chunk lie."""
        return self.work / f"segments-{number:05}.parquet"

    def shard(self, number: int) -> Path:
        """Where the shard of a chunk lies."""
        stem = "blocks" if self.settings.form == "blocks" else "instances"
        return self.out / f"{stem}-{number:05}.{'tfrecord' if self.settings.form == 'tfrecord' else 'parquet'}"

    def read_segments(self, number: int) -> pa.RecordBatch:
        """Read the segments of a chunk as one batch, without the column that its form has no use for."""
        unused = "pieces" if self.settings.form == "text" else "sentences"
        schema = SEGMENTS.remove(SEGMENTS.get_field_index(unused))
        table = pq.read_table(self.segments(number), columns=schema.names, use_threads=False).combine_chunks()
        return next(iter(table.to_batches()), pa.RecordBatch.from_pylist([], schema))


class Segmenter:
    """Stage A: makes the segments of a chunk.

    job (Job): the export. The tokenizer is loaded with the first chunk, so in the worker.
    """

    def __init__(self, job: Job) -> None:
        self._job = job

    @cached_property
    def _tokenizer(self) -> Any:
        return read_wordpieces(self._job.work / TOKENIZER) if self._job.ids else None

    def __call__(self, chunk: Chunk) -> dict[str, Any]:
        """Give the record of the chunk: its counts and its rejected notes."""

        def write(path: Path) -> dict[str, Any]:
            rejected = [Rejected(note_id, "its text is that of an earlier note") for note_id in chunk.copies]
            (batch,) = segment_batches([chunk.notes], self._job.settings, self._tokenizer, rejected.append)
            with table_writer(path, SEGMENTS) as writer:
                writer.write(batch)
            sentences = batch["sentences"].flatten()
            # Blanks are single.
            blanks = pc.sum(pc.count_substring(sentences, " ")).as_py() or 0
            counts = {"notes": batch.num_rows, "sentences": len(sentences), "words": len(sentences) + blanks}
            if self._job.ids:
                counts["pieces"] = len(batch["pieces"].flatten().flatten())
            seen = chunk.notes.num_rows + len(chunk.copies)
            return {"rows": batch.num_rows, "read": seen, "counts": counts, "rejected": rejected}

        return make(self._job.work, self._job.segments(chunk.number), write)


class Sharder:
    """Stage B: makes the shard of instances of a chunk.

    job (Job): the export, with the pool in its work folder.
    """

    def __init__(self, job: Job) -> None:
        self._job = job

    @cached_property
    def _pool(self) -> Pool:
        return Pool.load(self._job.work / POOL)

    def __call__(self, number: int) -> dict[str, Any]:
        """Give the record of the shard: its description and its counts."""
        return _make_shard(self._job, number, self._batches(number), _count_instances)

    def _batches(self, number: int) -> Iterator[pa.RecordBatch]:
        job = self._job
        assert job.ids
        return instance_batches([job.read_segments(number)], self._pool, job.settings, job.ids)


class Blocker:
    """Stage B of blocks: makes the shards one after the other, since each begins with what the one before left over.

    job (Job): the export.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._rest = np.empty(0, np.int32)

    def __call__(self, number: int) -> dict[str, Any]:
        """Give the record of the shard: its description, its counts and the pieces left over."""
        record = _make_shard(self._job, number, self._batches(number), _count_blocks, self._left_over)
        self._rest = np.array(record["rest"], np.int32)
        return record

    def _batches(self, number: int) -> Iterator[pa.RecordBatch]:
        job = self._job
        assert job.ids
        self._rest = yield from block_batches([job.read_segments(number)], job.settings, job.ids, self._rest)

    def _left_over(self) -> dict[str, Any]:
        return {"rest": self._rest.tolist()}


def _make_shard(
    job: Job,
    number: int,
    batches: Iterable[pa.RecordBatch],
    count: Callable[[pa.RecordBatch], dict[str, int]],
    more: Callable[[], dict[str, Any]] = dict,
) -> dict[str, Any]:
    """Write a shard, unless it is there, and record its description, the sums of the counts, and more at the end."""
    counts: Counter[str] = Counter()

    def counted() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            counts.update(count(batch))
            yield batch

    def write(path: Path) -> dict[str, Any]:
        if job.settings.form == "tfrecord":
            write_tfrecords(counted(), path, job.settings)
        else:
            with table_writer(path, BLOCKS if job.settings.form == "blocks" else INSTANCES) as writer:
                for batch in counted():
                    writer.write(batch)
        return {"rows": counts["instances"] + counts["blocks"], "counts": dict(counts), **more()}

    return make(job.work, job.shard(number), write)


def _count_instances(batch: pa.RecordBatch) -> dict[str, int]:
    return {
        "instances": batch.num_rows,
        "random next": pc.sum(batch["next_sentence_label"]).as_py() or 0,
        "masked": len(batch["masked_lm_ids"].flatten()),
    }


def _count_blocks(batch: pa.RecordBatch) -> dict[str, int]:
    return {"blocks": batch.num_rows}
