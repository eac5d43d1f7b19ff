"""Exact matching is seqeval's strict IOB2 where that is defined; assignments are one to one and the best there are."""

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_docs import any_doc, disjoint_mentions, mentions, scored
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support
from seqeval.metrics.v1 import precision_recall_fscore_support as strict_support
from seqeval.scheme import IOB2

from spacy_clinbert.evaluation.counts import Counts, by_label, macro, micro, weighted
from spacy_clinbert.evaluation.matching import assign, assigned_rows, exact_rows, overlap, token_rows
from spacy_clinbert.evaluation.scored import ScoredDoc
from spacy_clinbert.evaluation.seqeval import tag_pieces


@given(st.lists(st.tuples(disjoint_mentions(), disjoint_mentions()), min_size=1, max_size=4))
def test_exact_matching_is_seqevals_strict_iob2(pairs):
    docs = [ScoredDoc("d", gold, predicted) for gold, predicted in pairs]
    rows = exact_rows(docs)
    tagged = [
        tag_pieces(*([(*one.fragments[0], one.label, True) for one in side] for side in (doc.gold, doc.predicted)))
        for doc in docs
    ]
    gold, predicted = [pair[0] for pair in tagged], [pair[1] for pair in tagged]
    if not by_label(rows):
        return
    for average, ours in (("micro", micro), ("macro", macro), ("weighted", weighted)):
        theirs = strict_support(gold, predicted, average=average, scheme=IOB2, zero_division=0)[:3]
        assert [value or 0.0 for value in ours(rows)] == pytest.approx([float(value) for value in theirs])
        lenient = precision_recall_fscore_support(gold, predicted, average=average, zero_division=0)[:3]
        assert theirs == lenient


def test_exact_matching_by_hand():
    """Repeated mentions count as often as they are repeated, and fragments must all be the same."""
    doc = scored("a 0-4; a 0-4; b 6-8,10-12; c 6-12", "a 0-4; a 0-4; a 0-4; b 10-12,6-8; b 6-12")
    assert exact_rows([doc]) == [{"a": Counts(2, 3, 2, 2), "b": Counts(1, 2, 1, 1), "c": Counts(0, 0, 0, 1)}]


def test_nothing_is_no_error():
    assert exact_rows([scored("", ""), scored("", "a 0-1")]) == [{}, {"a": Counts(0, 1, 0, 0)}]
    assert token_rows([scored("", "")]) == [{}]


def test_tokens_by_hand():
    """Tokens 0–3, 4–6, 6–7, 8–12; gold a touches the first two (the second in part), predicted a the second and third;
    b gold and predicted touch the last, by two mentions that count once."""
    tokens = ((0, 3), (4, 6), (6, 7), (8, 12))
    doc = scored("a 0-5; b 8-10; b 10-12", "a 4-7; b 9-10; c 8-12", tokens=tokens)
    assert token_rows([doc]) == [{"a": Counts(1, 2, 1, 2), "b": Counts(1, 1, 1, 1), "c": Counts(0, 1, 0, 0)}]


def test_mentions_need_tokens():
    with pytest.raises(ValueError, match="document d has no tokens"):
        token_rows([scored("a 0-1", "")])


def test_as_many_pairs_as_there_can_be():
    """Pairing the predicted mention with what it shares most text with would leave the other two alone."""
    gold, predicted = mentions("a 0-10", "a 10-12"), mentions("a 5-12", "a 0-4")
    assert assign(gold, predicted, overlap) == [(0, 1), (1, 0)]
    assert assigned_rows([ScoredDoc("d", gold, predicted)], overlap) == [{"a": Counts(2, 2, 2, 2)}]


def test_a_looser_match_counts_under_the_label_of_each_side():
    assert assigned_rows([scored("a 0-4", "b 2-6")], overlap) == [{"a": Counts(0, 0, 1, 1), "b": Counts(1, 1, 0, 0)}]


@settings(max_examples=60)
@given(any_doc())
def test_an_assignment_is_one_to_one_and_the_best(doc):
    pairs = assign(doc.gold, doc.predicted, overlap)
    for side in zip(*pairs):
        assert len(set(side)) == len(side)
    assert all(overlap(doc.gold[i], doc.predicted[j]) for i, j in pairs)
    few, many = sorted((doc.gold, doc.predicted), key=len)
    best = max(sum(map(overlap, few, order)) for order in permutations(many, len(few)))
    assert sum(overlap(doc.gold[i], doc.predicted[j]) for i, j in pairs) == best
