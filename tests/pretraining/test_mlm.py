"""Pretraining: a tiny model from invented notes to a folder that loads."""

import json
import random
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.pretraining.mlm import pretrain
from spacy_clinbert.pretraining.packing import Windows, is_held_out, note_windows
from spacy_clinbert.pretraining.settings import read_settings
from spacy_clinbert.pretraining.vocabulary import train_vocabulary, write_tokenizer

DEMO = Path(__file__).resolve().parents[2] / "configs" / "pretraining" / "demo.cfg"
SMALL = {
    "model.hidden_size": 32,
    "model.heads": 2,
    "model.feed_forward": 64,
    "model.length": 48,
    "training.steps": 12,
    "training.warmup_steps": 2,
    "training.batch_size": 8,
}


def invent_notes(count: int) -> list[str]:
    rng = random.Random(3)
    drugs, signs = ("Metoprolol", "Lisinopril", "Aspirin", "heparin"), ("chest pain", "dyspnea", "fever", "nausea")
    return [
        f"HISTORY OF ILLNESS:\n{rng.randint(30, 90)} year old with {rng.choice(signs)} and {rng.choice(signs)}. "
        f"Denies {rng.choice(signs)}. Given {rng.choice(drugs)} {rng.randint(1, 9) * 5} mg daily.\n\n"
        f"PLAN:\n1. Continue {rng.choice(drugs)}.\n2. Follow up in {rng.randint(1, 8)} weeks.\n"
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Notes as JSON lines, and a tokenizer trained on them."""
    folder = tmp_path_factory.mktemp("material")
    texts = invent_notes(120)
    lines = (json.dumps({"note_id": f"n{number}", "text": text}) for number, text in enumerate(texts))
    (folder / "notes.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "tokenizer").mkdir()
    pieces = train_vocabulary(lambda: texts, size=300, min_notes=2, cased=True).pieces
    write_tokenizer(pieces, folder / "tokenizer", cased=True, length=48)
    return folder


def make_settings(material: Path, output: Path, **changes):
    paths = {"notes": material / "notes.jsonl", "tokenizer": material / "tokenizer", "output": output}
    overrides = {f"paths.{name}": str(path) for name, path in paths.items()} | SMALL
    return read_settings(DEMO, overrides | {key.replace("__", "."): value for key, value in changes.items()})


@pytest.fixture(scope="module")
def trained(material, tmp_path_factory):
    output = tmp_path_factory.mktemp("trained") / "encoder"
    return output, pretrain(make_settings(material, output))


def test_the_folder_loads_with_casing_and_length(trained):
    output, done = trained
    model, tokenizer = AutoModel.from_pretrained(output), AutoTokenizer.from_pretrained(output)
    assert model.config.hidden_size == 32 and model.config.max_position_embeddings == 48
    assert tokenizer.is_fast and tokenizer.model_max_length == 48
    assert "Metoprolol" in tokenizer.tokenize("Metoprolol")
    assert (output / "model.safetensors").is_file() and not list(output.glob("*.bin"))
    assert [path.name for path in output.parent.iterdir()] == ["encoder"]
    assert done.n_notes + done.n_held_out == 120 and 0 < done.n_held_out < 20


def test_the_same_seed_gives_the_same_losses_and_weights(material, trained, tmp_path):
    output, done = trained
    again = pretrain(make_settings(material, tmp_path / "again"))
    assert again[:-1] == done[:-1]
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (output / "model.safetensors").read_bytes()
    other = pretrain(make_settings(material, tmp_path / "other", training__seed=1))
    assert other.held_out_loss != done.held_out_loss


def test_training_on_and_from_a_folder_lowers_the_held_out_loss(material, trained, tmp_path):
    output, done = trained
    changes = {"model__init": str(output), "training__steps": 60, "training__learning_rate": 5e-3}
    further = pretrain(make_settings(material, tmp_path / "further", **changes))
    assert further.held_out_loss < done.held_out_loss - 0.3
    assert further.accuracy > done.accuracy
    assert further.perplexity == pytest.approx(torch.tensor(further.held_out_loss).exp().item(), rel=1e-4)
    assert AutoModelForMaskedLM.from_pretrained(tmp_path / "further").config.hidden_size == 32


@pytest.mark.parametrize("length", [8, 16, 48])
def test_windows_hold_every_piece_in_order_and_none_is_longer(material, length):
    tokenizer = AutoTokenizer.from_pretrained(material / "tokenizer")
    text = invent_notes(1)[0] + "a" * 90 + " end."
    windows = list(note_windows(text, tokenizer, length))
    assert all(len(window) <= length for window in windows)
    assert all(window[0] == tokenizer.cls_token_id and window[-1] == tokenizer.sep_token_id for window in windows)
    inner = [piece for window in windows for piece in window[1:-1]]
    assert inner == tokenizer(text, add_special_tokens=False)["input_ids"]
    assert not list(note_windows("", tokenizer, length)) and not list(note_windows(" \n", tokenizer, length))


def test_windows_on_disk_are_read_back_in_any_order(tmp_path):
    windows, rows = Windows(tmp_path), [[number] * (number % 7 + 1) for number in range(50)]
    for row in rows:
        windows.append(row)
    order = random.Random(0).sample(range(50), 50)
    assert [windows[index]["input_ids"] for index in order] == [rows[index] for index in order]
    assert len(windows) == 50 and not list(tmp_path.iterdir()), "note text must not lie in a named file"


def test_one_note_in_twenty_is_held_out():
    share = sum(is_held_out(f"note-{number}") for number in range(20_000)) / 20_000
    assert 0.045 < share < 0.055


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"paths__tokenizer": "nowhere"}, "holds no tokenizer"),
        ({"model__init": "no/such-model"}, "not reachable"),
        ({"model__heads": 5}, "multiple"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(material, tmp_path, monkeypatch, changes, message):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ClinbertError, match=message) as raised:
        pretrain(make_settings(material, tmp_path / "encoder", **changes))
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_damaged_tokenizer_is_told_from_an_output_that_cannot_be_written(material, tmp_path):
    folder = shutil.copytree(material / "tokenizer", tmp_path / "tokenizer")
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ClinbertError, match=r"tokenizer folder .* cannot be loaded") as raised:
        pretrain(make_settings(material, tmp_path / "encoder", paths__tokenizer=str(folder)))
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer"]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_notes_are_one_sentence_and_leave_nothing(material, tmp_path, count):
    line = json.dumps({"note_id": "n1", "text": "Stable."}) + "\n"
    (tmp_path / "notes.jsonl").write_text(line * count, encoding="utf-8")
    changes = {"paths__notes": str(tmp_path / "notes.jsonl")}
    with pytest.raises(ClinbertError) as raised:
        pretrain(make_settings(material, tmp_path / "encoder", **changes))
    assert "\n" not in str(raised.value) and "Stable" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.jsonl"]


def test_weights_with_a_smaller_vocabulary_are_refused(material, trained, tmp_path):
    (tmp_path / "tokenizer").mkdir()
    pieces = train_vocabulary(lambda: invent_notes(120), size=320, min_notes=1, cased=True).pieces
    write_tokenizer(pieces, tmp_path / "tokenizer", cased=True, length=48)
    changes = {"model__init": str(trained[0]), "paths__tokenizer": str(tmp_path / "tokenizer")}
    with pytest.raises(ClinbertError, match="make them match"):
        pretrain(make_settings(material, tmp_path / "encoder", **changes))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"training.mask_probability": 2}, "training.mask_probability"),
        ({"training.stepps": 2}, "stepps"),
        ({"training.steps": "many"}, "training.steps"),
        ({"paths.notes": None}, "paths.notes"),
    ],
)
def test_a_wrong_setting_is_named(overrides, message):
    with pytest.raises(ClinbertError, match=message) as raised:
        read_settings(DEMO, overrides)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", [None, "[paths", "[paths]\nnotes = \n"])
def test_a_config_that_cannot_be_read_is_one_sentence(tmp_path, text):
    config = tmp_path / "a.cfg"
    if text is not None:
        config.write_text(text, encoding="utf-8")
    with pytest.raises(ClinbertError, match=r"a\.cfg") as raised:
        read_settings(config, {})
    assert "\n" not in str(raised.value)
