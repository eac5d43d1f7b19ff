"""The GPU benchmark where there is no GPU, and its place on the page."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
NO_GPU = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}


@pytest.fixture
def write_docs(tmp_path, monkeypatch):
    """The module, on a page and scripts of its own."""
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "benchmarks" / "write_docs.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("quick", "gpu_quick"):
        (tmp_path / f"{name}.py").write_text(f"print('measured: {name}')")
    monkeypatch.setattr(module, "HERE", tmp_path)
    monkeypatch.setattr(module, "PAGE", tmp_path / "page.md")
    module.PAGE.write_text("".join(f"<!-- {name} -->\nNot yet.\n<!-- end -->\n" for name in ("quick", "gpu_quick")))
    return module


@pytest.mark.parametrize(("asked", "ran"), [([], "quick"), (["gpu_quick"], "gpu_quick")])
def test_benchmarks_for_a_gpu_run_when_they_are_named(write_docs, monkeypatch, asked, ran):
    monkeypatch.setattr(sys, "argv", ["write_docs.py", *asked])
    write_docs.main()
    page = write_docs.PAGE.read_text()
    assert page.count("measured:") == page.count("Not yet.") == 1
    assert f"<!-- {ran} -->\nmeasured: {ran}\n" in page


def test_without_a_gpu_it_says_so_and_the_page_stays():
    before = PAGE.read_bytes()
    command = [sys.executable, "-W", "ignore", str(ROOT / "benchmarks" / "write_docs.py"), "gpu_speed"]
    done = subprocess.run(command, env=NO_GPU, capture_output=True, text=True)
    assert done.returncode == os.EX_UNAVAILABLE and not done.stdout
    assert done.stderr.splitlines()[1:] == [
        "torch sees no GPU here, so that nothing was measured: run this on a machine with one"
    ]
    assert PAGE.read_bytes() == before
