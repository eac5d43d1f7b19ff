"""Errors by kind: what became of each mention that is not right."""

from collections import Counter
from collections.abc import Sequence
from typing import Callable, Dict, List, NamedTuple, Optional

from ..corpora.records import Mention
from .matching import assign, bounds, exact_key, overlap
from .scored import ScoredDoc

KINDS = ("type", "bounds", "type and bounds", "missed", "spurious")


class Error(NamedTuple):
    """A mention that is not right.

    Errors with gold are the false negatives of exact matching, those with a prediction its false positives.

    doc (str): the document's name.
    kind (str): one of `KINDS`.
    gold (Optional[Mention]): the gold mention; None where the prediction is spurious.
    predicted (Optional[Mention]): the predicted mention; None where the gold mention is missed.
    """

    doc: str
    kind: str
    gold: Optional[Mention]
    predicted: Optional[Mention]

    @property
    def mention(self) -> Mention:
        """The gold mention, or else the predicted one: its label and place are the error's."""
        one = self.gold or self.predicted
        assert one is not None
        return one


def find_errors(docs: Sequence[ScoredDoc]) -> List[Error]:
    """Say what became of each gold and each predicted mention that has no exact match.

    Gold and predicted mentions that share text are paired one to one: rather the same bounds than the same label,
    rather the same label than another, rather more shared text than less. What has no partner is missed or spurious.

    docs (Sequence[ScoredDoc]): documents.
    RETURNS (List[Error]): the errors, in the order of the documents and of their text.
    """
    errors: List[Error] = []
    for doc in docs:
        gold, predicted = _unmatched(doc.gold, doc.predicted), _unmatched(doc.predicted, doc.gold)
        pairs = assign(gold, predicted, _closeness)
        found = [Error(doc.id, _kind(gold[i], predicted[j]), gold[i], predicted[j]) for i, j in pairs]
        paired_gold, paired_predicted = {i for i, _ in pairs}, {j for _, j in pairs}
        found += [Error(doc.id, "missed", one, None) for i, one in enumerate(gold) if i not in paired_gold]
        found += [Error(doc.id, "spurious", None, one) for j, one in enumerate(predicted) if j not in paired_predicted]
        errors += sorted(found, key=lambda error: bounds(error.mention))
    return errors


def count_errors(errors: Sequence[Error], category: Callable[[str, int], str]) -> Dict[str, Dict[str, Dict[str, int]]]:
    """Count errors by kind, for each label and for each section category.

    errors (Sequence[Error]): the errors.
    category (Callable[[str, int], str]): from a document's name and a character to the category of the section there.
    RETURNS (Dict[str, Dict[str, Dict[str, int]]]): for "labels" and "sections", by name, the number of each kind; an
        error stands where its gold mention starts, a spurious one where it starts itself.
    """
    labels: Dict[str, Counter] = {}
    sections: Dict[str, Counter] = {}
    for error in errors:
        section = category(error.doc, bounds(error.mention)[0])
        labels.setdefault(error.mention.label, Counter())[error.kind] += 1
        sections.setdefault(section, Counter())[error.kind] += 1
    return {
        name: {key: {kind: table[key][kind] for kind in KINDS} for key in sorted(table)}
        for name, table in (("labels", labels), ("sections", sections))
    }


def _unmatched(mentions: Sequence[Mention], others: Sequence[Mention]) -> List[Mention]:
    left = Counter(map(exact_key, others))
    unmatched = []
    for mention in mentions:
        if left[exact_key(mention)]:
            left[exact_key(mention)] -= 1
        else:
            unmatched.append(mention)
    return unmatched


def _kind(gold: Mention, predicted: Mention) -> str:
    if exact_key(gold)[1] == exact_key(predicted)[1]:
        return "type"
    return "bounds" if gold.label == predicted.label else "type and bounds"


def _closeness(gold: Mention, predicted: Mention) -> float:
    shared = overlap(gold, predicted)
    if not shared:
        return 0.0
    share = shared / (overlap(gold, gold) + overlap(predicted, predicted) - shared)
    return 1e6 * (exact_key(gold)[1] == exact_key(predicted)[1]) + 1e3 * (gold.label == predicted.label) + share
