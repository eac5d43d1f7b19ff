"""Calibration in bins of equal mass: the calibration error and the curve of reliability."""

from typing import List, NamedTuple

import numpy as np

BINS = 15
# Of the normal distribution, for 95 % intervals.
Z = 1.959964


class Bin(NamedTuple):
    """Rows of similar probability.

    rows (int): how many; expected (float): their mean probability; observed (float): the share with the outcome.
    low (float), high (float): the 95 % interval of that share (Wilson 1927, JASA 22:209).
    """

    rows: int
    expected: float
    observed: float
    low: float
    high: float


def reliability(probabilities: np.ndarray, truth: np.ndarray, copies: int = 1) -> List[Bin]:
    """Divide rows by their probabilities.

    probabilities (ndarray): shape (rows,); truth (ndarray): 1 or 0, same shape.
    copies (int): how often each patient is among the rows, as with several draws; intervals do not narrow by it.
    RETURNS (List[Bin]): at most `BINS`, each of as many rows as can be; rows of one probability are never torn apart,
        so that the order of the rows is of no matter.
    """
    bins = _bins(probabilities)
    rows = np.bincount(bins, minlength=BINS)
    expected, observed = (np.bincount(bins, weights=values, minlength=BINS) for values in (probabilities, truth))
    found = zip(rows.tolist(), expected.tolist(), observed.tolist())
    return [_make_bin(n, p / n, y / n, n / copies) for n, p, y in found if n]


def calibration_error(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """The expected calibration error over bins of equal mass (Nguyen and O'Connor 2015, EMNLP; Roelofs et al. 2022,
    AISTATS).

    probabilities (ndarray), truth (ndarray): as for `reliability`.
    RETURNS (float): the mean distance of expected and observed, weighted by rows; NaN without rows. That of perfectly
        calibrated probabilities is above 0, and the more so the fewer rows there are.
    """
    if not len(probabilities):
        return float("nan")
    gaps = np.bincount(_bins(probabilities), weights=probabilities - truth, minlength=BINS)
    return float(np.abs(gaps).sum() / len(probabilities))


def _bins(probabilities: np.ndarray) -> np.ndarray:
    # The middle of the places that equal probabilities share puts them into one bin.
    _, which, counts = np.unique(probabilities, return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - counts / 2
    return (middles[which] * BINS / max(len(probabilities), 1)).astype(int)


def _make_bin(rows: int, expected: float, observed: float, patients: float) -> Bin:
    middle = (observed + Z**2 / (2 * patients)) / (1 + Z**2 / patients)
    half = Z * np.sqrt(observed * (1 - observed) / patients + (Z / (2 * patients)) ** 2) / (1 + Z**2 / patients)
    return Bin(rows, expected, observed, max(0.0, float(middle - half)), min(1.0, float(middle + half)))
