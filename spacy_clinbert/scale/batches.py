"""Notes in record batches, cut by notes and by characters, so that long notes hold up nobody."""

from itertools import islice
from typing import Iterable, Iterator, List

import pyarrow as pa
import pyarrow.compute as pc

from ..corpora.notes import Note
from .schemas import NOTES_SCHEMA

# Characters that go through a pipeline together, so that its Docs and rows stay below about a gigabyte: 64 long notes
# of MIMIC have more.
CHARACTERS = 500_000


def note_batches(notes: Iterable[Note], batch_size: int) -> Iterator[pa.RecordBatch]:
    """Put notes into record batches.

    notes (Iterable[Note]): the notes.
    batch_size (int): notes in a batch, the last excepted.
    RETURNS (Iterator[pa.RecordBatch]): batches of `NOTES_SCHEMA`.
    """
    remaining = iter(notes)
    while batch := list(islice(remaining, batch_size)):
        yield to_batch(batch)


def to_batch(notes: List[Note]) -> pa.RecordBatch:
    """Put notes into one record batch of `NOTES_SCHEMA`."""
    columns = [[note.note_id for note in notes], [note.text for note in notes]]
    return pa.record_batch([pa.array(column, pa.string()) for column in columns], schema=NOTES_SCHEMA)


def slices(batch: pa.RecordBatch, batch_size: int, characters: int = CHARACTERS) -> Iterator[pa.RecordBatch]:
    """Cut a batch by notes and characters; cut again by the same sizes, its parts stay as they are.

    batch (pa.RecordBatch): notes, with a column `text`.
    batch_size (int): notes in a part, at most.
    characters (int): characters in a part, at most, unless it is one note.
    RETURNS (Iterator[pa.RecordBatch]): the parts, in order.
    """
    start = held = 0
    for row, length in enumerate(pc.utf8_length(batch["text"]).to_pylist()):
        if row > start and (row - start == batch_size or held + (length or 0) > characters):
            yield batch.slice(start, row - start)
            start, held = row, 0
        held += length or 0
    if start < batch.num_rows:
        yield batch.slice(start)
