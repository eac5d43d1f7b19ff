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

# Each process runs the command line, once for every list of options, and notes down which instances it reads.
SCRIPT = """
import json, os, sys
from spacy_clinbert.cli import main
from spacy_clinbert.pretraining.dataset import Instances
read = Instances.__getitem__
def noted(self, key):
    with open(f"{sys.argv[4]}-{os.environ['RANK']}.keys", "a") as keys:
        keys.write(f"{len(self)} {key}" + chr(10))
    return read(self, key)
Instances.__getitem__ = noted
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
    passes = ["--paths.output", "passes", "--training.steps", "60"]
    return folder, run(folder, 1, [["--paths.output", "one", *scored]]), run(folder, 2, [two, parts, odd, passes])


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
    assert runs[2].stdout.count("held-out perplexity") == 3 and runs[2].stdout.count("ended with 0") == 6


def test_a_batch_that_two_processes_cannot_share_is_one_sentence(runs):
    folder, _, two = runs
    assert two.stdout.count("ended with 1") == 2 and not (folder / "odd").exists()
    assert "no multiple of 1 accumulated parts times 2 processes" in two.stderr and "Traceback" not in two.stderr


def test_two_processes_read_every_instance_once_an_epoch(runs):
    folder, passes = runs[0], {}
    for rank in (0, 1):
        for line in (folder / f"passes-{rank}.keys").read_text().splitlines():
            count, key = map(int, line.split())
            passes.setdefault((count, key // count), []).append(key % count)
    # Those that are trained on are more than those held out; the last pass is cut off by the last update.
    count = max(count for count, _ in passes)
    whole = [rows for (size, number), rows in passes.items() if size == count and (size, number + 1) in passes]
    assert whole and all(sorted(rows) == list(range(count)) for rows in whole)
