"""Predicting on OpenVINO: torch's rows and entities, whatever the batch; saved, trained, in workers, refused."""

import copy
import pickle
import random
import subprocess
import sys
import warnings

import numpy as np
import openvino
import pytest
import spacy
import torch
from head_cases import build, examples_of, outcome, texts_of, train
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Adam
from tiny_models import WORDS

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models import openvino_engine, openvino_graph
from spacy_clinbert.models.note_encoder import NoteEncoder
from spacy_clinbert.models.note_windows import NoteWindows
from spacy_clinbert.models.passes import find_shim

VOCAB = Vocab()
FAST = {"engine": "openvino"}
CASES = [("clinbert_ner", "NoteEncoder"), ("clinbert_ner", "Tok2VecListener"), ("clinbert_textcat", "NoteWindows")]
CASES += [("clinbert_assertion", "NoteMentions"), ("clinbert_pair", "NotePairs")]


def make_docs(n: int) -> list[Doc]:
    """Docs of sentences of any length: some empty, one far longer than the encoder reads."""
    chance = random.Random(0)
    docs = [Doc(VOCAB), Doc(VOCAB, words=["\n"]), Doc(VOCAB, words=chance.choices(WORDS, k=700))]
    for _ in range(n):
        lengths = [chance.randint(1, 40) for _ in range(chance.randint(1, 6))]
        words = [chance.choice(WORDS[:-6]) for length in lengths for _ in range(length)]
        starts = [i == 0 for length in lengths for i in range(length)]
        docs.append(Doc(VOCAB, words=words, sent_starts=starts))
    return docs


def make(architecture, name, **settings):
    model = architecture(str(name), **settings)
    model.initialize(X=make_docs(1)[-1:])
    return model


@pytest.fixture(scope="module")
def fast(tiny_bert):
    return make(NoteEncoder, tiny_bert, **FAST)


def compiled(model):
    """The model as it is saved by `clinbert compile`, read anew."""
    model = copy.deepcopy(model)
    find_shim(model).keep_compiled()
    return model.to_bytes()


@pytest.mark.parametrize("settings", [{}, {"window": "packed", "pooling": "mean"}, {"max_pieces": 12}])
def test_rows_are_those_of_torch_in_any_batch(tiny_bert, settings):
    docs = make_docs(30)
    expected = make(NoteEncoder, tiny_bert, **settings).predict(docs)
    for bound in (20, 4096):
        encoder = make(NoteEncoder, tiny_bert, max_batch_pieces=bound, **settings, **FAST)
        for rows, alone, wanted in zip(encoder.predict(docs), [encoder.predict([doc])[0] for doc in docs], expected):
            np.testing.assert_allclose(rows, wanted, atol=1e-4)
            np.testing.assert_allclose(rows, alone, atol=1e-4)


def test_the_pooler_is_compiled_too(tiny_bert):
    docs = make_docs(5)
    for settings in ({}, {"pooler": False}):
        expected = make(NoteWindows, tiny_bert, **settings).predict(docs)
        model = make(NoteWindows, tiny_bert, **settings, **FAST)
        again = NoteWindows("nowhere", **settings, **FAST).from_bytes(compiled(model))
        for rows, saved, wanted in zip(model.predict(docs), again.predict(docs), expected):
            np.testing.assert_allclose(rows, wanted, atol=1e-4)
            np.testing.assert_allclose(saved, wanted, atol=1e-4)
    with pytest.raises(ClinbertError, match="set pooler = true"):
        NoteWindows("nowhere", pooler=False, **FAST).from_bytes(compiled(make(NoteWindows, tiny_bert, **FAST)))


def test_a_graph_that_differs_from_torch_is_refused(tiny_bert, monkeypatch):
    encoder = make(NoteEncoder, tiny_bert, **FAST)
    weight = find_shim(encoder)._model.embeddings.word_embeddings.weight
    convert = openvino_graph._convert
    monkeypatch.setattr(openvino_graph, "_convert", lambda *given: wrong(convert, weight, *given))
    with pytest.raises(ClinbertError, match=r"cannot convert this encoder \(BertModel\)"):
        encoder.predict(make_docs(1))


def wrong(convert, weight, *given):
    """A graph of other weights."""
    kept = weight.data
    weight.data = -kept
    try:
        return convert(*given)
    finally:
        weight.data = kept


def fast_config(nlp, head, encoder, **settings):
    """The overrides under which a saved pipeline runs on OpenVINO."""
    place = "tok2vec.model" if encoder == "Tok2VecListener" else f"{head}.model.tok2vec"
    return {f"components.{place}.{key}": value for key, value in {**FAST, **settings}.items()}


@pytest.mark.parametrize(("head", "encoder"), CASES)
def test_heads_find_the_same(head, encoder, tiny_bert, tmp_path):
    nlp = build(head, encoder, tiny_bert)
    train(nlp, head, 15)
    expected = [outcome(head, doc) for doc in nlp.pipe(texts_of(nlp, head))]
    assert any(expected)
    nlp.to_disk(tmp_path / "model")
    fast = spacy.load(tmp_path / "model", config=fast_config(nlp, head, encoder))
    found = [outcome(head, doc) for doc in fast.pipe(texts_of(fast, head), batch_size=3)]
    assert found == [pytest.approx(one, abs=1e-4) for one in expected]
    rounded = spacy.load(tmp_path / "model", config=fast_config(nlp, head, encoder, precision="bf16"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [outcome(head, doc) for doc in rounded.pipe(texts_of(rounded, head))]
    assert [set(one) for one in found] == [set(one) for one in expected]
    # What is saved of it holds torch's weights still.
    fast.to_disk(tmp_path / "again")
    train(spacy.load(tmp_path / "again"), head, 1)


def test_after_training_nothing_is_stale(tiny_bert):
    docs = make_docs(5)
    encoder = make(NoteEncoder, tiny_bert, dropout=0.0, **FAST)
    before = encoder.predict(docs)
    optimizer = Adam(0.01)
    rows, backprop = encoder.begin_update(docs)
    backprop([np.ones_like(part) for part in rows])
    encoder.finish_update(optimizer)
    after, shim = encoder.predict(docs), find_shim(encoder)
    plain = NoteEncoder("nowhere").from_bytes(encoder.to_bytes())
    for old, rows, wanted in zip(before[2:], after[2:], plain.predict(docs)[2:]):
        np.testing.assert_allclose(rows, wanted, atol=1e-4)
        assert np.abs(rows - old).max() > 0.01
    name, weight = next(iter(shim._model.named_parameters()))
    with encoder.use_params({(shim.id, name): np.zeros(weight.shape, dtype="float32")}):
        assert np.abs(encoder.predict(docs)[2] - after[2]).max() > 0.01
    np.testing.assert_array_equal(encoder.predict(docs)[2], after[2])


def test_compiled_weights_alone_predict_and_are_not_trained(fast, tiny_bert):
    docs, state = make_docs(5), compiled(fast)
    expected = fast.predict(docs)
    assert b"openvino_model.bin" in state and b"model.safetensors" not in state
    again = NoteEncoder("nowhere", **FAST).from_bytes(state)
    copied = pickle.loads(pickle.dumps(again.copy()))
    for model in (again, copied, NoteEncoder("nowhere", **FAST).from_bytes(again.to_bytes())):
        for rows, wanted in zip(model.predict(docs), expected):
            np.testing.assert_allclose(rows, wanted, atol=1e-5)
    again.initialize(X=docs)
    with again.use_params({}), pytest.raises(ClinbertError, match="compiled and cannot be trained"):
        again.begin_update(docs)
    with pytest.raises(ClinbertError, match='set engine = "openvino"'):
        NoteEncoder("nowhere").from_bytes(state)
    with pytest.raises(ClinbertError, match="has 64 positions"):
        NoteEncoder("nowhere", max_pieces=100, **FAST).from_bytes(state).predict(docs)


def test_threads_are_torchs_as_they_are_now(fast):
    (doc,) = make_docs(1)[-1:]
    before, encoder = torch.get_num_threads(), find_shim(fast)._engine()
    try:
        for threads in (2, 1):
            torch.set_num_threads(threads)
            fast.predict([doc])
            assert encoder._requests[0].get_compiled_model().get_property("INFERENCE_NUM_THREADS") == threads
    finally:
        torch.set_num_threads(before)


def test_micro_batches_run_at_once_and_come_in_order(fast):
    """The first takes longest; what is left unfinished does not disturb what follows."""
    before, encoder = torch.get_num_threads(), find_shim(fast)._engine()
    ids = [np.full((length, 60), length, dtype="int64") for length in (40, 1, 2, 3, 1, 30, 1)]
    arrays = [(part, np.ones_like(part), None) for part in ids]
    try:
        torch.set_num_threads(2)
        expected = [rows.copy() for one in arrays for rows in encoder.stream([one])]
        assert len(encoder._requests) > 1
        next(encoder.stream(arrays))
        for rows, wanted in zip(encoder.stream(arrays), expected, strict=True):
            np.testing.assert_allclose(rows, wanted, atol=1e-5)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"engine": "onnx"}, "give one of torch, openvino"),
        ({"engine": "openvino", "precision": "int4"}, "give one of fp32, bf16, int8"),
        ({"precision": "bf16"}, 'is for engine = "openvino"'),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(settings, said):
    with pytest.raises(ClinbertError, match=said):
        NoteEncoder("bert", **settings)


def test_8_bits_are_not_guessed(tiny_bert):
    with pytest.raises(ClinbertError, match="run clinbert compile --precision int8"):
        make(NoteEncoder, tiny_bert, precision="int8", **FAST).predict(make_docs(1))


def test_without_openvino_the_config_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setattr(openvino_engine, "find_spec", lambda name: None)
    with pytest.raises(ClinbertError, match=r'pip install "spacy-clinbert\[openvino\]"'):
        NoteEncoder("bert", **FAST)
    assert NoteEncoder("bert").name == "NoteEncoder"


def test_bf16_on_a_cpu_that_emulates_it_warns_and_works(tiny_bert, monkeypatch):
    class Core(openvino.Core):
        def get_property(self, *arguments):
            return ["FP32"] if "OPTIMIZATION_CAPABILITIES" in arguments else super().get_property(*arguments)

    monkeypatch.setattr(openvino, "Core", Core)
    encoder = make(NoteEncoder, tiny_bert, precision="bf16", **FAST)
    with pytest.warns(UserWarning, match="slow on this CPU"):
        rows = encoder.predict(make_docs(1))
    assert np.isfinite(rows[-1]).all()


WORKERS = """
import multiprocessing, sys
import spacy, torch

def found(docs):
    return [[(e.start_char, e.end_char, e.label_, round(e._.clinbert_score, 3)) for e in doc.ents] for doc in docs]

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[2])
    torch.set_num_threads(2)
    nlp = spacy.load(sys.argv[1])
    texts = ["The patient denies fever and chest pain . Given aspirin daily . " * n for n in (1, 2, 3, 1, 2)]
    alone = found(nlp.pipe(texts))
    assert found(nlp.pipe(texts, n_process=2, batch_size=2)) == alone
    print(len(alone), "equal")
"""


@pytest.fixture(scope="module")
def saved(tiny_bert, tmp_path_factory):
    """A compiled pipeline on disk."""
    folder = tmp_path_factory.mktemp("compiled")
    nlp = build("clinbert_ner", "NoteEncoder", tiny_bert)
    train(nlp, "clinbert_ner", 15)
    nlp.to_disk(folder / "torch")
    fast = spacy.load(folder / "torch", config=fast_config(nlp, "clinbert_ner", "NoteEncoder"))
    find_shim(fast.get_pipe("clinbert_ner").model.get_ref("tok2vec")).keep_compiled()
    fast.to_disk(folder / "fast")
    return folder / "fast"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_two_workers_after_a_pass_with_two_threads(saved, tmp_path, method):
    script = tmp_path / "workers.py"
    script.write_text(WORKERS)
    command = [sys.executable, str(script), str(saved), method]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "5 equal", done.stderr[-2000:]


def test_training_a_compiled_pipeline_is_one_sentence(saved):
    nlp = spacy.load(saved)
    with pytest.raises(ClinbertError, match="train the pipeline that it was compiled from"):
        nlp.update(examples_of(nlp, "clinbert_ner"), sgd=Adam(0.001))
