"""Whole pipelines of each head over patients at the edges: disk, bytes, processes, batches, and what errors tell."""

import numpy as np
import pytest
import spacy
from ehr_patients import KEYS, make_doc, make_patient
from spacy.tokens import Doc
from spacy.training import Example
from tiny_code_encoders import write_encoder

HEADS = {
    "ffn": {"@architectures": "spacy_clinbert.TextClassifier.v1", "pooling": "cls", "aggregate": "none"},
    "gru": {"@architectures": "spacy_clinbert.CodeRnn.v1", "hidden_width": 6, "bidirectional": False},
    "bigru": {"@architectures": "spacy_clinbert.CodeRnn.v1", "hidden_width": 6, "bidirectional": True},
    "retain": {"@architectures": "spacy_clinbert.Retain.v1", "hidden_width": 6},
}
CASES = [(head, below) for head in HEADS for below in ("encoder", "vectors") if head != "ffn" or below == "encoder"]


def edges():
    """Patients with one visit, without codes, with codes that nobody knows, and with very many."""
    one_visit = make_doc(make_patient(4, 3))
    one_visit = Doc(one_visit.vocab, words=[token.text for token in one_visit], sent_starts=[True, False, False])
    unknown = Doc(one_visit.vocab, words=["ICD10CM/NEVER", "[UNK]", "X"], sent_starts=[True, True, False])
    return [
        one_visit,
        Doc(one_visit.vocab),
        unknown,
        make_doc(make_patient(7, 5000)),
        make_doc(make_patient(8)),
        Doc(one_visit.vocab, words=[KEYS[5]]),
    ]


def risks(docs):
    return np.array([doc.cats["yes"] for doc in docs])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = write_encoder(tmp_path_factory.mktemp("encoder") / "e")
    kept = {}

    def get(head, below):
        if (head, below) not in kept:
            tok2vec = {"@architectures": "spacy_clinbert.CodeVectors.v1", "name": str(folder), "width": 8}
            if below == "encoder":
                kind = "CodePatient" if head == "ffn" else "CodeEncoder"
                tok2vec = {"@architectures": f"spacy_clinbert.{kind}.v1", "name": str(folder), "device": "cpu"}
            nlp = spacy.blank("xx")
            config = {"model": {**HEADS[head], "tok2vec": tok2vec}, "exclusive": False}
            nlp.add_pipe("clinbert_textcat", config=config)
            examples = [
                Example.from_dict(make_doc(make_patient(number)), {"cats": {"yes": float(number % 2)}})
                for number in range(8)
            ]
            optimizer = nlp.initialize(lambda: examples)
            optimizer.learn_rate = 0.01
            for _ in range(4):
                nlp.update(examples, sgd=optimizer)
            nlp.get_pipe("clinbert_textcat").cfg["temperatures"] = {"": 1.5}
            kept[head, below] = nlp
        return kept[head, below]

    return get


@pytest.mark.parametrize(("head", "below"), CASES)
def test_patients_at_the_edges_alone_together_and_in_processes(trained, head, below):
    nlp = trained(head, below)
    alone = risks([nlp(doc) for doc in edges()])
    assert np.isfinite(alone).all() and ((alone > 0) & (alone < 1)).all()
    for settings in ({"batch_size": 6}, {"batch_size": 2}, {"batch_size": 2, "n_process": 2}):
        np.testing.assert_allclose(risks(nlp.pipe(edges(), **settings)), alone, atol=1e-5)
    np.testing.assert_allclose(risks(nlp.pipe(edges()[::-1]))[::-1], alone, atol=1e-5)


@pytest.mark.parametrize(("head", "below"), CASES)
def test_probabilities_are_those_of_the_temperature(trained, head, below):
    """Also after disk and bytes, where neither encoder nor vectors are needed."""
    nlp = trained(head, below)
    logits = np.ravel(nlp.get_pipe("clinbert_textcat").predict_logits(edges()))
    np.testing.assert_allclose(risks(nlp.pipe(edges())), 1 / (1 + np.exp(-logits / 1.5)), atol=1e-6)


@pytest.mark.parametrize(("head", "below"), CASES)
def test_a_saved_pipeline_needs_no_folder(trained, tmp_path, head, below):
    nlp = trained(head, below)
    found = risks(nlp.pipe(edges()))
    nlp.to_disk(tmp_path / "model")
    gone = {"components.clinbert_textcat.model.tok2vec.name": str(tmp_path / "gone")}
    other = spacy.load(tmp_path / "model", config=gone)
    np.testing.assert_allclose(risks(other.pipe(edges())), found, atol=1e-6)
    third = spacy.blank("xx").from_config(nlp.config).from_bytes(nlp.to_bytes())
    np.testing.assert_allclose(risks(third.pipe(edges())), found, atol=1e-6)
    files = b"".join(path.read_bytes() for path in (tmp_path / "model").rglob("*") if path.is_file())
    assert b"pickle" not in files


def test_what_is_said_names_the_patient_and_no_code(trained, caplog, recwarn):
    doc = make_doc(make_patient(6, 12))
    doc.user_data["clinbert_days"] = [0]
    with pytest.raises(Exception, match="patient 'p6' has 12 codes and 1 numbers") as found:
        trained("gru", "encoder")(doc)
    bare = Doc(doc.vocab, words=[token.text for token in doc])
    trained("retain", "encoder")(bare)
    said = [str(found.value), caplog.text, *(str(one.message) for one in recwarn)]
    assert not any("ICD10CM" in text for text in said)
