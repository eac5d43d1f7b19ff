"""Several processes: the losses and weights of one at an equal global batch."""

import json
import os
import subprocess
import sys

import pytest
from safetensors.torch import load_file
from tiny_exports import RECIPE, write_export

# Sums of float32 in another order; 20 updates of Adam at a high rate make more of it.
TOLERANCE = 1e-4

# Each process runs the command line, once for every list of options.
SCRIPT = """
import json, sys
from spacy_clinbert.cli import main
for options in json.loads(sys.argv[1]):
    sys.argv[1:] = ["pretrain", "tiny.cfg", *options]
    try:
        main()
    except SystemExit as end:
        # One write, which the other process cannot break into.
        sys.stdout.write(f"ended with {end.code}" + chr(10))
        sys.stdout.flush()
"""


def run(folder, processes, runs):
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "script.py"]
    done = subprocess.run(
        [sys.executable, *launch, json.dumps(runs)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same run on one process, on two, and on two with accumulation; then one that two cannot share."""
    folder = tmp_path_factory.mktemp("runs")
    write_export(folder / "instances")
    (folder / "tiny.cfg").write_text(RECIPE, encoding="utf-8")
    (folder / "script.py").write_text(SCRIPT, encoding="utf-8")
    scored = ["--training.evaluation_steps", "10"]
    two = ["--paths.output", "two", *scored]
    parts = ["--paths.output", "parts", "--training.accumulate", "2", *scored]
    odd = ["--paths.output", "odd", "--training.batch_size", "15"]
    return folder, run(folder, 1, [["--paths.output", "one", *scored]]), run(folder, 2, [two, parts, odd])


@pytest.mark.parametrize("name", ["two", "parts"])
def test_two_processes_give_the_losses_and_weights_of_one(runs, name):
    folder = runs[0]
    one, other = (json.loads((folder / n / "metrics.json").read_text(encoding="utf-8")) for n in ("one", name))
    assert len(one["history"]) == len(other["history"]) == 7
    for mine, theirs in zip(one["history"], other["history"], strict=True):
        assert mine == pytest.approx(theirs, abs=TOLERANCE)
    first, second = (load_file(folder / n / "model.safetensors") for n in ("one", name))
    assert first.keys() == second.keys()
    assert max((first[key] - second[key]).abs().max().item() for key in first) < 10 * TOLERANCE


def test_one_process_reports(runs):
    assert runs[2].stdout.count("held-out perplexity") == 2 and runs[2].stdout.count("ended with 0") == 4


def test_a_batch_that_two_processes_cannot_share_is_one_sentence(runs):
    folder, _, two = runs
    assert two.stdout.count("ended with 1") == 2 and not (folder / "odd").exists()
    assert "no multiple of 1 accumulated parts times 2 processes" in two.stderr and "Traceback" not in two.stderr
