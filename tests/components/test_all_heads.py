"""What every head does alike, on every encoder that fits it: batches, saving, texts of nothing, failures, labels."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import spacy
import torch
from clinical_records import make_record, make_records
from head_cases import HEADS, NOTHING, build, examples_of, outcome, texts_of, train
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_clinbert.errors import ClinbertError

CASES = [(head, encoder) for head in HEADS for encoder in HEADS[head].encoders]
# The encoder on which a head is fastest.
QUICK = [(head, next(iter(HEADS[head].encoders))) for head in HEADS]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """So small a model is slower on more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def about(head: str, doc: Doc) -> dict[str, Any]:
    return {key: pytest.approx(value, abs=1e-4) for key, value in outcome(head, doc).items()}


def outcomes(nlp: Language, head: str, **settings: Any) -> list[dict[str, Any]]:
    return [about(head, doc) for doc in nlp.pipe(texts_of(nlp, head), **settings)]


@pytest.fixture(scope="module")
def trained(tiny_bert):
    """Pipelines, each trained once."""
    kept: dict[tuple[str, str], Language] = {}

    def get(head: str, encoder: str) -> Language:
        if (head, encoder) not in kept:
            nlp = kept[head, encoder] = build(head, encoder, tiny_bert)
            losses = train(nlp, head, 30)
            assert losses[-1] < losses[0] / 2
        return kept[head, encoder]

    return get


@pytest.mark.parametrize(("head", "encoder"), CASES)
def test_it_learns_and_batches_change_nothing(trained, head, encoder):
    nlp = trained(head, encoder)
    assert nlp.get_pipe(head).labels == HEADS[head].labels
    alone = [about(head, nlp(doc)) for doc in texts_of(nlp, head)]
    assert sum(map(len, alone)) >= 4 and all(outcomes(nlp, head, batch_size=size) == alone for size in (1, 3, 100))
    per_label = nlp.evaluate(examples_of(nlp, head))[HEADS[head].scores]
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
            assert copy.label_data == pipe.label_data and [about(head, doc) for doc in docs] == expected
    bare = blank().get_pipe(head).from_bytes(pipe.to_bytes(exclude=["model"]), exclude=["model"])
    assert bare.labels == pipe.labels and not bare.model.get_ref("output_layer").has_param("W")


@pytest.mark.parametrize("head", ["clinbert_ner", "clinbert_spans", "clinbert_assertion"])
def test_scores_are_those_of_the_key_that_is_written(trained, tmp_path, head):
    nlp = trained(head, "HashEmbedCNN")
    nlp.to_disk(tmp_path / "nlp")
    renamed = spacy.load(tmp_path / "nlp", config={f"components.{head}.spans_key": "mine"})
    assert (
        renamed.evaluate(examples_of(renamed, head))[HEADS[head].scores]
        == (nlp.evaluate(examples_of(nlp, head))[HEADS[head].scores])
    )
    assert "mine" in renamed(examples_of(renamed, head)[0].predicted).spans


@pytest.mark.parametrize(("head", "encoder"), CASES)
def test_nothing_to_read_and_nothing_to_learn(trained, tiny_bert, head, encoder):
    nlp = trained(head, encoder)
    pipe = nlp.get_pipe(head)
    assert list(nlp.pipe([])) == [] and len(pipe.predict([])) == 0
    for doc in [nlp(text) for text in NOTHING]:
        assert np.isfinite([*outcome(head, doc).values()]).all() and not doc.ents
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
