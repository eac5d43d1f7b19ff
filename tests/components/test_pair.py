"""`clinbert_pair`: pairs in and classes out, whatever the sides; training, scores, saving."""

import random
import warnings

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.util import fix_random_seed
from tiny_models import write_bert

from spacy_clinbert.components.pair import make_pair
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.training.corpus import make_corpus

CLASSES = ["contradiction", "entailment", "neutral"]
FINDINGS = ["fever", "chills", "nausea", "pain", "hypertension", "pneumonia"]


def make_gold(nlp, number: int) -> Doc:
    """A hypothesis that names the premise's finding, denies it, or says something of home."""
    rng = random.Random(number)
    finding, label = rng.choice(FINDINGS), CLASSES[number % 3]
    hypothesis = {
        "entailment": f"He has {finding}",
        "contradiction": f"Denies no {finding}",
        "neutral": f"Plan discharge home, {finding}",
    }[label]
    doc = make_pair(nlp, f"The patient was admitted with {finding}.", hypothesis)
    doc.cats = {one: float(one == label) for one in CLASSES}
    return doc


def examples_of(nlp, golds):
    found = []
    for gold in golds:
        predicted = Doc(nlp.vocab, words=[t.text for t in gold], spaces=[bool(t.whitespace_) for t in gold])
        for key in gold.spans:
            predicted.spans[key] = gold.spans[key].copy(doc=predicted)
        found.append(Example(predicted, gold))
    return found


def make_nlp(bert, **tok2vec):
    nlp = spacy.blank("en")
    encoder = {"@architectures": "spacy_clinbert.NotePairs.v1", "name": str(bert), **tok2vec}
    model = {"@architectures": "spacy_clinbert.PairClassifier.v1", "tok2vec": encoder}
    nlp.add_pipe("clinbert_pair", config={"model": model})
    return nlp


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """One layer whose weights are large, so that a few steps teach it something."""
    return write_bert(tmp_path_factory.mktemp("encoders") / "bert", num_hidden_layers=1, initializer_range=0.2)


@pytest.fixture(scope="module")
def trained(bert):
    fix_random_seed(0)
    nlp = make_nlp(bert, dropout=0.0)
    examples = examples_of(nlp, [make_gold(nlp, i) for i in range(48)])
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.003
    losses = []
    for epoch in range(7):
        random.Random(epoch).shuffle(examples)
        losses += [nlp.update(examples[i : i + 16], sgd=optimizer)["clinbert_pair"] for i in (0, 16, 32)]
    assert losses[-1] < losses[0] / 2
    return nlp


def rows(docs):
    return np.array([[doc.cats[label] for label in CLASSES] for doc in docs])


def test_it_learns_and_is_scored(trained):
    assert trained.get_pipe("clinbert_pair").labels == tuple(CLASSES)
    scores = trained.evaluate(examples_of(trained, [make_gold(trained, i) for i in range(100, 130)]))
    assert scores["cats_micro_f"] > 0.9 and scores["cats_macro_f"] > 0.9


def test_make_pair_keeps_both_texts_and_their_tokens(trained):
    doc = make_pair(trained, "BP 120/80. ", " He's well")
    assert doc.text == "BP 120/80. \n He's well"
    assert [[t.text for t in doc.spans[key][0]] for key in ("premise", "hypothesis")] == [
        ["BP", "120/80", "."],
        [" ", "He", "'s", "well"],
    ]
    copied = Doc(trained.vocab).from_bytes(doc.to_bytes())
    assert copied.spans["hypothesis"][0].text == doc.spans["hypothesis"][0].text
    (read,) = DocBin(docs=[doc]).get_docs(trained.vocab)
    assert read.spans["premise"][0].text == "BP 120/80."


@pytest.mark.parametrize(("premise", "hypothesis"), [("", "Fever"), ("Fever", ""), ("", ""), (" \n", "\t"), ("a", " ")])
def test_empty_and_blank_sides_are_defined(trained, premise, hypothesis):
    doc = trained(make_pair(trained, premise, hypothesis))
    assert abs(sum(doc.cats.values()) - 1) < 1e-5
    (sent,) = trained.pipe([Doc(trained.vocab).from_bytes(make_pair(trained, premise, hypothesis).to_bytes())])
    np.testing.assert_allclose(rows([sent]), rows([doc]), atol=1e-5)


def test_no_docs_and_docs_without_text(trained):
    pair = trained.get_pipe("clinbert_pair")
    assert pair.predict([]).shape == (0, 3)
    assert set(trained("").cats) == set(trained(" \n").cats) == set(CLASSES)


def test_a_text_that_is_no_pair_reaches_the_error_handler(trained):
    with pytest.raises(ClinbertError, match="make_pair"):
        trained("He has fever")
    failed = []
    pair = trained.get_pipe("clinbert_pair")
    pair.set_error_handler(lambda name, component, docs, error: failed.extend(docs))
    try:
        found = list(
            pair.pipe([make_gold(trained, 1), trained.make_doc("no pair"), make_gold(trained, 2)], batch_size=1)
        )
    finally:
        del pair.error_handler
    assert len(found) == 2 and [doc.text for doc in failed] == ["no pair"]


def test_a_saved_pipeline_gives_the_same_scores(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    docs = [make_gold(trained, i) for i in range(5)]
    expected = rows([trained(doc) for doc in docs])
    loaded = spacy.load(tmp_path / "model")
    np.testing.assert_allclose(rows(loaded.pipe([make_gold(loaded, i) for i in range(5)])), expected, atol=1e-6)
    pair = make_nlp("gone/for-good").get_pipe("clinbert_pair").from_bytes(trained.get_pipe("clinbert_pair").to_bytes())
    np.testing.assert_allclose(pair.predict(docs), expected, atol=1e-6)


def test_pairs_without_gold_teach_nothing_but_the_backward_pass_runs(bert):
    nlp = make_nlp(bert, dropout=0.0)
    golds = [make_gold(nlp, i) for i in range(6)]
    nlp.initialize(lambda: examples_of(nlp, golds))
    pair = nlp.get_pipe("clinbert_pair")
    for gold in golds[1:]:
        gold.cats = {}
    examples = examples_of(nlp, golds)
    scores, _ = pair.model.begin_update([e.predicted for e in examples])
    loss, gradients = pair.get_loss(examples, scores)
    alone, (expected,) = pair.get_loss(examples[:1], scores[:1])
    assert loss == pytest.approx(alone)
    np.testing.assert_allclose(gradients[0], expected)
    assert not any(gradient.any() for gradient in gradients[1:])
    assert pair.update(examples[1:], sgd=nlp.create_optimizer())["clinbert_pair"] == 0.0
    weights = [p.grad for p in pair.model.get_ref("tok2vec").shims[0]._model.parameters()]
    pair.update(examples[1:])
    assert all(w is None for w in weights)
    assert any(p.grad is not None for p in pair.model.get_ref("tok2vec").shims[0]._model.parameters())
    assert nlp.update([]) == {}


def test_what_cannot_be_learned_or_read_is_said(bert):
    nlp = make_nlp(bert, max_pieces=16)
    golds = [make_gold(nlp, i) for i in range(6)]
    golds[0].cats = {}
    golds[1].cats = dict.fromkeys(CLASSES, 1.0)
    golds.append(make_pair(nlp, "fever " * 30, "pain"))
    golds[-1].cats = dict.fromkeys(CLASSES, 0.0) | {"neutral": 1.0}
    with pytest.warns(UserWarning) as said:
        nlp.initialize(lambda: examples_of(nlp, golds))
    texts = [str(one.message) for one in said if "clinbert_pair" in str(one.message)]
    assert texts[0].startswith("clinbert_pair: 2 of 7 pairs have no class")
    assert "1 of 7 pairs are too long and lose 18 wordpieces" in texts[1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = make_nlp(bert)
        other.initialize(lambda: examples_of(other, golds[2:]))


def test_a_class_seen_only_at_test_is_wrong_and_said(trained):
    golds = [make_gold(trained, i) for i in range(102, 106)]
    golds[0].cats = {"unknown": 1.0}
    with pytest.warns(UserWarning, match="unknown"):
        scores = trained.evaluate(examples_of(trained, golds))
    assert scores["cats_micro_f"] <= 0.75


def test_data_without_classes_and_late_labels_are_errors(bert, trained):
    nlp = make_nlp(bert)
    with pytest.raises(ClinbertError, match="holds no categories"):
        nlp.initialize(lambda: examples_of(nlp, [make_pair(nlp, "a", "b")]))
    one = make_pair(nlp, "a", "b")
    one.cats = {"neutral": 1.0}
    with pytest.raises(ClinbertError, match="only the class 'neutral' is there"):
        nlp.initialize(lambda: examples_of(nlp, [one]))
    with pytest.raises(ClinbertError, match="after the model was initialized"):
        trained.get_pipe("clinbert_pair").add_label("maybe")


def test_rows_of_anything_but_pairs_are_a_config_error(bert):
    nlp = spacy.blank("en")
    for encoder in (
        {"@architectures": "spacy_clinbert.NoteEncoder.v1", "name": str(bert)},
        {"@architectures": "spacy_clinbert.NoteWindows.v1", "name": str(bert)},
        {"@architectures": "spacy.Tok2VecListener.v1", "width": 32},
    ):
        model = {"@architectures": "spacy_clinbert.PairClassifier.v1", "tok2vec": encoder}
        with pytest.raises(ClinbertError, match=r"spacy_clinbert\.NotePairs\.v1"):
            nlp.add_pipe("clinbert_pair", config={"model": model})


def test_the_reader_and_the_component_train_together(bert, tmp_path):
    nlp = make_nlp(bert)
    path = tmp_path / "pairs.spacy"
    # As `clinbert convert` has them: the text of both is cut as one.
    golds = []
    for i in range(6):
        pair = make_gold(nlp, i)
        doc = nlp.make_doc(pair.text)
        doc.cats = pair.cats
        for key in pair.spans:
            doc.spans[key] = pair.spans[key].copy(doc=doc)
        golds.append(doc)
    DocBin(docs=golds).to_disk(path)
    reader = make_corpus(path, ["spans:premise", "spans:hypothesis"])
    nlp.initialize(lambda: reader(nlp))
    assert nlp.update(list(reader(nlp)), sgd=nlp.create_optimizer())["clinbert_pair"] > 0
    scores = nlp.evaluate(list(reader(nlp)))
    assert scores["cats_micro_f"] is not None
    # spaCy's own reader loses the pairs, and that is said.
    with pytest.raises(ClinbertError, match="carry"):
        nlp.update(list(spacy.training.Corpus(path)(nlp)))
