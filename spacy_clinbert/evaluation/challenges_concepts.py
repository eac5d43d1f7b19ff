"""The scores of the challenges on concepts, events and medication: i2b2 2010 and 2012, n2c2 2018 track 2."""

from collections.abc import Sequence
from operator import eq
from typing import Callable, Dict, List, Set, Tuple

from ..corpora.paper_lines import Bounds
from ..corpora.records import Mention
from .counts import Counts, Rows, total
from .matching import assign, assigned_rows, bounds, exact_rows, overlap, pair_row
from .scored import ScoredDoc


def i2b2_2010(docs: Sequence[ScoredDoc]) -> Dict[str, Rows]:
    """Count as i2b2 2010 (Uzuner et al. 2011, JAMIA 18:552): exact, and inexact, where concepts of the same class
    overlap.

    How the challenge's evaluator counts one concept that overlaps several is not published; we pair one to one, as many
    pairs as there can be.

    docs (Sequence[ScoredDoc]): documents.
    RETURNS (Dict[str, Rows]): "exact" and "inexact".
    """
    return {"exact": exact_rows(docs), "inexact": assigned_rows(docs, _same_class_overlap)}


def i2b2_2012(docs: Sequence[ScoredDoc]) -> Dict[str, Rows]:
    """Count as i2b2 2012 (Sun, Rumshisky and Uzuner 2013, JAMIA 20:806): spans of events, which match where they
    overlap, whatever their type; then how many of the gold events with a match have the right type.

    Its script (eventEvaluation.py) pairs one to one, exact spans first, then rather events of the same attributes. It
    leaves unmatched an inexact pair that shares neither type nor polarity nor modality; not knowing the latter two, we
    match it.

    docs (Sequence[ScoredDoc]): documents with events.
    RETURNS (Dict[str, Rows]): "span", and "type", whose precision, recall and F1 are all the accuracy of the type.
    """
    spans, types = [], []
    for doc in docs:
        pairs = [(doc.gold[i].label, doc.predicted[j].label) for i, j in assign(doc.gold, doc.predicted, _event_match)]
        spans.append(pair_row(pairs, (one.label for one in doc.gold), (one.label for one in doc.predicted)))
        by_type: Dict[str, List[Counts]] = {}
        for gold, predicted in pairs:
            right = int(gold == predicted)
            by_type.setdefault(gold, []).append(Counts(right, 1, right, 1))
        types.append({label: total(by_type[label]) for label in sorted(by_type)})
    return {"span": spans, "type": types}


def n2c2_2018(docs: Sequence[ScoredDoc]) -> Dict[str, Rows]:
    """Count as n2c2 2018 track 2 (Henry et al. 2020, JAMIA 27:3): strict, same bounds and type, and lenient, same type
    and overlapping.

    As in the challenge's script, a mention reaches from the start of its first fragment to the end of its last; a
    prediction that matches a gold mention that an earlier one has matched is left out, neither right nor wrong; and one
    that matches several gold mentions finds one of them.

    docs (Sequence[ScoredDoc]): documents, their predictions in the order in which they would be written.
    RETURNS (Dict[str, Rows]): "strict" and "lenient".
    """
    return {
        "strict": [_scripted(doc, eq) for doc in docs],
        "lenient": [_scripted(doc, _meet) for doc in docs],
    }


def _same_class_overlap(gold: Mention, predicted: Mention) -> float:
    return float(gold.label == predicted.label and overlap(gold, predicted) > 0)


def _event_match(gold: Mention, predicted: Mention) -> float:
    if not overlap(gold, predicted):
        return 0.0
    return 1e3 + 1e6 * (bounds(gold) == bounds(predicted)) + (gold.label == predicted.label)


def _meet(gold: Bounds, predicted: Bounds) -> bool:
    return gold[0] < predicted[1] and predicted[0] < gold[1]


def _scripted(doc: ScoredDoc, match: Callable[[Bounds, Bounds], bool]) -> Dict[str, Counts]:
    matched: Set[int] = set()
    kept: List[Mention] = []
    right: List[str] = []
    by_label: Dict[str, List[Tuple[int, Bounds]]] = {}
    for i, gold in enumerate(doc.gold):
        by_label.setdefault(gold.label, []).append((i, bounds(gold)))
    for predicted in doc.predicted:
        place = bounds(predicted)
        matches = {i for i, other in by_label.get(predicted.label, ()) if match(other, place)}
        if not matches & matched:
            kept.append(predicted)
            right += [predicted.label] * bool(matches)
        matched |= matches
    labels = [(label, label) for label in right]
    return pair_row(labels, (one.label for one in doc.gold), (one.label for one in kept))
