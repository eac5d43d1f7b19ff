"""How well probabilities foretell one outcome, for many weightings of the same rows at once."""

from typing import Tuple

import numpy as np

from .recalibration import Recalibration

DISCRIMINATION = ("auroc", "auprc")
CALIBRATION = ("brier", "intercept", "slope")


class BinaryScores:
    """The scores of some rows, computed anew for each weighting of them; the rows are sorted once.

    "auroc" counts tied pairs half. "auprc" is average precision, without interpolation between the points of the curve
    (Davis and Goadrich 2006, ICML). "brier" is the mean squared distance from 0 and 1 (Brier 1950). "intercept" and
    "slope" are those of `Recalibration`.

    probabilities (ndarray): of the outcome, from 0 to 1, shape (rows,).
    truth (ndarray): 1 where it came, else 0, same shape.
    calibration (bool): whether the scores of `CALIBRATION` are computed too.
    """

    def __init__(self, probabilities: np.ndarray, truth: np.ndarray, calibration: bool) -> None:
        self.names = DISCRIMINATION + (CALIBRATION if calibration else ())
        self._order = np.argsort(-probabilities, kind="stable")
        self._truth = truth[self._order].astype(float)
        self._starts = np.flatnonzero(np.diff(probabilities[self._order], prepend=np.inf))
        self._squares = (probabilities - truth) ** 2
        self._fit = Recalibration(probabilities, truth) if calibration else None

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Compute the scores.

        weights (ndarray): how often each row counts, shape (weightings, rows).
        RETURNS (ndarray): shape (weightings, scores), in the order of `names`; NaN where undefined: AUROC without both
            classes, AUPRC without the outcome, Brier score without rows, and see `Recalibration`.
        """
        columns = list(self._discrimination(weights))
        if self._fit is not None:
            with np.errstate(invalid="ignore"):
                columns.append(weights @ self._squares / weights.sum(axis=1))
            columns += list(self._fit(weights))
        return np.stack(columns, axis=1)

    def point(self) -> np.ndarray:
        """The scores of the rows as they are, shape (scores,)."""
        return self(np.ones((1, len(self._order))))[0]

    def _discrimination(self, weights: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        ordered = weights[:, self._order]
        # A column for each different probability, the highest first: ties stand together.
        positive = np.add.reduceat(ordered * self._truth, self._starts, axis=1)
        both = np.add.reduceat(ordered, self._starts, axis=1)
        negative = both - positive
        positive_above, both_above = positive.cumsum(axis=1), both.cumsum(axis=1)
        positives = positive.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            won = (negative * (positive_above - positive / 2)).sum(axis=1)
            precision = np.where(both_above > 0, positive_above / both_above, 0.0)
            return won / (positives * negative.sum(axis=1)), (positive * precision).sum(axis=1) / positives
