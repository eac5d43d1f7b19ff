"""What a prediction rests on: gradients that add up, visits left out, and a page that gives nothing more away."""

import numpy as np
import pytest
import spacy
import torch
from ehr_patients import KEYS, make_doc, make_patient, write_patients
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from tiny_code_encoders import HIERARCHY, write_encoder
from typer.testing import CliRunner

from spacy_clinbert.cli import app
from spacy_clinbert.ehr.attributions import (
    Explained,
    attribute,
    explain,
    find_textcat,
)
from spacy_clinbert.ehr.code_names import name_code
from spacy_clinbert.ehr.timeline import find_patient, render_timeline
from spacy_clinbert.ehr.visits_left_out import find_visits, read_patient, without_codes
from spacy_clinbert.errors import ClinbertError

PIPELINES = {
    "patient": ("CodePatient", "cls", True, None),
    "two labels": ("CodePatient", "cls", False, None),
    "codes": ("CodeEncoder", "attention", True, None),
    "hierarchy": ("CodePatient", "cls", True, HIERARCHY),
}


def build(folder, architecture, pooling, exclusive):
    nlp = spacy.blank("en")
    tok2vec = {"@architectures": f"spacy_clinbert.{architecture}.v1", "name": folder, "device": "cpu"}
    model = {"@architectures": "spacy_clinbert.TextClassifier.v1", "tok2vec": tok2vec, "pooling": pooling}
    nlp.add_pipe("clinbert_textcat", config={"model": model, "exclusive": exclusive})
    docs = [make_doc(make_patient(number)) for number in range(6)]
    cats = [{"yes": float(number % 2), "no": float(1 - number % 2)} for number in range(6)]
    examples = [Example.from_dict(doc, {"cats": one}) for doc, one in zip(docs, cats)]
    nlp.initialize(lambda: examples)
    # As large as trained ones.
    encoder = nlp.get_pipe("clinbert_textcat").model.get_ref("tok2vec").shims[0]._model
    for parameter in encoder.parameters():
        parameter.data *= 4
    output = nlp.get_pipe("clinbert_textcat").model.get_ref("output_layer")
    output.set_param("W", np.random.default_rng(0).normal(0, 0.5, output.get_param("W").shape).astype("float32"))
    nlp.get_pipe("clinbert_textcat").cfg["temperatures"] = {"": 1.7}
    return nlp


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    base = tmp_path_factory.mktemp("encoders")
    found = {}
    for name, (architecture, pooling, exclusive, ancestors) in PIPELINES.items():
        folder = str(write_encoder(base / name.replace(" ", "-"), "default", ancestors))
        found[name] = build(folder, architecture, pooling, exclusive)
    return found


def log_odds(nlp, doc, label="yes"):
    probability = nlp(doc.copy()).cats[label]
    return np.log(probability / (1 - probability))


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("codes", [8, 40])
def test_what_codes_add_leads_from_all_masked_to_the_prediction(pipelines, name, codes):
    nlp, doc = pipelines[name], make_doc(make_patient(3, codes))
    explained = explain(nlp, doc, "yes")
    assert explained.log_odds(explained.embeddings[None]).item() == pytest.approx(log_odds(nlp, doc), abs=1e-4)
    found = attribute(explained, len(doc), steps=96)
    # The encoder is 24 long with its [CLS]: it reads the latest 23 codes.
    np.testing.assert_array_equal(np.isnan(found.codes), np.arange(codes) < codes - 23)
    assert np.nansum(found.codes) + found.baseline == pytest.approx(log_odds(nlp, doc), abs=0.02)
    assert found.error < 0.02 and np.abs(found.codes[-8:]).max() > 1e-3
    masked = make_doc(make_patient(3, codes))
    masked = Doc(doc.vocab, words=["[MASK]"] * codes, sent_starts=[bool(token.is_sent_start) for token in masked])
    masked.user_data.update({key: value for key, value in doc.user_data.items() if isinstance(key, str)})
    assert found.baseline == pytest.approx(log_odds(nlp, masked), abs=1e-4)


@pytest.mark.parametrize("head", ["gru", "bigru", "retain"])
@pytest.mark.parametrize("below", ["encoder", "vectors"])
def test_gradients_of_heads_that_read_the_order(tmp_path, head, below):
    folder = write_encoder(tmp_path / "encoder")
    tok2vec = {"@architectures": "spacy_clinbert.CodeEncoder.v1", "name": str(folder), "device": "cpu", "max_codes": 12}
    if below == "vectors":
        tok2vec = {"@architectures": "spacy_clinbert.CodeVectors.v1", "name": str(folder), "width": 8}
    model = {"@architectures": "spacy_clinbert.CodeRnn.v1", "hidden_width": 6, "bidirectional": head == "bigru"}
    if head == "retain":
        model = {"@architectures": "spacy_clinbert.Retain.v1", "hidden_width": 6}
    nlp = spacy.blank("en")
    nlp.add_pipe("clinbert_textcat", config={"model": {**model, "tok2vec": tok2vec}, "exclusive": False})
    docs = [make_doc(make_patient(number)) for number in range(6)]
    nlp.initialize(lambda: [Example.from_dict(doc, {"cats": {"yes": i % 2}}) for i, doc in enumerate(docs)])
    nlp.get_pipe("clinbert_textcat").cfg["temperatures"] = {"": 0.6}
    output = nlp.get_pipe("clinbert_textcat").model.get_ref("output_layer")
    output.set_param("W", np.random.default_rng(0).normal(0, 2, output.get_param("W").shape).astype("float32"))
    doc = make_doc(make_patient(3, 20))
    found = attribute(explain(nlp, doc, "yes"), len(doc), steps=96)
    np.testing.assert_array_equal(np.isnan(found.codes), np.arange(20) < (8 if below == "encoder" else 0))
    masked = without_codes(doc, 0, 0)
    masked = Doc(doc.vocab, words=["[MASK]"] * 20, sent_starts=[bool(token.is_sent_start) for token in masked])
    masked.user_data.update({key: value for key, value in doc.user_data.items() if isinstance(key, str)})
    assert found.baseline == pytest.approx(log_odds(nlp, masked), abs=1e-4)
    assert np.nansum(found.codes) == pytest.approx(log_odds(nlp, doc) - log_odds(nlp, masked), abs=0.01)
    assert found.error < 0.01 and np.nanmax(np.abs(found.codes)) > 1e-3
    assert "Integrated gradients say" in render_timeline(nlp, doc, "yes", "m")


def test_explaining_leaves_the_pipeline_as_it_was(pipelines):
    nlp, doc = pipelines["codes"], make_doc(make_patient(5, 12))
    before = log_odds(nlp, doc)
    attribute(explain(nlp, doc, "yes"), len(doc), steps=4)
    assert log_odds(nlp, doc) == before
    model = nlp.get_pipe("clinbert_textcat").model
    assert not any(node.has_grad(name) for node in model.walk() for name in node.param_names)
    assert all(parameter.grad is None for parameter in model.get_ref("tok2vec").shims[0]._model.parameters())


def test_integrated_gradients_of_a_known_function():
    embeddings, baseline = torch.tensor([[1.0, 2.0], [3.0, -1.0], [9.0, 9.0]]), torch.zeros(3, 2)
    weights = torch.tensor([[2.0, 1.0], [-1.0, 1.0], [0.0, 0.0]])
    known = Explained(lambda x: (x * weights).sum(dim=(1, 2)) + 7, embeddings, baseline, np.array([2, 0, -1]))
    found = attribute(known, 4)
    np.testing.assert_allclose(found.codes, [-4, np.nan, 4, np.nan])
    assert found.baseline == 7 and found.error < 1e-5


@Language.component("risk_of_codes")
def risk_of_codes(doc):
    """Log-odds of -1, and 2 more for each C05."""
    doc.cats["yes"] = float(1 / (1 + np.exp(1 - 2 * sum(token.text == KEYS[9] for token in doc))))
    return doc


def test_a_visit_left_out_of_any_pipeline():
    nlp = spacy.blank("en")
    nlp.add_pipe("risk_of_codes")
    words = [KEYS[9], KEYS[5], KEYS[9], KEYS[6], KEYS[9]]
    doc = Doc(nlp.vocab, words=words, sent_starts=[True, False, False, True, True])
    doc.user_data.update(clinbert_id="7", clinbert_days=[0, 0, 0, 30, 90], clinbert_ranks=[1, 2, 3, 1, 1])
    assert find_visits(doc) == [(0, 3), (3, 4), (4, 5)]
    reading = read_patient(nlp, doc, "yes")
    np.testing.assert_allclose(reading.without, [4, 0, 2], atol=1e-6)
    assert reading.probability == pytest.approx(1 / (1 + np.exp(-5))) and reading.attention is None
    rest = without_codes(doc, 0, 3)
    assert [token.text for token in rest] == words[3:] and find_visits(rest) == [(0, 1), (1, 2)]
    assert rest.user_data["clinbert_days"] == [30, 90] and doc.user_data["clinbert_days"] == [0, 0, 0, 30, 90]
    page = render_timeline(nlp, doc, "yes", "a pipeline")
    assert "No integrated gradients: the pipeline has no clinbert_textcat" in page and "+4.000" in page
    with pytest.raises(ClinbertError, match="no label 'no'"):
        read_patient(nlp, doc, "no")


def test_the_only_visit_can_be_left_out(pipelines):
    doc = Doc(spacy.blank("en").vocab, words=KEYS[5:8], sent_starts=[True, False, False])
    reading = read_patient(pipelines["patient"], doc, "yes")
    assert len(reading.without) == 1 and np.isfinite(reading.without).all()


def test_attention_is_a_description(pipelines):
    doc = make_doc(make_patient(5, 20))
    assert read_patient(pipelines["patient"], doc, "yes").attention is None
    weights = read_patient(pipelines["codes"], doc, "yes").attention
    assert weights is not None and weights.sum() == pytest.approx(1, abs=1e-5)
    page = render_timeline(pipelines["codes"], doc, "yes", "m")
    assert "attention (description)" in page and "It explains nothing" in page
    other = render_timeline(pipelines["patient"], doc, "yes", "m")
    assert "attention (description)" not in other and "rank correlation" in other


def test_a_page_escapes_what_it_is_given(pipelines):
    doc = Doc(spacy.blank("en").vocab, words=["X/<script>", "ICD10CM/I509"], sent_starts=[True, True])
    doc.user_data.update(clinbert_id="<i>7", clinbert_days=[0, 3], clinbert_ranks=[0, 0])
    page = render_timeline(pipelines["patient"], doc, "yes", "m & m")
    assert "<script>" not in page and "X/&lt;script&gt;" in page and "&lt;i&gt;7" in page and "m &amp; m" in page
    assert "Heart failure, unspecified" in page and "http" not in page
    with pytest.raises(ClinbertError, match="has no codes"):
        render_timeline(pipelines["patient"], Doc(doc.vocab), "yes", "m")


def test_a_label_that_is_not_there(pipelines):
    with pytest.raises(ClinbertError, match="no label 'death': give one of no, yes"):
        find_textcat(pipelines["patient"], "death")


@pytest.mark.parametrize(
    ("key", "title"),
    [
        ("ICD10CM/I509", "Heart failure, unspecified"),
        ("ICD10CM/I50", "in: Other forms of heart disease"),
        ("ICD9CM/4280", "Congestive heart failure, unspecified"),
        ("ICD9CM/4321", "Subdural hemorrhage"),
        ("[UNK]", ""),
        ("SNOMED/84114007", ""),
        ("ICD10CM/ZZZ", ""),
    ],
)
def test_titles_of_codes(key, title):
    assert name_code(key) == title


def test_the_command(pipelines, tmp_path):
    patients = write_patients(tmp_path / "patients", train=20, valid=5)
    pipelines["patient"].to_disk(tmp_path / "model")
    out = tmp_path / "p3.html"
    command = ["ehr", "timeline", str(tmp_path / "model"), str(patients), "p3", "yes", str(out), "--limit", "10"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 0, found.output
    assert "Patient p3" in out.read_text() and "ICD10CM/" not in found.output
    assert len(find_patient(patients, "p4", pipelines["patient"], 2)) == 2
    with pytest.raises(ClinbertError, match="holds no patient p999"):
        find_patient(patients, "p999", pipelines["patient"])
