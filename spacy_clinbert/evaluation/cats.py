"""Scores of labels of whole documents: accuracy, and counts by label for precision, recall and F1."""

from collections.abc import Mapping, Sequence
from typing import Dict, List, NamedTuple, Optional, Set

from .counts import Counts, Rows

Cats = Mapping[str, float]
# A label that may stand beside others is given from this score on, as spaCy's scorer of `doc.cats` has it.
THRESHOLD = 0.5


class CatsScore(NamedTuple):
    """How labels of documents agree.

    rows (Rows): counts by document and label.
    accuracy (Optional[float]): share of documents with the right label; where labels stand beside each other, share of
        right decisions over all documents and labels, where silence is no decision. None where nothing is to decide.
    exclusive (bool): whether each document has just one label.
    """

    rows: Rows
    accuracy: Optional[float]
    exclusive: bool


def score_cats(gold: Sequence[Cats], predicted: Sequence[Cats]) -> CatsScore:
    """Score labels of documents.

    gold (Sequence[Cats]): for each document 1.0 or 0.0 by label; a label that is not named is not judged, nor is a
        document without any.
    predicted (Sequence[Cats]): scores by label. Of labels that exclude each other the highest score counts.
    RETURNS (CatsScore): the score.
    """
    exclusive = all(sum(value >= THRESHOLD for value in cats.values()) == 1 for cats in gold if cats)
    rows: List[Dict[str, Counts]] = []
    right = decisions = 0
    for truth, found in zip(gold, predicted):
        if not truth:
            rows.append({})
            continue
        true = {label for label, value in truth.items() if value >= THRESHOLD}
        given = _given(truth, found, exclusive)
        rows.append(
            {
                label: Counts(
                    int(label in true & given), int(label in given), int(label in true & given), int(label in true)
                )
                for label in sorted(true | given)
            }
        )
        right += (
            true == given
            if exclusive
            else sum(label in found and (label in true) == (label in given) for label in truth)
        )
        decisions += 1 if exclusive else len(truth)
    return CatsScore(rows, right / decisions if decisions else None, exclusive)


def _given(truth: Cats, found: Cats, exclusive: bool) -> Set[str]:
    if exclusive:
        return {max(found, key=lambda label: found[label])} if found else set()
    return {label for label, value in found.items() if label in truth and value >= THRESHOLD}
