"""The labels of a classifier of texts: which exclude each other, what gold says of them, and the loss."""

from collections import Counter
from math import isnan
from typing import Dict, Iterable, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np
from spacy.tokens import Doc

from ..errors import ClinbertError
from ..models.window_probabilities import LabelGroup

# From here on a label holds, as spaCy's scorer of `doc.cats` has it.
THRESHOLD = 0.5
# Bounds the logarithm where a probability is 0 in float64.
SMALLEST = 1e-30


class GoldSurvey(NamedTuple):
    """What training documents say of labels.

    found (Counter): in how many documents each label holds; 0 for one that is judged and holds in none.
    documents (int): how many there are.
    unlabelled (int): those of which nothing is learned: no label holds that excludes others, or none is judged.
    contradictions (List[str]): those in which several labels of an exclusive group hold, by name or number.
    """

    found: "Counter[str]"
    documents: int
    unlabelled: int
    contradictions: List[str]


def check_groups(name: str, groups: Mapping[str, Sequence[str]]) -> None:
    """Raise the config error for groups that are no groups.

    name (str): the component; groups (Mapping[str, Sequence[str]]): exclusive labels by group.
    RAISES (ClinbertError): if a group has fewer than two labels, or a label stands twice.
    """
    small = next((group for group, labels in groups.items() if len(labels) < 2), None)
    if small is not None:
        raise ClinbertError(f"{name}: group {small!r} has fewer than two labels: give it two, of which one holds")
    label, times = next(iter(Counter(one for labels in groups.values() for one in labels).most_common(1)), ("", 1))
    if times > 1:
        raise ClinbertError(f"{name}: label {label!r} stands {times} times in groups: a label is in one group, once")


def make_groups(labels: Sequence[str], groups: Mapping[str, Sequence[str]], exclusive: bool) -> List[LabelGroup]:
    """Say how the outputs of a model are read.

    labels (Sequence[str]): the labels, in the order of the outputs.
    groups (Mapping[str, Sequence[str]]): exclusive labels by group; empty for one group of all.
    exclusive (bool): whether all labels exclude each other, where there are no groups.
    RETURNS (List[LabelGroup]): groups that tile the labels.
    """
    if not groups:
        return [LabelGroup("", list(range(len(labels))), exclusive)]
    place = {label: number for number, label in enumerate(labels)}
    return [LabelGroup(name, [place[label] for label in found], True) for name, found in groups.items()]


def gold_values(cats: Mapping[str, float], labels: Sequence[str], groups: Sequence[LabelGroup]) -> np.ndarray:
    """Say what gold judges.

    cats (Mapping[str, float]): the gold categories; as for spaCy, a label that is not named is not judged.
    labels (Sequence[str]), groups (Sequence[LabelGroup]): as in `make_groups`.
    RETURNS (ndarray): 1 or 0 for each label, NaN where it is not judged, shape (labels,). Of an exclusive group, either
        all labels are judged or none: those of a document in which none of its labels is said to hold are not.
    """
    values = np.array([cats.get(label, np.nan) for label in labels], dtype=np.float64)
    judged = np.where(np.isnan(values), np.nan, values >= THRESHOLD)
    for group in groups:
        if group.exclusive:
            one = np.nan_to_num(judged[group.columns])
            judged[group.columns] = one if one.sum() == 1 else np.nan
    return judged


def loss_and_gradient(
    probabilities: np.ndarray, gold: np.ndarray, groups: Sequence[LabelGroup]
) -> Tuple[float, np.ndarray]:
    """Cross-entropy of exclusive groups, and binary cross-entropy of each other label, summed.

    probabilities (ndarray): shape (labels,); gold (ndarray): see `gold_values`.
    groups (Sequence[LabelGroup]): as in `make_groups`.
    RETURNS (Tuple[float, ndarray]): the loss, and its gradient by the probabilities: zeros where nothing is judged.
    """
    loss, gradient = 0.0, np.zeros(len(probabilities))
    for group in groups:
        found, truth = probabilities[group.columns], gold[group.columns]
        known = ~np.isnan(truth)
        if group.exclusive and known.all():
            bounded = np.maximum(found, SMALLEST)
            loss -= float(truth @ np.log(bounded))
            gradient[group.columns] = -truth / bounded
        elif not group.exclusive:
            found, truth = found[known], truth[known]
            right = np.where(truth == 1, found, 1 - found)
            loss -= float(np.log(np.maximum(right, SMALLEST)).sum())
            gradient[np.array(group.columns)[known]] = np.where(truth == 1, -1, 1) / np.maximum(right, SMALLEST)
    return loss, gradient


def count_decisions(gold: np.ndarray, groups: Sequence[LabelGroup]) -> int:
    """Count what gold decides in a document: one for a judged exclusive group, one for each other judged label."""
    known = ~np.isnan(gold)
    return sum(int(known[g.columns].all()) if g.exclusive else int(known[g.columns].sum()) for g in groups)


def survey_gold(docs: Iterable[Doc], groups: Mapping[str, Sequence[str]], exclusive: bool) -> GoldSurvey:
    """Look through training documents.

    docs (Iterable[Doc]): the gold Docs.
    groups (Mapping[str, Sequence[str]]), exclusive (bool): as in `make_groups`.
    RETURNS (GoldSurvey): what they say.
    """
    found: Counter[str] = Counter()
    number = unlabelled = 0
    contradictions: List[str] = []
    for number, doc in enumerate(docs, start=1):
        found.update({label: int(value >= THRESHOLD) for label, value in doc.cats.items()})
        true = {label for label, value in doc.cats.items() if value >= THRESHOLD}
        together: List[Sequence[str]] = list(groups.values()) if groups else [list(true)] if exclusive else []
        learned = [one for labels in together for one in true.intersection(labels)]
        unlabelled += not learned if groups or exclusive else all(map(isnan, doc.cats.values()))
        if any(len(true.intersection(labels)) > 1 for labels in together):
            contradictions.append(str(doc.user_data.get("clinbert_id", f"number {number}")))
    return GoldSurvey(found, number, unlabelled, contradictions)


def cats_of(probabilities: np.ndarray, labels: Sequence[str]) -> Dict[str, float]:
    """Make `doc.cats` of the probabilities of labels."""
    return {label: float(value) for label, value in zip(labels, probabilities)}
