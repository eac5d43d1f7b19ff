"""GRU, Bi-GRU and RETAIN on rows of codes, and static vectors: what they compute, and what they must not see."""

import numpy as np
import pytest
import torch
from ehr_patients import KEYS, make_doc, make_patient
from safetensors.numpy import save_file
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Adam, fix_random_seed
from tiny_code_encoders import write_encoder
from torch import nn

from spacy_clinbert.ehr.code_vocabulary import write_codes
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.code_encoder import CodeEncoder, CodePatient
from spacy_clinbert.models.code_rnn import CodeRnn
from spacy_clinbert.models.latest_codes import latest_codes
from spacy_clinbert.models.retain import Retain, sum_visits
from spacy_clinbert.models.static_codes import CodeVectors
from spacy_clinbert.models.text_classifier import TextClassifier

WIDTH, HIDDEN = 6, 5
HEADS = {
    "gru": lambda tok2vec, **more: CodeRnn(tok2vec, HIDDEN, **more),
    "bigru": lambda tok2vec, **more: CodeRnn(tok2vec, HIDDEN, bidirectional=True, **more),
    "retain": lambda tok2vec, **more: Retain(tok2vec, HIDDEN, **more),
}
ONE_LABEL = [np.zeros((1, 1), dtype="float32")]


@pytest.fixture(scope="module")
def codes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("codes")
    write_codes(KEYS, folder / "codes.json")
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoders") / "default")


def patients(count=9):
    return [make_doc(make_patient(number)) for number in range(count)]


def make(head, codes, **more):
    fix_random_seed(0)
    model = HEADS[head](CodeVectors(str(codes), WIDTH), nO=1, **more)
    return model.initialize(patients(2), ONE_LABEL * 2)


def logits(model, docs):
    return np.concatenate(model.predict(docs))


def reference(head, model, doc):
    """What the papers' equations say, one patient alone, step by step."""
    pool = model.get_ref("head").layers[0]
    weights = {name: torch.tensor(np.array(pool.get_param(name))) for name in pool.param_names}
    output = model.get_ref("output_layer")
    rows = torch.tensor(model.get_ref("tok2vec").predict([doc])[0])

    def run(name, sequence, suffix=""):
        cell = nn.GRUCell(WIDTH, HIDDEN)
        cell.load_state_dict(
            {
                f"{kind}_{side}": weights[f"{name}.{kind}_{side}_l0{suffix}"]
                for kind in ("weight", "bias")
                for side in ("ih", "hh")
            }
        )
        state, states = torch.zeros(1, HIDDEN), []
        for row in sequence:
            state = cell(row[None], state)
            states.append(state[0])
        return states

    with torch.no_grad():
        if head != "retain":
            last = [run("gru", rows)[-1]]
            if head == "bigru":
                last.append(run("gru", rows.flip(0), "_reverse")[-1])
            pooled = torch.cat(last)
        else:
            scores, betas = [], []
            for g, h in zip(run("visits", rows.flip(0)), run("dimensions", rows.flip(0))):
                scores.append(weights["alpha.weight"] @ g + weights["alpha.bias"])
                betas.append(torch.tanh(weights["beta.weight"] @ h + weights["beta.bias"]))
            alphas = torch.softmax(torch.cat(scores[::-1]), dim=0)
            pooled = sum(a * b * v for a, b, v in zip(alphas, betas[::-1], rows))
    return pooled.numpy() @ output.get_param("W").T + output.get_param("b")


@pytest.mark.parametrize("head", HEADS)
def test_equations_of_the_papers(head, codes):
    model = make(head, codes)
    for doc, found in zip(patients(), model.predict(patients())):
        np.testing.assert_allclose(found[0], reference(head, model, doc), atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("below", ["vectors", "encoder"])
def test_padding_and_batch_order_change_nothing(head, below, codes, encoder):
    tok2vec = CodeEncoder(str(encoder)) if below == "encoder" else CodeVectors(str(codes), WIDTH)
    model = HEADS[head](tok2vec, nO=2)
    model.initialize(patients(2), [np.zeros((1, 2), dtype="float32")] * 2)
    docs = patients(12)
    together = logits(model, docs)
    np.testing.assert_allclose(logits(model, docs[::-1])[::-1], together, atol=1e-5)
    np.testing.assert_allclose(np.concatenate([logits(model, [doc]) for doc in docs]), together, atol=1e-5)


def test_order_matters(codes):
    words = [KEYS[5], KEYS[9], KEYS[13]]
    there, back = (Doc(Vocab(), words=order, sent_starts=[True] * 3) for order in (words, words[::-1]))
    for head in HEADS:
        model = make(head, codes)
        assert abs(logits(model, [there]) - logits(model, [back])) > 1e-4


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("below", ["vectors", "encoder"])
def test_of_a_long_patient_the_latest_codes_are_read(head, below, codes, encoder):
    tok2vec = CodeEncoder(str(encoder), max_codes=7) if below == "encoder" else CodeVectors(str(codes), WIDTH)
    model = HEADS[head](tok2vec, nO=1, max_codes=7)
    model.initialize(patients(2), ONE_LABEL * 2)
    row = make_patient(3, 40)
    cut = {name: row[name][-7:] for name in ("input_ids", "visit", "rank", "day")}
    assert len(set(cut["visit"])) < len(set(row["visit"]))
    np.testing.assert_allclose(logits(model, [make_doc(row)]), logits(model, [make_doc({**row, **cut})]), atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_gradients_are_those_of_finite_differences(head, codes):
    model = make(head, codes, max_codes=10)
    docs = [*patients(3), Doc(Vocab())]
    weights = np.random.default_rng(0).normal(size=len(docs))

    def value():
        return float(sum(w * one[0, 0] for w, one in zip(weights, model.predict(docs))))

    _, backprop = model.begin_update(docs)
    backprop([np.full((1, 1), w, dtype="float32") for w in weights])
    checked = 0
    for node in model.walk():
        for name in node.param_names:
            parameter, gradient = node.get_param(name), node.get_grad(name)
            place = np.unravel_index(np.abs(gradient).argmax(), gradient.shape)
            before, step = parameter[place], 1e-2
            parameter[place] = before + step
            above = value()
            parameter[place] = before - step
            below = value()
            parameter[place] = before
            assert (above - below) / (2 * step) == pytest.approx(gradient[place], rel=0.02, abs=1e-3), (node.name, name)
            checked += 1
    assert checked >= 7


@pytest.mark.parametrize("head", HEADS)
def test_it_learns_saves_and_loads_without_pickles(head, codes, tmp_path):
    model = make(head, codes)
    docs = patients(6)
    optimizer = Adam(0.05)
    before = logits(model, docs)
    for _ in range(30):
        found, backprop = model.begin_update(docs)
        backprop([one - (number % 2) for number, one in enumerate(found)])
        model.finish_update(optimizer)
    after = logits(model, docs)
    targets = np.arange(6)[:, None] % 2
    assert np.abs(after - targets).mean() < 0.5 * np.abs(before - targets).mean()
    saved = model.to_bytes()
    assert b"torch" not in saved and b"pickle" not in saved
    # Nothing of the vectors' folder is needed, and sizes come from what was saved.
    other = HEADS[head](CodeVectors("nowhere")).from_bytes(saved)
    np.testing.assert_allclose(logits(other, docs), after, atol=1e-6)
    np.testing.assert_allclose(logits(model.copy(), docs), after, atol=1e-6)


@pytest.mark.parametrize("head", HEADS)
def test_patients_without_codes(head, codes):
    model = make(head, codes)
    empty = Doc(Vocab())
    some = patients(1)
    both = logits(model, [empty, some[0]])
    np.testing.assert_allclose(both[1:], logits(model, some), atol=1e-6)
    np.testing.assert_allclose(logits(model, [empty]), both[:1])
    found, backprop = model.begin_update([empty, *some])
    backprop(found)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("of_encoder", "of_head"), [(None, None), (7, None), (None, 7), (7, 30), (7, 3)])
def test_codes_that_are_not_read_are_no_padding(head, of_encoder, of_head, encoder):
    model = HEADS[head](CodeEncoder(str(encoder), max_codes=of_encoder), max_codes=of_head, nO=1)
    model.initialize(patients(2), ONE_LABEL * 2)
    row = make_patient(3, 5000)
    # The encoder is 24 long with its [CLS]. What it reads decides the rows; the head takes the last of them.
    room = of_encoder or 23
    cut = {name: row[name][-room:] for name in ("input_ids", "visit", "rank", "day")}
    docs = [make_doc(row), make_doc({**row, **cut})]
    one, other = logits(model, docs)
    np.testing.assert_allclose(one, other, atol=1e-5)
    found, backprop = model.begin_update(docs)
    backprop(found)


def test_a_visit_is_the_sum_of_its_codes(codes):
    tok2vec = CodeVectors(str(codes), WIDTH).initialize()
    doc = Doc(Vocab(), words=KEYS[4:10], sent_starts=[True, False, False, True, True, False])
    rows = tok2vec.predict([doc])[0]
    expected = np.stack([rows[:3].sum(0), rows[3], rows[4:].sum(0)])
    np.testing.assert_allclose(sum_visits(tok2vec).predict([doc])[0], expected, atol=1e-6)
    # Of a visit that is cut, what is left.
    expected = np.stack([rows[2], rows[3], rows[4:].sum(0)])
    np.testing.assert_allclose(sum_visits(latest_codes(tok2vec, 4)).predict([doc])[0], expected, atol=1e-6)


def test_vectors_come_from_their_folder(codes, tmp_path):
    write_codes(KEYS, tmp_path / "codes.json")
    table = np.random.default_rng(0).normal(size=(len(KEYS), 3)).astype("float32")
    save_file({"vectors": table}, tmp_path / "vectors.safetensors")
    model = CodeVectors(str(tmp_path)).initialize()
    doc = Doc(Vocab(), words=[KEYS[7], "ICD10CM/NEVER", KEYS[4]])
    np.testing.assert_array_equal(model.predict([doc])[0], table[[7, 2, 4]])
    with pytest.raises(ClinbertError, match=r"width = 4, but the vectors in .* have 3"):
        CodeVectors(str(tmp_path), 4).initialize()
    save_file({"vectors": table[1:]}, tmp_path / "vectors.safetensors")
    with pytest.raises(ClinbertError, match="has not a vector for each code"):
        CodeVectors(str(tmp_path)).initialize()
    (tmp_path / "vectors.safetensors").write_bytes(b"none")
    with pytest.raises(ClinbertError, match="cannot be read"):
        CodeVectors(str(tmp_path)).initialize()
    with pytest.raises(ClinbertError, match="set width"):
        CodeVectors(str(codes)).initialize()
    with pytest.raises(ClinbertError, match="no codes yet"):
        CodeVectors(str(codes), 4).predict([doc])


def test_settings_that_cannot_be(codes, encoder):
    for head in (CodeRnn, Retain):
        with pytest.raises(ClinbertError, match="one for a window"):
            head(CodePatient(str(encoder)))
        with pytest.raises(ClinbertError, match="max_codes = 0"):
            head(CodeVectors(str(codes)), max_codes=0)
        with pytest.raises(ClinbertError, match="hidden_width = 0"):
            head(CodeVectors(str(codes)), hidden_width=0)
    with pytest.raises(ClinbertError, match="needs rows of windows"):
        TextClassifier(CodeVectors(str(codes)))
