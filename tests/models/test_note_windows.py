"""The encoder of windows: one row each, what is read and what is left out, and the pooler."""

import random
import shutil
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab
from thinc.api import Adam

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.note_windows import NoteWindows, read_windows

VOCAB = Vocab()
WORDS = "the patient was admitted with chest pain and denies fever chills . plan : aspirin metformin given".split()


def make_note(n: int, sections: tuple[tuple[int, int, str], ...] = (), sentence: int = 0) -> Doc:
    """A note of random words, with sections (start, end, category) and sentences of so many words."""
    words = random.Random(n).choices(WORDS, k=n)
    doc = Doc(VOCAB, words=words, sent_starts=[i % sentence == 0 for i in range(n)] if sentence else None)
    if sections:
        doc.spans["sections"] = [Span(doc, *section) for section in sections]
    return doc


def build(folder, **config):
    model = NoteWindows(str(folder), **config)
    model.initialize()
    return model


@pytest.fixture(scope="module")
def encoder(tiny_bert):
    return build(tiny_bert, max_pieces=16)


def pooled_by_transformers(folder, texts, pooler=True):
    from transformers import AutoModel, AutoTokenizer

    tokenizer, bert = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    outputs = [bert(**tokenizer(text, return_tensors="pt")) for text in texts]
    rows = [o.pooler_output[0] if pooler else o.last_hidden_state[0, 0] for o in outputs]
    return np.stack([row.detach().numpy() for row in rows])


@pytest.mark.parametrize("pooler", [True, False])
def test_rows_are_those_of_transformers_on_each_windows_text(tiny_bert, pooler):
    model = build(tiny_bert, max_pieces=16, pooler=pooler)
    doc = make_note(60, sections=((0, 20, "history"), (20, 60, "plan")), sentence=6)
    windows = read_windows(model, doc).windows
    assert windows[0] == (0, 12) and (12, 20) in windows and windows[-1][1] == 60
    expected = pooled_by_transformers(tiny_bert, [doc[a:b].text for a, b in windows], pooler)
    np.testing.assert_allclose(model.predict([doc])[0], expected, atol=1e-5)


def test_a_row_does_not_depend_on_its_batch(encoder, tiny_bert):
    docs = [make_note(n, sentence=7) for n in (5, 120, 1, 33, 120)]
    alone = [encoder.predict([doc])[0] for doc in docs]
    small = build(tiny_bert, max_pieces=16, max_batch_pieces=20)
    for model in (encoder, small):
        for rows, expected in zip(model.predict(docs), alone):
            np.testing.assert_allclose(rows, expected, atol=1e-4)


def test_a_doc_without_text_has_the_row_of_the_special_pieces(encoder, tiny_bert):
    rows = encoder.predict([Doc(VOCAB), Doc(VOCAB, words=["\n", " "]), make_note(3)])
    expected = pooled_by_transformers(tiny_bert, [""])
    for row in rows[:2]:
        np.testing.assert_allclose(row, expected, atol=1e-5)
    assert rows[2].shape == (1, 32)
    assert read_windows(encoder, Doc(VOCAB)).windows == [(0, 0)]
    assert encoder.predict([]) == []


@settings(max_examples=25)
@given(st.lists(st.text(min_size=1, max_size=12), max_size=60), st.integers(1, 9))
def test_windows_tile_all_tokens_with_wordpieces(encoder, words, sentence):
    doc = Doc(VOCAB, words=words, sent_starts=[i % sentence == 0 for i in range(len(words))])
    read = read_windows(encoder, doc)
    (rows,) = encoder.predict([doc])
    assert rows.shape == (len(read.windows), 32) and np.isfinite(rows).all()
    assert read[1:] == (0, 0, 0)
    covered = {i for start, end in read.windows for i in range(start, end)}
    pieces = encoder.shims[0].pieces
    assert {t.i for t in doc if pieces.cut(t.text)} <= covered


def test_sections_that_are_not_asked_for_are_left_out_and_counted(tiny_bert):
    model = build(tiny_bert, max_pieces=16, sections=["plan", "exam"])
    whole = build(tiny_bert, max_pieces=16)
    doc = make_note(70, sections=((0, 20, "history"), (20, 45, "plan"), (50, 70, "exam")))
    read = read_windows(model, doc)
    assert [start for start, _ in read.windows] == [20, 34, 50, 64]
    # The five tokens that stand in no section are nobody's.
    assert (read.windows_beyond, read.pieces_elsewhere) == (0, 25)
    kept = [i for i, window in enumerate(read_windows(whole, doc).windows) if window in read.windows]
    np.testing.assert_allclose(model.predict([doc])[0], whole.predict([doc])[0][kept], atol=1e-5)
    none = make_note(30, sections=((0, 30, "history"),))
    assert read_windows(model, none) == ([(0, 0)], 0, 0, 30)


def test_windows_beyond_the_largest_number_are_left_out_and_counted(tiny_bert):
    model = build(tiny_bert, max_pieces=16, max_windows=2)
    doc = make_note(40)
    assert read_windows(model, doc) == ([(0, 14), (14, 28)], 1, 12, 0)
    np.testing.assert_allclose(
        model.predict([doc])[0], build(tiny_bert, max_pieces=16).predict([doc])[0][:2], atol=1e-5
    )


def test_chosen_sections_that_no_component_found_are_an_error(tiny_bert):
    model = build(tiny_bert, sections=["plan"])
    # At initialize, spaCy shows bare Docs.
    assert model.predict([make_note(9)])[0].shape == (1, 32)
    with pytest.raises(ClinbertError, match="annotating_components"):
        model.begin_update([make_note(9)])
    model.begin_update([make_note(9, sections=((0, 9, "plan"),)), Doc(VOCAB), Doc(VOCAB, words=["\n", "\n"])])
    with pytest.raises(ClinbertError, match="clinbert_sections"):
        model.predict([make_note(9)])


def test_a_pooler_is_trained_saved_and_loaded(tiny_bert):
    model = build(tiny_bert, dropout=0.0)
    docs = [make_note(50)]
    before = model.shims[0]._model.pooler.dense.weight.detach().clone()
    rows, backprop = model.begin_update(docs)
    backprop([2 * rows[0]])
    model.finish_update(Adam(0.001))
    assert not bool((before == model.shims[0]._model.pooler.dense.weight).all())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = NoteWindows("gone/for-good").from_bytes(model.to_bytes())
    np.testing.assert_array_equal(loaded.predict(docs)[0], model.predict(docs)[0])
    assert loaded.attrs["rows"] == "window"


def test_a_pooler_that_the_files_lack_is_never_drawn_anew(tmp_path, tiny_bert):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_bert, tmp_path / "no-pooler")
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "pooler" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.warns(UserWarning, match="pooler = false"):
        model = build(folder)
    doc = make_note(20)
    raw = build(tiny_bert, pooler=False).predict([doc])[0]
    np.testing.assert_array_equal(model.predict([doc])[0], raw)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(folder, pooler=False)
        loaded = NoteWindows("gone/for-good").from_bytes(model.to_bytes())
    np.testing.assert_array_equal(loaded.predict([doc])[0], raw)


def test_gradients_of_recomputed_micro_batches_are_the_same(tiny_bert):
    docs = [make_note(60), make_note(20), Doc(VOCAB)]
    found = []
    for bound in (4096, 40):
        model = build(tiny_bert, dropout=0.0, max_batch_pieces=bound, max_pieces=16)
        rows, backprop = model.begin_update(docs)
        backprop([np.ones_like(part) for part in rows])
        found.append({n: p.grad.numpy() for n, p in model.shims[0]._model.named_parameters() if p.grad is not None})
    whole, parts = found
    assert whole.keys() == parts.keys() and "pooler.dense.weight" in whole
    largest = max(np.abs(gradient).max() for gradient in whole.values())
    for name in whole:
        np.testing.assert_allclose(parts[name], whole[name], atol=1e-5 * largest)


def test_a_note_of_100_000_tokens_goes_through_in_bounded_batches(encoder, monkeypatch):
    passes: list[int] = []
    bert = encoder.shims[0]._model
    forward = bert.forward
    monkeypatch.setattr(bert, "forward", lambda **i: passes.append(i["input_ids"].numel()) or forward(**i))
    doc = make_note(100_000)
    (rows,) = encoder.predict([doc])
    assert len(rows) == len(read_windows(encoder, doc).windows) == -(-100_000 // 14)
    assert len(passes) > 20 and max(passes) <= 4096


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"window": "note"}, "sentence, packed"),
        ({"sections": []}, "null for the whole note"),
        ({"max_windows": 0}, "at least 1"),
        ({"max_pieces": 65}, "64 positions"),
        ({"mixed_precision": "int8"}, "bf16"),
        ({"width": 768}, "set width = 32"),
    ],
)
def test_settings_out_of_range_are_one_sentence(tiny_bert, config, message):
    with pytest.raises(ClinbertError, match=message) as error:
        build(tiny_bert, **config).predict([make_note(5)])
    assert str(error.value).startswith("NoteWindows: ") and "\n" not in str(error.value)


def test_spacys_textcat_trains_on_windows(tiny_bert):
    import spacy
    from spacy.training import Example

    nlp = spacy.blank("en")
    tok2vec = {"@architectures": "spacy_clinbert.NoteWindows.v1", "name": str(tiny_bert), "max_pieces": 16}
    reduce = {"@architectures": "spacy.TextCatReduce.v1", "exclusive_classes": True, "use_reduce_first": False}
    reduce |= {"use_reduce_last": False, "use_reduce_max": True, "use_reduce_mean": True, "tok2vec": tok2vec}
    nlp.add_pipe("textcat", config={"model": reduce})
    notes = [("fever and chills " * 20, "A"), ("aspirin given", "B")]
    examples = [Example.from_dict(nlp.make_doc(t), {"cats": {"A": c == "A", "B": c == "B"}}) for t, c in notes]
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 1e-3
    losses = [nlp.update(examples, sgd=optimizer)["textcat"] for _ in range(6)]
    assert losses[-1] < losses[0]
