"""The encoder: what a row depends on, what is saved, which encoders it takes, and how it trains."""

import copy
import json
import random
import shutil
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
from tiny_models import write_bert

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


def sizes(model, monkeypatch) -> list[int]:
    """Record the padded wordpieces of each pass through the encoder."""
    passes: list[int] = []
    bert = model.shims[0]._model
    forward = bert.forward
    monkeypatch.setattr(bert, "forward", lambda **i: passes.append(i["attention_mask"].numel()) or forward(**i))
    return passes


def test_a_note_of_100_000_tokens_goes_through_whole_in_bounded_batches(encoder, monkeypatch):
    words = random.Random(0).choices([word for sentence in SENTENCES for word in sentence], k=100_000)
    passes = sizes(encoder, monkeypatch)
    (rows,) = encoder.predict([Doc(VOCAB, words=words)])
    assert all(row.any() for row, word in zip(rows, words) if word.strip())
    assert len(passes) > 30 and max(passes) <= 4096


def test_a_training_batch_above_the_bound_is_computed_again_backwards(tiny_bert, monkeypatch):
    docs = [make_doc(*SENTENCES), make_doc(SENTENCES[1])]
    for bound, again in ((4096, 1), (30, 2)):
        model = build(tiny_bert, max_batch_pieces=bound)
        passes = sizes(model, monkeypatch)
        rows, backprop = model.begin_update(docs)
        forward_passes = len(passes)
        # A prediction between the passes switches dropout off; what is computed again must not notice.
        model.predict([make_doc(SENTENCES[0])])
        predicted = len(passes) - forward_passes
        backprop([np.ones_like(part) for part in rows])
        assert len(passes) - predicted == again * forward_passes
        assert bound == 4096 or max(passes) <= 30


def test_an_update_looks_its_wordpieces_up_once(tiny_bert, monkeypatch):
    model = build(tiny_bert, max_batch_pieces=30)
    passes, lookups = sizes(model, monkeypatch), []
    table = model.shims[0]._model.get_input_embeddings()
    table.register_forward_hook(lambda _, ids, vectors: lookups.append(vectors))
    rows, backprop = model.begin_update([make_doc(*SENTENCES), make_doc(SENTENCES[1])])
    backprop([np.ones_like(part) for part in rows])
    assert len(lookups) == 1 and len(passes) > 2 and table.weight.grad.any()


def test_a_token_longer_than_a_window_is_covered(tiny_bert):
    encoder = build(tiny_bert, max_pieces=8, pooling="mean")
    (rows,) = encoder.predict([Doc(VOCAB, words=["fever", "x1" * 40, "plan"])])
    assert rows.any(axis=1).all()


def test_identical_windows_are_computed_once_at_inference(encoder, monkeypatch):
    passes = sizes(encoder, monkeypatch)
    first, second = encoder.predict([make_doc(SENTENCES[0], SENTENCES[0]), make_doc(SENTENCES[0])])
    once = sum(passes)
    np.testing.assert_array_equal(first[:8], second)
    encoder.begin_update([make_doc(SENTENCES[0], SENTENCES[0]), make_doc(SENTENCES[0])])
    assert sum(passes) - once == 3 * once


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
    full, half = build(tiny_bert).predict(docs)[0], model.predict(docs)[0]
    np.testing.assert_allclose(half, full, atol=0.1)
    assert half.dtype == np.float32 and not np.array_equal(half, full)
    rows, backprop = model.begin_update(docs)
    before = next(model.shims[0]._model.parameters()).detach().clone()
    backprop([2 * rows[0]])
    model.finish_update(Adam(0.001))
    assert not torch.equal(before, next(model.shims[0]._model.parameters()))


def test_windows_differ_from_training_is_said_once(tiny_bert):
    model = build(tiny_bert)
    model.begin_update([make_doc(*SENTENCES, sections=(0, 8))])
    bare = make_doc(*SENTENCES, starts=False)
    with pytest.warns(UserWarning, match="without sentences and without sections"):
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
        ({"max_pieces": 0}, "at least 3"),
        ({"freeze_layers": -1}, "at least 0"),
        ({"dropout": 1.5}, "at most 1.0"),
        ({"device": "cuda:99"}, "not there"),
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


def test_averaged_weights_reach_the_encoder_and_go_again(tiny_bert):
    model = build(tiny_bert, dropout=0.0)
    docs, optimizer = [make_doc(*SENTENCES)], Adam(0.01, use_averages=True)
    gradients(model, docs)
    start = model.predict(docs)[0]
    model.finish_update(optimizer)
    trained = model.predict(docs)[0]
    zeros = {key: np.zeros_like(value) for key, value in optimizer.averages.items()}
    with pytest.raises(KeyError), model.use_params(zeros):
        assert not np.array_equal(model.predict(docs)[0], trained)
        raise KeyError("an evaluation that fails must not leave the averages behind")
    np.testing.assert_array_equal(model.predict(docs)[0], trained)
    assert not np.array_equal(start, trained)


def cased_copy(bert: Path, folder: Path, config: dict | None) -> Path:
    """A local copy whose vocabulary has upper case, with no tokenizer configuration but the one given."""
    shutil.copytree(bert, folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).unlink()
    pieces = (folder / "vocab.txt").read_text().splitlines()
    pieces[pieces.index("fever")] = "Fever"
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n")
    if config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("place", "config", "cased", "length"),
    [
        # The catalogue knows these; their tokenizers say nothing, or the wrong thing.
        ("emilyalsentzer/Bio_ClinicalBERT", None, True, 64),
        ("emilyalsentzer/Bio_ClinicalBERT", {"do_lower_case": True}, True, 64),
        ("google-bert/bert-base-multilingual-uncased", None, False, 64),
        # A stranger's tokenizer that says nothing is not to lower-case a cased vocabulary; what it says is done.
        ("my-bert", None, True, 64),
        ("my-bert", {"do_lower_case": True, "model_max_length": 16}, False, 16),
    ],
)
def test_casing_and_length_are_those_of_the_catalogue(tiny_bert, tmp_path, place, config, cased, length):
    encoder = build(cased_copy(tiny_bert, tmp_path / place, config))
    for model in (encoder, NoteEncoder("gone").from_bytes(encoder.to_bytes())):
        upper, lower = (model.shims[0].pieces.cut(word) for word in ("Fever", "fever"))
        assert (upper != lower) == cased
        assert model.shims[0].trained_length == length


def test_the_trained_length_is_the_catalogues_not_the_models(tmp_path):
    folder = write_bert(tmp_path / "emilyalsentzer" / "Bio_ClinicalBERT", max_position_embeddings=512)
    assert build(folder).shims[0].trained_length == 128


@pytest.mark.parametrize("damage", ["cut weights", "no weights", "no tokenizer", "other width"])
def test_a_damaged_folder_is_one_sentence(tmp_path, tiny_bert, damage):
    folder = shutil.copytree(tiny_bert, tmp_path / "encoder")
    weights = folder / "model.safetensors"
    if damage == "cut weights":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif damage == "no weights":
        weights.unlink()
    elif damage == "no tokenizer":
        for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
            (folder / name).unlink()
    else:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "hidden_size": 64}))
    with pytest.raises(ClinbertError, match="cannot be loaded") as error:
        build(folder)
    assert "\n" not in str(error.value)


def test_weights_that_lack_a_layer_are_refused(tmp_path, tiny_bert):
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(tiny_bert, tmp_path / "broken")
    weights = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in weights.items() if "layer.1." not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ClinbertError, match="lack 16 tensors"):
        build(folder)
