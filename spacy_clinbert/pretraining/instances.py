"""Segments into BERT examples: the algorithm of Google BERT's `create_pretraining_data`, on arrays.

Every chance is a hash of the seed, the note id, the copy, and the number of the segment that the example begins with:
an example does not depend on the notes beside it, nor on who makes it.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from .chance import mix
from .documents import Documents, offsets, ranges, read_documents
from .export_settings import ExportSettings
from .masking import mask
from .pairs import Pairs, make_pairs
from .pieces import PieceIds
from .pool import Pool, owner_keys
from .schemas import INSTANCES

# What the key of an example is used for; pairs and masks use the numbers below.
_SHUFFLE = 11
# Wordpieces in a batch of examples, padded: what the arrays are bounded by.
_BATCH = 1 << 19


class _Planned(NamedTuple):
    keys: np.ndarray
    pairs: Pairs

    def take(self, rows: np.ndarray) -> "_Planned":
        return _Planned(self.keys[rows], Pairs(*(values[rows] for values in self.pairs)))


def instance_batches(
    batches: Iterable[pa.RecordBatch], pool: Pool, settings: ExportSettings, ids: PieceIds
) -> Iterator[pa.RecordBatch]:
    """Make the examples of notes, `settings.dupe` times with other pairs and masks.

    batches (Iterable[pa.RecordBatch]): SEGMENTS. The examples of one batch are shuffled, as Google's are: give the
        notes of a shard as one.
    pool (Pool): what random second segments are drawn from, made with the same settings.
    settings (ExportSettings): the settings.
    ids (PieceIds): of the tokenizer that made the wordpieces.
    RETURNS (Iterator[pa.RecordBatch]): INSTANCES, in batches of some thousands.
    RAISES (ClinbertError): if all of the pool is of one note or patient.
    """
    rows = max(1, _BATCH // settings.length)
    for batch in batches:
        documents = read_documents(batch, settings.document)
        planned = _plan(batch, documents, pool, settings)
        shuffled = np.argsort(mix(planned.keys, _SHUFFLE), kind="stable")
        for start in range(0, len(shuffled), rows):
            yield _write(planned.take(shuffled[start : start + rows]), batch, documents, pool, settings, ids)


def _plan(batch: pa.RecordBatch, documents: Documents, pool: Pool, settings: ExportSettings) -> _Planned:
    notes, patients = (keys[documents.note] for keys in owner_keys(batch, settings.seed))
    plans = []
    for copy in range(1, settings.dupe + 1):
        keys = mix(mix(notes, copy), documents.number)
        pairs = make_pairs(documents, keys, notes, patients, pool, settings)
        plans.append(_Planned(keys[pairs.segment], pairs))
    return _Planned(
        np.concatenate([plan.keys for plan in plans]),
        Pairs(*map(np.concatenate, zip(*(plan.pairs for plan in plans)))),
    )


def _write(
    planned: _Planned,
    batch: pa.RecordBatch,
    documents: Documents,
    pool: Pool,
    settings: ExportSettings,
    ids: PieceIds,
) -> pa.RecordBatch:
    pairs = planned.pairs
    places = np.arange(settings.length)
    break_at, lengths = pairs.first_length + 1, pairs.first_length + pairs.second_length + 3
    in_second = (places > break_at[:, None]) & (places < lengths[:, None] - 1)
    pieces = np.full((len(lengths), settings.length), ids.cls, dtype=np.int32)
    pieces[(places > 0) & (places < break_at[:, None])] = documents.pieces[ranges(pairs.first, pairs.first_length)]
    for source, rows in ((documents, ~pairs.random), (pool, pairs.random)):
        pieces[in_second & rows[:, None]] = source.pieces[ranges(pairs.second[rows], pairs.second_length[rows])]
    pieces[np.arange(len(lengths)), break_at] = ids.sep
    pieces[np.arange(len(lengths)), lengths - 1] = ids.sep

    masked = mask(pieces, lengths, planned.keys, settings, ids)
    present = places < lengths[:, None]
    types = (places > break_at[:, None])[present].astype(np.int8)
    # Where the beginning was cut off, this is another segment than the one that the pair was begun with.
    segments = np.searchsorted(documents.bounds, pairs.first, side="right") - 1
    columns = [
        _lists(masked.pieces[present], lengths),
        _lists(types, lengths),
        _lists(masked.positions.astype(np.int32), masked.counts),
        _lists(masked.originals, masked.counts),
        pa.array(pairs.random.astype(np.int8)),
        batch.column("note_id").take(pa.array(documents.note[segments])),
        batch.column("sections").flatten().take(pa.array(documents.place[segments])),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=INSTANCES)


def _lists(values: np.ndarray, lengths: np.ndarray) -> pa.Array:
    return pa.ListArray.from_arrays(offsets(lengths).astype(np.int32), values)
