"""The benchmarks run: tiny sizes, no time asserted, only that each prints its table with figures."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TINY = {
    "annotate_memory": "--smoke",
    "annotate_quality": "--smoke",
    "annotate_speed": "--smoke",
    "ehr_prepare_speed": "--patients 300 --many 600 --rounds 1",
    "export_speed": "--notes 20 --rounds 1",
    "mednli_speed": "--pairs 64 --rounds 1",
    "ner_same": "--epochs 1 --sentences 32 --seeds 1 --draws 2",
    "pretrain_input": "--smoke",
    "repeats_speed": "--smoke",
    "scale": "--smoke",
    "sentences_speed": "--notes 20 --rounds 1",
}


@pytest.mark.external
@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_it_runs_and_prints_figures(shared, name):
    command = [sys.executable, "-W", "ignore", str(BENCHMARKS / f"{name}.py"), *TINY[name].split()]
    environment = {**os.environ, "CLINBERT_SHARED": str(shared)}
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert run.returncode == 0, run.stderr[-3000:]
    rows = [line for line in run.stdout.splitlines() if line.startswith("| ") and "---" not in line]
    assert sum(bool(re.search(r"\d", row)) for row in rows) >= 2, run.stdout
