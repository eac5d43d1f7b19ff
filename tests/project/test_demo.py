"""The workflow `demo` on its smallest size, in a folder of its own: it runs, a second run skips, its outputs hold."""

import csv
import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import spacy

ROOT = Path(__file__).parents[2]
SMALLEST = {
    "notes": 80,
    "documents": 16,
    "annotated": 6,
    "vocabulary": 600,
    "pretraining_steps": 20,
    "training_steps": 60,
}

pytestmark = pytest.mark.slow


def run_demo(folder: Path) -> subprocess.CompletedProcess:
    options = [word for name, value in SMALLEST.items() for word in (f"--vars.{name}", str(value))]
    command = [sys.executable, "-m", "spacy", "project", "run", "demo", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "project.yml", folder)
    shutil.copytree(ROOT / "configs", folder / "configs")
    done = run_demo(folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder, done.stdout


def test_it_ends_with_a_table_and_the_outputs(project):
    folder, output = project
    table = output[output.rindex("entities") :]
    assert "all, strict IOB2" in table and "annotated/notes.html" in table
    for path in [line.split()[-1] for line in table.splitlines() if line.startswith(("output", "scores"))]:
        assert (folder / path).exists(), path


def test_a_second_run_skips_what_is_done(project):
    folder, _ = project
    before = (folder / "training" / "ner" / "model-best" / "meta.json").stat().st_mtime_ns
    again = run_demo(folder)
    assert again.returncode == 0
    assert again.stdout.count("Skipping") == 10
    assert (folder / "training" / "ner" / "model-best" / "meta.json").stat().st_mtime_ns == before


def test_annotations_lie_in_the_notes(project):
    folder, _ = project
    with gzip.open(folder / "assets/synthetic/unseen/NOTEEVENTS.csv.gz", "rt", encoding="utf-8", newline="") as lines:
        texts = {row["ROW_ID"]: row["TEXT"] for row in csv.DictReader(lines)}
    rows = pq.read_table(folder / "annotated" / "notes.parquet").to_pylist()
    assert [row["note_id"] for row in rows] == list(texts)
    for row in rows:
        text = texts[row["note_id"]]
        for name in ("sections", "sentences"):
            assert "".join(text[part["start"] : part["end"]] for part in row[name]) == text
        assert all(0 <= e["start"] < e["end"] <= len(text) and 0 < e["score"] <= 1 for e in row["entities"])


def test_the_page_is_one_html_file_of_notes(project):
    html = (project[0] / "annotated" / "notes.html").read_text(encoding="utf-8")
    assert html.startswith("<!DOCTYPE html>") and html.count("<h2") >= 6


def test_the_pipeline_packages_into_a_wheel_that_works_offline(project, tmp_path):
    """`spacy package`, the wheel in a folder of its own, and the source gone: the same entities."""
    folder, _ = project
    source = tmp_path / "source"
    shutil.copytree(folder / "training" / "ner" / "model-best", source)
    text = "He denies fever. Given aspirin for chest pain."
    expected = [(e.start_char, e.end_char, e.label_) for e in spacy.load(source)(text).ents]
    command = [sys.executable, "-m", "spacy", "package", str(source), str(tmp_path), "--build", "wheel", "-n", "demo"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,) = tmp_path.glob("*/dist/*.whl")
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", str(site)]
    assert subprocess.run([*install, str(wheel)], timeout=300).returncode == 0
    shutil.rmtree(source)
    script = "import json, sys; sys.path.insert(0, sys.argv[1]); import en_demo; doc = en_demo.load()(sys.argv[2]); "
    script += "print(json.dumps([(e.start_char, e.end_char, e.label_) for e in doc.ents]))"
    command = [sys.executable, "-c", script, str(site), text]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert [tuple(e) for e in json.loads(shown.stdout)] == expected
