"""Which predicted mention stands for which gold mention."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Callable, Dict, List, Tuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..corpora.records import Mention
from .counts import Counts, Rows
from .scored import ScoredDoc

# How well a gold and a predicted mention go together; 0 not at all.
Weight = Callable[[Mention, Mention], float]


def exact_rows(docs: Sequence[ScoredDoc]) -> Rows:
    """Count exact matches: same fragments and same label, one to one, so that repeated mentions count as often.

    docs (Sequence[ScoredDoc]): documents.
    RETURNS (Rows): counts by document and label; equal to seqeval's strict IOB2 where mentions are unbroken and
        disjoint.
    """
    return [key_row(map(exact_key, doc.gold), map(exact_key, doc.predicted)) for doc in docs]


def token_rows(docs: Sequence[ScoredDoc]) -> Rows:
    """Count tokens: one that a gold mention touches is found if a predicted mention of the same label touches it.

    docs (Sequence[ScoredDoc]): documents with tokens; a token touched by mentions of several labels counts for each.
    RETURNS (Rows): counts of tokens by document and label.
    RAISES (ValueError): if a document with mentions has no tokens.
    """
    return [key_row(_tokens(doc, doc.gold), _tokens(doc, doc.predicted)) for doc in docs]


def assigned_rows(docs: Sequence[ScoredDoc], weight: Weight) -> Rows:
    """Count matches of a looser kind, one to one, as many as there can be.

    docs (Sequence[ScoredDoc]): documents.
    weight (Weight): above 0 if a gold and a predicted mention match.
    RETURNS (Rows): counts by document and label: what is right under the predicted label, what is found under gold's.
    """
    rows = []
    for doc in docs:
        pairs = assign(doc.gold, doc.predicted, weight)
        labels = [(doc.gold[i].label, doc.predicted[j].label) for i, j in pairs]
        rows.append(pair_row(labels, (one.label for one in doc.gold), (one.label for one in doc.predicted)))
    return rows


def assign(gold: Sequence[Mention], predicted: Sequence[Mention], weight: Weight) -> List[Tuple[int, int]]:
    """Pair gold with predicted mentions one to one, so that the pairs' weights sum to the most.

    gold (Sequence[Mention]), predicted (Sequence[Mention]): mentions.
    weight (Weight): how well a gold and a predicted mention go together.
    RETURNS (List[Tuple[int, int]]): indices of the pairs, of mentions whose stretches of text meet, in order.
    """
    pairs = []
    for group in _groups([*gold, *predicted]):
        left = [i for i in group if i < len(gold)]
        right = [i - len(gold) for i in group if i >= len(gold)]
        weights = np.array([[weight(gold[i], predicted[j]) for j in right] for i in left]).reshape(
            len(left), len(right)
        )
        for row, column in zip(*linear_sum_assignment(weights, maximize=True)):
            if weights[row, column] > 0:
                pairs.append((left[row], right[column]))
    return sorted(pairs)


def exact_key(mention: Mention) -> Tuple[str, object]:
    """What two mentions must share to match exactly: label and fragments."""
    return mention.label, tuple(sorted(mention.fragments))


def overlap(first: Mention, second: Mention) -> int:
    """The number of characters that two mentions share."""
    return sum(max(0, min(a[1], b[1]) - max(a[0], b[0])) for a in set(first.fragments) for b in set(second.fragments))


def bounds(mention: Mention) -> Tuple[int, int]:
    """Where a mention starts and ends, whatever lies between its fragments."""
    return min(start for start, _ in mention.fragments), max(end for _, end in mention.fragments)


def key_row(gold: Iterable[Tuple[str, object]], predicted: Iterable[Tuple[str, object]]) -> Dict[str, Counts]:
    """Count keys that gold and prediction share.

    gold (Iterable[Tuple[str, object]]), predicted (Iterable[Tuple[str, object]]): keys, the label first.
    RETURNS (Dict[str, Counts]): counts by label.
    """
    gold, predicted = Counter(gold), Counter(predicted)
    common = [(label, label) for label, _ in (gold & predicted).elements()]
    return pair_row(common, (label for label, _ in gold.elements()), (label for label, _ in predicted.elements()))


def pair_row(pairs: Iterable[Tuple[str, str]], gold: Iterable[str], predicted: Iterable[str]) -> Dict[str, Counts]:
    """Count pairs by label.

    pairs (Iterable[Tuple[str, str]]): gold and predicted label of each pair.
    gold (Iterable[str]), predicted (Iterable[str]): the labels of all mentions.
    RETURNS (Dict[str, Counts]): counts by label.
    """
    pairs = list(pairs)
    right, found = Counter(label for _, label in pairs), Counter(label for label, _ in pairs)
    all_predicted, all_gold = Counter(predicted), Counter(gold)
    labels = sorted({*all_gold, *all_predicted})
    return {label: Counts(right[label], all_predicted[label], found[label], all_gold[label]) for label in labels}


def _groups(mentions: Sequence[Mention]) -> Iterator[List[int]]:
    """Indices of mentions whose stretches of text hang together: no pair lies in two groups."""
    group: List[int] = []
    reach = 0
    for place, i in sorted((bounds(mention), i) for i, mention in enumerate(mentions)):
        if group and place[0] >= reach:
            yield group
            group, reach = [], 0
        group.append(i)
        reach = max(reach, place[1])
    if group:
        yield group


def _tokens(doc: ScoredDoc, mentions: Sequence[Mention]) -> List[Tuple[str, object]]:
    if mentions and not doc.tokens:
        raise ValueError(f"document {doc.id} has no tokens to score by")
    starts, ends = [start for start, _ in doc.tokens], [end for _, end in doc.tokens]
    touched = {
        (mention.label, i)
        for mention in mentions
        for start, end in mention.fragments
        for i in range(bisect_right(ends, start), bisect_left(starts, end))
    }
    return list(touched)
