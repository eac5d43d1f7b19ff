"""The scorer of layers: equal to seqeval on each layer's tags, and what no layer can hold is missed."""

from itertools import pairwise
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_clinbert.evaluation.spans_scorer import score_spans

VOCAB = Vocab()
LABELS = "ab"
WORDS = 6


@st.composite
def layers(draw: st.DrawFn) -> list[tuple[int, int, str]]:
    """Spans of which no two of a label overlap."""
    spans = []
    for label in LABELS:
        bounds = sorted(draw(st.sets(st.integers(0, WORDS), max_size=5)))
        spans += [(start, end, label) for start, end in pairwise(bounds) if draw(st.booleans())]
    return spans


def make_doc(spans: list[tuple[int, int, str]] | None, key: str = "clinbert_gold") -> Doc:
    doc = Doc(VOCAB, words=[f"w{i}" for i in range(WORDS)])
    if spans is not None:
        doc.spans[key] = [Span(doc, *span) for span in spans]
    return doc


def make_example(gold: list | None, predicted: list) -> Example:
    return Example(make_doc(predicted, "found"), make_doc(gold))


def scores_of(*examples: Example, gold_key: str | None = "clinbert_gold") -> dict:
    return score_spans(examples, spans_key="found", gold_key=gold_key)


def tags(spans: list[tuple[int, int, str]], label: str) -> list[str]:
    tagged = ["O"] * WORDS
    for start, end, name in spans:
        if name == label:
            tagged[start:end] = [f"B-{name}", *[f"I-{name}"] * (end - start - 1)]
    return tagged


@given(st.lists(st.tuples(layers(), layers()), min_size=1, max_size=4))
def test_scores_are_seqevals_layer_by_layer(pairs: list[tuple[list, list]]) -> None:
    scores = scores_of(*(make_example(gold, predicted) for gold, predicted in pairs))
    used = sorted({label for pair in pairs for spans in pair for _, _, label in spans})
    assert sorted(scores["spans_per_type"]) == used
    if not used:
        assert scores["spans_f"] == scores["spans_macro_f"] == 0.0
        return
    strict = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    together: tuple[list, list] = ([], [])
    for label in used:
        gold, predicted = ([tags(pair[side], label) for pair in pairs] for side in (0, 1))
        for name, metric in (("p", precision_score), ("r", recall_score), ("f", f1_score)):
            assert scores["spans_per_type"][label][name] == pytest.approx(metric(gold, predicted, **strict))
        together[0].extend(gold)
        together[1].extend(predicted)
    for name, metric in (("p", precision_score), ("r", recall_score), ("f", f1_score)):
        assert scores[f"spans_{name}"] == pytest.approx(metric(*together, **strict))
        assert scores[f"spans_macro_{name}"] == pytest.approx(
            fmean(one[name] for one in scores["spans_per_type"].values())
        )


def test_what_no_layer_can_hold_is_missed() -> None:
    """Of four gold mentions of the corpus two stand on tokens without overlap: even when both are found, recall is a
    half."""
    example = make_example([(0, 3, "a"), (1, 2, "b")], [(0, 3, "a"), (1, 2, "b")])
    assert scores_of(example)["spans_r"] == 1.0
    example.reference.user_data |= {
        "clinbert_format": "brat",
        "clinbert_gold": ((((0, 8),), "a"), (((3, 5),), "b"), (((0, 2), (9, 11)), "a"), (((0, 1),), "b")),
    }
    scores = scores_of(example)
    assert (scores["spans_p"], scores["spans_r"]) == (1.0, 0.5)
    assert scores["spans_per_type"]["a"]["r"] == scores["spans_per_type"]["b"]["r"] == 0.5


def test_layers_of_their_own_groups_hold_all_their_labels() -> None:
    """A sign is a disorder too; of two that overlap, the conversion keeps the longer one in the group."""
    reference = make_doc([(0, 3, "Disorders")], "Disorders")
    reference.spans["Sign or Symptom"] = [Span(reference, 0, 3, "Sign or Symptom")]
    reference.spans["clinbert_gold"] = [Span(reference, 0, 3, "Sign or Symptom"), Span(reference, 1, 2, "Finding")]
    reference.user_data |= {
        "clinbert_format": "semclinbr",
        "clinbert_gold": ((((0, 8),), "Sign or Symptom"), (((3, 5),), "Finding")),
    }
    predicted = make_doc([(0, 3, "Disorders"), (0, 3, "Sign or Symptom")], "found")
    scores = scores_of(Example(predicted, reference), gold_key=None)
    assert {label: one["r"] for label, one in scores["spans_per_type"].items()} == {
        "Disorders": 0.5,
        "Finding": 0.0,
        "Sign or Symptom": 1.0,
    }


def test_without_gold_there_is_no_score() -> None:
    bare = make_example(None, [(0, 1, "a")])
    assert scores_of(bare)["spans_f"] is None and scores_of(bare)["spans_per_type"] is None
    assert scores_of()["spans_f"] is None
    # A Doc that is annotated and has no mention counts.
    assert scores_of(bare, make_example([], [(0, 1, "a")]))["spans_p"] == 0.0
