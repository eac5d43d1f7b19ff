"""From logits to probabilities of labels, over one row or the rows of all windows, and the way back."""

from typing import Callable, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np
from scipy.special import expit, softmax

AGGREGATES = ("none", "mean", "readmission")
Backprop = Callable[[np.ndarray], np.ndarray]


class LabelGroup(NamedTuple):
    """Labels that are read together.

    name (str): its name; empty where all labels of a head are one group.
    columns (List[int]): the places of its labels among the model's outputs.
    exclusive (bool): whether just one of them holds; else each stands for itself.
    """

    name: str
    columns: List[int]
    exclusive: bool


def read_probabilities(
    logits: np.ndarray, groups: Sequence[LabelGroup], aggregate: str, temperatures: Mapping[str, float]
) -> Tuple[np.ndarray, Backprop]:
    """Read the probabilities of a document's labels: of each row by itself, then aggregated.

    logits (ndarray): shape (rows, labels), at least one row.
    groups (Sequence[LabelGroup]): they tile the labels.
    aggregate (str): see `combine`.
    temperatures (Mapping[str, float]): by group, what its logits are divided by (Guo et al. 2017, ICML); 1 where none
        is named.
    RETURNS (Tuple[ndarray, Callable]): the probabilities, shape (labels,), and what makes of their gradient that of the
        logits.
    """
    probabilities = np.empty(logits.shape[1])
    steps: List[Tuple[LabelGroup, float, np.ndarray, Backprop]] = []
    for group in groups:
        temperature = temperatures.get(group.name, 1.0)
        scaled = logits[:, group.columns].astype(np.float64) / temperature
        rows = softmax(scaled, axis=1) if group.exclusive else expit(scaled)
        probabilities[group.columns], back = combine(rows, aggregate, group.exclusive)
        steps.append((group, temperature, rows, back))

    def backprop(gradient: np.ndarray) -> np.ndarray:
        d_logits = np.zeros(logits.shape)
        for group, temperature, rows, back in steps:
            d_rows = back(gradient[group.columns])
            if group.exclusive:
                d_scaled = rows * (d_rows - (d_rows * rows).sum(axis=1, keepdims=True))
            else:
                d_scaled = rows * (1 - rows) * d_rows
            d_logits[:, group.columns] = d_scaled / temperature
        return d_logits

    return probabilities, backprop


def combine(rows: np.ndarray, aggregate: str, exclusive: bool) -> Tuple[np.ndarray, Backprop]:
    """Put the probabilities of windows together.

    rows (ndarray): shape (windows, labels).
    aggregate (str): "none" or "mean" for their mean; "readmission" for (max + sum / 2) / (1 + windows / 2), the rule of
        Huang et al. 2019, "ClinicalBERT: Modeling Clinical Notes and Predicting Hospital Readmission", equation 4 with
        c = 2: the most alarming window counts most, and the more the fewer there are.
    exclusive (bool): whether the labels exclude each other. The rule is one for a single label, yes or no: of such
        labels each is rated by it, and the ratings are divided by their sum.
    RETURNS (Tuple[ndarray, Callable]): the document's probabilities, shape (labels,), and what makes of their gradient
        that of the rows.
    """
    number = len(rows)
    if aggregate != "readmission":
        return rows.mean(axis=0), lambda gradient: np.repeat(gradient[None] / number, number, axis=0)
    scale = 1 + number / 2
    highest = rows.argmax(axis=0)
    columns = np.arange(rows.shape[1])
    rated = (rows[highest, columns] + rows.sum(axis=0) / 2) / scale
    total = rated.sum() if exclusive else 1.0
    shares = rated / total

    def backprop(gradient: np.ndarray) -> np.ndarray:
        d_rated = (gradient - gradient @ shares) / total if exclusive else gradient
        d_rows = np.repeat(d_rated[None] / (2 * scale), number, axis=0)
        d_rows[highest, columns] += d_rated / scale
        return d_rows

    return shares, backprop
