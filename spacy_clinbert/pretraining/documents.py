"""A batch of segments as flat arrays: documents of segments of wordpieces."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class Documents(NamedTuple):
    """Documents, one after the other; a segment without wordpieces is not there, nor is a document without segments.

    pieces (np.ndarray): int32, the wordpieces of all segments.
    bounds (np.ndarray): segment `i` is `pieces[bounds[i]:bounds[i + 1]]`.
    first (np.ndarray): document `d` is the segments `first[d]` to `first[d + 1]`.
    note (np.ndarray): of each segment, the row of its note in the batch.
    number (np.ndarray): of each segment, its number in the note, those without wordpieces counted.
    place (np.ndarray): of each segment, its index among all sentences of the batch.
    """

    pieces: np.ndarray
    bounds: np.ndarray
    first: np.ndarray
    note: np.ndarray
    number: np.ndarray
    place: np.ndarray


def read_documents(batch: pa.RecordBatch, document: str) -> Documents:
    """Lay out the documents of a batch.

    batch (pa.RecordBatch): notes as SEGMENTS.
    document (str): "note", or "section" for each section as a document of its own.
    RETURNS (Documents): the arrays.
    """
    notes = batch.column("pieces")
    segments = notes.flatten()
    per_note = pc.list_value_length(notes).to_numpy()
    lengths = pc.list_value_length(segments).to_numpy()
    starts = batch.column("starts").flatten().to_numpy(zero_copy_only=False)
    note = np.repeat(np.arange(len(per_note)), per_note)
    number = ranges(np.zeros_like(per_note), per_note)
    opens = starts if document == "section" else number == 0
    kept = lengths > 0
    documents = np.cumsum(opens)[kept]
    return Documents(
        pieces=segments.flatten().to_numpy(),
        bounds=offsets(lengths[kept]),
        first=np.append(np.flatnonzero(np.diff(documents, prepend=0)), len(documents)),
        note=note[kept],
        number=number[kept],
        place=np.flatnonzero(kept),
    )


def offsets(lengths: np.ndarray) -> np.ndarray:
    """Give the places where runs of these lengths begin and end, from 0: one more than there are runs."""
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Give `starts[i], starts[i] + 1, …`, `lengths[i]` numbers, for each `i`, one after the other."""
    ends = np.cumsum(lengths, dtype=np.int64)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + lengths, lengths)
