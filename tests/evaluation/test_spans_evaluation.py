"""`clinbert evaluate` of a `clinbert_spans` pipeline: layers that overlap, each judged by itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from thinc.api import Model
from tiny_corpora import annotate, write_corpus

from spacy_clinbert.components.spans import ClinbertSpans
from spacy_clinbert.corpora.records import Record
from spacy_clinbert.evaluation.evaluate import Evaluation, evaluate
from spacy_clinbert.evaluation.gold import read_gold
from spacy_clinbert.evaluation.opened import count_opening
from spacy_clinbert.evaluation.predictions import find_spans_key
from spacy_clinbert.evaluation.report import layer_table, render
from spacy_clinbert.models.layer_classifier import LayerClassifier

TEXT = "Nega febre alta e tosse seca .\nUsa dipirona .\n"
GOLD = annotate(
    "1",
    TEXT,
    ("febre alta", "Sign or Symptom"),
    ("febre alta", "Finding"),
    ("tosse seca", "Sign or Symptom"),
    ("tosse", "Finding"),
    ("dipirona", "Antibiotic"),
)
LAYERS = ("Disorders", "Finding", "Sign or Symptom", "Chemicals and Drugs")


class Phrases(ClinbertSpans):
    """The component without a model: it finds phrases."""

    def __init__(self, nlp: Language, labels: Sequence[str], phrases: Mapping[str, Sequence[str]]) -> None:
        super().__init__(nlp.vocab, LayerClassifier(Model("none", lambda model, docs, is_train: (docs, None))))
        self.cfg["labels"] = list(labels)
        self.phrases = phrases

    def __call__(self, doc: Doc) -> Doc:
        doc.spans[self.spans_key] = [
            Span(doc, i, i + len(words), label)
            for phrase, labels in self.phrases.items()
            for words in [phrase.split()]
            for i in range(len(doc))
            if [token.text for token in doc[i : i + len(words)]] == words
            for label in labels
        ]
        return doc

    def pipe(self, stream, *, batch_size: int = 128):
        return map(self, stream)


@Language.factory("test_spans_phrases", assigns=["doc.spans"])
def make_phrases(nlp: Language, name: str, labels: list, phrases: dict) -> Phrases:
    return Phrases(nlp, labels, phrases)


def pipeline(phrases: Mapping[str, Sequence[str]], labels: Sequence[str] = LAYERS) -> Language:
    nlp = spacy.blank("en")
    nlp.add_pipe("test_spans_phrases", config={"labels": list(labels), "phrases": phrases})
    return nlp


def judge(tmp_path: Path, nlp: Language, records: Sequence[Record] = (GOLD,)) -> Evaluation:
    return evaluate(nlp, read_gold(write_corpus(tmp_path / "test.spacy", records, "semclinbr")), model="m")


ALL = {"febre alta": LAYERS[:3], "tosse seca": ("Disorders", "Sign or Symptom"), "dipirona": LAYERS[3:]}


def test_layers_are_judged_by_their_own_predictions(tmp_path: Path) -> None:
    """All is found but tosse, a Finding in a Sign, of which the layer Disorders can hold only one."""
    evaluation = judge(tmp_path, pipeline(ALL))
    scores = evaluation.run.scores
    assert scores["spans_key"] == "clinbert_spans"
    expected = {
        "Disorders": (2, 2, 3),
        "Finding": (1, 1, 2),
        "Sign or Symptom": (2, 2, 2),
        "Chemicals and Drugs": (1, 1, 1),
    }
    for summary in (scores["document"]["strict"], scores["challenge"]["entity"]):
        assert {
            name: (one["right"], one["predicted"], one["gold"]) for name, one in summary["labels"].items()
        } == expected
    # In the papers' lines too, layer by layer: tags of one label never hide another's.
    paper = scores["paper"]["strict"]["labels"]
    assert paper["Sign or Symptom"]["f"] == 1.0 and paper["Finding"]["r"] == 0.5
    assert (scores["paper"]["lines"], scores["mentions"]) == (2, 8)
    assert [(one["label"], one["reason"]) for one in scores["document"]["inexpressible"]] == [
        ("Disorders", "overlaps another mention")
    ]
    assert any("as annotated, there are 5" in note for note in scores["notes"])


def test_a_finding_is_no_disorder_unless_the_pipeline_says_so(tmp_path: Path) -> None:
    scores = judge(tmp_path, pipeline({"febre alta": ["Finding"]})).run.scores
    assert scores["challenge"]["entity"]["labels"]["Disorders"]["predicted"] == 0
    # One that knows types, not layers, is judged by its types: a Finding is one of the Disorders.
    scores = judge(tmp_path, pipeline({"febre alta": ["Finding"]}, ["Finding", "Antibiotic"])).run.scores
    assert scores["challenge"]["entity"]["labels"]["Disorders"]["right"] == 1
    assert scores["mentions"] == 5 and set(scores["document"]["strict"]["labels"]) == {
        "Antibiotic",
        "Finding",
        "Sign or Symptom",
    }


def test_one_table_with_a_column_for_each_layer_and_their_mean(tmp_path: Path) -> None:
    evaluation = judge(tmp_path, pipeline(ALL))
    (name, entity), (_, token), (_, paper) = layer_table(evaluation)
    assert name == "entity" and list(entity) == list(token) == list(paper) and len(entity) == 14
    assert entity["Finding"] == pytest.approx(2 / 3) and entity["Medical Device"] is None
    assert entity["mean"] == pytest.approx((0.8 + 2 / 3 + 1 + 1) / 4)
    assert paper["mean"] == pytest.approx(sum(list(paper.values())[:-1]) / 13)
    page = render(evaluation, False)
    row = page[page.index("<h2>By layer</h2>") :]
    assert row.index("Disorders") < row.index("Therapeutic or Preventive Procedure") < row.index(">mean<")
    assert row.index('<td class="name">entity</td><td class="n">80.00</td>') < row.index("BioBERTpt(all)")


def test_evaluations_of_a_test_set_are_counted_whatever_its_gold_is_read_as(tmp_path: Path) -> None:
    by_layer = judge(tmp_path, pipeline(ALL)).run
    by_type = judge(tmp_path, pipeline({"febre alta": ["Finding"]}, ["Finding"])).run
    assert by_type.test_evaluations == {"by_this_model": 2, "by_all": 2}
    # But their scores are of another gold, and are not to be compared.
    assert by_layer.checksum != by_type.checksum
    assert count_opening(tmp_path / "test.spacy", by_type.checksum, "m") == {"by_this_model": 3, "by_all": 3}


def test_a_corpus_of_one_layer_is_judged_by_that_layer(tmp_path: Path) -> None:
    record = annotate("1", TEXT, ("febre alta", "Finding"), ("tosse", "Finding"))
    scores = judge(tmp_path, pipeline(ALL), [record]).run.scores
    assert set(scores["challenge"]["entity"]["labels"]) == {"Finding"} and scores["mentions"] == 2


def test_what_another_component_found_ill_formed_counts_here(tmp_path: Path) -> None:
    """`clinbert_ner` with `decoding = "argmax"` beside `clinbert_spans`, of which the second is judged."""
    nlp = pipeline(ALL)
    nlp.add_pipe("test_spans_ill_formed", first=True)
    plain, beside = (judge(tmp_path, one).run.scores for one in (pipeline(ALL), nlp))
    assert beside["document"]["strict"]["micro"] == plain["document"]["strict"]["micro"]
    assert beside["document"]["ill_formed"] == 0 and beside["paper"]["strict"] == plain["paper"]["strict"]


@Language.component("test_spans_ill_formed", assigns=["doc.spans"])
def find_ill_formed(doc: Doc) -> Doc:
    spans = [Span(doc, token.i, token.i + 1, "Chemicals and Drugs") for token in doc if token.text == "dipirona"]
    doc.spans["clinbert_ner"] = SpanGroup(doc, attrs={"well_formed": [False] * len(spans)}, spans=spans)
    return doc


def test_where_the_mentions_stand() -> None:
    nlp = pipeline({})
    assert find_spans_key(nlp) == "clinbert_spans"
    nlp.add_pipe("entity_ruler")
    assert find_spans_key(nlp) is None and find_spans_key(spacy.blank("en")) is None
