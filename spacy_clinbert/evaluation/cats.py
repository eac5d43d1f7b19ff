"""Scores of labels of whole documents: accuracy, and counts by label for precision, recall and F1.

Labels named `group=value`, as those of i2b2 2008 (`textual:Asthma=Y`), are groups: of each, one label holds.
"""

from collections.abc import Mapping, Sequence
from typing import Dict, List, NamedTuple, Optional, Set

from .counts import Counts, Rows, total

Cats = Mapping[str, float]
# A label that may stand beside others is given from this score on, as spaCy's scorer of `doc.cats` has it.
THRESHOLD = 0.5
# In names of labels: source:group=value.
SOURCE, SIGN = ":", "="


class CatsScore(NamedTuple):
    """How labels of documents agree.

    rows (Rows): counts by document and label.
    accuracy (Optional[float]): share of documents with the right label; of groups, share of right labels over all
        documents and groups; where labels stand beside each other, share of right decisions over all documents and
        labels, where silence is no decision. None where nothing is to decide.
    exclusive (bool): whether each document, or each group that is judged in it, has just one label.
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
    if all(SIGN in label for cats in gold for label in cats) and any(gold):
        return _score_groups(gold, predicted)
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


def score_values(gold: Sequence[Cats], predicted: Sequence[Cats]) -> Dict[str, Rows]:
    """Count by value over all groups, for each source: the classes of i2b2 2008 (Uzuner 2009) over its diseases.

    gold (Sequence[Cats]), predicted (Sequence[Cats]): as in `score_cats`, their labels `source:group=value`.
    RETURNS (Dict[str, Rows]): by source, the counts by document and value; empty where labels are not named so. A
        source of which nothing is predicted is left out: the pipeline does not answer it.
    """
    labels = {label for cats in gold for label in cats}
    if not all(SOURCE in label and SIGN in label for label in labels):
        return {}
    rows: Dict[str, Rows] = {}
    for source in sorted({label.partition(SOURCE)[0] for label in labels}):
        sides = [[_of_source(cats, source) for cats in one] for one in (gold, predicted)]
        if any(sides[1]):
            rows[source] = [_by_value(row) for row in score_cats(*sides).rows]
    return rows


def _of_source(cats: Cats, source: str) -> Dict[str, float]:
    return {label: value for label, value in cats.items() if label.partition(SOURCE)[0] == source}


def _by_value(row: Mapping[str, Counts]) -> Dict[str, Counts]:
    values = {label.rpartition(SIGN)[2] for label in row}
    return {
        value: total(counts for label, counts in row.items() if label.rpartition(SIGN)[2] == value)
        for value in sorted(values)
    }


def _score_groups(gold: Sequence[Cats], predicted: Sequence[Cats]) -> CatsScore:
    rows: List[Dict[str, Counts]] = []
    right = decisions = 0
    exclusive = True
    for truth, found in zip(gold, predicted):
        row: Dict[str, Counts] = {}
        for group in sorted({label.rpartition(SIGN)[0] for label in truth}):
            members = [{k: v for k, v in cats.items() if k.rpartition(SIGN)[0] == group} for cats in (truth, found)]
            of_group = score_cats([dict(_valued(members[0]))], [dict(_valued(members[1]))])
            exclusive &= of_group.exclusive
            right, decisions = right + round(of_group.accuracy or 0), decisions + 1
            row |= {f"{group}{SIGN}{value}": counts for value, counts in of_group.rows[0].items()}
        rows.append(row)
    return CatsScore(rows, right / decisions if decisions else None, exclusive)


def _valued(cats: Cats) -> "list[tuple[str, float]]":
    return [(label.rpartition(SIGN)[2], value) for label, value in cats.items()]


def _given(truth: Cats, found: Cats, exclusive: bool) -> Set[str]:
    if exclusive:
        return {max(found, key=lambda label: found[label])} if found else set()
    return {label for label, value in found.items() if label in truth and value >= THRESHOLD}
