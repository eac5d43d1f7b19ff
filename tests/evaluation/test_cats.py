"""Scores of labels of whole documents, by hand and against scikit-learn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from spacy_clinbert.evaluation.cats import score_cats
from spacy_clinbert.evaluation.counts import by_label, macro, micro, score

LABELS = ("a", "b", "c")


def one_hot(label: str) -> dict[str, float]:
    return {one: float(one == label) for one in LABELS}


@given(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1))
def test_labels_that_exclude_each_other(pairs: list[tuple[str, str]]) -> None:
    gold, predicted = zip(*pairs)
    found = score_cats([one_hot(one) for one in gold], [one_hot(one) for one in predicted])
    assert found.exclusive and found.accuracy == pytest.approx(accuracy_score(gold, predicted))
    assert micro(found.rows).f == pytest.approx(found.accuracy)
    present = sorted({*gold, *predicted})
    expected = f1_score(gold, predicted, average="macro", labels=present, zero_division=0)
    assert macro(found.rows).f == pytest.approx(expected)


@given(st.lists(st.tuples(*[st.tuples(st.booleans(), st.booleans())] * 3), min_size=1))
def test_labels_beside_each_other(docs: list) -> None:
    gold = [{label: float(pair[0]) for label, pair in zip(LABELS, doc)} for doc in docs]
    predicted = [{label: 0.9 if pair[1] else 0.1 for label, pair in zip(LABELS, doc)} for doc in docs]
    # A document without any label: they do not exclude each other.
    found = score_cats([*gold, dict.fromkeys(LABELS, 0.0)], [*predicted, dict.fromkeys(LABELS, 0.0)])
    agreed = sum(one == other for doc in docs for one, other in doc)
    assert not found.exclusive and found.accuracy == pytest.approx((agreed + 3) / (3 * len(docs) + 3))
    for place, label in enumerate(LABELS):
        truth, guess = zip(*(doc[place] for doc in docs))
        counts = by_label(found.rows).get(label)
        if counts:
            assert score(counts).f == pytest.approx(f1_score(truth, guess, zero_division=0))


def test_the_highest_score_counts_and_silence_is_wrong() -> None:
    found = score_cats([one_hot("a"), one_hot("b")], [{"a": 0.3, "b": 0.2}, {}])
    assert (found.accuracy, micro(found.rows).p) == (0.5, 1.0)


def test_a_label_that_the_gold_does_not_name_is_not_judged() -> None:
    found = score_cats([{"a": 1.0, "b": 1.0}, {"a": 0.0}], [{"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0}])
    assert not found.exclusive and found.accuracy == pytest.approx(2 / 3)
    assert by_label(found.rows)["b"].predicted == 0


def test_a_pipeline_that_says_nothing_decides_nothing() -> None:
    """Else a pipeline without categories would be right on every label that is not given."""
    found = score_cats([{"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 0.0}], [{}, {}])
    assert not found.exclusive and found.accuracy == 0.0


def test_a_document_without_gold_is_not_judged() -> None:
    found = score_cats([one_hot("a"), {}], [one_hot("a"), one_hot("b")])
    assert found.exclusive and (found.accuracy, found.rows[1]) == (1.0, {})
