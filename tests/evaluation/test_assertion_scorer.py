"""The scorer of assertions: its numbers on cases worked out by hand, and scikit-learn's where entities are given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_clinbert.evaluation.assertion_scorer import gold_assertions, make_assertion_scorer, score_assertions

VOCAB = Vocab()
CLASSES = st.sampled_from(["present", "absent", "possible"])


def make_gold(assertions, label="problem"):
    """A Doc of one-letter words whose first ones are mentions with these assertions; "" where nothing is asserted."""
    doc = Doc(VOCAB, words=["a"] * 8)
    doc.user_data["clinbert_gold"] = tuple((((2 * i, 2 * i + 1),), label) for i in range(len(assertions)))
    doc.user_data["clinbert_assertions"] = tuple(assertions)
    return doc


def make_predicted(assertions, label="problem", key="clinbert_assertion"):
    """A Doc likewise; None where no entity was found."""
    doc = Doc(VOCAB, words=["a"] * 8)
    spans = [Span(doc, i, i + 1, label=label) for i, one in enumerate(assertions) if one is not None]
    attrs = {"assertions": [one for one in assertions if one is not None]}
    doc.spans[key] = SpanGroup(doc, name=key, spans=spans, attrs=attrs)
    return doc


@given(st.lists(st.lists(st.tuples(CLASSES, CLASSES), min_size=1, max_size=8), min_size=1, max_size=3))
def test_given_entities_it_is_scikit_learns_micro_and_macro_f1(docs):
    examples = [Example(make_predicted([p for _, p in pairs]), make_gold([g for g, _ in pairs])) for pairs in docs]
    scores = score_assertions(examples)
    gold, predicted = ([pair[i] for pairs in docs for pair in pairs] for i in (0, 1))
    assert scores["assertion_f"] == pytest.approx(f1_score(gold, predicted, average="micro"))
    assert scores["assertion_macro_f"] == pytest.approx(f1_score(gold, predicted, average="macro", zero_division=0))
    names = sorted({*gold, *predicted})
    by_class = f1_score(gold, predicted, average=None, labels=names, zero_division=0)
    assert [scores["assertion_per_type"][name]["f"] for name in names] == pytest.approx(by_class)


def test_by_hand_an_entity_that_was_not_found_counts_as_missed_and_one_too_many_does_not_count():
    """Three asserted, two of them found, one right; the fourth entity is no gold mention."""
    example = Example(
        make_predicted(["present", "present", None, "absent"]), make_gold(["present", "absent", "absent"])
    )
    scores = score_assertions([example])
    assert (scores["assertion_p"], scores["assertion_r"]) == (pytest.approx(1 / 2), pytest.approx(1 / 3))
    assert scores["assertion_f"] == pytest.approx(0.4)
    assert scores["assertion_per_type"] == {
        "absent": {"p": 0.0, "r": 0.0, "f": 0.0},
        "present": {"p": 0.5, "r": 1.0, "f": pytest.approx(2 / 3)},
    }
    assert scores["assertion_macro_f"] == pytest.approx(1 / 3)


def test_bounds_and_label_must_agree():
    gold = make_gold(["present"])
    assert score_assertions([Example(make_predicted(["present"], label="test"), gold)])["assertion_f"] == 0.0
    shifted = make_predicted([None, "present"])
    assert score_assertions([Example(shifted, gold)])["assertion_f"] == 0.0


def test_what_the_corpus_does_not_assert_is_not_judged():
    example = Example(make_predicted(["present", "absent"]), make_gold(["present", ""]))
    assert score_assertions([example])["assertion_f"] == 1.0


def test_a_mention_in_pieces_is_missed():
    gold = make_gold(["present"])
    gold.user_data["clinbert_gold"] = ((((0, 1), (4, 5)), "problem"),)
    assert score_assertions([Example(make_predicted(["present"]), gold)])["assertion_r"] == 0.0


def test_without_gold_there_is_no_score_and_without_prediction_it_is_zero():
    bare = Doc(VOCAB, words=["a"] * 8)
    assert set(score_assertions([Example(make_predicted(["present"]), bare)]).values()) == {None}
    assert score_assertions([])["assertion_f"] is None
    scores = score_assertions([Example(bare.copy(), make_gold(["present"]))])
    assert (scores["assertion_p"], scores["assertion_r"], scores["assertion_f"]) == (0.0, 0.0, 0.0)


def test_another_key_and_gold_from_a_docbin():
    gold = make_gold(["present", "absent"])
    again = next(DocBin().from_bytes(DocBin(docs=[gold], store_user_data=True).to_bytes()).get_docs(VOCAB))
    assert gold_assertions(again) == gold_assertions(gold) != {}
    scorer = make_assertion_scorer(spans_key="mine")
    assert scorer([Example(make_predicted(["present", "absent"], key="mine"), again)])["assertion_f"] == 1.0
