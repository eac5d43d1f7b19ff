"""Wordpieces run together over documents into blocks of one length, without pairs (BioBERTpt's recipe).

Schneider et al. 2020, "BioBERTpt", trained with Hugging Face's language modelling script, whose text file is one run of
wordpieces cut into blocks; what is left at the end is dropped.
"""

from collections.abc import Generator, Iterable

import numpy as np
import pyarrow as pa

from .export_settings import ExportSettings
from .pieces import PieceIds
from .schemas import BLOCKS


def block_batches(
    batches: Iterable[pa.RecordBatch], settings: ExportSettings, ids: PieceIds, rest: np.ndarray
) -> Generator[pa.RecordBatch, None, np.ndarray]:
    """Cut the wordpieces of notes into blocks; nothing stands between documents.

    batches (Iterable[pa.RecordBatch]): SEGMENTS, in the order of the corpus.
    settings (ExportSettings): `length` is looked at: wordpieces in a block, [CLS] and [SEP] included.
    ids (PieceIds): of the tokenizer that made the wordpieces.
    rest (np.ndarray): int32, what the notes before these left over; empty at the beginning of the corpus.
    YIELDS (pa.RecordBatch): BLOCKS, one batch for each given.
    RETURNS (np.ndarray): what is left over for the notes after these, fewer pieces than a block; at the end of the
        corpus it is dropped.
    """
    room = settings.length - 2
    for batch in batches:
        pieces = np.concatenate([rest, batch.column("pieces").flatten().flatten().to_numpy()])
        whole = len(pieces) // room
        blocks = np.full((whole, settings.length), ids.sep, dtype=np.int32)
        blocks[:, 0] = ids.cls
        blocks[:, 1:-1] = pieces[: whole * room].reshape(whole, room)
        rest = pieces[whole * room :].copy()
        ends = np.arange(whole + 1, dtype=np.int32) * settings.length
        yield pa.RecordBatch.from_arrays([pa.ListArray.from_arrays(ends, blocks.ravel())], schema=BLOCKS)
    return rest
