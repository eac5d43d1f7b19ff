"""What every head does alike, on every encoder that fits it: batches, saving, texts of nothing, failures, labels."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from clinical_records import CATS, PAIR, make_examples, make_record, make_records
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed

from spacy_clinbert.components.pair import make_pair
from spacy_clinbert.errors import ClinbertError


@dataclass(frozen=True)
class Head:
    """A head, and what it needs.

    architecture (str), model (dict): its model, but for the encoder.
    labels (tuple): those of the records.
    what (str): what carries its labels, as errors call it.
    scores (str): the score by label.
    encoders (dict): the encoders that it runs on, with their settings.
    unfit (dict): those that it does not run on, with what their error says.
    carry (tuple): what the reader gives to bare Docs.
    """

    architecture: str
    labels: tuple[str, ...]
    what: str
    scores: str
    encoders: dict[str, dict[str, Any]]
    unfit: dict[str, str]
    model: dict[str, Any] = field(default_factory=dict)
    carry: tuple[str, ...] = ()


TOKENS: dict[str, dict[str, Any]] = {"HashEmbedCNN": {}, "Tok2VecListener": {}, "NoteEncoder": {}}
NO_TOKENS = {"NoteWindows": "NoteEncoder", "NotePairs": "NoteEncoder", "NoteMentions": "NoteEncoder"}
HEADS = {
    "clinbert_ner": Head("TokenClassifier", ("problem", "treatment"), "entities", "ents_per_type", TOKENS, NO_TOKENS),
    "clinbert_spans": Head("LayerClassifier", ("problem", "treatment"), "spans", "spans_per_type", TOKENS, NO_TOKENS),
    "clinbert_textcat": Head(
        "TextClassifier",
        CATS,
        "categories",
        "cats_f_per_type",
        {**TOKENS, "NoteWindows": {"pooling": "cls"}},
        {"HashEmbedCNN": "NoteWindows", "NoteEncoder": "NoteWindows", "Tok2VecListener": "NoteWindows"},
        {"pooling": "mean", "aggregate": "none"},
    ),
    "clinbert_assertion": Head(
        "MentionClassifier",
        ("absent", "present"),
        "assertions",
        "assertion_per_type",
        {**TOKENS, "NoteMentions": {}},
        {"NoteWindows": "NoteEncoder", "NotePairs": "NoteEncoder"},
        carry=("ents",),
    ),
    "clinbert_pair": Head(
        "PairClassifier",
        CATS,
        "categories",
        "cats_f_per_type",
        {"NotePairs": {}},
        {name: "NotePairs" for name in (*TOKENS, "NoteWindows", "NoteMentions")},
        carry=PAIR,
    ),
}
CASES = [(head, encoder) for head in HEADS for encoder in HEADS[head].encoders]
# The encoder on which a head is fastest.
QUICK = [(head, next(iter(HEADS[head].encoders))) for head in HEADS]
CNN = {"width": 32, "depth": 2, "embed_size": 500, "window_size": 1, "maxout_pieces": 2, "subword_features": True}
NOTHING = ["", "\n", " \n\t ", "\u200b"]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """So small a model is slower on more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def build(head: str, encoder: str, bert: object, **model: Any) -> Language:
    one = HEADS[head]
    ours = {"@architectures": f"spacy_clinbert.{encoder}.v1", "name": str(bert), "dropout": 0.0}
    nlp = spacy.blank("en")
    tok2vec: dict[str, Any] = ours
    if encoder == "HashEmbedCNN":
        tok2vec = {"@architectures": "spacy.HashEmbedCNN.v2", **CNN, "pretrained_vectors": None}
    elif encoder == "Tok2VecListener":
        ours["@architectures"] = "spacy_clinbert.NoteEncoder.v1"
        nlp.add_pipe("tok2vec", config={"model": {**ours, "width": 32}})
        tok2vec = {"@architectures": "spacy.Tok2VecListener.v1", "width": 32, "upstream": "tok2vec"}
    elif encoder in ("NoteWindows", "NotePairs"):
        # A random pooler leaves rows nearly alike.
        ours["pooler"] = False
    settings = {**one.model, **one.encoders.get(encoder, {}), **model}
    nlp.add_pipe(
        head,
        config={"model": {"@architectures": f"spacy_clinbert.{one.architecture}.v1", "tok2vec": tok2vec, **settings}},
    )
    return nlp


def examples_of(nlp: Language, head: str, records: Sequence[Any] = ()) -> list[Example]:
    return make_examples(nlp, records or make_records(), HEADS[head].carry)


def texts_of(nlp: Language, head: str) -> list[Doc]:
    """Docs as they come to the pipeline, some of which hold nothing."""
    docs = [example.predicted for example in examples_of(nlp, head)]
    more = [nlp.make_doc(text) for text in NOTHING]
    if head == "clinbert_pair":
        more += [make_pair(nlp, "", "fever"), make_pair(nlp, "fever", " ")]
    return [docs[0], *more, *docs[1:]]


def outcome(head: str, doc: Doc) -> dict[Any, Any]:
    """What a head found, with its probabilities."""
    if head in ("clinbert_textcat", "clinbert_pair"):
        found: dict[Any, float] = dict(doc.cats)
    else:
        group = doc.spans[head]
        names = group.attrs.get("assertions") or [span.label_ for span in group]
        keys = [(span.start, span.end, name) for span, name in zip(group, names)]
        found = dict(zip(keys, group.attrs["scores"]))
    return {key: pytest.approx(value, abs=1e-4) for key, value in found.items()}


def outcomes(nlp: Language, head: str, **settings: Any) -> list[dict]:
    return [outcome(head, doc) for doc in nlp.pipe(texts_of(nlp, head), **settings)]


def train(nlp: Language, head: str, steps: int) -> list[float]:
    fix_random_seed(0)
    examples = examples_of(nlp, head)
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 0.01 if nlp.pipe_names == [head] else 0.005
    return [nlp.update(examples_of(nlp, head), sgd=sgd)[head] for _ in range(steps)]


@pytest.fixture(scope="module")
def trained(tiny_bert):
    """Pipelines, each trained once."""
    kept: dict[tuple[str, str], Language] = {}

    def get(head: str, encoder: str) -> Language:
        if (head, encoder) not in kept:
            nlp = kept[head, encoder] = build(head, encoder, tiny_bert)
            losses = train(nlp, head, 25)
            assert losses[-1] < losses[0] / 2
        return kept[head, encoder]

    return get


@pytest.mark.parametrize(("head", "encoder"), CASES)
def test_it_learns_and_batches_change_nothing(trained, head, encoder):
    nlp = trained(head, encoder)
    assert nlp.get_pipe(head).labels == HEADS[head].labels
    alone = [outcome(head, nlp(doc)) for doc in texts_of(nlp, head)]
    assert sum(map(len, alone)) >= 4 and all(outcomes(nlp, head, batch_size=size) == alone for size in (1, 3, 100))
    per_label = nlp.evaluate(examples_of(nlp, head))[HEADS[head].scores]
    # No pair of the records is neutral but one, and of it the classifier may not be sure yet.
    assert sum(per_label[label]["f"] for label in HEADS[head].labels) > 0.8 * len(HEADS[head].labels)


@pytest.mark.parametrize(("head", "encoder"), [(head, list(HEADS[head].encoders)[-1]) for head in HEADS])
def test_processes_change_nothing(trained, head, encoder):
    nlp = trained(head, encoder)
    assert outcomes(nlp, head, n_process=2, batch_size=3) == outcomes(nlp, head)


@pytest.mark.parametrize(("head", "encoder"), CASES)
def test_it_comes_back_from_bytes_and_disk(trained, tmp_path, head, encoder):
    nlp = trained(head, encoder)
    expected = outcomes(nlp, head)
    pipe = nlp.get_pipe(head)

    def blank() -> Language:
        return build(head, encoder, "gone for good")

    assert outcomes(blank().from_bytes(nlp.to_bytes()), head) == expected
    nlp.to_disk(tmp_path / "nlp")
    assert outcomes(spacy.load(tmp_path / "nlp"), head) == expected
    assert outcomes(blank().from_disk(tmp_path / "nlp"), head) == expected
    without = blank().from_disk(tmp_path / "nlp", exclude=[head]).get_pipe(head)
    assert without.labels == () and not without.model.get_ref("output_layer").has_param("W")
    if encoder != "Tok2VecListener":
        pipe.to_disk(tmp_path / "pipe", exclude=["vocab"])
        assert sorted(path.name for path in (tmp_path / "pipe").iterdir()) == ["cfg", "model"]
        for copy in (
            blank().get_pipe(head).from_disk(tmp_path / "pipe", exclude=["vocab"]),
            blank().get_pipe(head).from_bytes(pipe.to_bytes(exclude=["vocab"]), exclude=["vocab"]),
        ):
            docs = texts_of(nlp, head)
            copy.set_annotations(docs, copy.predict(docs))
            assert copy.label_data == pipe.label_data and [outcome(head, doc) for doc in docs] == expected
    bare = blank().get_pipe(head).from_bytes(pipe.to_bytes(exclude=["model"]), exclude=["model"])
    assert bare.labels == pipe.labels and not bare.model.get_ref("output_layer").has_param("W")


@pytest.mark.parametrize(("head", "encoder"), CASES)
def test_nothing_to_read_and_nothing_to_learn(trained, tiny_bert, head, encoder):
    nlp = trained(head, encoder)
    pipe = nlp.get_pipe(head)
    assert list(nlp.pipe([])) == [] and len(pipe.predict([])) == 0
    for doc in [nlp(text) for text in NOTHING]:
        assert np.isfinite([one.expected for one in outcome(head, doc).values()]).all() and not doc.ents
    assert nlp.update([]) == {} and pipe.update([]) == {head: 0.0}
    nlp = build(head, encoder, tiny_bert)
    train(nlp, head, 1)
    sgd = nlp.create_optimizer()
    bare = [Example(nlp.make_doc(text), nlp.make_doc(text)) for text in NOTHING]
    if encoder != "HashEmbedCNN":
        # spaCy's own cannot go back through a batch without a token, and its component for it does not try.
        assert nlp.update(bare[:1], sgd=sgd)[head] == 0.0
    assert nlp.update(bare, sgd=sgd)[head] == 0.0
    assert np.isfinite(nlp.update([bare[0], *examples_of(nlp, head), *bare], sgd=sgd)[head])


@pytest.mark.parametrize(("head", "encoder"), QUICK)
def test_a_doc_that_fails_goes_to_the_error_handler_and_the_rest_on(trained, monkeypatch, head, encoder):
    nlp = trained(head, encoder)
    pipe = nlp.get_pipe(head)
    predict = pipe.predict

    def failing(docs):
        docs = list(docs)
        if any("aspirin" in doc.text for doc in docs):
            raise ValueError("it fails")
        return predict(docs)

    monkeypatch.setattr(pipe, "predict", failing)
    with pytest.raises(ValueError, match="it fails"):
        outcomes(nlp, head)
    failed = []
    nlp.set_error_handler(lambda name, component, docs, error: failed.append((name, len(docs))))
    try:
        docs = texts_of(nlp, head)
        assert len(list(nlp.pipe(docs, batch_size=1))) == len(docs) - 1
    finally:
        nlp.set_error_handler(spacy.util.raise_error)
    assert failed == [(head, 1)]


@pytest.mark.parametrize(("head", "encoder"), QUICK)
def test_labels_are_given_or_found_and_none_comes_late(tiny_bert, head, encoder):
    nlp = build(head, encoder, tiny_bert)
    pipe = nlp.get_pipe(head)
    labels = [*reversed(HEADS[head].labels), "other"]
    pipe.initialize(lambda: examples_of(nlp, head), nlp=nlp, labels=labels)
    assert pipe.label_data == labels and pipe.add_label("other") == 0
    with pytest.raises(ClinbertError, match=f"{head}: label 'late' comes after"):
        pipe.add_label("late")
    bare = build(head, encoder, tiny_bert)
    examples = [Example(bare.make_doc("fever"), bare.make_doc("fever"))]
    with pytest.raises(ClinbertError, match=f"{head}: the training data holds no {HEADS[head].what}"):
        bare.initialize(lambda: examples)


@pytest.mark.parametrize(("head", "encoder"), QUICK)
def test_two_thousand_labels(tiny_bert, head, encoder):
    nlp = build(head, encoder, tiny_bert)
    pipe = nlp.get_pipe(head)
    labels = [*HEADS[head].labels, *(f"label {number}" for number in range(2000 - len(HEADS[head].labels)))]
    pipe.initialize(lambda: examples_of(nlp, head), nlp=nlp, labels=labels)
    losses = [nlp.update(examples_of(nlp, head), sgd=nlp.create_optimizer())[head] for _ in range(2)]
    assert np.isfinite(losses).all() and losses[0] > 0 and pipe.label_data == labels
    per_label = nlp.evaluate(examples_of(nlp, head))[HEADS[head].scores]
    assert all(0 <= per_label[label]["f"] <= 1 for label in HEADS[head].labels)
    again = build(head, encoder, tiny_bert).from_bytes(nlp.to_bytes())
    assert outcomes(again, head) == outcomes(nlp, head)


@pytest.mark.parametrize(("head", "encoder"), QUICK)
@pytest.mark.filterwarnings("ignore:.*have gold labels that were not seen")
def test_a_class_seen_only_at_test_is_missed_and_teaches_nothing(trained, tiny_bert, head, encoder):
    new = make_record("new", "Chills since Monday .", "She is ill .", "unheard", [("Chills", "unheard", "unheard")])
    # An entity of a new label with an assertion that is known would be another question.
    nlp = trained(head, encoder)
    labels = nlp.get_pipe(head).labels
    scores = nlp.evaluate(examples_of(nlp, head, [*make_records(), new]))
    assert scores[HEADS[head].scores]["unheard"]["f"] == 0.0
    known = nlp.evaluate(examples_of(nlp, head))
    total = next(key for key in ("ents_r", "spans_r", "assertion_r", "cats_micro_r") if key in scores)
    assert scores[total] < known[total]
    other = build(head, encoder, tiny_bert)
    train(other, head, 1)
    assert np.isfinite(other.update(examples_of(other, head, [new]), sgd=other.create_optimizer())[head])
    assert other.get_pipe(head).labels == labels


@pytest.mark.parametrize(("head", "encoder"), [(head, encoder) for head in HEADS for encoder in HEADS[head].unfit])
def test_an_encoder_that_does_not_fit_is_a_config_error_that_names_one_that_does(head, encoder):
    model = {"pooling": "cls"} if head == "clinbert_textcat" else {}
    with pytest.raises(ClinbertError, match=HEADS[head].unfit[encoder]) as error:
        build(head, encoder, "not loaded", **model)
    assert HEADS[head].architecture in str(error.value)
