"""Encoders rounded to 8 bits: what they are measured on, that rows stay close, and what is refused."""

import warnings

import numpy as np
import openvino
import pytest
import spacy
from clinical_records import ROWS
from head_cases import build, examples_of, outcome, texts_of, train
from spacy.tokens import DocBin
from transformers import AutoTokenizer

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models import encoder_inputs, quantization
from spacy_clinbert.models.compiled_pipeline import compile_pipeline
from spacy_clinbert.models.encoder_inputs import read_docs, read_inputs
from spacy_clinbert.models.openvino_engine import WEIGHTS
from spacy_clinbert.models.openvino_graph import compile_encoder
from spacy_clinbert.models.transformer_shim import find_shims

CASES = [("clinbert_ner", "NoteEncoder"), ("clinbert_ner", "Tok2VecListener"), ("clinbert_textcat", "NoteWindows")]
CASES += [("clinbert_assertion", "NoteMentions"), ("clinbert_pair", "NotePairs")]
SENTENCES = ["The patient denies fever .", "No chest pain .", "Given aspirin daily for chest pain .", "No chest pain ."]


@pytest.fixture(scope="module", params=CASES, ids=str)
def trained(request, tiny_bert, tmp_path_factory):
    """A trained head, its pipeline on disk, and a .spacy file with what it reads."""
    head, encoder = request.param
    folder = tmp_path_factory.mktemp("trained")
    nlp = build(head, encoder, tiny_bert)
    train(nlp, head, 15)
    nlp.to_disk(folder / "model")
    gold = [example.reference for example in examples_of(nlp, head)]
    DocBin(store_user_data=True, docs=gold).to_disk(folder / "gold.spacy")
    return head, folder


def test_heads_find_the_same_but_for_rounding(trained, tmp_path):
    head, folder = trained
    nlp = spacy.load(folder / "model")
    expected = [outcome(head, doc) for doc in nlp.pipe(texts_of(nlp, head))]
    assert any(expected)
    compiled = compile_pipeline(folder / "model", "openvino", "int8", str(folder / "gold.spacy")).nlp
    assert all(shim._engine().in_8_bits for shim in find_shims(compiled))
    compiled.to_disk(tmp_path / "fast")
    saved = spacy.load(tmp_path / "fast")
    for one in (compiled, saved):
        found = [outcome(head, doc) for doc in one.pipe(texts_of(one, head), batch_size=3)]
        assert found == [pytest.approx(wanted, abs=0.1) for wanted in expected]
    assert found != expected


def test_rows_stay_close_and_weights_are_bytes(tiny_bert):
    nlp = build("clinbert_ner", "NoteEncoder", tiny_bert)
    train(nlp, "clinbert_ner", 3)
    (read,) = read_inputs(nlp, [example.reference for example in examples_of(nlp, "clinbert_ner")])
    (shim,) = find_shims(nlp)
    encoder = compile_encoder(shim._model, shim.pooled, "fp32")
    rounded = quantization.quantize(encoder, read)
    assert rounded.in_8_bits and not encoder.in_8_bits
    for exact, near in zip(encoder.stream(read), rounded.stream(read)):
        assert 0 < np.linalg.norm(near - exact) < 0.05 * np.linalg.norm(exact)
    weights = [one.to_files()[WEIGHTS] for one in (encoder, rounded, quantization.quantize(encoder, read))]
    assert len(weights[1]) < len(weights[0]) and weights[1] == weights[2]


def test_a_cpu_without_bf16_takes_fp32_for_the_rest(tiny_bert, monkeypatch):
    class Core(openvino.Core):
        def get_property(self, *arguments):
            return ["FP32", "INT8"] if "OPTIMIZATION_CAPABILITIES" in arguments else super().get_property(*arguments)

    nlp = build("clinbert_ner", "NoteEncoder", tiny_bert)
    train(nlp, "clinbert_ner", 1)
    (read,) = read_inputs(nlp, [example.reference for example in examples_of(nlp, "clinbert_ner")])
    (shim,) = find_shims(nlp)
    rounded = quantization.quantize(compile_encoder(shim._model, shim.pooled, "fp32"), read)
    monkeypatch.setattr(openvino, "Core", Core)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(np.isfinite(rows).all() for rows in rounded.stream(read))
    (compiled,) = {one.get_compiled_model().get_property("INFERENCE_PRECISION_HINT") for one in rounded._requests}
    assert compiled == openvino.Type.f32


def test_each_different_sequence_is_read_once_without_padding(tiny_bert):
    nlp = build("clinbert_ner", "NoteEncoder", tiny_bert)
    nlp.add_pipe("sentencizer", first=True)
    nlp.initialize(lambda: examples_of(nlp, "clinbert_ner"))
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    (read,) = read_inputs(nlp, [" ".join(SENTENCES), "", SENTENCES[0]])
    assert {tuple(ids[0]) for ids, _, _ in read} == {tuple(tokenizer(text)["input_ids"]) for text in SENTENCES}
    assert len(read) == 3 and all(mask.all() and types is None for _, mask, types in read)


def test_pairs_are_read_with_their_types(tiny_bert):
    nlp = build("clinbert_pair", "NotePairs", tiny_bert)
    train(nlp, "clinbert_pair", 1)
    (read,) = read_inputs(nlp, texts_of(nlp, "clinbert_pair"))
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    found = [(ids[0].tolist(), types[0].tolist()) for ids, _, types in read if types is not None]
    for premise, hypothesis, *_ in ROWS:
        wanted = tokenizer(premise, hypothesis)
        assert (wanted["input_ids"], wanted["token_type_ids"]) in found


def test_no_more_is_read_than_is_needed(tiny_bert, monkeypatch):
    nlp = build("clinbert_ner", "NoteEncoder", tiny_bert)
    nlp.initialize(lambda: examples_of(nlp, "clinbert_ner"))
    monkeypatch.setattr(encoder_inputs, "ENOUGH", 20)
    taken = []

    def texts():
        for number in range(1000):
            taken.append(number)
            yield f"Fever on day {number} ."

    (read,) = read_inputs(nlp, texts())
    assert 20 <= len(read) < 100 and len(taken) < 100


def test_notes_of_any_source_are_read(tmp_path, tiny_bert):
    nlp = build("clinbert_ner", "NoteEncoder", tiny_bert)
    notes = tmp_path / "notes.csv"
    notes.write_text('note_id,text\n1,"Chest pain."\n2,"No fever."\n')
    assert list(read_docs(str(notes), nlp)) == ["Chest pain.", "No fever."]
    with pytest.raises(ClinbertError, match="nowhere"):
        list(read_docs(str(tmp_path / "nowhere.csv"), nlp))
    with pytest.raises(ClinbertError, match="can be read"):
        list(read_docs(tmp_path / "nowhere.spacy", nlp))


def test_what_does_not_fit_is_one_sentence(trained, tmp_path, monkeypatch):
    _, folder = trained
    gold = str(folder / "gold.spacy")
    DocBin().to_disk(tmp_path / "empty.spacy")
    cases = [
        ("int8", None, "give some hundred like those to come"),
        ("bf16", gold, "leave them out"),
        ("int8", str(tmp_path / "empty.spacy"), "nothing to read"),
    ]
    for precision, notes, said in cases:
        with pytest.raises(ClinbertError, match=said):
            compile_pipeline(folder / "model", "openvino", precision, notes)
    compile_pipeline(folder / "model", "openvino", "fp32").nlp.to_disk(tmp_path / "fast")
    with pytest.raises(ClinbertError, match='compiled for fp32 or bf16, not for "int8"'):
        compile_pipeline(tmp_path / "fast", "openvino", "int8", gold)
    compile_pipeline(folder / "model", "openvino", "int8", gold).nlp.to_disk(tmp_path / "rounded")
    with pytest.raises(ClinbertError, match="rounded by what other notes gave"):
        compile_pipeline(tmp_path / "rounded", "openvino", "int8", gold)
    with pytest.raises(ClinbertError, match='compiled for int8, not for "bf16"'):
        compile_pipeline(tmp_path / "rounded", "openvino", "bf16")
    monkeypatch.setattr(quantization, "find_spec", lambda name: None)
    with pytest.raises(ClinbertError, match=r'pip install "spacy-clinbert\[int8\]"'):
        compile_pipeline(folder / "model", "openvino", "int8", gold)
