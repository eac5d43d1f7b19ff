"""`clinbert ehr pretrain`: encoders that learn and load, runs that resume, settings that are refused in a sentence."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from ehr_patients import KEYS, make_doc, make_patient, write_patients
from safetensors.torch import load_file
from typer.testing import CliRunner

from spacy_clinbert.cli.ehr import ehr
from spacy_clinbert.ehr.code_trainer import CodeTrainer
from spacy_clinbert.ehr.pretrain import pretrain, read_vocabulary
from spacy_clinbert.ehr.pretrain_settings import CODES_SHELF, read_settings
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.code_encoder import CodeEncoder, CodePatient
from spacy_clinbert.pretraining.checkpoint_folder import checkpoint_folder, last_checkpoint
from spacy_clinbert.pretraining.recipes import recipe_names, recipe_text

TINY = {
    "model.length": 32,
    "training.steps": 12,
    "training.batch_codes": 512,
    "training.warmup_steps": 2,
    "training.log_steps": 3,
    "training.save_steps": 3,
    "training.evaluation_steps": 6,
}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    base = tmp_path_factory.mktemp("patients")
    return {mode: write_patients(base / mode, 120, 30, mode) for mode in ("default", "original")}


def settings_of(patients, output, **changes):
    style = changes.get("model.style", "default")
    folder = patients["original" if style == "original" else "default"]
    paths = {"paths.sequences": str(folder), "paths.output": str(output)}
    return read_settings("medbert-tiny", {**paths, **TINY, **changes})


def run(patients, output, **changes):
    return pretrain(settings_of(patients, output, **changes))


def result(output):
    metrics = json.loads((output / "metrics.json").read_text(encoding="utf-8"))
    return (output / "model.safetensors").read_bytes(), metrics["history"], metrics["losses"], metrics["scores"]


@pytest.mark.parametrize(
    ("style", "changes"),
    [
        ("original", {}),
        ("original", {"model.pooling": "sum_with_pads"}),
        ("paper", {"training.mask_probability": None, "training.batch_size": 16, "training.batch_codes": None}),
        ("default", {"training.bf16": True}),
        ("default", {"model.ages": False, "model.gaps": False, "training.mask_probability": 0.3}),
    ],
)
def test_each_style_trains_and_loads(patients, tmp_path, style, changes):
    output = tmp_path / "encoder"
    done = run(patients, output, **{"model.style": style, **changes})
    assert done.steps == 12 and done.instances == 120 and done.held_out == 30
    assert {"loss", "mlm_loss", "stay_loss"} == done.losses.keys()
    scores = {"mlm_loss", "mlm_accuracy", "mlm_top_10", "perplexity", "stay_loss", "stay_share", "stay_auroc"}
    assert scores <= done.scores.keys() and all(np.isfinite(list(done.scores.values())))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["encoder"]
    assert {"codes.json", "config.json", "curves.png", "metrics.json", "model.safetensors"} <= {
        path.name for path in output.iterdir()
    }
    assert json.loads((output / "metrics.json").read_text())["settings"]["model"]["style"] == style
    model = CodePatient(str(output), device="cpu", style=style)
    model.initialize()
    keys = read_vocabulary(settings_of(patients, output, **{"model.style": style})).keys
    first = 1 if style == "original" else 4
    rows = model.predict([make_doc(make_patient(number, first=first), keys) for number in range(3)])
    assert [found.shape for found in rows] == [(1, 32)] * 3 and all(found.any() for found in rows)


@pytest.mark.slow
def test_an_encoder_learns_codes_and_stays(patients, tmp_path):
    done = run(
        patients,
        tmp_path / "encoder",
        **{"training.steps": 900, "training.save_steps": 0, "training.learning_rate": 5e-3, "training.log_steps": 100}
        | {"training.evaluation_steps": 0},
    )
    # A code is told by its neighbours, one of 24, and a long stay by one code.
    assert done.scores["mlm_accuracy"] > 0.3 and done.scores["stay_auroc"] > 0.9


def test_the_head_sees_masked_codes_only(patients, tmp_path, monkeypatch):
    seen, compute_loss = [], CodeTrainer.compute_loss

    def watch(self, model, inputs, *args, **kwargs):
        masked = int((inputs["labels"] != -100).sum())
        hook = model.cls.predictions.transform.register_forward_hook(
            lambda _, arguments, output: seen.append((masked, tuple(output.shape)))
        )
        try:
            return compute_loss(self, model, inputs, *args, **kwargs)
        finally:
            hook.remove()

    monkeypatch.setattr(CodeTrainer, "compute_loss", watch)
    run(patients, tmp_path / "encoder", **{"training.steps": 3})
    assert len(seen) == 3 and all(shape == (masked, 32) for masked, shape in seen)


def test_ancestors_of_codes(patients, tmp_path):
    hierarchy = {key: ["ICD10CM/even" if i % 2 else "ICD10CM/odd", "ICD10CM/all"] for i, key in enumerate(KEYS[4:])}
    hierarchy["ICD10CM/new"] = ["ICD10CM/even", "ICD10CM/never"]
    (tmp_path / "ancestors.json").write_text(json.dumps(hierarchy))
    run(patients, tmp_path / "encoder", **{"model.ancestors": str(tmp_path / "ancestors.json")})
    model = CodeEncoder(str(tmp_path / "encoder"), device="cpu")
    model.initialize()
    docs = []
    for word in ("ICD10CM/new", "no/code"):
        docs.append(make_doc(make_patient(1, 3), [*KEYS[:4], *[word] * 24]))
    first, second = model.predict(docs)
    assert not np.allclose(first, second)
    (tmp_path / "ancestors.json").write_text(json.dumps({"other/code": ["a"]}))
    with pytest.raises(ClinbertError, match="no ancestor of a code"):
        run(patients, tmp_path / "again", **{"model.ancestors": str(tmp_path / "ancestors.json")})


@pytest.fixture(scope="module")
def undisturbed(patients, tmp_path_factory):
    output = tmp_path_factory.mktemp("undisturbed") / "encoder"
    run(patients, output, **{"model.dropout": 0.1})
    return result(output)


def test_the_same_settings_give_the_same_encoder(patients, undisturbed, tmp_path):
    output = tmp_path / "encoder"
    for _ in range(2):
        run(patients, output, **{"model.dropout": 0.1})
        assert result(output) == undisturbed
    run(patients, output, **{"model.dropout": 0.1, "training.seed": 1})
    assert result(output)[0] != undisturbed[0]


@pytest.mark.parametrize("stopped_at", [5, 11])
def test_a_stopped_run_resumes_and_ends_as_an_undisturbed_one(patients, undisturbed, tmp_path, monkeypatch, stopped_at):
    output, compute_loss, calls = tmp_path / "encoder", CodeTrainer.compute_loss, []

    def stop(*args, **kwargs):
        calls.append(1)
        if len(calls) == stopped_at:
            raise KeyboardInterrupt
        return compute_loss(*args, **kwargs)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(CodeTrainer, "compute_loss", stop)
        run(patients, output, **{"model.dropout": 0.1})
    assert last_checkpoint(checkpoint_folder(output)) is not None and not output.exists()
    with pytest.raises(ClinbertError, match=r"another model\.dropout"):
        run(patients, output, **{"model.dropout": 0.2})
    assert run(patients, output, **{"model.dropout": 0.1}).resumed == (stopped_at - 1) // 3 * 3
    assert result(output) == undisturbed


SCRIPT = """
from spacy_clinbert.cli.ehr import ehr
ehr()
"""


def words(changes):
    shown = {key: "null" if value is None else str(value).lower() for key, value in changes.items()}
    return [word for key, value in shown.items() for word in (f"--{key}", value)]


@pytest.mark.slow
def test_two_processes_give_the_encoder_of_one(patients, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    found = {}
    for processes in (1, 2):
        output = tmp_path / str(processes)
        options = {**TINY, "model.dropout": 0.0, "training.save_steps": 0}
        paths = ["--paths.sequences", str(patients["default"]), "--paths.output", str(output)]
        launch = [
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            str(processes),
            "script.py",
            "pretrain",
        ]
        done = subprocess.run(
            [sys.executable, *launch, "medbert-tiny", *paths, *words(options)],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.count("held-out stay auroc") == 1
        found[processes] = load_file(output / "model.safetensors"), result(output)[3]
    (one, scores), (two, same_scores) = found[1], found[2]
    assert max((one[key] - two[key]).abs().max().item() for key in one) < 1e-3
    assert scores == pytest.approx(same_scores, abs=1e-3)


def test_the_command_trains_and_reports(patients, tmp_path):
    paths = {"paths.sequences": patients["default"], "paths.output": tmp_path / "encoder", "paths.held_out": False}
    done = CliRunner().invoke(ehr, ["pretrain", "medbert-tiny", *words({**TINY, **paths})])
    assert done.exit_code == 0, done.output
    assert "120 trained on, 0 held out" in done.output and "train stay loss" in done.output
    assert (tmp_path / "encoder" / "model.safetensors").is_file()


def test_the_recipes_are_listed_and_shown():
    listed = CliRunner().invoke(ehr, ["recipes"]).output
    assert all(name in listed for name in ("medbert", "medbert-default", "medbert-tiny")) and "4,500,000" in listed
    shown = CliRunner().invoke(ehr, ["recipes", "medbert"]).output
    assert "doi:10.1038/s41746-021-00455-y" in shown and "steps = 4500000" in shown


def test_the_published_recipe():
    paths = {"paths.sequences": "in", "paths.output": "out"}
    settings = read_settings("medbert", paths)
    assert settings.model.model_dump(include={"style", "hidden_size", "layers", "heads", "feed_forward"}) == {
        "style": "paper",
        "hidden_size": 192,
        "layers": 6,
        "heads": 6,
        "feed_forward": 64,
    }
    assert (settings.model.length, settings.model.visits) == (512, 1000)
    training = settings.training
    assert (training.batch_size, training.learning_rate, training.warmup_steps) == (32, 5e-5, 10_000)
    assert (training.steps, training.seed, training.mask_probability) == (4_500_000, 12345, None)
    for name in recipe_names(CODES_SHELF):
        assert read_settings(name, paths).training.steps and "#" in recipe_text(name, CODES_SHELF)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model.style": "mine"}, "original"),
        ({"model.pooling": "sum"}, 'pooling "sum" is none of the style default: give cls'),
        ({"model.style": "original", "model.ages": True}, "has no ages"),
        ({"model.heads": 5}, "no multiple of heads"),
        ({"training.batch_size": 32}, "one of batch_size and batch_codes"),
        ({"training.mask_probability": 1.5}, "mask_probability"),
        ({"training.epochs": 3}, "one of steps and epochs"),
        ({"export.length": 3}, "no setting of a section: give one of paths, model or training"),
        ({"model.width": 3}, "unknown"),
        ({"training.accumulate": 5}, "no multiple of 5 accumulated parts"),
        ({"training.batch_size": 500, "training.batch_codes": None}, "too few for one update of 500"),
        ({"paths.sequences": "nowhere"}, "no prepared patients"),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(patients, tmp_path, changes, said):
    with pytest.raises(ClinbertError, match=said) as raised:
        run(patients, tmp_path / "encoder", **changes)
    assert "\n" not in str(raised.value) and not (tmp_path / "encoder").exists()


def test_patients_prepared_for_another_style(patients, tmp_path):
    for style, mode in (("original", "default"), ("paper", "original")):
        with pytest.raises(ClinbertError, match="was not prepared for style"):
            run({"original": patients[mode], "default": patients[mode]}, tmp_path / "x", **{"model.style": style})


def test_a_vocabulary_without_codes_is_refused(tmp_path):
    folder = write_patients(tmp_path / "patients", 40, 10, "default")
    codes = folder / "codes.json"
    codes.write_text(json.dumps(json.loads(codes.read_text(encoding="utf-8"))[:4]), encoding="utf-8")
    with pytest.raises(ClinbertError, match="has no code in its vocabulary"):
        read_vocabulary(settings_of({"default": folder}, tmp_path / "encoder"))


def test_an_output_that_holds_something_else_stays(patients, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ClinbertError, match="no earlier output"):
        run(patients, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_skipped_patients_are_said_and_counted(patients, tmp_path, caplog):
    run(patients, tmp_path / "encoder", **{"model.style": "original", "model.length": 8})
    assert "are not read: they have no code, or more than 8" in caplog.text
    seen = json.loads((tmp_path / "encoder" / "metrics.json").read_text())["seen"]
    assert seen["skipped"] > 0 and seen["source"] == "tests"


def test_patients_of_5000_codes(tmp_path):
    folder = write_patients(tmp_path / "prepared", 40, 8, codes=5000)
    done = run({"default": folder}, tmp_path / "encoder", **{"training.steps": 3})
    assert done.instances == 40 and np.isfinite(done.losses["loss"])


def test_patients_whose_codes_are_all_unknown_teach_stays_only(tmp_path):
    folder = write_patients(tmp_path / "prepared", 40, 8, unknown=True)
    changes = {"training.steps": 3, "training.evaluation_steps": 0}
    done = run({"default": folder}, tmp_path / "encoder", **changes, **{"paths.held_out": False})
    assert done.losses["mlm_loss"] == 0 < done.losses["stay_loss"]
    with pytest.raises(ClinbertError, match="no held-out patient has a code of the vocabulary"):
        run({"default": folder}, tmp_path / "again", **changes)


@pytest.mark.parametrize("name", ["train-00001.parquet", "valid-00000.parquet", "codes.json"])
def test_changed_patients_are_one_sentence(tmp_path, name):
    folder = write_patients(tmp_path / "prepared", 40, 8)
    content = bytearray((folder / name).read_bytes())
    content[-9] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(ClinbertError, match=f"{name} is damaged") as raised:
        run({"default": folder}, tmp_path / "encoder")
    assert "\n" not in str(raised.value) and not (tmp_path / "encoder").exists()
