"""Rows of codes and of patients: what they depend on and what not, and that a saved pipeline holds them."""

import shutil
import warnings

import numpy as np
import pytest
import spacy
from ehr_patients import KEYS, ORIGINAL_KEYS, make_doc, make_patient
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Adam, Config
from tiny_code_encoders import HIERARCHY, SIZES, write_encoder

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.code_encoder import CodeEncoder, CodePatient
from spacy_clinbert.models.code_styles import STYLES
from spacy_clinbert.models.note_windows import read_windows
from spacy_clinbert.models.text_classifier import TextClassifier

NAMES = [(CodeEncoder, "code"), (CodePatient, "patient")]
STYLE_NAMES = list(STYLES)
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("encoders")
    found = {style: str(write_encoder(base / style, style)) for style in STYLE_NAMES}
    found["sum_with_pads"] = str(write_encoder(base / "sum_with_pads", "original", pooling="sum_with_pads"))
    found["hierarchy"] = str(write_encoder(base / "hierarchy", "default", HIERARCHY))
    return found


def docs_of(style, numbers=range(8)):
    original = style in ("original", "sum_with_pads")
    keys, first = (ORIGINAL_KEYS, 1) if original else (KEYS, 4)
    return [make_doc(make_patient(number, first=first), keys) for number in numbers]


def build(architecture, folder, **settings):
    model = architecture(folder, device="cpu", dropout=0.0, **settings)
    model.initialize()
    return model


@pytest.mark.parametrize(("architecture", "rows"), NAMES)
@pytest.mark.parametrize("style", [*STYLE_NAMES, "sum_with_pads", "hierarchy"])
def test_rows_do_not_depend_on_company_order_and_padding(folders, architecture, rows, style):
    model, docs = build(architecture, folders[style]), docs_of(style)
    together = model.predict(docs)
    assert [len(found) for found in together] == [len(doc) if rows == "code" else 1 for doc in docs]
    order = np.random.default_rng(0).permutation(len(docs))
    shuffled = model.predict([docs[i] for i in order])
    small = build(architecture, folders[style], max_batch_codes=1).predict(docs)
    for i, doc in enumerate(docs):
        (alone,) = model.predict([doc])
        for other in (alone, small[i], shuffled[list(order).index(i)]):
            np.testing.assert_allclose(together[i], other, atol=TOLERANCE)
        assert np.abs(alone).sum() > 0


@pytest.mark.parametrize("style", STYLE_NAMES)
def test_of_a_long_patient_the_latest_codes_are_read(folders, style):
    original = style == "original"
    patient = make_patient(1, 5000, first=1 if original else 4)
    doc = make_doc(patient, ORIGINAL_KEYS if original else KEYS)
    (rows,) = build(CodeEncoder, folders[style]).predict([doc])
    room = SIZES["max_position_embeddings"] - STYLES[style].cls
    assert len(rows) == 5000
    assert not rows[:-room].any() and rows[-room:].any(axis=1).all()
    (few,) = build(CodeEncoder, folders[style], max_codes=5).predict([doc])
    assert not few[:-5].any() and few[-5:].any(axis=1).all() and not np.allclose(few[-5:], rows[-5:])
    patient_model = build(CodePatient, folders[style], max_codes=5)
    read = read_windows(patient_model, doc)
    assert read.windows == [(4995, 5000)] and read.pieces_elsewhere == 4995
    assert patient_model.attrs["rows"] == "window" and "rows" not in build(CodeEncoder, folders[style]).attrs


def test_a_doc_of_the_latest_codes_is_read_as_the_latest_codes_of_a_doc(folders):
    row = make_patient(1, 60)
    latest = {key: value[-11:] if isinstance(value, list) else value for key, value in row.items()}
    docs = [make_doc(row), make_doc(latest)]
    (whole,), (part,) = (build(CodePatient, folders["default"], max_codes=11).predict([doc]) for doc in docs)
    np.testing.assert_allclose(whole, part, atol=1e-5)


@pytest.mark.parametrize("style", STYLE_NAMES)
def test_one_visit_unknown_codes_and_no_codes(folders, style):
    single, nothing = Doc(spacy.blank("en").vocab, words=["A/B"] * 4), Doc(spacy.blank("en").vocab)
    single.user_data["clinbert_ranks"] = [0, 900, 1, 2]
    docs = [single, nothing]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        codes = build(CodeEncoder, folders[style]).predict(docs)
        patients = build(CodePatient, folders[style]).predict(docs)
    assert [found.shape for found in codes] == [(4, 32), (0, 32)]
    assert all(np.isfinite(found).all() for found in (*codes, *patients))
    # A patient of whom nothing is known has the row of [CLS] alone, where there is one.
    assert patients[1].shape == (1, 32) and patients[1].any() == STYLES[style].cls
    assert read_windows(build(CodePatient, folders[style]), nothing).windows == [(0, 0)]
    assert build(CodeEncoder, folders[style]).predict([]) == []


@pytest.mark.parametrize(
    ("change", "matters"),
    [
        ({"clinbert_ranks": [7, 8, 9]}, True),
        ({"clinbert_days": [0, 0, 900]}, True),
        ({"clinbert_birth": "1990-01-01"}, True),
        ({"clinbert_birth": ""}, True),
        ({"clinbert_id": "another"}, False),
        ({"clinbert_sex": "F"}, False),
    ],
)
def test_what_a_patient_row_depends_on(folders, change, matters):
    def make(**more):
        doc = Doc(spacy.blank("en").vocab, words=KEYS[5:8], sent_starts=[True, False, True])
        doc.user_data.update(
            clinbert_ranks=[1, 2, 1],
            clinbert_days=[0, 0, 30],
            clinbert_birth="1950-05-05",
            clinbert_first_admit="2010-01-01",
        )
        doc.user_data.update(more)
        return doc

    model = build(CodePatient, folders["default"])
    (before,), (after,) = (model.predict([doc]) for doc in (make(), make(**change)))
    assert np.allclose(before, after, atol=1e-6) != matters


def test_codes_without_a_rank_have_no_order(folders):
    """No table of positions tells codes of a visit apart whose order the source does not state."""
    model = build(CodePatient, folders["default"])
    docs = []
    for words in (["ICD10CM/C01", "ICD10CM/C02", "ICD10CM/C03"], ["ICD10CM/C03", "ICD10CM/C01", "ICD10CM/C02"]):
        docs.append(Doc(spacy.blank("en").vocab, words=words, sent_starts=[True, False, False]))
    first, second = model.predict(docs)
    np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.parametrize(("architecture", "rows"), NAMES)
def test_a_copy_as_bytes_needs_no_folder(folders, tmp_path, architecture, rows):
    folder = tmp_path / "encoder"
    shutil.copytree(folders["hierarchy"], folder)
    model, docs = build(architecture, str(folder)), docs_of("default")
    content = model.to_bytes()
    shutil.rmtree(folder)
    again = architecture(str(folder), device="cpu").from_bytes(content)
    again.initialize()
    for first, second in zip(model.predict(docs), again.predict(docs), strict=True):
        np.testing.assert_array_equal(first, second)
    assert architecture("nowhere").to_bytes()


@pytest.mark.parametrize("max_batch_codes", [4096, 40])
@pytest.mark.parametrize(("architecture", "rows"), NAMES)
def test_gradients_do_not_depend_on_the_micro_batches(folders, architecture, rows, max_batch_codes):
    model, docs = build(architecture, folders["default"], max_batch_codes=max_batch_codes), docs_of("default")
    found, backprop = model.begin_update(docs)
    backprop([np.ones_like(each) * (i + 1) for i, each in enumerate(found)])
    torch_model = model.shims[0]._model
    gradient = torch_model.embeddings.word_embeddings.weight.grad.numpy().copy()
    whole = build(architecture, folders["default"], max_batch_codes=10**6)
    found, backprop = whole.begin_update(docs)
    backprop([np.ones_like(each) * (i + 1) for i, each in enumerate(found)])
    expected = whole.shims[0]._model.embeddings.word_embeddings.weight.grad.numpy()
    np.testing.assert_allclose(gradient, expected, atol=1e-3)
    assert np.abs(expected).sum() > 0
    before = torch_model.embeddings.word_embeddings.weight.detach().clone()
    model.finish_update(Adam(0.1))
    assert not np.allclose(before, torch_model.embeddings.word_embeddings.weight.detach())


def test_frozen_layers_get_no_gradient(folders):
    model = build(CodeEncoder, folders["default"], freeze_layers=1)
    found, backprop = model.begin_update(docs_of("default"))
    backprop([np.ones_like(each) for each in found])
    encoder = model.shims[0]._model
    assert encoder.embeddings.word_embeddings.weight.grad is None
    assert [layer.output.dense.weight.grad is None for layer in encoder.encoder.layer] == [True, False]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_codes": 0}, "max_codes = 0"),
        ({"max_batch_codes": 0}, "max_batch_codes = 0"),
        ({"dropout": 2.0}, "dropout = 2.0"),
        ({"mixed_precision": "int8"}, "mixed_precision"),
        ({"style": "mine"}, 'style = "mine"'),
    ],
)
def test_settings_out_of_range_are_one_sentence(settings, said):
    for architecture, _ in NAMES:
        with pytest.raises(ClinbertError, match=said) as raised:
            architecture("anywhere", **settings)
        assert "\n" not in str(raised.value)


def test_more_codes_than_the_encoder_was_trained_on(folders):
    with pytest.raises(ClinbertError, match="trained on 23 at most"):
        build(CodeEncoder, folders["default"], max_codes=24).predict(docs_of("default"))
    with pytest.raises(ClinbertError, match="width = 7"):
        build(CodeEncoder, folders["default"], width=7)
    with pytest.raises(ClinbertError, match="no weights yet"):
        CodeEncoder(folders["default"]).predict(docs_of("default"))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("clinbert_ranks", [1], "1 numbers in clinbert_ranks"),
        ("clinbert_days", [], "0 numbers in clinbert_days"),
        ("clinbert_birth", "5 May 1950", "no ISO date"),
    ],
)
def test_user_data_that_does_not_fit_is_one_sentence(folders, key, value, said):
    doc = make_doc(make_patient(1))
    doc.user_data[key] = value
    with pytest.raises(ClinbertError, match=said) as raised:
        build(CodeEncoder, folders["default"]).predict([doc])
    assert "'p1'" in str(raised.value) and "\n" not in str(raised.value)


def test_a_doc_without_visits_is_said_once(folders):
    model = build(CodeEncoder, folders["default"])
    doc = Doc(spacy.blank("en").vocab, words=KEYS[5:9])
    with pytest.warns(UserWarning, match="read as one visit"):
        model.predict([doc])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict([doc])


def test_a_config_finds_both_by_name_and_a_head_learns_on_them(folders):
    config = Config().from_str(
        f'[model]\n@architectures = "spacy_clinbert.CodePatient.v1"\nname = "{folders["default"]}"'
    )
    tok2vec = spacy.registry.resolve(config)["model"]
    nlp = spacy.blank("en")
    component = nlp.add_pipe(
        "clinbert_textcat",
        config={
            "model": {
                "@architectures": "spacy_clinbert.TextClassifier.v1",
                "pooling": "cls",
                "tok2vec": {"@architectures": "spacy_clinbert.CodePatient.v1", "name": folders["default"]},
            }
        },
    )
    assert TextClassifier(tok2vec, pooling="cls").get_ref("tok2vec") is tok2vec
    examples = []
    for i, doc in enumerate(docs_of("default", range(24))):
        here = Doc(nlp.vocab, words=[token.text for token in doc], sent_starts=[token.is_sent_start for token in doc])
        here.user_data.update(doc.user_data)
        gold = here.copy()
        gold.cats = {"YES": float(i % 2), "NO": float(1 - i % 2)}
        examples.append(Example(here, gold))
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.003
    losses = []
    for _ in range(30):
        found: dict = {}
        component.update(examples, sgd=optimizer, losses=found)
        losses.append(found["clinbert_textcat"])
    assert losses[-1] < 0.5 * losses[0]
    docs = list(nlp.pipe([example.predicted for example in examples]))
    assert all(0 <= score <= 1 for doc in docs for score in doc.cats.values())
