"""`clinbert_textcat`: what it learns, what it writes, and what it refuses."""

import warnings
from typing import Any, Dict, Iterable, Iterator, List

import numpy as np
import pytest
import spacy
import torch
from scipy.special import softmax
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from thinc.api import Adam, fix_random_seed

from spacy_clinbert.components.label_groups import gold_values, loss_and_gradient, make_groups
from spacy_clinbert.components.textcat import ClinbertTextcat
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.window_probabilities import combine

NOTES = {
    "heart": ["chest pain and heart failure .", "given aspirin for chest pain .", "history of heart failure ."],
    "sugar": ["type 2 diabetes mellitus .", "metformin daily for diabetes .", "diabetes , metformin given ."],
}
GROUPS = {"pain": ["pain=Y", "pain=N", "pain=U"], "sugar": ["sugar=Y", "sugar=N"]}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """So small a model is slower on more; and what it learns is the same each time."""
    fix_random_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def make(tiny_bert, pooling: str = "mean", encoder: Dict[str, Any] | None = None, **settings: Any) -> Language:
    architecture = settings.pop("architecture", "NoteWindows")
    tok2vec = {"@architectures": f"spacy_clinbert.{architecture}.v1", "name": str(tiny_bert), **(encoder or {})}
    model = {"@architectures": "spacy_clinbert.TextClassifier.v1", "tok2vec": tok2vec, "pooling": pooling}
    model["aggregate"] = settings.pop("aggregate", "none")
    nlp = spacy.blank("en")
    nlp.add_pipe("clinbert_textcat", config={"model": model, **settings})
    return nlp


def examples(nlp: Language, cats: Iterable[tuple]) -> List[Example]:
    return [Example.from_dict(nlp.make_doc(text), {"cats": dict(one)}) for text, one in cats]


def exclusive(nlp: Language) -> List[Example]:
    return examples(
        nlp, [(text, {one: float(one == label) for one in NOTES}) for label, texts in NOTES.items() for text in texts]
    )


def train(nlp: Language, batch: List[Example], steps: int = 60) -> float:
    nlp.initialize(lambda: batch)
    sgd = Adam(2e-3)
    for _ in range(steps):
        losses = nlp.update(batch, sgd=sgd)
    return losses["clinbert_textcat"]


@pytest.mark.parametrize(
    "settings",
    [
        {"pooling": "cls"},
        {"pooling": "max"},
        {"pooling": "cls", "aggregate": "mean"},
        {"pooling": "cls", "aggregate": "readmission"},
        {"pooling": "attention", "architecture": "NoteEncoder"},
    ],
)
def test_it_learns_exclusive_labels(tiny_bert, settings: Dict[str, Any]) -> None:
    encoder = None if "architecture" in settings else {"window": "sentence", "max_pieces": 8}
    nlp = make(tiny_bert, encoder=encoder, **settings)
    batch = exclusive(nlp)
    assert train(nlp, batch) < 0.2
    scores = nlp.evaluate(batch)
    assert scores["cats_micro_f"] == scores["cats_macro_f"] == scores["cats_score"] == 1.0
    for example in batch:
        cats = nlp(example.reference.text).cats
        assert list(cats) == ["heart", "sugar"] and sum(cats.values()) == pytest.approx(1.0)


def test_it_learns_labels_beside_each_other_where_some_are_not_judged(tiny_bert) -> None:
    nlp = make(tiny_bert, exclusive=False)
    batch = examples(
        nlp,
        [
            ("chest pain and diabetes .", {"pain": 1.0, "sugar": 1.0}),
            ("no acute process .", {"pain": 0.0, "sugar": 0.0}),
            ("chest pain .", {"pain": 1.0}),
            ("metformin for diabetes .", {"sugar": 1.0}),
        ],
    )
    train(nlp, batch)
    both = nlp("chest pain and diabetes .").cats
    assert both["pain"] > 0.5 and both["sugar"] > 0.5
    assert nlp.evaluate(batch)["cats_micro_f"] == 1.0
    textcat = nlp.get_pipe("clinbert_textcat")
    _, gradient = textcat.get_loss(batch, [np.zeros((1, 2), dtype="float32")] * 4)
    assert [one.tolist()[0].index(0.0) if 0.0 in one else None for one in gradient] == [None, None, 1, 0]
    # The mean over the six judged labels.
    assert gradient[0][0] == pytest.approx(-0.5 / 6)


def obesity(nlp: Language) -> List[Example]:
    def cats(pain: str, sugar: str) -> Dict[str, float]:
        judged = {f"pain={one}": float(one == pain) for one in "YNU"} if pain else {}
        return judged | ({f"sugar={one}": float(one == sugar) for one in "YN"} if sugar else {})

    return examples(
        nlp,
        [
            ("chest pain and diabetes .", cats("Y", "Y")),
            ("denies chest pain . diabetes .", cats("N", "Y")),
            ("the scan showed no process .", cats("U", "N")),
            ("chest pain .", cats("Y", "")),
            ("discharge home .", cats("", "")),
        ],
    )


def test_groups_each_have_one_label_and_a_missing_group_has_no_gradient(tiny_bert) -> None:
    # A random pooler leaves the rows of texts 0.3 % of their norm apart: too near for so few steps.
    nlp = make(tiny_bert, groups=GROUPS, encoder={"pooler": False})
    batch = obesity(nlp)
    with pytest.warns(UserWarning, match="1 of 5 training documents have no category"):
        train(nlp, batch, 100)
    doc = nlp("denies chest pain . diabetes .")
    for labels in GROUPS.values():
        assert sum(doc.cats[label] for label in labels) == pytest.approx(1.0)
    scores = nlp.evaluate(batch)
    assert scores["cats_micro_f"] == 1.0 and set(scores["cats_per_group"]) == {"pain", "sugar"}
    assert scores["cats_per_group"]["pain"] == {"micro_f": 1.0, "macro_f": 1.0}
    textcat = nlp.get_pipe("clinbert_textcat")
    _, gradient = textcat.get_loss(batch, [np.zeros((1, 5), dtype="float32")] * 5)
    assert gradient[3][0, :3].any() and not gradient[3][0, 3:].any() and not gradient[4].any()
    # Seven decisions: four on pain, three on sugar.
    np.testing.assert_allclose(gradient[2][0], np.array([1 / 3, 1 / 3, -2 / 3, 0.5 * -1 + 1, -0.5]) / 7, atol=1e-6)


@pytest.mark.parametrize("labels, groups", [((), GROUPS), (("a", "b", "c"), {}), (("a", "b"), {})])
def test_the_loss_has_the_gradient_that_numbers_say(labels, groups) -> None:
    labels = labels or tuple(label for members in groups.values() for label in members)
    parts = make_groups(labels, groups, exclusive=len(labels) == 3)
    gold = gold_values({label: float(number in (0, 3)) for number, label in enumerate(labels)}, labels, parts)
    at = np.random.default_rng(0).uniform(0.1, 0.9, len(labels))
    _, gradient = loss_and_gradient(at, gold, parts)
    for place in range(len(labels)):
        step = 1e-6 * np.eye(len(labels))[place]
        slope = (loss_and_gradient(at + step, gold, parts)[0] - loss_and_gradient(at - step, gold, parts)[0]) / 2e-6
        assert gradient[place] == pytest.approx(slope, abs=1e-5)


@pytest.mark.parametrize(
    "settings", [{"pooling": "mean"}, {"pooling": "attention"}, {"pooling": "cls", "aggregate": "readmission"}]
)
def test_gradients_from_the_loss_down_to_the_encoder(tiny_bert, settings: Dict[str, Any]) -> None:
    encoder = {"dropout": 0.0, "max_pieces": 6, "pooler": False}
    nlp = make(tiny_bert, groups=GROUPS, encoder=encoder, **settings)
    batch = obesity(nlp)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nlp.initialize(lambda: batch)
    textcat = nlp.get_pipe("clinbert_textcat")
    output = textcat.model.get_ref("output_layer")
    output.set_param("W", np.random.default_rng(0).normal(size=output.get_param("W").shape).astype("float32"))
    docs = [example.predicted for example in batch]

    def loss() -> float:
        return textcat.get_loss(batch, textcat.model.begin_update(docs)[0])[0]

    scores, backprop = textcat.model.begin_update(docs)
    backprop(textcat.get_loss(batch, scores)[1])
    parameters = dict(textcat.model.get_ref("tok2vec").shims[0]._model.named_parameters())
    for name in ("encoder.layer.1.output.dense.weight", "encoder.layer.0.attention.self.value.weight"):
        weights, gradient = parameters[name], parameters[name].grad.clone()
        step = 1e-2 * gradient / gradient.norm()
        with torch.no_grad():
            weights += step
            above = loss()
            weights -= 2 * step
            below = loss()
            weights += step
        assert (above - below) / 2e-2 == pytest.approx(float(gradient.norm()), rel=1e-2)


def test_a_pipeline_comes_back_from_disk_and_bytes(tiny_bert, tmp_path) -> None:
    nlp = make(tiny_bert, groups=GROUPS, pooling="attention", threshold=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(nlp, obesity(nlp), 3)
    textcat = nlp.get_pipe("clinbert_textcat")
    textcat.cfg["temperatures"] = {"pain": 2.0}
    texts = [text for texts in NOTES.values() for text in texts]
    before = [doc.cats for doc in nlp.pipe(texts)]
    nlp.to_disk(tmp_path / "model")
    again = spacy.load(tmp_path / "model")
    copy = again.get_pipe("clinbert_textcat")
    assert (copy.labels, copy.groups, copy.temperatures) == (textcat.labels, textcat.groups, {"pain": 2.0})
    assert copy.threshold == 0.3
    other = make(tiny_bert, groups=GROUPS, pooling="attention").from_bytes(nlp.to_bytes())
    for pipeline in (again, other):
        for cats, doc in zip(before, pipeline.pipe(texts, batch_size=2)):
            assert cats == pytest.approx(doc.cats, abs=1e-4)
    nlp.to_disk(tmp_path / "bare", exclude=["clinbert_textcat"])
    assert not (tmp_path / "bare" / "clinbert_textcat").exists()
    assert (
        not make(tiny_bert).from_disk(tmp_path / "bare", exclude=["clinbert_textcat"]).pipe_labels["clinbert_textcat"]
    )


@pytest.mark.parametrize("saved", [("cls", "none"), ("cls", "mean"), ("attention", "none")])
@pytest.mark.parametrize("asked", [("cls", "readmission"), ("cls", "none"), ("max", "none"), ("attention", "none")])
def test_a_config_at_load_changes_pooling_and_aggregate(tiny_bert, tmp_path, saved: tuple, asked: tuple) -> None:
    nlp = make(tiny_bert, saved[0], {"max_pieces": 14}, aggregate=saved[1])
    train(nlp, exclusive(nlp), 10)
    nlp.to_disk(tmp_path / "model")
    changed = {f"components.clinbert_textcat.model.{k}": v for k, v in zip(("pooling", "aggregate"), asked)}
    again = spacy.load(tmp_path / "model", config=changed)
    if asked[0] == "attention" != saved[0]:
        with pytest.raises(ClinbertError, match="has weights, which this pipeline was saved without"):
            again(LONG)
        return
    logits = nlp.get_pipe("clinbert_textcat").model.get_ref("output_layer").predict
    rows = nlp.get_pipe("clinbert_textcat").model.get_ref("tok2vec").predict([nlp.make_doc(LONG)])[0]
    assert len(rows) > 2
    if asked == ("cls", "readmission"):
        expected = combine(softmax(logits(rows), axis=1), "readmission", True)[0]
    elif asked[0] == "attention":
        expected = np.array(list(nlp(LONG).cats.values()))
    else:
        pooled = rows[:1] if asked[0] == "cls" else rows.max(axis=0, keepdims=True)
        expected = softmax(logits(pooled), axis=1)[0]
    doc = again(LONG)
    np.testing.assert_allclose(list(doc.cats.values()), expected, atol=1e-5)
    assert bool(doc.spans["clinbert_textcat"]) == (asked[0] == "attention")
    assert doc._.clinbert_left_out == (48 if asked == ("cls", "none") else 0)
    # What was asked for is what is saved.
    again.to_disk(tmp_path / "changed")
    np.testing.assert_allclose(list(spacy.load(tmp_path / "changed")(LONG).cats.values()), expected, atol=1e-5)


def test_a_temperature_moves_no_decision_and_training_drops_it(tiny_bert) -> None:
    nlp = make(tiny_bert)
    batch = exclusive(nlp)
    train(nlp, batch, 5)
    textcat = nlp.get_pipe("clinbert_textcat")
    before = nlp("chest pain .").cats
    textcat.cfg["temperatures"] = {"": 4.0}
    after = nlp("chest pain .").cats
    assert max(after, key=after.get) == max(before, key=before.get)
    logit = np.log(before["heart"] / before["sugar"])
    assert np.log(after["heart"] / after["sugar"]) == pytest.approx(logit / 4, abs=1e-4)
    nlp.update(batch, sgd=Adam(1e-4))
    assert not textcat.temperatures


@pytest.mark.parametrize("architecture", ["NoteWindows", "NoteEncoder"])
@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_texts_of_nothing(tiny_bert, architecture: str, pooling: str) -> None:
    nlp = make(tiny_bert, pooling, architecture=architecture)
    train(nlp, exclusive(nlp), 1)
    textcat = nlp.get_pipe("clinbert_textcat")
    for doc in nlp.pipe(["", "  \n ", "chest pain ."]):
        assert sum(doc.cats.values()) == pytest.approx(1.0) and np.isfinite(list(doc.cats.values())).all()
    assert textcat.predict([]) == [] and list(nlp.pipe([])) == []
    assert textcat.update([], sgd=Adam(1e-4)) == {"clinbert_textcat": 0.0}
    nothing = examples(nlp, [("", {"heart": 1.0, "sugar": 0.0}), (" ", {})])
    assert np.isfinite(textcat.update(nothing, sgd=Adam(1e-4))["clinbert_textcat"])


def test_docs_without_gold_run_the_backward_pass(tiny_bert) -> None:
    nlp = make(tiny_bert)
    train(nlp, exclusive(nlp), 1)
    textcat = nlp.get_pipe("clinbert_textcat")
    shim = textcat.model.get_ref("tok2vec").shims[0]
    assert textcat.update(examples(nlp, [("chest pain .", {})])) == {"clinbert_textcat": 0.0}
    gradients = [p.grad for p in shim._model.parameters() if p.grad is not None]
    assert gradients and not any(gradient.any() for gradient in gradients)


def test_two_thousand_labels(tiny_bert) -> None:
    nlp = make(tiny_bert, exclusive=False)
    labels = [f"code {number}" for number in range(2000)]
    batch = examples(nlp, [("chest pain .", dict.fromkeys(labels, 0.0) | {"code 7": 1.0})])
    train(nlp, batch, 2)
    assert len(nlp("chest pain .").cats) == 2000 and nlp.get_pipe("clinbert_textcat").labels == tuple(sorted(labels))
    assert nlp.evaluate(batch)["cats_f_per_type"]["code 7"]


@pytest.mark.parametrize("is_exclusive", [True, False])
def test_a_class_seen_only_at_test_is_wrong_and_counted(tiny_bert, is_exclusive: bool) -> None:
    nlp = make(tiny_bert, exclusive=is_exclusive)
    batch = exclusive(nlp)
    train(nlp, batch)
    unseen = examples(nlp, [("fever and chills .", {"heart": 0.0, "sugar": 0.0, "fever": 1.0})])
    with pytest.warns(UserWarning, match="1 of 7 documents have gold labels .* cannot be found: fever"):
        scores = nlp.evaluate([*batch, *unseen])
    if is_exclusive:
        assert scores["cats_micro_r"] == pytest.approx(6 / 7) and scores["cats_f_per_type"]["fever"]["f"] == 0.0


def test_labels_that_were_not_asked_for_are_not_learned(tiny_bert) -> None:
    nlp = make(tiny_bert)
    batch = [*exclusive(nlp), *examples(nlp, [("fever .", {"heart": 0.0, "sugar": 0.0, "fever": 1.0})])]
    textcat = nlp.get_pipe("clinbert_textcat")
    with pytest.warns(UserWarning, match="gold of 1 labels that were not asked for is not learned: 1 fever"):
        textcat.initialize(lambda: batch, nlp=nlp, labels=["heart", "sugar"])
    _, gradient = textcat.get_loss(batch, [np.zeros((1, 2), dtype="float32")] * 7)
    assert gradient[0].any() and not gradient[-1].any()


@pytest.mark.parametrize(
    "settings, cats, said",
    [
        ({}, [{"a": 1.0, "b": 1.0}], "in 1 training documents several labels hold that exclude each other"),
        ({"groups": GROUPS}, [{"pain=Y": 1.0, "pain=N": 1.0}], "several labels hold"),
        ({}, [{"a": 1.0}], "only the label 'a' is there"),
        ({}, [{}], "holds no categories"),
    ],
)
def test_corpora_that_cannot_be_learned(tiny_bert, settings, cats, said) -> None:
    nlp = make(tiny_bert, **settings)
    with pytest.raises(ClinbertError) as error:
        nlp.initialize(lambda: examples(nlp, [("chest pain .", one) for one in cats]))
    assert said in str(error.value) and "chest" not in str(error.value)


@pytest.mark.parametrize(
    "groups, said",
    [({"a": ["x"]}, "fewer than two labels"), ({"a": ["x", "y"], "b": ["y", "z"]}, "'y' stands 2 times")],
)
def test_groups_that_are_none(tiny_bert, groups, said) -> None:
    with pytest.raises(ClinbertError, match=said):
        make(tiny_bert, groups=groups)


def test_labels_beside_the_groups_are_refused(tiny_bert) -> None:
    nlp = make(tiny_bert, groups=GROUPS)
    textcat = nlp.get_pipe("clinbert_textcat")
    with pytest.raises(ClinbertError, match="not those of its groups"):
        textcat.initialize(lambda: obesity(nlp), labels=["other", "labels"])
    textcat.add_label("other")
    with pytest.raises(ClinbertError, match="not those of its groups"):
        nlp.initialize(lambda: obesity(nlp))


@pytest.mark.parametrize(
    "settings, nothing",
    [
        ({}, {"heart": 0.0, "sugar": 0.0}),
        ({"groups": {"heart": ["heart", "sugar"]}}, {"other": 1.0}),
        ({"exclusive": False}, {"heart": float("nan")}),
    ],
)
def test_documents_of_which_nothing_is_learned_are_counted(tiny_bert, settings, nothing) -> None:
    nlp = make(tiny_bert, **settings)
    batch = [*exclusive(nlp), *examples(nlp, [("fever .", nothing)])]
    with pytest.warns(UserWarning, match="1 of 7 training documents have no category that can be learned"):
        nlp.initialize(lambda: batch)
    textcat = nlp.get_pipe("clinbert_textcat")
    _, gradient = textcat.get_loss(batch, [np.zeros((1, 2), dtype="float32")] * 7)
    assert gradient[0].any() and not gradient[-1].any()


def test_groups_and_pooler_at_load_must_be_those_of_training(tiny_bert, tmp_path) -> None:
    nlp = make(tiny_bert, groups=GROUPS, encoder={"pooler": False})
    nlp.initialize(lambda: obesity(nlp)[:1])
    nlp.to_disk(tmp_path / "model")
    changed = spacy.load(tmp_path / "model", config={"components.clinbert_textcat.groups.sugar": ["sugar=Y", "no"]})
    with pytest.raises(ClinbertError, match="not those that this pipeline was trained with"):
        changed("chest pain .")
    assert spacy.load(tmp_path / "model")("chest pain .").cats
    with pytest.raises(ClinbertError, match="saved without its pooler"):
        spacy.load(tmp_path / "model", config={"components.clinbert_textcat.model.tok2vec.pooler": True})


LONG = "chest pain . " * 20


@pytest.mark.parametrize("architecture", ["NoteWindows", "NoteEncoder"])
def test_attention_weights_are_spans_with_scores(tiny_bert, architecture: str) -> None:
    nlp = make(tiny_bert, "attention", {"max_pieces": 16}, architecture=architecture, spans_key="weights")
    train(nlp, exclusive(nlp), 3)
    doc = nlp(LONG)
    group = doc.spans["weights"]
    assert len(group) == (60 if architecture == "NoteEncoder" else 5)
    assert {span.label_ for span in group} == {"weight"} and sum(group.attrs["scores"]) == pytest.approx(1.0, abs=1e-4)
    assert "no explanation" in group.attrs["meaning"]
    assert [token.i for span in group for token in span] == list(range(60))
    # They outlive the DocBin.
    (again,) = DocBin(docs=[doc], store_user_data=True).get_docs(nlp.vocab)
    assert again.spans["weights"].attrs["scores"] == group.attrs["scores"]


@pytest.mark.parametrize(
    "pooling, encoder, left_out",
    [("mean", {}, 0), ("mean", {"max_windows": 2}, 36), ("cls", {}, 48), ("cls", {"max_windows": 2}, 48)],
)
def test_what_is_left_out_is_counted(tiny_bert, pooling: str, encoder: Dict[str, Any], left_out: int) -> None:
    nlp = make(tiny_bert, pooling, {"max_pieces": 14, **encoder})
    batch = [*exclusive(nlp), *examples(nlp, [(LONG, {"heart": 1.0, "sugar": 0.0})])]
    if left_out:
        with pytest.warns(UserWarning, match=f"{left_out} tokens of 1 of the 7 training documents are not read"):
            nlp.initialize(lambda: batch)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            nlp.initialize(lambda: batch)
    assert nlp(LONG)._.clinbert_left_out == left_out and nlp.make_doc(LONG)._.clinbert_left_out is None
    (again,) = DocBin(docs=[nlp(LONG)], store_user_data=True).get_docs(nlp.vocab)
    assert again._.clinbert_left_out == left_out


def test_sections_that_are_not_read_are_counted(tiny_bert) -> None:
    nlp = make(tiny_bert, encoder={"sections": ["chief_complaint"]})
    nlp.add_pipe("clinbert_sections", first=True)
    nlp.config["training"]["annotating_components"] = ["clinbert_sections"]
    text = "Chief Complaint:\nChest pain.\n\nAllergies:\nAspirin and metformin.\n"
    batch = examples(nlp, [(text, {"heart": 1.0, "sugar": 0.0})])
    with pytest.warns(UserWarning, match="6 tokens of 1 of the 1 training documents"):
        nlp.initialize(lambda: batch)
    doc = nlp(text)
    assert doc._.clinbert_left_out == 6 and len(doc.spans["clinbert_textcat"]) == 0


def test_the_error_handler_is_honoured(tiny_bert, monkeypatch) -> None:
    nlp = make(tiny_bert)
    train(nlp, exclusive(nlp), 1)
    textcat = nlp.get_pipe("clinbert_textcat")
    monkeypatch.setattr(textcat, "predict", lambda docs: 1 / 0)
    failed: List[Doc] = []
    nlp.set_error_handler(lambda name, pipe, docs, error: failed.extend(docs))
    assert list(nlp.pipe(["chest pain .", "fever ."])) == [] and len(failed) == 2
    assert isinstance(textcat, ClinbertTextcat)
