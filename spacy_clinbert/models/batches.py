"""Micro-batches of windows, bounded in padded wordpieces, and where each token's row is found in them."""

from dataclasses import dataclass
from typing import Sequence

import numpy as np

from .windows import Window
from .wordpieces import Wordpieces

# A window shorter than this share of the longest one starts a micro-batch of its own kind, once the batch has enough
# to do: padded wordpieces cost as much as real ones.
PADDING_SHARE = 0.75
ENOUGH_PIECES = 1024


@dataclass
class DocPieces:
    """One Doc as the encoder sees it: its wordpieces, where each token's start, and the windows over them."""

    ids: np.ndarray
    starts: np.ndarray
    windows: list[Window]

    @property
    def n_tokens(self) -> int:
        return len(self.starts) - 1


@dataclass
class MicroBatch:
    """Windows of similar length that go through the encoder together.

    ids (ndarray): padded wordpiece ids, shape (n_windows, longest).
    mask (ndarray): 1 for wordpieces, 0 for padding, same shape.
    picks (ndarray): which rows of the flattened output are used, shape (n_picks,).
    rows (ndarray): to which token of the whole batch each goes, same shape.
    weights (ndarray): with what weight, same shape.
    """

    ids: np.ndarray
    mask: np.ndarray
    picks: np.ndarray
    rows: np.ndarray
    weights: np.ndarray


def make_batches(
    docs: Sequence[DocPieces], pieces: Wordpieces, max_pieces: int, pooling: str, unique: bool
) -> tuple[list[MicroBatch], int]:
    """Lay the windows of a batch of Docs into micro-batches.

    docs (Sequence[DocPieces]): the Docs' wordpieces and windows.
    pieces (Wordpieces): what knows the special pieces around a window and the padding.
    max_pieces (int): the largest number of padded wordpieces in a micro-batch; a single longer window is one of its
        own.
    pooling (str): "first" wordpiece of a token or "mean" of its wordpieces.
    unique (bool): whether identical windows go through once, for inference.
    RETURNS (Tuple[List[MicroBatch], int]): the micro-batches and the number of tokens in all Docs.
    """
    sequences: list[list[int]] = []
    known: dict[tuple[int, ...], int] = {}
    picks: list[np.ndarray] = [np.empty((0, 4))]
    offset = 0
    for doc in docs:
        window_of = np.empty(len(doc.ids), dtype=np.int64)
        place_of = np.empty(len(doc.ids), dtype=np.int64)
        for window in doc.windows:
            ids = doc.ids[window.start : window.end].tolist()
            at = known.setdefault(tuple(ids), len(sequences)) if unique else len(sequences)
            if at == len(sequences):
                sequences.append([*pieces.prefix, *ids, *pieces.suffix])
            kept = slice(window.keep_start, window.keep_end)
            window_of[kept] = at
            place_of[kept] = np.arange(window.keep_start, window.keep_end) - window.start + len(pieces.prefix)
        picks.append(pick_rows(doc.starts, window_of, place_of, offset, pooling))
        offset += doc.n_tokens
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    return lay_out(sequences, group(lengths, max_pieces), np.concatenate(picks), pieces.pad_id), offset


def pick_rows(starts: np.ndarray, window_of: np.ndarray, place_of: np.ndarray, offset: int, pooling: str) -> np.ndarray:
    """For one Doc, which (window, place) goes to which row with which weight: shape (n_picks, 4)."""
    lengths = np.diff(starts)
    tokens = np.flatnonzero(lengths)
    if pooling == "first":
        pieces, rows, weights = starts[tokens], tokens, np.ones(len(tokens))
    else:
        pieces, rows = np.arange(starts[-1]), np.repeat(tokens, lengths[tokens])
        weights = 1.0 / lengths[rows]
    return np.stack([window_of[pieces], place_of[pieces], rows + offset, weights], axis=1)


def group(lengths: np.ndarray, max_pieces: int) -> list[np.ndarray]:
    """Group windows by length: longest first, each group bounded in padded wordpieces and not too uneven."""
    order = np.argsort(-lengths, kind="stable")
    groups: list[np.ndarray] = []
    first = 0
    for i in range(1, len(order) + 1):
        longest = lengths[order[first]]
        full = i == len(order) or (i - first + 1) * longest > max_pieces
        if full or ((i - first) * longest >= ENOUGH_PIECES and lengths[order[i]] < PADDING_SHARE * longest):
            groups.append(order[first:i])
            first = i
    return groups


def lay_out(sequences: list[list[int]], groups: list[np.ndarray], picks: np.ndarray, pad_id: int) -> list[MicroBatch]:
    """Pad each group of windows and translate the picks into rows of its flattened output."""
    group_of = np.empty(len(sequences), dtype=np.int64)
    slot_of = np.empty(len(sequences), dtype=np.int64)
    for i, members in enumerate(groups):
        group_of[members] = i
        slot_of[members] = np.arange(len(members))
    picks = picks[np.argsort(group_of[picks[:, 0].astype(np.int64)], kind="stable")]
    windows = picks[:, 0].astype(np.int64)
    cuts = np.searchsorted(group_of[windows], np.arange(len(groups) + 1))
    batches = []
    for i, members in enumerate(groups):
        longest = len(sequences[members[0]])
        ids = np.full((len(members), longest), pad_id, dtype=np.int64)
        mask = np.zeros((len(members), longest), dtype=np.int64)
        for slot, member in enumerate(members):
            ids[slot, : len(sequences[member])] = sequences[member]
            mask[slot, : len(sequences[member])] = 1
        part = slice(cuts[i], cuts[i + 1])
        flat = slot_of[windows[part]] * longest + picks[part, 1].astype(np.int64)
        rows = picks[part, 2].astype(np.int64)
        batches.append(MicroBatch(ids, mask, flat, rows, picks[part, 3].astype(np.float32)))
    return batches
