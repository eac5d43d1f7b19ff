"""`spacy_clinbert.cats_scorer.v1`: labels of whole documents scored, those in groups group by group."""

import warnings
from math import isnan
from statistics import fmean
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence

from spacy import registry
from spacy.scorer import Scorer
from spacy.tokens import Doc
from spacy.training import Example

from ..models.window_probabilities import LabelGroup
from .cats import THRESHOLD, score_cats
from .counts import macro, micro

NAMES = ("cats_score", "cats_score_desc", "cats_micro_f", "cats_macro_f", "cats_macro_auc")


@registry.scorers("spacy_clinbert.cats_scorer.v1")
def make_cats_scorer() -> Callable:
    """Make the scorer.

    RETURNS (Callable): scores examples; see `score_categories`.
    """
    return score_categories


def score_categories(
    examples: Iterable[Example],
    *,
    labels: Sequence[str],
    groups: Optional[Sequence[LabelGroup]] = None,
    threshold: float = THRESHOLD,
    **kwargs: Any,
) -> Dict[str, Any]:
    """Score `doc.cats`.

    A class that the component does not know is never found, and its documents are wrong, not left out: a warning
    counts them. A document without gold of a group is left out of the group.

    examples (Iterable[Example]): predicted and gold Docs.
    labels (Sequence[str]): the component's labels.
    groups (Optional[Sequence[LabelGroup]]): how it reads them; None where each label stands for itself.
    threshold (float): the score from which on a label that stands for itself is given.
    RETURNS (Dict[str, Any]): for labels without groups, what `Scorer.score_cats` returns. For groups:
        `cats_micro_f`, the share of right decisions over all documents and groups; `cats_macro_f` and `cats_score`, the
        mean over the groups of the macro F1 of the labels that stand in gold or prediction; and `cats_per_group`, with
        both for each group. All None where there is no gold.
    """
    examples = [example for example in examples if example.reference.cats]
    groups = groups or [LabelGroup("", list(range(len(labels))), False)]
    if not examples:
        return dict.fromkeys(NAMES)
    if len(groups) > 1 or groups[0].name:
        # Beside them there may be labels of other questions, such as the intuitive judgements beside the textual ones.
        return _score_groups(examples, labels, groups)
    unknown = [_unknown(example, set(labels)) for example in examples]
    if any(unknown):
        number = sum(map(bool, unknown))
        shown = ", ".join(sorted(set().union(*unknown))[:10])
        warnings.warn(
            f"{number} of {len(examples)} documents have gold labels that were not seen in training and cannot be "
            f"found: {shown}",
            stacklevel=2,
        )
    exclusive = groups[0].exclusive
    if exclusive:
        # spaCy takes a document of which no known label holds for one of the first.
        examples = [one for one in examples if any(value >= THRESHOLD for value in one.reference.cats.values())]
        labels = sorted({*labels}.union(*unknown))
    golds = {id(example.reference) for example in examples}

    def read(doc: Doc, attr: str) -> Dict[str, float]:
        # spaCy takes any gold above 0 for a label that holds, and one that is no number for one that does not.
        return _judged(doc.cats) if id(doc) in golds else doc.cats

    return Scorer.score_cats(
        examples,
        "cats",
        getter=read,
        labels=labels,
        multi_label=not exclusive,
        threshold=None if exclusive else threshold,
    )


def _score_groups(examples: List[Example], labels: Sequence[str], groups: Sequence[LabelGroup]) -> Dict[str, Any]:
    per_group: Dict[str, Dict[str, Optional[float]]] = {}
    right = decisions = 0
    for group in groups:
        members = [labels[column] for column in group.columns]
        gold, predicted = ([_by_place(doc.cats, members) for doc in docs] for docs in _sides(examples))
        judged = [cats if sum(value >= THRESHOLD for value in cats.values()) == 1 else {} for cats in gold]
        found = score_cats(judged, predicted)
        number = sum(map(bool, judged))
        right, decisions = right + round((found.accuracy or 0.0) * number), decisions + number
        per_group[group.name] = {"micro_f": micro(found.rows).f, "macro_f": macro(found.rows).f}
    macros = [one["macro_f"] for one in per_group.values() if one["macro_f"] is not None]
    mean = fmean(macros) if macros else None
    return {
        **dict.fromkeys(NAMES),
        "cats_score": mean,
        "cats_score_desc": "mean of the groups' macro F",
        "cats_micro_f": right / decisions if decisions else None,
        "cats_macro_f": mean,
        "cats_per_group": per_group,
    }


def _sides(examples: List[Example]) -> Any:
    return [example.reference for example in examples], [example.predicted for example in examples]


def _by_place(cats: Dict[str, float], labels: Sequence[str]) -> Dict[str, float]:
    """The labels of a group by their number: names such as ">=30" would be read as groups of their own."""
    return {str(place): cats[label] for place, label in enumerate(labels) if label in cats}


def _judged(cats: Dict[str, float]) -> Dict[str, float]:
    return {label: float(value >= THRESHOLD) for label, value in cats.items() if not isnan(value)}


def _unknown(example: Example, labels: "set[str]") -> "set[str]":
    return {label for label, value in example.reference.cats.items() if value >= THRESHOLD and label not in labels}
