"""Annotated notes, counted; rejected ones, told apart."""

from collections import Counter
from typing import Callable

import pyarrow as pa

from ..corpora.notes import Rejected
from .schemas import TABLE_SCHEMA

COUNTS = ("notes", "sections", "dropped sections", "sentences", "entities", "rejected")


def keep_annotated(
    batch: pa.RecordBatch, counts: "Counter[str]", on_reject: Callable[[Rejected], None]
) -> pa.RecordBatch:
    """Keep the annotated notes of a batch.

    batch (pa.RecordBatch): of `OUTPUT_SCHEMA`.
    counts (Counter[str]): to which the batch is added, under all of `COUNTS` but the rejected notes.
    on_reject (Callable[[Rejected], None]): called with each rejected note.
    RETURNS (pa.RecordBatch): the others, of `TABLE_SCHEMA`.
    """
    for row in batch.filter(batch["rejected"].is_valid()).select(["note_id", "rejected"]).to_pylist():
        on_reject(Rejected(row["note_id"], row["rejected"]))
    annotated = batch.filter(batch["rejected"].is_null())
    counts["notes"] += annotated.num_rows
    for name in ("sections", "sentences", "entities"):
        counts[name] += len(annotated[name].flatten())
    counts["dropped sections"] += sum(annotated["dropped"].to_pylist())
    return annotated.select(TABLE_SCHEMA.names)
