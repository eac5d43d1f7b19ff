"""How sure scores of probabilities are, and differences between systems: bootstrap over patients and draws."""

from collections.abc import Iterator, Mapping
from typing import Dict, List, NamedTuple, Tuple

import numpy as np

from .binary_scores import BinaryScores

RESAMPLES = 2000
# Numbers in the memory at a time: memory does not grow with the resamples.
BLOCK = 2_000_000
# A difference of so many standard errors is found in four of five trials, by a two-sided test at 5 %.
POWER_80 = 1.959964 + 0.841621


class Resampled(NamedTuple):
    """The scores of a system in a group of rows.

    names (Tuple[str, ...]): of the scores.
    points (ndarray): those of each draw, shape (draws, scores).
    values (ndarray): those of each resample, shape (resamples, scores); NaN where undefined.
    """

    names: Tuple[str, ...]
    points: np.ndarray
    values: np.ndarray

    def interval(self) -> np.ndarray:
        """95 % percentile intervals, shape (2, scores), over resamples in which a score is defined; NaN where it is not
        defined for the rows as they are, or the same in all resamples, as an AUROC of 1: they say nothing of others."""
        bounds = _interval(self.values, self.points.mean(axis=0))
        return np.where(bounds[0] == bounds[1], np.nan, bounds)


class Contrast(NamedTuple):
    """Differences of two systems in each score, shape (scores,): the second less the first.

    difference (ndarray): of the means over draws.
    low (ndarray), high (ndarray): 95 % interval.
    detectable (ndarray): the smallest difference that so many patients and draws would show, with 80 % power.
    """

    difference: np.ndarray
    low: np.ndarray
    high: np.ndarray
    detectable: np.ndarray


def draw_weights(
    patients: np.ndarray, strata: np.ndarray, resamples: int = RESAMPLES, seed: int = 0
) -> Iterator[np.ndarray]:
    """Resample patients with replacement, with all rows of each; within strata, as many from each as there are.

    patients (ndarray): the number of each row's patient, from 0, shape (rows,).
    strata (ndarray): the number of each patient's stratum, shape (patients,); all 0 for none.
    resamples (int): how many; seed (int): same seed, same weights.
    YIELDS (ndarray): how often each row counts, shape (some resamples, rows).
    """
    random = np.random.default_rng(seed)
    size = max(1, BLOCK // max(len(patients), 1))
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    for done in range(0, resamples, size):
        number = min(size, resamples - done)
        counts = np.zeros((number, len(strata)))
        for places in members:
            drawn = random.integers(len(places), size=(number, len(places)))
            drawn += np.arange(number)[:, None] * len(places)
            counts[:, places] = np.bincount(drawn.ravel(), minlength=number * len(places)).reshape(number, -1)
        yield counts[:, patients]


def resample(
    systems: Mapping[str, np.ndarray],
    truth: np.ndarray,
    groups: Mapping[str, np.ndarray],
    weights: Iterator[np.ndarray],
    calibration: bool,
    seed: int = 0,
) -> Dict[Tuple[str, str], Resampled]:
    """Score systems on the same resamples, which makes their differences paired.

    Draws are the second level: in each resample a score is the mean over draws that are themselves drawn with
    replacement (Davison and Hinkley 1997, Bootstrap Methods, section 3.8), the same for systems of as many draws.

    systems (Mapping[str, ndarray]): probabilities by system, shape (draws, rows).
    truth (ndarray): 1 or 0, shape (rows,).
    groups (Mapping[str, ndarray]): by name, which rows belong to a group, shape (rows,).
    weights (Iterator[ndarray]): of `draw_weights`.
    calibration (bool): as for `BinaryScores`; seed (int): of the draws.
    RETURNS (Dict[Tuple[str, str], Resampled]): by system and group.
    """
    scorers = {
        (system, group): [BinaryScores(one[rows], truth[rows], calibration) for one in draws]
        for system, draws in systems.items()
        for group, rows in groups.items()
    }
    blocks: Dict[Tuple[str, str], List[np.ndarray]] = {key: [] for key in scorers}
    for block in weights:
        for group, rows in groups.items():
            of_group = np.ascontiguousarray(block[:, rows])
            for system in systems:
                of_draws = [scorer(of_group) for scorer in scorers[system, group]]
                blocks[system, group].append(np.stack(of_draws, axis=1))
    found = {}
    for key, of_one in scorers.items():
        each = np.concatenate([np.empty((0, len(of_one), len(of_one[0].names))), *blocks[key]])
        drawn = np.random.default_rng([seed, len(of_one)]).integers(len(of_one), size=each.shape[:2])
        values = np.take_along_axis(each, drawn[..., None], axis=1).mean(axis=1)
        found[key] = Resampled(of_one[0].names, np.stack([scorer.point() for scorer in of_one]), values)
    return found


def contrast(first: Resampled, second: Resampled) -> Contrast:
    """Compare two systems on the same resamples.

    first (Resampled), second (Resampled): of one call of `resample` and one group.
    RETURNS (Contrast): the differences; NaN where undefined.
    """
    difference = second.points.mean(axis=0) - first.points.mean(axis=0)
    values = second.values - first.values
    low, high = _interval(values, difference)
    defined = ~np.isnan(low)
    detectable = np.full(len(difference), np.nan)
    detectable[defined] = POWER_80 * np.nanstd(values[:, defined], axis=0)
    return Contrast(difference, low, high, detectable)


def _interval(values: np.ndarray, point: np.ndarray) -> np.ndarray:
    bounds = np.full((2, len(point)), np.nan)
    defined = ~np.isnan(point) & ~np.isnan(values).all(axis=0)
    if defined.any():
        bounds[:, defined] = np.nanpercentile(values[:, defined], (2.5, 97.5), axis=0)
    return bounds
