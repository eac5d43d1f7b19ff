"""Micro-batches of sequences, bounded in padded wordpieces, and where each row is found in them."""

from dataclasses import dataclass
from typing import Iterable, NamedTuple, Optional, Sequence

import numpy as np

from .windows import Window
from .wordpieces import Wordpieces


class Bounds(NamedTuple):
    """What micro-batches may hold and cost, in padded wordpieces.

    most (int): the largest number in one; a single longer sequence is one of its own.
    overhead (int): what one costs beside those it holds.
    """

    most: int
    overhead: int


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
    """Sequences of similar length that go through the encoder together.

    ids (ndarray): padded wordpiece ids, shape (n_sequences, longest).
    mask (ndarray): 1 for wordpieces, 0 for padding, same shape.
    picks (ndarray): which rows of the flattened output are used, shape (n_picks,).
    rows (ndarray): to which row of the whole batch each goes, same shape.
    weights (ndarray): with what weight, same shape.
    types (Optional[ndarray]): token types, shape (n_sequences, longest); None where all are 0.
    """

    ids: np.ndarray
    mask: np.ndarray
    picks: np.ndarray
    rows: np.ndarray
    weights: np.ndarray
    types: Optional[np.ndarray] = None


class Sequences:
    """The sequences of a batch, special pieces included.

    unique (bool): whether identical ones go through once, for inference.
    """

    def __init__(self, unique: bool) -> None:
        self.ids: list[list[int]] = []
        self.types: list[list[int]] = []
        self._unique = unique
        self._known: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}

    def add(self, ids: list[int], types: Sequence[int] = ()) -> int:
        """Add a sequence, with its token types where they are not all 0, and give its number."""
        number = len(self.ids)
        if self._unique:
            number = self._known.setdefault((tuple(ids), tuple(types)), number)
        if number == len(self.ids):
            self.ids.append(ids)
            self.types.append(list(types))
        return number


def find_sequences(
    docs: Sequence[DocPieces], pieces: Wordpieces, pooling: str, unique: bool
) -> tuple[Sequences, np.ndarray]:
    """Find what of a batch of Docs goes through the encoder, and which of its outputs make the tokens' rows.

    docs (Sequence[DocPieces]): the Docs' wordpieces and windows.
    pieces (Wordpieces): what knows the special pieces around a window.
    pooling (str): "first" wordpiece of a token or "mean" of its wordpieces.
    unique (bool): whether identical windows go through once, for inference.
    RETURNS (Tuple[Sequences, ndarray]): the windows, and which (sequence, place) goes to which row with which weight,
        shape (n_picks, 4).
    """
    sequences = Sequences(unique)
    picks: list[np.ndarray] = [np.empty((0, 4))]
    offset = 0
    for doc in docs:
        window_of = np.empty(len(doc.ids), dtype=np.int64)
        place_of = np.empty(len(doc.ids), dtype=np.int64)
        for window in doc.windows:
            at = sequences.add(pieces.frame(doc.ids[window.start : window.end].tolist()))
            kept = slice(window.keep_start, window.keep_end)
            window_of[kept] = at
            place_of[kept] = np.arange(window.keep_start, window.keep_end) - window.start + len(pieces.prefix)
        picks.append(pick_rows(doc.starts, window_of, place_of, offset, pooling))
        offset += doc.n_tokens
    return sequences, np.concatenate(picks)


def first_places(numbers: Sequence[int]) -> np.ndarray:
    """The picks of rows that are the first place (`[CLS]`) of a sequence each: shape (n_rows, 4).

    numbers (Sequence[int]): for each row, the number of its sequence.
    """
    picks = np.zeros((len(numbers), 4))
    picks[:, 0], picks[:, 2], picks[:, 3] = numbers, np.arange(len(numbers)), 1.0
    return picks


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


def group(lengths: np.ndarray, bounds: Bounds) -> list[np.ndarray]:
    """Group sequences so that padding and micro-batches together cost least.

    The cheapest groups are runs of the sequences sorted by length; of all ways to cut them between different lengths,
    dynamic programming from the shortest on finds the cheapest.

    lengths (ndarray): of the sequences, in wordpieces.
    bounds (Bounds): what a micro-batch may hold and costs.
    RETURNS (List[ndarray]): the numbers of the sequences in each micro-batch, longest first.
    """
    order = np.argsort(-lengths, kind="stable")
    kinds, counts = np.unique(-lengths, return_counts=True)
    ends = np.concatenate([[0], counts.cumsum()])
    fitting = np.maximum(bounds.most // np.maximum(-kinds, 1), 1)
    cheapest = np.zeros(len(ends), dtype=np.int64)
    cut = np.zeros(len(kinds), dtype=np.int64)
    for i in reversed(range(len(kinds))):
        sizes = ends[i + 1 :] - ends[i]
        costs = sizes * -kinds[i] + bounds.overhead * -(-sizes // fitting[i]) + cheapest[i + 1 :]
        best = int(costs.argmin())
        cheapest[i], cut[i] = costs[best], i + 1 + best
    groups: list[np.ndarray] = []
    i = 0
    while i < len(kinds):
        members = order[ends[i] : ends[cut[i]]]
        groups += np.array_split(members, -(-len(members) // fitting[i]))
        i = cut[i]
    return groups


def lay_out(sequences: Sequences, picks: np.ndarray, pad_id: int, bounds: Bounds) -> list[MicroBatch]:
    """Pad groups of sequences and translate the picks into rows of their flattened outputs.

    sequences (Sequences): what goes through the encoder.
    picks (ndarray): which (sequence, place) goes to which row with which weight, shape (n_picks, 4).
    pad_id (int): the id of the padding.
    bounds (Bounds): what a micro-batch may hold and costs.
    RETURNS (List[MicroBatch]): the micro-batches.
    """
    lengths = np.array([len(ids) for ids in sequences.ids], dtype=np.int64)
    groups = group(lengths, bounds)
    group_of = np.empty(len(sequences.ids), dtype=np.int64)
    slot_of = np.empty(len(sequences.ids), dtype=np.int64)
    for i, members in enumerate(groups):
        group_of[members] = i
        slot_of[members] = np.arange(len(members))
    picks = picks[np.argsort(group_of[picks[:, 0].astype(np.int64)], kind="stable")]
    numbers = picks[:, 0].astype(np.int64)
    cuts = np.searchsorted(group_of[numbers], np.arange(len(groups) + 1))
    batches = []
    for i, members in enumerate(groups):
        ids = pad([sequences.ids[member] for member in members], pad_id)
        mask = (np.arange(ids.shape[1]) < lengths[members, None]).astype(np.int64)
        part = slice(cuts[i], cuts[i + 1])
        flat = slot_of[numbers[part]] * ids.shape[1] + picks[part, 1].astype(np.int64)
        rows = picks[part, 2].astype(np.int64)
        kinds = [sequences.types[member] for member in members]
        types = pad(kinds, 0) if any(kinds) else None
        batches.append(MicroBatch(ids, mask, flat, rows, picks[part, 3].astype(np.float32), types))
    return batches


def gather(batches: Sequence[MicroBatch], outputs: Iterable[np.ndarray], n_rows: int, width: int) -> np.ndarray:
    """Put the picked outputs of micro-batches into the rows that they go to; NumPy does it faster than torch.

    batches (Sequence[MicroBatch]): the micro-batches.
    outputs (Iterable[ndarray]): of each, the outputs picked, weights applied: shape (n_picks, width).
    n_rows, width (int): shape of the rows; those that nothing goes to get zeros.
    RETURNS (ndarray): the rows, shape (n_rows, width).
    """
    rows = np.zeros((n_rows, width), dtype=np.float32)
    for batch, values in zip(batches, outputs):
        # A row of full weight has nothing else to be added to.
        if (batch.weights == 1.0).all():
            rows[batch.rows] = values
        else:
            np.add.at(rows, batch.rows, values)
    return rows


def pad(rows: Sequence[Sequence[int]], filling: int) -> np.ndarray:
    """Rows of numbers filled up to the longest: shape (n_rows, longest)."""
    padded = np.full((len(rows), max(len(row) for row in rows)), filling, dtype=np.int64)
    for row, values in zip(padded, rows):
        row[: len(values)] = values
    return padded
