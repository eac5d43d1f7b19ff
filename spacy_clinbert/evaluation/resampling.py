"""How sure a score and a difference are: bootstrap and permutation over documents."""

from collections.abc import Iterator, Sequence
from typing import Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from .counts import Rows, array

Interval = Optional[Tuple[float, float]]
# Resamples drawn at a time: memory does not grow with their number.
BLOCK = 500


def intervals(rows: Rows, resamples: int = 2000, seed: int = 0) -> Dict[str, Interval]:
    """95 % percentile intervals of micro precision, recall and F1, by bootstrap over documents (Efron and Tibshirani
    1993, An Introduction to the Bootstrap, chapter 13).

    rows (Rows): counts by document and label.
    resamples (int): number of resamples; one in which a score is undefined does not count for it.
    seed (int): same seed, same intervals.
    RETURNS (Dict[str, Interval]): low and high for "p", "r" and "f"; None where the score is undefined, and for a
        single document, which says nothing of others.
    """
    counts = array(rows)
    if len(counts) < 2 or not counts.any():
        return dict.fromkeys("prf")
    documents = len(counts)
    random = np.random.default_rng(seed)
    drawn = [
        scores(random.multinomial(documents, np.full(documents, 1 / documents), size=size) @ counts)
        for size in _blocks(resamples)
    ]
    low_high = []
    for defined, values in zip(~np.isnan(scores(counts.sum(axis=0))), np.concatenate(drawn).T):
        low, high = np.nanpercentile(values, (2.5, 97.5)) if defined else (0.0, 0.0)
        low_high.append((float(low), float(high)) if defined else None)
    return dict(zip("prf", low_high))


class Difference(NamedTuple):
    """A difference between two systems.

    difference (float): micro F1 of the second less that of the first, counts averaged over each one's runs.
    p (float): two-sided p value.
    """

    difference: float
    p: float


def permutation_test(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray], permutations: int = 10_000, seed: int = 0
) -> Difference:
    """Test whether two systems differ in micro F1: paired permutation over documents, seeds as second level.

    First level: if the systems do not differ, a document's counts, averaged over the runs of each system, may as well
    be swapped between the two (approximate randomization, Yeh 2000, COLING); all its runs together, since they are no
    independent documents. Swapping documents one by one wipes out what is common to all documents of a run, such as a
    lucky seed. So, second level: to each permuted difference comes a draw of the difference that seeds alone make:
    Student's t, scaled by the spread of F1 between the runs of one system beyond what documents explain, with the runs'
    degrees of freedom. Where each system has one run, nothing is known of seeds, and p speaks of these two runs only.

    first (Sequence[np.ndarray]), second (Sequence[np.ndarray]): for each run (seed) of the system its counts by
        document (`counts.array`), shape (documents, 4), documents in the same order.
    permutations (int): number of permutations; p is at least 1 / (permutations + 1).
    seed (int): same seed, same p.
    RETURNS (Difference): difference and p.
    """
    means = np.mean(first, axis=0), np.mean(second, axis=0)
    half_sum, half_difference = (means[0] + means[1]) / 2, (means[1] - means[0]) / 2
    spread, freedom = _seed_spread(first, second)
    observed = _f(means[1].sum(axis=0)) - _f(means[0].sum(axis=0))
    random = np.random.default_rng(seed)
    as_large = 0
    for size in _blocks(permutations):
        signs = random.choice((-1.0, 1.0), size=(size, len(half_difference)))
        swapped = signs @ half_difference
        permuted = _f(half_sum.sum(axis=0) + swapped) - _f(half_sum.sum(axis=0) - swapped)
        if freedom:
            permuted += spread * random.standard_t(freedom, size=size)
        as_large += int((np.abs(permuted) >= abs(observed) - 1e-12).sum())
    return Difference(float(observed), (as_large + 1) / (permutations + 1))


def holm(ps: Sequence[float]) -> List[float]:
    """Adjust p values for their number (Holm 1979, Scandinavian Journal of Statistics 6:65).

    ps (Sequence[float]): p values.
    RETURNS (List[float]): adjusted, in the same order.
    """
    adjusted = [1.0] * len(ps)
    highest = 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = highest
    return adjusted


def scores(counts: np.ndarray) -> np.ndarray:
    """Precision, recall and F1 of many counts at once, as `counts.score` of one.

    counts (np.ndarray): shape (…, 4): right, predicted, found and gold.
    RETURNS (np.ndarray): shape (…, 3); NaN where undefined.
    """
    right, predicted, found, gold = np.moveaxis(counts, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        p, r = right / predicted, found / gold
        harmonic = np.where((p > 0) & (r > 0), 2 * p * r / (p + r), 0.0)
    return np.stack([p, r, np.where(np.isnan(p) & np.isnan(r), np.nan, harmonic)], axis=-1)


def _blocks(number: int) -> Iterator[int]:
    for done in range(0, number, BLOCK):
        yield min(BLOCK, number - done)


def _seed_spread(*systems: Sequence[np.ndarray]) -> Tuple[float, int]:
    """Standard error of the systems' difference that is due to seeds, and its degrees of freedom.

    What a document adds to a run's F1, more than to the other runs', is chance that permuting documents counts already:
    it is taken off, each document's share being what F1 loses without it (the jackknife).
    """
    squares, freedom = 0.0, 0
    for runs in map(np.asarray, systems):
        totals = runs.sum(axis=1, keepdims=True)
        each = _f(totals)
        shares = each - _f(totals - runs)
        squares += ((each - each.mean()) ** 2).sum() - ((shares - shares.mean(axis=0)) ** 2).sum()
        freedom += len(runs) - 1
    variance = max(0.0, squares / freedom) if freedom else 0.0
    return float(np.sqrt(variance * sum(1 / len(runs) for runs in systems))), freedom


def _f(counts: np.ndarray) -> np.ndarray:
    return np.nan_to_num(scores(counts)[..., 2])
