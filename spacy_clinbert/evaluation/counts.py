"""Counts of mentions by document and label, and the scores that follow from them."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Callable, Dict, List, NamedTuple, Optional

import numpy as np


class Counts(NamedTuple):
    """What precision and recall are made of; where matching is one to one, `right` is `found`, the true positives.

    right (int): predicted mentions that match a gold one.
    predicted (int): all predicted mentions.
    found (int): gold mentions that match a predicted one.
    gold (int): all gold mentions.
    """

    right: int = 0
    predicted: int = 0
    found: int = 0
    gold: int = 0


# A metric's counts: for each document, in the order of the documents, its counts by label.
Rows = Sequence[Mapping[str, Counts]]


class Score(NamedTuple):
    """Precision, recall and F1, from 0 to 1.

    p (Optional[float]): precision; None, that is undefined, where nothing was predicted.
    r (Optional[float]): recall; None where there is no gold.
    f (Optional[float]): their harmonic mean; 0 where one of them is undefined, None where both are.
    """

    p: Optional[float]
    r: Optional[float]
    f: Optional[float]


def score(counts: Counts) -> Score:
    """Make the score of counts.

    counts (Counts): counts.
    RETURNS (Score): their score.
    """
    p = counts.right / counts.predicted if counts.predicted else None
    r = counts.found / counts.gold if counts.gold else None
    return Score(p, r, _harmonic(p, r))


def total(counts: Iterable[Counts]) -> Counts:
    """Sum counts.

    counts (Iterable[Counts]): counts.
    RETURNS (Counts): their sum.
    """
    return Counts(*map(sum, zip(Counts(), *counts)))


def by_label(rows: Rows) -> Dict[str, Counts]:
    """Sum the counts of each label over the documents.

    rows (Rows): counts by document and label.
    RETURNS (Dict[str, Counts]): counts by label, in the order of the labels.
    """
    found: Dict[str, List[Counts]] = {}
    for row in rows:
        for label, counts in row.items():
            found.setdefault(label, []).append(counts)
    return {label: total(found[label]) for label in sorted(found)}


def micro(rows: Rows) -> Score:
    """Score all mentions of all documents as one set.

    rows (Rows): counts by document and label.
    RETURNS (Score): the score.
    """
    return score(total(by_label(rows).values()))


def macro(rows: Rows) -> Score:
    """Average the scores of the labels, each weighing the same.

    rows (Rows): counts by document and label.
    RETURNS (Score): the mean over the labels that stand in gold or prediction, where what is undefined counts 0 (as
        seqeval's macro average with `zero_division=0`); all None where there is no label.
    """
    return _mean(by_label(rows).values(), lambda counts: 1)


def weighted(rows: Rows) -> Score:
    """Average the scores of the labels, each by its number of gold mentions.

    rows (Rows): counts by document and label.
    RETURNS (Score): the mean, where what is undefined counts 0 (as seqeval's weighted average with
        `zero_division=0`); all None where there is no gold mention.
    """
    return _mean(by_label(rows).values(), lambda counts: counts.gold)


def macro_by_document(rows: Rows) -> Score:
    """Average precision and recall over documents, as the script of i2b2 2014 does (Stubbs et al. 2015, JBI 58:S11).

    rows (Rows): counts by document and label.
    RETURNS (Score): mean precision, mean recall, and the harmonic mean of the two. A document whose precision (or
        recall) is undefined is left out of its mean, because a document without mentions is no error; the script of
        the challenge counts 0 there.
    """
    scores = [score(total(row.values())) for row in rows]
    ps_and_rs = [one.p for one in scores], [one.r for one in scores]
    p, r = (fmean(defined) if (defined := [one for one in ones if one is not None]) else None for ones in ps_and_rs)
    return Score(p, r, _harmonic(p, r))


def array(rows: Rows) -> np.ndarray:
    """Sum the labels of each document.

    rows (Rows): counts by document and label.
    RETURNS (np.ndarray): shape (documents, 4): right, predicted, found and gold of each document.
    """
    return np.array([total(row.values()) for row in rows], dtype=float).reshape(-1, 4)


def _harmonic(p: Optional[float], r: Optional[float]) -> Optional[float]:
    if p is None and r is None:
        return None
    return 2 * p * r / (p + r) if p and r else 0.0


def _mean(rows: Iterable[Counts], weight: Callable[[Counts], int]) -> Score:
    rows = list(rows)
    scores = [[value or 0.0 for value in score(counts)] for counts in rows]
    weights = [weight(counts) for counts in rows]
    if not sum(weights):
        return Score(None, None, None)
    return Score(*(float(value) for value in np.average(scores, axis=0, weights=weights)))
