"""`clinbert_spans`: what it learns, writes, saves and reports."""

import warnings
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_clinbert.components.extensions import find_attr
from spacy_clinbert.components.spans import ClinbertSpans
from spacy_clinbert.corpora.docs import layer_of, make_doc
from spacy_clinbert.corpora.gold_spans import gold_mentions, gold_spans, layered
from spacy_clinbert.corpora.records import Mention
from spacy_clinbert.corpora.semclinbr import FORMAT
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.layer_classifier import LayerClassifier
from spacy_clinbert.synthetic.semclinbr import make_record

TOK2VEC = {
    "@architectures": "spacy.HashEmbedCNN.v2",
    "width": 48,
    "depth": 2,
    "embed_size": 500,
    "window_size": 1,
    "maxout_pieces": 2,
    "subword_features": True,
    "pretrained_vectors": None,
}
MODEL = {"@architectures": "spacy_clinbert.LayerClassifier.v1", "tok2vec": TOK2VEC}
TEXT = "severe chest pain on exertion"
NESTED = ((0, 3, "problem"), (1, 2, "anatomy"), (0, 5, "history"), (1, 3, "history"))


def blank(**config: object) -> Language:
    nlp = spacy.blank("pt", config={"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}})
    nlp.add_pipe("clinbert_spans", config={"model": MODEL, **config})
    return nlp


def example(nlp: Language, text: str, *spans: tuple[int, int, str], key: str = "clinbert_gold") -> Example:
    doc = nlp.make_doc(text)
    doc.spans[key] = [Span(doc, *span) for span in spans]
    return Example(nlp.make_doc(text), doc)


def found(doc: Doc) -> list[tuple[str, str]]:
    return [(span.text, span.label_) for span in doc.spans["clinbert_spans"]]


def corpus(nlp: Language, first: int, last: int) -> list[Example]:
    docs = [make_doc(make_record(number, 0).record, nlp.tokenizer, FORMAT)[0] for number in range(first, last)]
    return [Example(nlp.make_doc(doc.text), doc) for doc in docs]


def train(nlp: Language, examples: Sequence[Example], epochs: int) -> None:
    spacy.util.fix_random_seed(0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*do not fit the scheme")
        optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.01
    for _ in range(epochs):
        for start in range(0, len(examples), 16):
            nlp.update(examples[start : start + 16], sgd=optimizer)


@cache
def layers_pipeline() -> Language:
    """A pipeline trained on SemClinBr's 13 layers."""
    nlp = blank(gold_key=None)
    train(nlp, corpus(nlp, 1, 60), 12)
    return nlp


def test_it_learns_layers_that_overlap() -> None:
    nlp = layers_pipeline()
    assert set(nlp.get_pipe("clinbert_spans").labels) <= set(FORMAT.layers)
    scores = nlp.evaluate(corpus(nlp, 1, 60))
    assert scores["spans_f"] > 0.85 and scores["spans_per_type"]["Finding"]["f"] > 0.9
    # Every Finding is a Disorder too, in the same place.
    doc = nlp(make_record(2, 0).record.text)
    places: dict[str, set] = {}
    for span in doc.spans["clinbert_spans"]:
        places.setdefault(span.label_, set()).add((span.start, span.end))
    assert places["Finding"] & places["Disorders"]
    # On notes whose words were held out it finds some, not all.
    assert 0.3 < nlp.evaluate(corpus(nlp, 100, 140))["spans_f"] < 1.0


def test_it_learns_mentions_inside_others_and_says_how_sure_it_is() -> None:
    nlp = blank()
    train(nlp, [example(nlp, TEXT, (0, 3, "problem"), (1, 2, "anatomy"), (4, 5, "cause"), (0, 5, "whole"))], 30)
    doc = nlp(TEXT)
    # In text order, which `Span._.clinbert_…` relies on.
    assert found(doc) == [
        ("severe chest pain", "problem"),
        (TEXT, "whole"),
        ("chest", "anatomy"),
        ("exertion", "cause"),
    ]
    again = next(iter(DocBin(docs=[doc]).from_bytes(DocBin(docs=[doc]).to_bytes()).get_docs(nlp.vocab)))
    for one in (doc, again):
        scores = [find_attr(span, "clinbert_spans", "scores") for span in one.spans["clinbert_spans"]]
        assert all(0.5 < score <= 1.0 for score in scores)
    assert not doc.ents


VOCAB = Vocab()


@st.composite
def disjoint(draw: st.DrawFn) -> list[tuple[int, int, str]]:
    """Spans of which no two of a label overlap, over words that have text."""
    spans = []
    for label in "abc":
        bounds = sorted(draw(st.sets(st.integers(0, 9), max_size=8)))
        pairs = list(pairwise(bounds))
        spans += [(start, end, label) for start, end in pairs if draw(st.booleans())]
    return spans


@settings(max_examples=60)
@given(disjoint(), st.sets(st.integers(1, 8)), st.sets(st.integers(1, 8)))
def test_gold_tags_decode_to_the_same_spans(
    spans: list[tuple[int, int, str]], blanks: set[int], starts: set[int]
) -> None:
    """Whatever overlaps across labels and touches within one; also with line ends inside, and sentences that begin
    where no mention goes on."""
    words = ["\n" if i in blanks else f"w{i}" for i in range(9)]
    # A mention neither begins nor ends with a blank, nor runs over the start of a sentence.
    spans = [one for one in spans if words[one[0]] != "\n" and words[one[1] - 1] != "\n"]
    starts = {i for i in starts if not any(a < i < b for a, b, _ in spans)} | {0}
    predicted, reference = (
        Doc(VOCAB, words=words, sent_starts=[i in starts for i in range(9)] if given_starts else None)
        for given_starts in (True, False)
    )
    reference.spans["clinbert_gold"] = [Span(reference, *span) for span in spans]
    pipe = ClinbertSpans(VOCAB, LayerClassifier(spacy.registry.architectures.get("spacy.HashEmbedCNN.v2")(
        width=8, depth=1, embed_size=10, window_size=1, maxout_pieces=2, subword_features=True, pretrained_vectors=None
    )))  # fmt: skip
    for label in "abc":
        pipe.add_label(label)
    tags = pipe._gold_tags(Example(predicted, reference))
    assert ((tags == -1) == np.array([[word == "\n"] for word in words])).all()
    mentions = pipe._find(predicted, (np.eye(3)[np.maximum(tags, 0)] * 9.0).reshape(9, 9).astype("float32"))
    assert sorted((m.start, m.end, "abc"[m.label]) for m in mentions) == sorted(spans)
    assert [m[:3] for m in mentions] == sorted(m[:3] for m in mentions)


def test_of_overlapping_gold_of_a_label_the_longest_is_learned_and_the_rest_is_said() -> None:
    nlp = blank()
    given = example(nlp, TEXT, *NESTED)
    given.reference.user_data["clinbert_format"] = "brat"
    given.reference.user_data["clinbert_gold"] = (
        *((((span.start_char, span.end_char),), span.label_) for span in given.reference.spans["clinbert_gold"]),
        (((0, 6), (13, 17)), "problem"),
        (((0, 3),), "problem"),
    )
    with pytest.warns(UserWarning, match="3 of 6 gold mentions do not fit the scheme") as said:
        nlp.initialize(lambda: [given])
    (message,) = [str(one.message) for one in said]
    assert "(discontinuous: 1, overlaps another mention: 1, starts or ends inside a token: 1)" in message
    assert not any(word in message for word in ("severe", "chest", "exertion"))
    tags = nlp.get_pipe("clinbert_spans")._gold_tags(given)
    # anatomy, history, problem: of the two histories, the one of the whole text.
    assert tags.T.tolist() == [[0, 1, 0, 0, 0], [1, 2, 2, 2, 2], [1, 2, 2, 0, 0]]


def test_labels_can_be_given_and_others_are_said() -> None:
    nlp = blank()
    given = example(nlp, TEXT, (0, 3, "problem"), (1, 2, "anatomy"))
    spans = nlp.get_pipe("clinbert_spans")
    with pytest.warns(UserWarning, match="not asked for are not learned: 1 anatomy"):
        spans.initialize(lambda: [given], nlp=nlp, labels=["problem"])
    assert spans.label_data == ["problem"] and np.isfinite(nlp.update([given])["clinbert_spans"])
    with pytest.raises(ClinbertError, match="comes after"):
        spans.add_label("anatomy")


def test_a_label_that_train_lacks_counts_as_missed() -> None:
    nlp = blank()
    train(nlp, [example(nlp, TEXT, (0, 3, "problem"))], 20)
    scores = nlp.evaluate([example(nlp, TEXT, (0, 3, "problem"), (1, 2, "anatomy"))])
    assert (scores["spans_p"], scores["spans_r"]) == (1.0, 0.5)
    assert scores["spans_per_type"]["anatomy"] == {"p": 0.0, "r": 0.0, "f": 0.0}


@pytest.mark.parametrize(("gold_key", "what"), [("clinbert_gold", "under 'clinbert_gold'"), (None, "as their labels")])
def test_a_corpus_without_spans_is_one_sentence(gold_key: str | None, what: str) -> None:
    nlp = blank(gold_key=gold_key)
    with pytest.raises(ClinbertError, match=f"no spans .*{what}"):
        nlp.initialize(lambda: [Example(nlp.make_doc(TEXT), nlp.make_doc(TEXT))])


@pytest.mark.parametrize("text", ["", " \n ", "\u200b"])
def test_docs_without_words(text: str) -> None:
    doc = layers_pipeline()(text)
    assert doc.text == text and found(doc) == []


def test_what_has_no_gold_or_no_words_makes_no_loss() -> None:
    nlp = layers_pipeline()
    pipe = nlp.get_pipe("clinbert_spans")
    bare = [Example(nlp.make_doc(text), nlp.make_doc(text)) for text in ("febre", "", " \n ")]
    assert nlp.update(bare)["clinbert_spans"] == 0.0
    assert nlp.evaluate(bare)["spans_f"] is None
    # Of a batch, what has no gold gets no gradient; nor do blanks.
    given = [example(nlp, "febre \n alta", (0, 1, "Finding"), key="Finding"), bare[0]]
    scores, _ = pipe.model.begin_update([one.predicted for one in given])
    loss, (first, second) = pipe.get_loss(given, scores)
    assert loss > 0 and not second.any() and first[0].any() and not first[1].any() and first[2].any()


def test_a_span_on_blanks_is_not_learned() -> None:
    nlp = blank()
    words = ["fever", "\n", "pain"]
    reference = Doc(nlp.vocab, words=words)
    reference.spans["clinbert_gold"] = [Span(reference, 1, 2, "problem"), Span(reference, 1, 3, "problem")]
    given = Example(Doc(nlp.vocab, words=words), reference)
    with pytest.warns(UserWarning, match="1 of 2 gold mentions do not fit"):
        nlp.initialize(lambda: [given])
    assert nlp.get_pipe("clinbert_spans")._gold_tags(given).T.tolist() == [[0, -1, 1]]


def test_predictions_do_not_depend_on_the_batch() -> None:
    nlp = layers_pipeline()
    texts = [make_record(number, 1).record.text for number in range(1, 12)] + ["", "\n"]

    def scored(doc: Doc) -> list[tuple]:
        group = doc.spans["clinbert_spans"]
        return [(s.start, s.end, s.label_, pytest.approx(p, abs=1e-4)) for s, p in zip(group, group.attrs["scores"])]

    alone = [scored(nlp(text)) for text in texts]
    for size in (2, 13):
        assert [scored(doc) for doc in nlp.pipe(texts, batch_size=size)] == alone
    assert sum(map(len, alone)) > 50


def test_a_saved_pipeline_gives_the_same_and_learns_on(tmp_path) -> None:
    nlp = layers_pipeline()
    texts = [make_record(number, 1).record.text for number in range(1, 6)]
    before = [found(doc) for doc in nlp.pipe(texts)]
    nlp.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    assert [found(doc) for doc in loaded.pipe(texts)] == before
    assert loaded.get_pipe("clinbert_spans").gold_key is None
    assert [found(doc) for doc in blank(gold_key=None).from_bytes(nlp.to_bytes()).pipe(texts)] == before
    renamed = spacy.load(tmp_path / "model", config={"components.clinbert_spans.spans_key": "mine"})
    assert list(renamed(texts[0]).spans) == ["mine"]
    assert renamed.evaluate(corpus(renamed, 1, 5))["spans_f"] > 0.8
    optimizer = loaded.resume_training()
    assert loaded.update(corpus(loaded, 1, 5), sgd=optimizer)["clinbert_spans"] < 3.0


def test_two_thousand_labels() -> None:
    nlp = blank()
    labels = [f"code {number:04}" for number in range(2000)]
    given = [
        example(nlp, f"{TEXT} {number}", (0, 3, labels[number]), (1, 2, labels[-1 - number]), (0, 5, labels[1000]))
        for number in range(8)
    ]
    nlp.get_pipe("clinbert_spans").initialize(lambda: given, nlp=nlp, labels=labels)
    adam = nlp.resume_training()
    adam.learn_rate = 0.02
    for _ in range(25):
        nlp.update(given, sgd=adam)
    scores = nlp.evaluate(given)
    assert scores["spans_per_type"]["code 1000"]["f"] == 1.0 and scores["spans_p"] > 0.5
    assert all(0.0 <= score <= 1.0 for score in nlp(TEXT).spans["clinbert_spans"].attrs["scores"])


def test_it_runs_on_our_encoder_and_refuses_one_of_windows(tiny_bert) -> None:
    encoder = {"@architectures": "spacy_clinbert.NoteEncoder.v1", "name": str(tiny_bert)}
    nlp = blank(model={**MODEL, "tok2vec": encoder})
    examples = [example(nlp, TEXT, (0, 3, "problem"), (1, 2, "anatomy")), example(nlp, "on exertion")]
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.005
    for _ in range(30):
        nlp.update(examples, sgd=optimizer)
    assert nlp.evaluate(examples)["spans_f"] == 1.0
    # A batch without a token, which spaCy's own tok2vec refuses.
    assert nlp.get_pipe("clinbert_spans").update([example(nlp, "")])["clinbert_spans"] == 0.0
    assert nlp.update([]) == {}
    tok2vec = nlp.get_pipe("clinbert_spans").model.get_ref("tok2vec")
    tok2vec.attrs["rows"] = "window"
    with pytest.raises(ClinbertError, match="rows of its tok2vec are of each window"):
        LayerClassifier(tok2vec)


def test_a_mention_is_one_of_each_layer_that_holds_its_label() -> None:
    layers = {"Wide": frozenset("ab"), "a": frozenset("a")}
    places = [(((0, 4),), "a"), (((0, 4),), "b"), (((2, 6), (8, 9)), "b"), (((5, 6),), "c")]
    mentions = [Mention(fragments, label) for fragments, label in places]
    once = layered(mentions, layers)
    assert [(one.fragments, one.label) for one in once] == [
        (((0, 4),), "Wide"),
        (((2, 6), (8, 9)), "Wide"),
        (((0, 4),), "a"),
    ]
    assert set(layered(once, layers)) == set(once)


def test_what_is_learned_of_a_corpus_of_one_layer_is_what_is_scored() -> None:
    nlp = blank(gold_key=None)
    record = make_record(2, 0).record
    doc, _ = make_doc(layer_of(record, "Disorders", FORMAT.layers["Disorders"]), nlp.tokenizer, FORMAT)
    learned = {(span.start_char, span.end_char, span.label_) for span in gold_spans(doc, None) or ()}
    scored = {(*one.fragments[0], one.label) for one in gold_mentions(doc, None) or () if len(one.fragments) == 1}
    assert learned and learned <= scored and {label for *_, label in learned} == {"Disorders"}
    # The same as of the whole corpus.
    whole, _ = make_doc(record, nlp.tokenizer, FORMAT)
    assert learned == {(span.start_char, span.end_char, span.label_) for span in whole.spans["Disorders"]}


def test_the_gold_of_a_key_of_ones_own() -> None:
    doc = Doc(VOCAB, words=["a", "b"])
    assert gold_mentions(doc, "mine") is None and gold_mentions(doc, None) is None
    doc.user_data |= {"clinbert_gold": ((((0, 1), (2, 3)), "x"),), "clinbert_format": "brat"}
    doc.spans["mine"] = SpanGroup(doc, spans=[Span(doc, 0, 1, "x")])
    assert gold_mentions(doc, "mine") == (Mention(((0, 1),), "x"),)
    assert gold_mentions(doc, "clinbert_gold") is None
    doc.spans["clinbert_gold"] = []
    assert gold_mentions(doc, "clinbert_gold") == (Mention(((0, 1), (2, 3)), "x"),)
