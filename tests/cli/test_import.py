"""`clinbert import`: a folder that loads without its source, or nothing."""

import json
import os
import shutil
import subprocess
import sys
import zipfile

import pytest
import spacy
from classifier_checkpoints import write_classifier
from typer.testing import CliRunner

from spacy_clinbert.cli import app
from spacy_clinbert.errors import ClinbertError

LABELS = ["O", "B-problem", "L-problem", "I-problem", "U-problem", "X"]
TEXT = "History of Present Illness:\nHe denies fever. Given aspirin for chest pain.\n"
LOAD = """
import json, sys, spacy
nlp = spacy.load(sys.argv[1])
print(json.dumps([[ent.start_char, ent.end_char, ent.label_] for ent in nlp(sys.argv[2]).ents]))
"""


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "200"})


@pytest.fixture
def checkpoint(tmp_path):
    return write_classifier(tmp_path / "my-ner", LABELS)


def test_the_folder_is_enough(checkpoint, tmp_path):
    done = run("import", checkpoint, tmp_path / "model")
    assert done.exit_code == 0, done.output
    lines = [" ".join(line.split()) for line in done.output.splitlines()]
    assert {"scheme bilou", "labels problem", "outside too X", "terms not stated"} <= set(lines)
    here = [[ent.start_char, ent.end_char, ent.label_] for ent in spacy.load(tmp_path / "model")(TEXT).ents]
    shutil.rmtree(checkpoint)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-W", "ignore", "-c", LOAD, str(tmp_path / "model"), TEXT]
    there = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300)
    assert json.loads(there.stdout) == here != [], there.stderr


def test_an_earlier_output_is_replaced_and_nothing_else(checkpoint, tmp_path):
    assert run("import", checkpoint, tmp_path / "model").exit_code == 0
    assert run("import", checkpoint, tmp_path / "model", "--lang", "pt").exit_code == 0
    assert spacy.load(tmp_path / "model").lang == "pt"
    done = run("import", checkpoint, checkpoint)
    assert isinstance(done.exception, ClinbertError) and "which is no earlier output" in str(done.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "my-ner"]


def test_where_it_fails_nothing_is_written(checkpoint, tmp_path):
    (checkpoint / "model.safetensors").unlink()
    done = run("import", checkpoint, tmp_path / "model")
    assert isinstance(done.exception, ClinbertError) and "cannot be loaded" in str(done.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["my-ner"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--labels", "O,B-x"], "has 6 classes, but --labels names 2"),
        (["--scheme", "io", "--labels", "O,a,b,c,d,O"], None),
        (["--scheme", "iob2"], "are bilou, not iob2"),
        (["--scheme", "bio"], 'scheme "bio" is unknown'),
    ],
)
def test_options(checkpoint, tmp_path, options, message):
    done = run("import", checkpoint, tmp_path / "model", *options)
    if message is None:
        assert spacy.load(tmp_path / "model").get_pipe("clinbert_ner").labels == ("a", "b", "c", "d")
    else:
        assert isinstance(done.exception, ClinbertError) and message in str(done.exception)


def test_help_has_an_example():
    assert "clinbert import pucpr/clinicalnerpt-disorder" in run("import", "--help").output


@pytest.mark.slow
def test_it_can_be_packaged(checkpoint, tmp_path):
    assert run("import", checkpoint, tmp_path / "model").exit_code == 0
    done = run("package", tmp_path / "model", tmp_path / "out")
    assert done.exit_code == 0 and "whether these are gated is not known" in done.output
    (wheel,) = (tmp_path / "out").glob("*/dist/*.whl")
    with zipfile.ZipFile(wheel) as content:
        assert any(name.startswith("en_my_ner/") for name in content.namelist())
