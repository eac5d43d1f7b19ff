"""Folders of encoders of codes: ours, those of the published code, and damaged ones."""

import io
import json
import pickle
import pickletools
import shutil

import pytest
import torch
from ehr_patients import KEYS, ORIGINAL_KEYS
from tiny_code_encoders import HIERARCHY, SIZES, write_encoder
from transformers import BertConfig, BertForPreTraining

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.code_checkpoints import read_code_checkpoint, read_types, save_code_checkpoint
from spacy_clinbert.models.code_styles import STYLES


def write_original(folder, types="lr.types"):
    """Write what the published code's authors loaded: a BERT converted by transformers, and a pickled dictionary."""
    torch.manual_seed(1)
    model = BertForPreTraining(BertConfig(vocab_size=len(ORIGINAL_KEYS), **SIZES)).eval()
    folder.mkdir()
    # The published config.json names no model type.
    sizes = {**SIZES, "vocab_size": len(ORIGINAL_KEYS), "hidden_act": "gelu", "initializer_range": 0.02}
    (folder / "config.json").write_text(json.dumps(sizes))
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / types).write_bytes(pickle.dumps({key: number for number, key in enumerate(ORIGINAL_KEYS)}))
    return model


def batch(config, rows=3, length=9, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def draw(most):
        return torch.randint(0, most, (rows, length), generator=generator)

    inputs = {"input_ids": draw(config.vocab_size), "token_type_ids": draw(16), "attention_mask": draw(2)}
    inputs["attention_mask"][:, 0] = 1
    if STYLES[config.style].ranks:
        inputs["rank_ids"] = draw(128)
    return inputs | ({"age_ids": draw(122), "gap_ids": draw(34)} if config.ages else {})


@pytest.mark.parametrize(
    ("style", "hierarchy"),
    [("original", None), ("paper", None), ("paper", HIERARCHY), ("default", None), ("default", HIERARCHY)],
)
def test_what_is_written_is_read_again(tmp_path, style, hierarchy):
    folder = write_encoder(tmp_path / "encoder", style, hierarchy)
    model, vocabulary = read_code_checkpoint(str(folder), style)
    again = save_and_read(model, vocabulary, tmp_path / "again")
    inputs = batch(model.config)
    with torch.no_grad():
        first, second = (each.eval()(**inputs) for each in (model, again.model))
    assert torch.equal(first.last_hidden_state, second.last_hidden_state)
    assert again.vocabulary.keys == vocabulary.keys and again.vocabulary.ancestors == vocabulary.ancestors
    assert model.config._attn_implementation == "sdpa"


def save_and_read(model, vocabulary, folder):
    folder.mkdir()
    save_code_checkpoint(model, vocabulary, folder)
    return read_code_checkpoint(str(folder))


def test_an_unknown_code_backs_off_to_its_ancestors(tmp_path):
    folder = write_encoder(tmp_path / "encoder", "paper", HIERARCHY)
    model, vocabulary = read_code_checkpoint(str(folder))
    known, deeper, stranger, unknown = vocabulary.encode(
        ["ICD10CM/C01", "ICD10CM/C0199", "ICD10CM/X99", "A/B"]
    ).tolist()
    assert known < len(KEYS) <= deeper and stranger == unknown == 2
    embed = model.embeddings
    # Apart from its own embedding, which is that of an unknown code, it is what its known parent is.
    own = [embed.word_embeddings.weight[number] for number in (known, 2)]
    ids = torch.tensor([[known, deeper, unknown]])
    bags = embed.ancestor_embeddings(embed.ancestors[ids].flatten(0, 1))
    assert torch.equal(bags[0], bags[1]) and bags[0].abs().sum() > 0 and not bags[2].any()
    assert not torch.equal(*own)
    zeros = torch.zeros_like(ids)
    rows = embed.eval()(ids, zeros, rank_ids=zeros)[0]
    assert not torch.allclose(rows[0], rows[1]) and not torch.allclose(rows[1], rows[2])


def test_a_converted_checkpoint_gives_what_transformers_gives(tmp_path):
    reference = write_original(tmp_path / "original")
    model, vocabulary = read_code_checkpoint(str(tmp_path / "original"), "original")
    inputs = batch(model.config)
    with torch.no_grad():
        theirs, ours = reference.bert(**inputs), model(**inputs)
    assert torch.allclose(theirs.last_hidden_state, ours.last_hidden_state, atol=1e-5)
    assert torch.allclose(theirs.pooler_output, ours.pooler_output, atol=1e-5)
    assert vocabulary.keys == ORIGINAL_KEYS and vocabulary.mask_id == 0
    # Codes as the published sample writes them, and as we do.
    assert vocabulary.encode(["ICD10_C03", "ICD10CM/C03", "ICD10CM/Z9"]).tolist() == [4, 4, 0]


def test_a_converted_checkpoint_with_tensorflow_names(tmp_path):
    reference = write_original(tmp_path / "original")
    weights = torch.load(tmp_path / "original" / "pytorch_model.bin", weights_only=True)
    old = {
        key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for key, tensor in weights.items()
    }
    torch.save(old, tmp_path / "original" / "pytorch_model.bin")
    model, _ = read_code_checkpoint(str(tmp_path / "original"), "original")
    assert torch.equal(model.embeddings.LayerNorm.weight, reference.bert.embeddings.LayerNorm.weight)


def test_a_converted_checkpoint_loads_only_as_original(tmp_path):
    write_original(tmp_path / "original")
    for style in (None, "default", "paper"):
        with pytest.raises(ClinbertError, match='style = "original"'):
            read_code_checkpoint(str(tmp_path / "original"), style)


class Bomb:
    """Runs something when a pickle that holds it is read."""

    def __reduce__(self):
        return (print, ("it ran",))


@pytest.mark.parametrize("harmful", ["types", "weights"])
def test_a_pickle_that_runs_something_does_not(tmp_path, capsys, harmful):
    folder = tmp_path / "original"
    write_original(folder)
    if harmful == "types":
        (folder / "lr.types").write_bytes(pickle.dumps({"ICD10_C01": Bomb()}))
    else:
        torch.save({"bert.x": Bomb()}, folder / "pytorch_model.bin")
    with pytest.raises(ClinbertError) as raised:
        read_code_checkpoint(str(folder), "original")
    assert "it ran" not in capsys.readouterr().out and "\n" not in str(raised.value)


@pytest.mark.parametrize("protocol", [0, 2, 4, "python2", "json"])
def test_dictionaries_of_codes(tmp_path, protocol):
    found = {"empty_pad": 0, "ICD9_150.6": 2, "ICD10_I15.6": 1}
    path = tmp_path / "x.types"
    if protocol == "json":
        path.write_text(json.dumps(found))
    elif protocol == "python2":
        # As cPickle wrote it: texts of bytes.
        body = b"".join(b"U" + bytes([len(k)]) + k.encode() + b"K" + bytes([v]) for k, v in found.items())
        path.write_bytes(b"\x80\x02}(" + body + b"u.")
        assert pickletools.dis(path.read_bytes(), out=io.StringIO()) is None
    else:
        path.write_bytes(pickle.dumps(found, protocol))
    assert read_types(path) == ["empty_pad", "ICD10_I15.6", "ICD9_150.6"]


@pytest.mark.parametrize(
    "content", [[1], {"a": "b"}, {"a": 1, "b": 1}, {}, {"a": -1}, {"a": 1 << 40}, {"a": True}, {1: 2}]
)
def test_what_is_no_dictionary_of_codes(tmp_path, content):
    (tmp_path / "x.types").write_bytes(pickle.dumps(content))
    with pytest.raises(ClinbertError, match=r"x\.types is no"):
        read_types(tmp_path / "x.types")


def damage(folder, how):
    if how == "cut":
        weights = folder / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "no config":
        (folder / "config.json").unlink()
    elif how == "no weights":
        (folder / "model.safetensors").unlink()
    elif how == "a BERT":
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "model_type": "bert"}))
    elif how == "no codes":
        (folder / "codes.json").unlink()
    elif how == "other codes":
        (folder / "codes.json").write_text(json.dumps(ORIGINAL_KEYS))
    elif how == "more codes":
        (folder / "codes.json").write_text(json.dumps([*KEYS, "A/B"]))
    elif how == "no JSON":
        (folder / "codes.json").write_text("[")
    elif how == "twice":
        (folder / "codes.json").write_text(json.dumps([*KEYS[:-1], KEYS[-2]]))
    elif how == "no hierarchy":
        (folder / "ancestors.json").unlink()
    elif how == "no mapping":
        (folder / "ancestors.json").write_text("[1]")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("cut", "cannot be loaded"),
        ("no config", "no folder with a config.json"),
        ("no weights", r"no model\.safetensors"),
        ("a BERT", "no encoder of codes"),
        ("no codes", r"codes\.json is missing"),
        ("other codes", "not of the style"),
        ("more codes", "not the codes of the weights"),
        ("no JSON", "cannot be read"),
        ("twice", "no list of different codes"),
        ("no hierarchy", "not the codes of the weights"),
        ("no mapping", "no mapping from codes"),
    ],
)
def test_damaged_folders_are_one_sentence(tmp_path, how, said):
    folder = write_encoder(tmp_path / "encoder", ancestors=HIERARCHY)
    damage(folder, how)
    with pytest.raises(ClinbertError, match=said) as raised:
        read_code_checkpoint(str(folder))
    assert "\n" not in str(raised.value)


def test_another_style_than_asked_for(tmp_path):
    folder = write_encoder(tmp_path / "encoder", "paper")
    with pytest.raises(ClinbertError, match='of the style "paper"'):
        read_code_checkpoint(str(folder), "default")
    shutil.rmtree(folder)
    with pytest.raises(ClinbertError, match="no folder"):
        read_code_checkpoint(str(folder))


@pytest.mark.parametrize("what", ["none", "two"])
def test_one_dictionary_of_codes_is_needed(tmp_path, what):
    write_original(tmp_path / "original")
    if what == "none":
        (tmp_path / "original" / "lr.types").unlink()
    else:
        (tmp_path / "original" / "types.json").write_text("{}")
    with pytest.raises(ClinbertError, match="types: put the dictionary"):
        read_code_checkpoint(str(tmp_path / "original"), "original")
