"""Which segments make a BERT example: the sentence pairs of Google BERT's `create_pretraining_data`."""

from bisect import bisect_left
from typing import NamedTuple

import numpy as np

from .chance import mix, uniform
from .documents import Documents
from .export_settings import ExportSettings
from .pool import Pool

# What the key of an example is used for.
_SPLIT, _COIN, _SHORT, _TARGET, _DRAW, _CUT_FIRST, _CUT_SECOND = range(7)


class Pairs(NamedTuple):
    """Pairs of runs of wordpieces, an array entry each.

    segment (np.ndarray): the segment of the documents that the pair begins with.
    chunk (np.ndarray): segments in the chunk that the pair was made of; a chunk of one always has a random second run.
    first, first_length (np.ndarray): the first run in the documents' pieces, after truncation.
    second, second_length (np.ndarray): the second run, in the pool's pieces where it is random.
    random (np.ndarray): whether the second run is a random one.
    """

    segment: np.ndarray
    chunk: np.ndarray
    first: np.ndarray
    first_length: np.ndarray
    second: np.ndarray
    second_length: np.ndarray
    random: np.ndarray


def make_pairs(
    documents: Documents,
    keys: np.ndarray,
    notes: np.ndarray,
    patients: np.ndarray,
    pool: Pool,
    settings: ExportSettings,
) -> Pairs:
    """Make the pairs of some documents, once.

    documents (Documents): the documents.
    keys (np.ndarray): uint64 a segment, what the chances of a pair that begins with it are a function of.
    notes, patients (np.ndarray): uint64 a segment, as `owner_keys` gives them.
    pool (Pool): what random second runs are drawn from.
    settings (ExportSettings): `length` and `short_probability` are looked at.
    RETURNS (Pairs): the pairs in the order of the documents.
    RAISES (ClinbertError): if the pool has nothing for a note to draw.
    """
    room = settings.length - 3
    opening = keys[documents.first[:-1]]
    shorter = 2 + (uniform(opening, _TARGET) * (room - 1)).astype(np.int64)
    targets = np.where(uniform(opening, _SHORT) < settings.short_probability, shorter, room)
    begins, splits, stops, random = _chunks(documents, targets, keys)
    first, second = documents.bounds[begins], documents.bounds[splits]
    first_length, second_length = second - first, documents.bounds[stops] - second
    wanted = targets[np.searchsorted(documents.first, begins, side="right") - 1] - first_length
    drawn = pool.draw(mix(keys[begins[random]], _DRAW), notes[begins[random]], patients[begins[random]])
    second[random], second_length[random] = pool.spans(drawn, wanted[random])
    # Google's loop takes a piece at a time off the longer run, the second where they are equally long.
    over = first_length + second_length > room
    to_first = np.minimum(first_length, np.maximum(room - second_length, (room + 1) // 2))
    cut_first = np.where(over, first_length - to_first, 0)
    cut_second = np.where(over, first_length + second_length - room - cut_first, 0)
    return Pairs(
        segment=begins,
        chunk=stops - begins,
        first=first + _heads(mix(keys[begins], _CUT_FIRST), cut_first),
        first_length=first_length - cut_first,
        second=second + _heads(mix(keys[begins], _CUT_SECOND), cut_second),
        second_length=second_length - cut_second,
        random=random,
    )


def _chunks(documents: Documents, targets: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, ...]:
    """Cut documents into chunks: where each begins, its first run ends, it stops, and whether its second is random."""
    bounds, firsts = documents.bounds.tolist(), documents.first.tolist()
    splits, coins = uniform(keys, _SPLIT).tolist(), (uniform(keys, _COIN) < 0.5).tolist()
    chunks: list[tuple[int, int, int, bool]] = []
    for begin, end, target in zip(firsts, firsts[1:], targets.tolist()):
        while begin < end:
            stop = min(bisect_left(bounds, bounds[begin] + target, begin + 1, end + 1), end)
            split = begin + 1 + int(splits[begin] * (stop - begin - 1))
            is_random = stop == begin + 1 or coins[begin]
            chunks.append((begin, split, stop, is_random))
            # The segments of which a random one took the place are used again.
            begin = split if is_random else stop
    begins, ends, stops, random = np.array(chunks, dtype=np.int64).reshape(-1, 4).T
    return begins, ends, stops, random.astype(bool)


def _heads(keys: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """How many of the pieces cut off are at the beginning: each is with probability one half, a bit of a hash."""
    heads = np.zeros(len(cuts), dtype=np.int64)
    for word in range((int(cuts.max(initial=0)) + 63) // 64):
        rows = np.flatnonzero(cuts > 64 * word)
        bits = np.unpackbits(mix(keys[rows], word).astype("<u8").view(np.uint8).reshape(-1, 8), axis=1)
        heads[rows] += (bits & (np.arange(64) < (cuts[rows] - 64 * word)[:, None])).sum(axis=1, dtype=np.int64)
    return heads
