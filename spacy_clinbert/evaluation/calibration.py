"""How well probabilities are calibrated: expected calibration error, Brier score, negative log-likelihood."""

from typing import NamedTuple

import numpy as np

# Equal-width bins, as in Guo et al. 2017 (ICML, "On Calibration of Modern Neural Networks").
BINS = 15
SMALLEST = 1e-30


class Calibration(NamedTuple):
    """How well probabilities are calibrated.

    decisions (int): how many were judged: documents of exclusive labels, else documents and labels.
    ece (float): mean distance of confidence and share of right decisions over bins of confidence, weighted by their
        size; of exclusive labels, the confidence is that of the highest, else that of the label.
    brier (float): mean squared distance from 0 and 1 (Brier 1950); of exclusive labels summed over them.
    nll (float): mean negative log-likelihood, in nats.
    """

    decisions: int
    ece: float
    brier: float
    nll: float


def calibration(probabilities: np.ndarray, gold: np.ndarray, exclusive: bool) -> Calibration:
    """Measure calibration.

    probabilities (ndarray): shape (documents, labels).
    gold (ndarray): 1 or 0, same shape; NaN where nothing is judged, of exclusive labels in whole rows.
    exclusive (bool): whether just one label holds for a document.
    RETURNS (Calibration): the measures; NaN where nothing is judged.
    """
    if exclusive:
        judged = ~np.isnan(gold).any(axis=1)
        found, truth = probabilities[judged], gold[judged]
        confidence, right = found.max(axis=1), truth[np.arange(len(found)), found.argmax(axis=1)]
        likelihoods = (found * truth).sum(axis=1)
        squares = ((found - truth) ** 2).sum(axis=1)
    else:
        known = ~np.isnan(gold)
        confidence, right = probabilities[known], gold[known]
        likelihoods = np.where(right == 1, confidence, 1 - confidence)
        squares = (confidence - right) ** 2
    if not len(confidence):
        return Calibration(0, np.nan, np.nan, np.nan)
    nll = -np.log(np.maximum(likelihoods, SMALLEST)).mean()
    return Calibration(len(confidence), _ece(confidence, right), float(squares.mean()), float(nll))


def _ece(confidence: np.ndarray, right: np.ndarray) -> float:
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))
