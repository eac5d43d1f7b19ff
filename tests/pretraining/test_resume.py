"""Runs that are killed, run out of disk or find their checkpoints damaged: they end as an undisturbed run does."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys

import pytest
import torch
from tiny_exports import RECIPE, write_export

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.pretraining.checkpoint_folder import SEAL, checkpoint_folder, is_whole, last_checkpoint, seal
from spacy_clinbert.pretraining.recipes import read_recipe
from spacy_clinbert.pretraining.settings import Settings
from spacy_clinbert.pretraining.train import pretrain

# Dropout draws from the generators whose states a checkpoint has to bring back.
CHANGES = {"model.dropout": 0.1, "training.steps": 23, "training.evaluation_steps": 10}

# Kills its own process when a function is called for the n-th time.
KILLED = """
import os, signal, sys, torch
from pathlib import Path
torch.set_num_threads(1)
from spacy_clinbert.pretraining import checkpoint_folder, train, trainer
place, name, calls = eval(sys.argv[1]), sys.argv[2], int(sys.argv[3])
original = getattr(place, name)
def die(*args, **kwargs):
    global calls
    calls -= 1
    if not calls:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **kwargs)
setattr(place, name, die)
sys.argv[1:] = ["pretrain", *sys.argv[4:]]
from spacy_clinbert.cli import main
main()
"""


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("material")
    write_export(folder / "instances")
    (folder / "tiny.cfg").write_text(RECIPE, encoding="utf-8")
    return folder


def overrides(material, output):
    return {"paths.instances": str(material / "instances"), "paths.output": str(output), **CHANGES}


def run(material, output, **changes):
    recipe = read_recipe(material / "tiny.cfg", overrides(material, output) | changes)
    return pretrain(Settings(paths=recipe.paths, model=recipe.model, training=recipe.training))


def result(output):
    metrics = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    return (output / "model.safetensors").read_bytes(), metrics["history"], metrics["losses"], metrics["scores"]


@pytest.fixture(scope="module")
def undisturbed(material, tmp_path_factory):
    output = tmp_path_factory.mktemp("undisturbed") / "encoder"
    run(material, output)
    return result(output)


@pytest.mark.parametrize(
    ("place", "name", "calls", "resumed"),
    [
        # Between checkpoints; when files of a checkpoint are there but not all; when they are, but not its seal; after
        # training, when the output is being written.
        ("trainer.MaskedTrainer", "compute_loss", 13, 10),
        ("torch", "save", 7, 5),
        ("trainer", "seal", 3, 10),
        ("train", "draw_curves", 1, 23),
    ],
)
def test_a_killed_run_resumes_and_ends_as_an_undisturbed_one(
    material, undisturbed, tmp_path, place, name, calls, resumed
):
    output = tmp_path / "encoder"
    options = [word for key, value in overrides(material, output).items() for word in (f"--{key}", str(value))]
    command = [sys.executable, "-c", KILLED, place, name, str(calls), str(material / "tiny.cfg"), *options]
    killed = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    assert not output.exists(), "nothing half-written is taken for whole"
    assert run(material, output).resumed == resumed
    assert result(output) == undisturbed
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("file write failed")])
def test_a_full_disk_is_one_sentence_and_can_be_resumed(material, undisturbed, tmp_path, monkeypatch, error):
    output, calls, save = tmp_path / "encoder", [], torch.save

    def full(*args, **kwargs):
        calls.append(1)
        if len(calls) == 5:
            raise error
        return save(*args, **kwargs)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(ClinbertError, match=r"cannot be written .* make room") as raised:
        run(material, output)
    assert "\n" not in str(raised.value) and not output.exists()
    monkeypatch.setattr(torch, "save", save)
    assert run(material, output).resumed == 5
    assert result(output) == undisturbed


def test_a_full_disk_at_the_end_is_one_sentence_and_the_earlier_output_stays(material, tmp_path, monkeypatch):
    output = tmp_path / "encoder"
    run(material, output, **{"training.steps": 1})
    before = result(output)

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(ClinbertError, match="make room"):
        patched.setattr("spacy_clinbert.pretraining.train.draw_curves", full)
        run(material, output)
    assert result(output) == before
    assert run(material, output).resumed == 23 and result(output) != before


@pytest.fixture
def stopped(material, tmp_path, monkeypatch):
    """A run stopped behind its second checkpoint."""
    output = tmp_path / "encoder"
    from spacy_clinbert.pretraining.trainer import MaskedTrainer

    compute_loss, calls = MaskedTrainer.compute_loss, []

    def stop(*args, **kwargs):
        calls.append(1)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return compute_loss(*args, **kwargs)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(MaskedTrainer, "compute_loss", stop)
        run(material, output)
    return output, checkpoint_folder(output)


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "add"])
def test_a_damaged_checkpoint_is_not_used_but_the_one_before_is(material, undisturbed, stopped, caplog, damage):
    output, folder = stopped
    last = last_checkpoint(folder)
    assert last.name == "checkpoint-10" and is_whole(last)
    weights = last / "model.safetensors"
    content = bytearray(weights.read_bytes())
    if damage == "flip":
        content[-5] ^= 1
        weights.write_bytes(content)
    elif damage == "cut":
        weights.write_bytes(content[:-5])
    elif damage == "remove":
        (last / "optimizer.pt").unlink()
    else:
        (last / "rng_state_1.pth").write_bytes(b"")
    with caplog.at_level(logging.WARNING, "spacy_clinbert"):
        assert run(material, output).resumed == 5
    assert "checkpoint-10 is damaged" in caplog.text and result(output) == undisturbed


def test_checkpoints_of_other_settings_are_not_resumed(material, stopped):
    output, folder = stopped
    for change in ({"training.learning_rate": 1e-3}, {"training.steps": 40}, {"paths.held_out": False}):
        with pytest.raises(ClinbertError, match=f"another {next(iter(change))}") as raised:
            run(material, output, **change)
        assert "\n" not in str(raised.value) and last_checkpoint(folder).name == "checkpoint-10"
    (folder / "run.json").write_text("{")
    with pytest.raises(ClinbertError, match=r"run\.json is damaged"):
        run(material, output)


def test_other_held_out_instances_are_noticed(material, tmp_path):
    output, held_out = tmp_path / "encoder", tmp_path / "held-out"
    changes = {"paths.held_out": str(held_out), "training.steps": 20}
    write_export(held_out, notes=12, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spacy_clinbert.pretraining.train._write", _stop)
        with pytest.raises(KeyboardInterrupt):
            run(material, output, **changes)
    shutil.rmtree(held_out)
    write_export(held_out, notes=12, seed=2)
    with pytest.raises(ClinbertError, match=r"another paths\.held_out"):
        run(material, output, **changes)


def _stop(*_):
    raise KeyboardInterrupt


def test_a_run_without_a_whole_checkpoint_binds_no_other(material, stopped):
    output, folder = stopped
    (folder / "tensorboard").mkdir(exist_ok=True)
    (folder / "tensorboard" / "events.of-the-other").touch()
    for checkpoint in folder.glob("checkpoint-*"):
        (checkpoint / SEAL).unlink()
    assert run(material, output, **{"training.learning_rate": 1e-3, "training.steps": 5}).resumed == 0
    assert not list(output.rglob("events.of-the-other")), "curves of the other run"


def test_a_seal_holds_what_it_sealed(tmp_path):
    checkpoints = [tmp_path / f"checkpoint-{number}" for number in (5, 100, 20)]
    for checkpoint in checkpoints:
        checkpoint.mkdir()
        (checkpoint / "weights").write_bytes(b"123")
        assert not is_whole(checkpoint)
    seal(checkpoints[1])
    assert is_whole(checkpoints[1]) and last_checkpoint(tmp_path) == checkpoints[1] and not checkpoints[0].exists()
