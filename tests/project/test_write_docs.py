"""`write_docs.py` puts what a benchmark prints into its place of the page, and touches nothing else."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "write_docs.py"
PAGE = """# Benchmarks
By hand, before.
<!-- first_speed -->
| old | 1 |
<!-- end -->
Between.
<!-- second_speed -->
<!-- end -->
<!-- gpu_speed -->
Nothing measured.
<!-- end -->
By hand, behind.
"""


@pytest.fixture
def folder(tmp_path):
    """A project of two small benchmarks and one for a GPU, which must not be run unasked."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "benchmarks.md").write_text(PAGE, encoding="utf-8")
    (tmp_path / "benchmarks").mkdir()
    shutil.copy(SCRIPT, tmp_path / "benchmarks")
    for name, code in {
        "first_speed": "import sys; print('| new | 2 |'); print('progress', file=sys.stderr)",
        "second_speed": "print('| é | 3 |')",
        "gpu_speed": "raise SystemExit('no GPU here')",
    }.items():
        (tmp_path / "benchmarks" / f"{name}.py").write_text(code, encoding="utf-8")
    return tmp_path


def write(folder: Path, *names: str) -> "tuple[subprocess.CompletedProcess, str]":
    command = [sys.executable, str(folder / "benchmarks" / "write_docs.py"), *names]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return run, (folder / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def test_each_place_gets_what_its_script_prints(folder):
    run, page = write(folder)
    assert run.returncode == 0, run.stderr
    stamp = r"\d{4}-\d\d-\d\d: \d+ × .*, Python 3\.\d+\.\d+, torch .*, numpy [\d.]+\.\n"
    expected = re.escape(PAGE).replace(re.escape("| old | 1 |\n"), re.escape("| new | 2 |\n\n") + stamp)
    second = re.escape("<!-- second_speed -->\n")
    assert re.fullmatch(expected.replace(second, second + re.escape("| é | 3 |\n\n") + stamp), page)
    assert "progress" in run.stderr


def test_only_those_named_are_run(folder):
    (folder / "benchmarks" / "gpu_speed.py").write_text("print('| on a card | 4 |')", encoding="utf-8")
    run, page = write(folder, "gpu_speed")
    assert run.returncode == 0 and "| on a card | 4 |" in page
    assert "| old | 1 |" in page and "Nothing measured" not in page and "| é | 3 |" not in page


def test_a_failing_script_leaves_its_place_and_ends_the_run(folder):
    run, page = write(folder, "gpu_speed", "second_speed")
    assert run.returncode == 1 and "no GPU here" in run.stderr
    assert page == PAGE


def test_an_unknown_name_is_refused_with_those_known(folder):
    run, page = write(folder, "third_speed")
    assert run.returncode == 2 and "no place for third_speed" in run.stderr and "first_speed" in run.stderr
    assert page == PAGE
