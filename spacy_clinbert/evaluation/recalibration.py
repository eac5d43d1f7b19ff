"""Intercept and slope of calibration, by logistic recalibration."""

from typing import Tuple

import numpy as np

# Probabilities nearer to 0 and 1 count as these: their logit would be infinite.
SMALLEST = 1e-6


class Recalibration:
    """The logistic regression of the outcome on the logit of its probability (Cox 1958, Biometrika 45:562).

    The slope is 1 and the intercept 0 where probabilities are calibrated; a slope below 1 means too extreme ones, an
    intercept below 0, at a slope of 1, too high ones. For other weights than 1 it gives the fit after one Newton step
    from that of all rows (one-step bootstrap, Shao and Tu 1995, The Jackknife and Bootstrap, section 3.3).

    probabilities (ndarray): of the outcome, shape (rows,).
    truth (ndarray): 1 where it came, else 0, same shape.
    """

    def __init__(self, probabilities: np.ndarray, truth: np.ndarray) -> None:
        self._start = np.full(2, np.nan)
        bounded = np.clip(probabilities.astype(float), SMALLEST, 1 - SMALLEST)
        logits = np.log(bounded) - np.log1p(-bounded)
        if _is_defined(logits, truth):
            self._start = _fit(logits, truth)
        expected = 1 / (1 + np.exp(-(self._start[0] + self._start[1] * logits)))
        variance = expected * (1 - expected)
        self._residuals = np.stack([truth - expected, (truth - expected) * logits], axis=1)
        self._curvature = np.stack([variance, variance * logits, variance * logits**2], axis=1)

    def __call__(self, weights: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        """Give intercepts and slopes.

        weights (ndarray): how often each row counts, shape (weightings, rows).
        RETURNS (Tuple[ndarray, ndarray]): of shape (weightings,); NaN where all rows have one outcome or one
            probability, or where the probabilities tell the outcomes apart without error.
        """
        a, b = (weights @ self._residuals).T
        aa, ab, bb = (weights @ self._curvature).T
        with np.errstate(divide="ignore", invalid="ignore"):
            determinant = aa * bb - ab**2
            flat = determinant <= 1e-12 * aa * bb
            determinant = np.where(flat, np.nan, determinant)
            return self._start[0] + (bb * a - ab * b) / determinant, self._start[1] + (aa * b - ab * a) / determinant


def _is_defined(logits: np.ndarray, truth: np.ndarray) -> bool:
    with_outcome, without = logits[truth == 1], logits[truth == 0]
    if not len(with_outcome) or not len(without):
        return False
    return with_outcome.min() < without.max() and without.min() < with_outcome.max()


def _fit(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import LogisticRegression

    found = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8).fit(logits[:, None], truth == 1)
    return np.array([found.intercept_[0], found.coef_[0, 0]])
