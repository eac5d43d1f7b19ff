"""The pool of random second segments: a sample of the whole corpus that does not depend on order or workers.

Google's algorithm takes the second segment from a random document, at a random sentence, and goes on until the length
is filled. So an entry is a run: a segment with those that follow it in its document, as far as the length can need
them; and a segment of a document of n segments counts 1/n. Sampled are the segments with the smallest u·n, u a uniform
hash of seed, note id and sentence number; drawn are they with the weights max(1/n, 1/threshold) of priority sampling
(Duffield, Lund and Thorup 2007, "Priority sampling for estimation of arbitrary subset sums"), the threshold being the
smallest u·n outside the sample: a pool of the whole corpus draws exactly as Google's algorithm, a sample as nearly as
its size allows.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import ClinbertError
from .chance import mix, name_keys, uniform
from .documents import Documents, offsets, ranges, read_documents
from .export_settings import ExportSettings
from .sides import is_held_out

# `note` and `patient` are hashes of the ids (`patient` 0 where it is unknown), `pieces` those of the run, `ends` where
# its segments end in them.
_RUN = [
    ("note", pa.uint64()),
    ("patient", pa.uint64()),
    ("pieces", pa.large_list(pa.int32())),
    ("ends", pa.large_list(pa.int32())),
]
CANDIDATES = pa.schema([("key", pa.float64()), ("number", pa.int64()), ("size", pa.int64()), *_RUN])
POOL = pa.schema([("weight", pa.float64()), *_RUN])

# What the hash of a note is used for; instances use the numbers from 1.
_SAMPLE = 0
# Rare is a note or patient with so much of the pool that more draws are needed to get away from it.
_DRAWS = 16


def owner_keys(batch: pa.RecordBatch, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash the notes and patients of a batch.

    batch (pa.RecordBatch): SEGMENTS.
    seed (int): of the export.
    RETURNS (tuple[np.ndarray, np.ndarray]): uint64 a note, of its id and of its patient's, 0 for an unknown patient.
    """
    patients = batch.column("patient").to_pylist()
    keys = np.where(np.array([*map(bool, patients)], dtype=bool), name_keys(map(str, patients), seed), np.uint64(0))
    return name_keys(batch.column("note_id").to_pylist(), seed), keys


def candidates(batch: pa.RecordBatch, settings: ExportSettings) -> pa.RecordBatch:
    """Give what a batch may bring into the pool.

    batch (pa.RecordBatch): SEGMENTS of some notes.
    settings (ExportSettings): `pool`, `length`, `document` and `seed` are looked at.
    RETURNS (pa.RecordBatch): rows of CANDIDATES, at most `settings.pool` + 1.
    """
    documents = read_documents(batch, settings.document)
    notes, patients = owner_keys(batch, settings.seed)
    in_document = np.diff(documents.first)
    size = np.repeat(in_document, in_document)
    key = uniform(mix(notes, _SAMPLE)[documents.note], documents.number) * size
    chosen = np.lexsort((documents.number, documents.note, key))[: settings.pool + 1]
    ends = _run_ends(documents, chosen, settings.length)
    segments, starts = ends - chosen, documents.bounds[chosen]
    inner = documents.bounds[ranges(chosen + 1, segments)] - np.repeat(starts, segments)
    lengths = documents.bounds[ends] - starts
    columns = [
        *(pa.array(values[chosen]) for values in (key, documents.number, size)),
        *(pa.array(values[documents.note[chosen]]) for values in (notes, patients)),
        _lists(documents.pieces[ranges(starts, lengths)], lengths),
        _lists(inner.astype(np.int32), segments),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=CANDIDATES)


def _run_ends(documents: Documents, chosen: np.ndarray, length: int) -> np.ndarray:
    """The segments before which runs end: with what fills a pair beside a first segment of one piece, or the document.

    A segment that goes over the length is kept whole, since a pair is cut at random ends.
    """
    room = length - 4
    filled = np.searchsorted(documents.bounds, documents.bounds[chosen] + room)
    return np.minimum(filled, documents.first[np.searchsorted(documents.first, chosen, side="right")])


def _lists(values: np.ndarray, lengths: np.ndarray) -> pa.Array:
    return pa.LargeListArray.from_arrays(offsets(lengths), values)


def merge(chunks: Iterable[pa.RecordBatch], settings: ExportSettings) -> "Pool":
    """Merge the candidates of all notes into the pool, in any order and any parts; little more than a pool is held.

    chunks (Iterable[pa.RecordBatch]): rows of CANDIDATES.
    settings (ExportSettings): the same as for the candidates.
    RETURNS (Pool): `settings.pool` segments, or all where there are fewer.
    RAISES (ClinbertError): if there is no segment at all.
    """
    wanted, threshold, rows = settings.pool + 1, np.inf, 0
    held: list[pa.RecordBatch] = []
    for chunk in chunks:
        held.append(chunk.filter(pc.less_equal(chunk.column("key"), threshold)) if threshold < np.inf else chunk)
        rows += held[-1].num_rows
        if rows > wanted * 1.1:
            threshold = np.partition(_values(held, "key"), wanted - 1)[wanted - 1]
            for place, chunk in enumerate(held):
                held[place] = chunk.filter(pc.less_equal(chunk.column("key"), threshold))
            rows = sum(chunk.num_rows for chunk in held)
    if not rows:
        raise ClinbertError("no note of the source has a wordpiece to make examples of: check its texts")
    if rows >= wanted:
        threshold = np.partition(_values(held, "key"), wanted - 1)[wanted - 1]
        held = [chunk.filter(pc.less(chunk.column("key"), threshold)) for chunk in held]
    else:
        threshold = np.inf
    order = np.lexsort([_values(held, name) for name in ("number", "note", "key")])
    columns = [
        pa.array(np.maximum(1 / _values(held, "size"), 1 / threshold)[order]),
        *(pa.array(_values(held, name)[order]) for name in ("note", "patient")),
        *(_ordered(held, name, order) for name in ("pieces", "ends")),
    ]
    return Pool(pa.RecordBatch.from_arrays(columns, schema=POOL))


def _values(held: list[pa.RecordBatch], name: str) -> np.ndarray:
    return np.concatenate([chunk.column(name).to_numpy() for chunk in held])


def _ordered(held: list[pa.RecordBatch], name: str, order: np.ndarray) -> pa.Array:
    """A column of lists in this order; Arrow's own `take` would hold it three times over."""
    lengths = np.concatenate([pc.list_value_length(chunk.column(name)) for chunk in held])
    places = np.empty(len(order), dtype=np.int64)
    places[order] = offsets(lengths[order])[:-1]
    values = np.empty(lengths.sum(), dtype=np.int32)
    row = 0
    for chunk in held:
        rows = slice(row, row + chunk.num_rows)
        values[ranges(places[rows], lengths[rows])] = chunk.column(name).flatten()
        row = rows.stop
    return _lists(values, lengths[order])


class Pool:
    """Runs of segments to draw random second segments from.

    batch (pa.RecordBatch): rows of POOL.
    pieces (np.ndarray): the wordpieces of all runs, one after the other.
    """

    def __init__(self, batch: pa.RecordBatch) -> None:
        self._batch = batch
        self._weights, self._notes, self._patients = (
            batch.column(name).to_numpy() for name in ("weight", "note", "patient")
        )
        self._cumulated = np.cumsum(self._weights)
        pieces, ends = batch.column("pieces"), batch.column("ends")
        self._starts, self._segments = pieces.offsets.to_numpy(), ends.offsets.to_numpy()
        self._ends = np.repeat(self._starts[:-1], np.diff(self._segments)) + ends.values.to_numpy()
        self.pieces = pieces.values.to_numpy()

    def __len__(self) -> int:
        return self._batch.num_rows

    def save(self, path: Path) -> None:
        """Write the pool as an Arrow file: the same pool gives the same bytes."""
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, POOL) as writer:
            writer.write_batch(self._batch)

    @classmethod
    def load(cls, path: Path) -> "Pool":
        """Map a pool that `save` wrote into memory, so that processes share it."""
        return cls(pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0))

    def draw(self, keys: np.ndarray, notes: np.ndarray, patients: np.ndarray) -> np.ndarray:
        """Draw a run for each key: of another note, and of another patient where both are known.

        keys (np.ndarray): uint64, what the draws are a function of.
        notes, patients (np.ndarray): uint64, as `owner_keys` gives them.
        RETURNS (np.ndarray): int64, numbers of runs.
        RAISES (ClinbertError): if a note has no such run.
        """
        drawn = np.zeros(len(keys), dtype=np.int64)
        left = np.arange(len(keys))
        for attempt in range(_DRAWS):
            drawn[left] = self._pick(self._cumulated, uniform(keys[left], attempt))
            ours = drawn[left]
            unfit = _related(self._notes[ours], self._patients[ours], notes[left], patients[left])
            # What is trained on must not have seen the notes that are held out for scores.
            left = left[unfit | (is_held_out(self._notes[ours]) & ~is_held_out(notes[left]))]
            if not len(left):
                return drawn
        for row in left:
            others = np.flatnonzero(~_related(self._notes, self._patients, notes[row], patients[row]))
            if not len(others):
                raise ClinbertError(
                    "random second segments must come from another note and another patient, and all segments to draw"
                    " from are of one: give more notes, or write the form text or blocks, which has no pairs"
                )
            unseen = others[is_held_out(notes[row : row + 1]) | ~is_held_out(self._notes[others])]
            others = unseen if len(unseen) else others
            cumulated = np.cumsum(self._weights[others])
            drawn[row] = others[self._pick(cumulated, uniform(keys[row : row + 1], _DRAWS))[0]]
        return drawn

    @staticmethod
    def _pick(cumulated: np.ndarray, chances: np.ndarray) -> np.ndarray:
        picked = np.searchsorted(cumulated, chances * cumulated[-1], side="right")
        # The product may be rounded up to the last sum.
        return np.minimum(picked, len(cumulated) - 1)

    def spans(self, drawn: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take whole segments from the beginning of runs, until they have the pieces wanted or the run ends.

        drawn (np.ndarray): numbers of runs.
        wanted (np.ndarray): pieces; one segment is taken at least.
        RETURNS (tuple[np.ndarray, np.ndarray]): where each begins in `pieces`, and its number of pieces.
        """
        starts = self._starts[drawn]
        filled = np.searchsorted(self._ends, starts + np.maximum(wanted, 1))
        return starts, self._ends[np.minimum(filled, self._segments[drawn + 1] - 1)] - starts


def _related(
    their_notes: np.ndarray, their_patients: np.ndarray, notes: np.ndarray, patients: np.ndarray
) -> np.ndarray:
    return (their_notes == notes) | ((their_patients == patients) & (patients != 0))
