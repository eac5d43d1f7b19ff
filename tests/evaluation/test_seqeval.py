"""The scorer: equal to seqeval on token tags where tokens agree, and its numbers on cases worked out by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2
from spacy.tokens import Doc
from spacy.training import Example, biluo_tags_to_spans, iob_to_biluo
from spacy.vocab import Vocab

from spacy_clinbert.evaluation.seqeval import score_entities

VOCAB = Vocab()
TAGS = st.lists(st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b"]), min_size=6, max_size=6)


def repair(tags: list[str]) -> list[str]:
    """Make each I that follows no tag of its label a B."""
    for i, tag in enumerate(tags):
        if tag.startswith("I") and (i == 0 or tags[i - 1][2:] != tag[2:]):
            tags = [*tags[:i], "B" + tag[1:], *tags[i + 1 :]]
    return tags


def make_doc(tags: list[str]) -> Doc:
    doc = Doc(VOCAB, words=list("abcdef"))
    doc.set_ents(biluo_tags_to_spans(doc, iob_to_biluo(tags)))
    return doc


@given(st.lists(st.tuples(TAGS, TAGS), min_size=1, max_size=4))
def test_scores_are_seqevals_on_tokens(pairs):
    pairs = [(repair(gold), repair(predicted)) for gold, predicted in pairs]
    scores = score_entities([Example(make_doc(predicted), make_doc(gold)) for gold, predicted in pairs])
    gold, predicted = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if all(tag == "O" for tags in (*gold, *predicted) for tag in tags):
        assert scores["ents_f"] == 0.0
        return
    strict = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    assert scores["ents_p"] == pytest.approx(precision_score(gold, predicted, **strict))
    assert scores["ents_r"] == pytest.approx(recall_score(gold, predicted, **strict))
    assert scores["ents_f"] == pytest.approx(f1_score(gold, predicted, **strict))
    assert scores["ents_conll_f"] == pytest.approx(scores["ents_f"])


def test_by_hand():
    """Gold: a 0–2, b 3–4. Predicted: a 0–2, a 3–4, b 5–6: one of three right, one of two found."""
    example = Example(make_doc(["B-a", "I-a", "O", "B-a", "O", "B-b"]), make_doc(["B-a", "I-a", "O", "B-b", "O", "O"]))
    scores = score_entities([example])
    assert (scores["ents_p"], scores["ents_r"]) == (pytest.approx(1 / 3), pytest.approx(1 / 2))
    assert scores["ents_f"] == pytest.approx(0.4)
    assert scores["ents_per_type"]["b"] == {"p": 0.0, "r": 0.0, "f": 0.0}


def test_an_i_at_the_start_counts_for_conll_only_though_gold_has_none():
    doc = make_doc(["B-a", "O", "O", "O", "O", "O"])
    doc.spans["clinbert_ner"] = list(doc.ents)
    doc.spans["clinbert_ner"].attrs["well_formed"] = [False]
    scores = score_entities(
        [Example(doc, make_doc(["O"] * 6)), Example(make_doc(["B-a", *"OOOOO"]), make_doc(["B-a", *"OOOOO"]))]
    )
    assert (scores["ents_p"], scores["ents_conll_p"]) == (1.0, 0.5)


def test_without_gold_there_is_no_score():
    assert score_entities([Example(make_doc(["O"] * 6), Doc(VOCAB, words=list("abcdef")))])["ents_f"] is None
