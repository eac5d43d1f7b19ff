"""The GPU benchmark where there is no GPU."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
NO_GPU = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}


def test_without_a_gpu_it_says_so_and_the_page_stays():
    before = PAGE.read_bytes()
    command = [sys.executable, "-W", "ignore", str(ROOT / "benchmarks" / "write_docs.py"), "gpu_speed"]
    done = subprocess.run(command, env=NO_GPU, capture_output=True, text=True)
    assert done.returncode == os.EX_UNAVAILABLE and not done.stdout
    assert done.stderr.splitlines()[1:] == [
        "torch sees no GPU here, so that nothing was measured: run this on a machine with one"
    ]
    assert PAGE.read_bytes() == before
