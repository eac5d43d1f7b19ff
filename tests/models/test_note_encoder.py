"""The encoder: what a row depends on, what is saved, which encoders it takes, and how it trains."""

import copy
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Adam

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.note_encoder import NoteEncoder

VOCAB = Vocab()
SENTENCES = [
    ["The", "patient", "was", "admitted", "with", "chest", "pain", "."],
    ["He", "denies", "fever", ",", "chills", "\n", "and", "nausea", "."],
    ["Plan", ":", "aspirin"],
    ["discharge", "home"],
]


def make_doc(*sentences: list[str], starts: bool = True, sections: tuple[int, ...] = ()) -> Doc:
    words = [word for sentence in sentences for word in sentence]
    flags = [i == 0 for sentence in sentences for i in range(len(sentence))]
    doc = Doc(VOCAB, words=words, sent_starts=flags if starts else None)
    if sections:
        doc.spans["sections"] = [doc[a:b] for a, b in zip(sections, (*sections[1:], len(doc)))]
    return doc


def build(name: Path, **config):
    model = NoteEncoder(str(name), **config)
    model.initialize(X=[make_doc(*SENTENCES)])
    return model


@pytest.fixture(scope="module")
def encoder(tiny_bert):
    return build(tiny_bert)


def test_rows_are_those_of_transformers(encoder, tiny_bert):
    from transformers import AutoModel, AutoTokenizer

    tokenizer, bert = AutoTokenizer.from_pretrained(tiny_bert), AutoModel.from_pretrained(tiny_bert).eval()
    words = SENTENCES[0]
    batch = tokenizer(words, is_split_into_words=True, return_tensors="pt")
    hidden = bert(**batch).last_hidden_state[0].detach().numpy()
    first = [batch.word_ids().index(i) for i in range(len(words))]
    np.testing.assert_allclose(encoder.predict([make_doc(words)])[0], hidden[first], atol=1e-5)


@pytest.mark.parametrize("window", ["sentence", "packed"])
@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_a_row_does_not_depend_on_its_batch(tiny_bert, window, pooling):
    encoder = build(tiny_bert, window=window, pooling=pooling, max_pieces=16)
    docs = [
        make_doc(*SENTENCES),
        make_doc(SENTENCES[1]),
        make_doc(*SENTENCES * 9),
        make_doc(SENTENCES[3], SENTENCES[0]),
    ]
    alone = [encoder.predict([doc])[0] for doc in docs]
    for order in ([0, 1, 2, 3], [3, 1, 0, 2], [2, 2, 1]):
        together = encoder.predict([docs[i] for i in order])
        for i, rows in zip(order, together):
            np.testing.assert_allclose(rows, alone[i], atol=1e-4)
    small = build(tiny_bert, window=window, pooling=pooling, max_pieces=16, max_batch_pieces=20)
    for rows, expected in zip(small.predict(docs), alone):
        np.testing.assert_allclose(rows, expected, atol=1e-4)


def test_mean_pooling_is_the_mean_over_a_tokens_wordpieces(tiny_bert):
    from transformers import AutoModel, AutoTokenizer

    tokenizer, bert = AutoTokenizer.from_pretrained(tiny_bert), AutoModel.from_pretrained(tiny_bert).eval()
    batch = tokenizer(["pneumothorax", "plan"], is_split_into_words=True, return_tensors="pt")
    hidden = bert(**batch).last_hidden_state[0].detach().numpy()
    pieces = [i for i, word in enumerate(batch.word_ids()) if word == 0]
    assert len(pieces) > 1
    rows = build(tiny_bert, pooling="mean").predict([make_doc(["pneumothorax", "plan"])])[0]
    np.testing.assert_allclose(rows[0], hidden[pieces].mean(axis=0), atol=1e-5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(min_size=1, max_size=12), max_size=60))
def test_any_unicode_gives_a_finite_row_per_token(encoder, words):
    doc = Doc(VOCAB, words=words)
    (rows,) = encoder.predict([doc])
    assert rows.shape == (len(doc), 32)
    assert np.isfinite(rows).all()


def test_tokens_without_wordpieces_get_zeros_and_empty_docs_no_rows(encoder):
    doc = Doc(VOCAB, words=["\n\n", "fever", "\u200b", " "])
    empty, blanks, rows = encoder.predict([Doc(VOCAB), Doc(VOCAB, words=["\n"]), doc])
    assert empty.shape == (0, 32)
    assert not blanks.any()
    assert [bool(row.any()) for row in rows] == [False, True, False, False]


def test_a_note_of_100_000_tokens_goes_through_whole(encoder):
    words = [word for sentence in SENTENCES for word in sentence] * 4600
    doc = Doc(VOCAB, words=words)
    (rows,) = encoder.predict([doc])
    assert len(doc) >= 100_000
    assert all(row.any() for row, word in zip(rows, words) if word.strip())


def test_a_token_longer_than_a_window_is_covered(tiny_bert):
    encoder = build(tiny_bert, max_pieces=8, pooling="mean")
    (rows,) = encoder.predict([Doc(VOCAB, words=["fever", "x1" * 40, "plan"])])
    assert rows.any(axis=1).all()


def test_identical_windows_are_computed_once_at_inference(encoder, monkeypatch):
    seen = []
    bert = encoder.shims[0]._model
    forward = bert.forward
    monkeypatch.setattr(bert, "forward", lambda **inputs: seen.append(len(inputs["input_ids"])) or forward(**inputs))
    docs = [make_doc(SENTENCES[0], SENTENCES[0], SENTENCES[1]), make_doc(SENTENCES[0])]
    first, second = encoder.predict(docs)
    assert sum(seen) == 2
    np.testing.assert_array_equal(first[:8], second)
    encoder.begin_update(docs)
    assert sum(seen) == 6


def test_saved_bytes_need_no_source_folder_and_settings_stay_the_configs(tmp_path, encoder, tiny_bert):
    docs = [make_doc(*SENTENCES)]
    loaded = NoteEncoder("gone/for-good", window="packed").from_bytes(encoder.to_bytes())
    assert loaded.get_dim("nO") == 32
    np.testing.assert_array_equal(loaded.predict(docs)[0], build(tiny_bert, window="packed").predict(docs)[0])
    empty = NoteEncoder("gone/for-good").from_bytes(NoteEncoder(str(tiny_bert)).to_bytes())
    with pytest.raises(ClinbertError, match="no weights yet"):
        empty.predict(docs)


def test_initialize_keeps_weights_that_are_present(encoder):
    loaded = NoteEncoder("gone/for-good").from_bytes(encoder.to_bytes())
    loaded.initialize(X=[make_doc(*SENTENCES)])
    np.testing.assert_array_equal(loaded.predict([make_doc(*SENTENCES)])[0], encoder.predict([make_doc(*SENTENCES)])[0])


def gradients(model, docs):
    rows, backprop = model.begin_update(docs)
    rng = np.random.default_rng(0)
    backprop([rng.normal(size=part.shape).astype("float32") for part in rows])
    return {name: p.grad.numpy().copy() for name, p in model.shims[0]._model.named_parameters() if p.grad is not None}


def test_recomputed_micro_batches_give_the_same_gradients(tiny_bert):
    docs = [make_doc(*SENTENCES), make_doc(SENTENCES[1]), make_doc(*SENTENCES * 3)]
    whole = gradients(build(tiny_bert, dropout=0.0), docs)
    parts = gradients(build(tiny_bert, dropout=0.0, max_batch_pieces=30), docs)
    assert whole.keys() == parts.keys()
    largest = max(np.abs(gradient).max() for gradient in whole.values())
    for name in whole:
        np.testing.assert_allclose(parts[name], whole[name], atol=1e-5 * largest)


def test_frozen_layers_get_no_gradient(tiny_bert):
    names = gradients(build(tiny_bert, freeze_layers=1), [make_doc(*SENTENCES)])
    assert names and all("encoder.layer.1." in name for name in names)
    with pytest.raises(ClinbertError, match="2 layers"):
        build(tiny_bert, freeze_layers=3)


def test_dropout_is_set_everywhere(tiny_bert):
    docs = [make_doc(*SENTENCES)]
    still = build(tiny_bert, dropout=0.0)
    np.testing.assert_allclose(still.begin_update(docs)[0][0], still.predict(docs)[0], atol=1e-5)
    shaken = build(tiny_bert, dropout=0.5)
    assert np.abs(shaken.begin_update(docs)[0][0] - shaken.predict(docs)[0]).max() > 0.1


def test_a_copy_has_a_state_of_its_own_in_the_optimizer(tiny_bert):
    model = build(tiny_bert)
    other = model.copy()
    assert model.shims[0].id != other.shims[0].id
    optimizer = Adam(0.001)
    for each in (model, other):
        gradients(each, [make_doc(*SENTENCES)])
        each.finish_update(optimizer)
    ids = {key[0] for key in optimizer.mom1}
    assert ids == {model.shims[0].id, other.shims[0].id}
    assert copy.deepcopy(model).get_dim("nO") == 32


def test_training_lowers_a_loss(tiny_bert):
    model = build(tiny_bert, dropout=0.0)
    docs, optimizer, losses = [make_doc(*SENTENCES)], Adam(0.001), []
    for _ in range(5):
        rows, backprop = model.begin_update(docs)
        losses.append(float((rows[0] ** 2).sum()))
        backprop([2 * rows[0]])
        model.finish_update(optimizer)
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_is_close_and_trains(tiny_bert, precision):
    docs = [make_doc(*SENTENCES)]
    model = build(tiny_bert, mixed_precision=precision)
    full = build(tiny_bert).predict(docs)[0]
    np.testing.assert_allclose(model.predict(docs)[0], full, atol=0.1)
    assert model.predict(docs)[0].dtype == np.float32
    rows, backprop = model.begin_update(docs)
    before = next(model.shims[0]._model.parameters()).detach().clone()
    backprop([2 * rows[0]])
    model.finish_update(Adam(0.001))
    assert not torch.equal(before, next(model.shims[0]._model.parameters()))


def test_windows_differ_from_training_is_said_once(tiny_bert):
    model = build(tiny_bert)
    model.begin_update([make_doc(*SENTENCES, sections=(0, 8))])
    bare = make_doc(*SENTENCES, starts=False)
    with pytest.warns(UserWarning, match="without sentences and sections"):
        model.predict([bare])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict([bare, make_doc(*SENTENCES, sections=(0, 8))])
    saved = NoteEncoder("gone").from_bytes(model.to_bytes())
    with pytest.warns(UserWarning, match="annotating_components"):
        saved.predict([bare])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"window": "note"}, "sentence, packed"),
        ({"pooling": "last"}, "first, mean"),
        ({"mixed_precision": "int8"}, "bf16"),
        ({"max_pieces": 65}, "64 positions"),
        ({"max_pieces": 16, "overlap": 14}, "smaller one"),
        ({"width": 768}, "set width = 32"),
    ],
)
def test_settings_out_of_range_are_one_sentence(tiny_bert, config, message):
    with pytest.raises(ClinbertError, match=message) as error:
        build(tiny_bert, **config).predict([make_doc(*SENTENCES)])
    assert "\n" not in str(error.value)


def test_an_unknown_encoder_is_one_sentence_that_says_what_to_do():
    with pytest.raises(ClinbertError, match="no-such-lab/no-such-bert") as error:
        build(Path("no-such-lab/no-such-bert"))
    assert "folder" in str(error.value) and "\n" not in str(error.value)


def test_weights_that_lack_a_layer_are_refused(tmp_path, tiny_bert):
    import shutil

    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_bert, tmp_path / "broken")
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "layer.1." not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ClinbertError, match="lack 16 tensors"):
        build(folder)
