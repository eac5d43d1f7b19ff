"""Sequences that were computed before do not go through the encoder again: their rows are kept across batches."""

import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Callable, Iterator, Optional, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .batches import MicroBatch, Sequences

# What an entry takes beside its key and its rows: less than 140 bytes, as tracemalloc sees it.
ENTRY_BYTES = 160


@dataclass
class Recalled(MicroBatch):
    """Sequences that do not go through the encoder.

    values (ndarray): the outputs picked, weights applied: shape (n_picks, width).
    """

    values: np.ndarray = field(default_factory=lambda: np.empty((0, 0), dtype=np.float32))


class Repeats:
    """The rows of sequences, by their wordpieces; bounded in memory, the longest unused ones go first.

    Only the rows that were used are kept. It knows nothing of weights: who changes these clears it. Copies and what is
    unpickled start empty, since rows are worth no disk and notes are to leave no trace in it.

    max_bytes (float): bound on what is kept; 0 keeps nothing.
    """

    def __init__(self, max_bytes: float) -> None:
        self.max_bytes = max_bytes
        self.n_bytes = 0
        self._rows: OrderedDict[bytes, np.ndarray] = OrderedDict()

    def __reduce__(self) -> tuple[type, tuple[float]]:
        return Repeats, (self.max_bytes,)

    def __len__(self) -> int:
        return len(self._rows)

    def clear(self) -> None:
        """Forget all rows."""
        self._rows.clear()
        self.n_bytes = 0

    def get(self, key: bytes) -> Optional[np.ndarray]:
        """The rows under a key, which become the latest used; None where there are none."""
        rows = self._rows.pop(key, None)
        if rows is not None:
            self._rows[key] = rows
        return rows

    def put(self, key: bytes, rows: np.ndarray) -> None:
        """Keep a copy of rows, at the price of the longest unused ones."""
        rows = rows.copy()
        if key in self._rows or cost(key, rows) > self.max_bytes:
            return
        self._rows[key] = rows
        self.n_bytes += cost(key, rows)
        while self.n_bytes > self.max_bytes:
            self.n_bytes -= cost(*self._rows.popitem(last=False))

    def leave_out(self, sequences: Sequences, picks: np.ndarray) -> tuple[list[Recalled], Sequences, np.ndarray]:
        """Take the sequences whose rows are known out of a batch.

        sequences (Sequences): those of the batch.
        picks (ndarray): which (sequence, place) goes to which row with which weight, shape (n_picks, 4).
        RETURNS (Tuple[List[Recalled], Sequences, ndarray]): what is known, the other sequences, and their picks.
        """
        if not self._rows:
            return [], sequences, picks
        picks = picks[np.argsort(picks[:, 0], kind="stable")]
        cuts = np.searchsorted(picks[:, 0], np.arange(len(sequences.ids) + 1))
        others = Sequences(unique=False)
        left, known, values = [picks[:0]], [], []
        for number, (ids, types) in enumerate(zip(sequences.ids, sequences.types)):
            part = picks[cuts[number] : cuts[number + 1]]
            places, at = np.unique(part[:, 1], return_inverse=True)
            rows = self.get(make_key(ids, types, places))
            if rows is None:
                part[:, 0] = others.add(ids, types)
                left.append(part)
            else:
                known.append(part)
                values.append(rows[at] * part[:, 3:].astype(np.float32))
        recalled = []
        if known:
            table, none = np.concatenate(known), np.empty((0, 0), dtype=np.int64)
            goals, weights = table[:, 2].astype(np.int64), table[:, 3].astype(np.float32)
            recalled = [Recalled(none, none, none.ravel(), goals, weights, values=np.concatenate(values))]
        return recalled, others, np.concatenate(left)

    def through(
        self, batches: Sequence[MicroBatch], run: Callable[[Sequence[MicroBatch]], Iterator[np.ndarray]]
    ) -> Iterator[np.ndarray]:
        """Run micro-batches but for what is known, and keep what comes out.

        batches (Sequence[MicroBatch]): the micro-batches.
        run (Callable[[Sequence[MicroBatch]], Iterator[ndarray]]): gives the outputs picked of each, weights applied:
            shape (n_picks, width).
        YIELDS (ndarray): the same for each micro-batch.
        """
        outputs = run([batch for batch in batches if not isinstance(batch, Recalled)])
        for batch in batches:
            if isinstance(batch, Recalled):
                yield batch.values
            else:
                values = next(outputs)
                if self.max_bytes:
                    self._keep(batch, values)
                yield values

    def _keep(self, batch: MicroBatch, values: np.ndarray) -> None:
        """Keep what came out of one micro-batch, without weights, each used place of a sequence once."""
        picks, first = np.unique(batch.picks, return_index=True)
        rows = values[first] / batch.weights[first, None]
        width = batch.ids.shape[1]
        cuts = np.searchsorted(picks, width * np.arange(len(batch.ids) + 1))
        for i, length in enumerate(batch.mask.sum(axis=1)):
            part = slice(cuts[i], cuts[i + 1])
            types = () if batch.types is None else batch.types[i, :length]
            self.put(make_key(batch.ids[i, :length], types, picks[part] - width * i), rows[part])


def make_key(ids: ArrayLike, types: ArrayLike, places: np.ndarray) -> bytes:
    """What tells the rows of a sequence from others: its wordpieces, their types where not all are 0, and the places
    that are used."""
    parts = [np.asarray(part, dtype=np.int32) for part in (ids, types if np.any(types) else (), places)]
    return np.concatenate([[len(part) for part in parts], *parts]).astype(np.int32).tobytes()


def cost(key: bytes, rows: np.ndarray) -> int:
    """The bytes that an entry takes."""
    return sys.getsizeof(key) + sys.getsizeof(rows) + ENTRY_BYTES
