"""The workflow `medbert` at its smallest size: from synthetic coded visits to all systems side by side."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALLEST = {"ehr_patients": 600, "ehr_design": "paper", "ehr_epochs": 1, "ehr_runs": 1}
ENCODED = ("ffn", "gru", "bigru", "retain")
SYSTEMS = {"logistic", "forest", "boosting", *(f"static-{head}" for head in ENCODED[1:])}
SYSTEMS |= {f"{name}-{head}" for name in ("medbert", "untrained") for head in ENCODED}

pytestmark = pytest.mark.slow


def run(folder: Path, **values: object) -> subprocess.CompletedProcess:
    options = [word for name, value in values.items() for word in (f"--vars.{name}", str(value))]
    command = [sys.executable, "-m", "spacy", "project", "run", "medbert", str(folder), *options]
    # So small a model is slower on two threads.
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=600, env=env)


def test_from_visits_to_all_systems_side_by_side(tmp_path):
    shutil.copy(ROOT / "project.yml", tmp_path)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    config = tmp_path / "configs" / "ehr-tiny.cfg"
    recipe = '[recipe]\nextends = "medbert-tiny"\ndata = "synthetic patients"\n[training]\nsteps = 10\n'
    config.write_text(recipe + "log_steps = 5\nsave_steps = 10\nevaluation_steps = 10\nwarmup_steps = 2\n")
    size = {**SMALLEST, "ehr_recipe": "configs/ehr-tiny.cfg"}
    done = run(tmp_path, **size)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    metrics = json.loads((tmp_path / "metrics/ehr/synthetic/metrics.json").read_text())
    assert set(metrics["systems"]) == SYSTEMS and metrics["tested_on"] == "mimic4"
    assert next(iter(metrics["systems"])) == "boosting"
    for system in metrics["systems"].values():
        assert system["trained_on"] == "mimic4" and 0 <= system["groups"]["all"]["auroc"]["value"] <= 1
    # A second run finds all of it done, and other patients make all of it anew.
    again = run(tmp_path, **size)
    assert again.returncode == 0 and again.stdout.count("Skipping") == 8, again.stdout
