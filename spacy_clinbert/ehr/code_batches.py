"""Batches of patients of similar lengths, so that little is padding, in an order that seed and position decide."""

from collections.abc import Iterator, Sequence
from itertools import count, islice

import numpy as np

from ..pretraining.dataset import Batches
from .pretrain_settings import LOT, CodeTrainingSettings

# Patients out of whom updates of similar lengths are made: enough for the lengths within an update to be close, few
# enough for updates to have changing company.
POOL = 16_384


class CodeBatches(Batches):
    """The batches of one process: its share of each part of each update.

    Patients come in random order, `POOL` at a time; these are sorted by length, cut into updates, and the updates
    shuffled. What does not fill an update at the end of a pass is not used, drawn at random.

    sizes (Sequence[int]): patients of each part of the shards.
    lengths (ndarray): places that each patient takes without padding.
    steps (int): updates.
    training (CodeTrainingSettings): patients or padded codes in an update, and the seed.
    shares (tuple[int, int, int]): parts of an update, processes, and which of these this one is.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        lengths: np.ndarray,
        steps: int,
        training: CodeTrainingSettings,
        shares: tuple[int, int, int],
    ) -> None:
        super().__init__(sizes, steps, training.unit, shares, training.seed)
        self.lengths, self.unit, self.codes = lengths, training.unit, training.batch_codes

    def updates(self) -> Iterator[list[int]]:
        """Give the patients of each update, without end."""
        for turn in count():
            yield from self.turn(turn)

    def turn(self, turn: int) -> Iterator[list[int]]:
        """Give the patients of the updates of one pass."""
        order = self.order(turn)
        for pool in count():
            numbers = np.fromiter(islice(order, max(1, POOL // self.unit) * self.unit), dtype=np.int64)
            numbers = numbers[: len(numbers) // self.unit * self.unit]
            if not len(numbers):
                return
            numbers = numbers[np.argsort(-self.lengths[numbers].astype(np.int64), kind="stable")]
            cuts = list(self._cut(self.lengths[numbers]))
            shuffled = np.random.default_rng((self.seed, turn, pool)).permutation(len(cuts))
            for start, end in (cuts[i] for i in shuffled):
                yield (numbers[start:end] + turn * len(self.lengths)).tolist()

    def _cut(self, lengths: np.ndarray) -> Iterator[tuple[int, int]]:
        """Where updates begin and end in lengths from the longest on."""
        start = 0
        while start < len(lengths):
            fitting = self.unit if self.codes is None else self.codes // int(lengths[start]) // LOT * LOT
            end = min(len(lengths), start + max(self.unit, fitting))
            yield start, end
            start = end
