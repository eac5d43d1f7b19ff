"""`clinbert compile`: a folder that loads without knowing more, and nothing where it cannot be made."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import spacy
from head_cases import build, outcome, texts_of, train
from spacy.cli.package import package
from spacy.tokens import DocBin
from typer.testing import CliRunner

from spacy_clinbert.cli import app
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models import openvino_engine

LOAD = """
import json, sys
# What only makes a pipeline is not needed where it runs.
sys.modules["nncf"] = None
import spacy
from head_cases import outcome
from spacy.tokens import DocBin

nlp = spacy.load(sys.argv[1])
docs = nlp.pipe(DocBin().from_disk(sys.argv[2]).get_docs(nlp.vocab))
print(json.dumps([outcome("clinbert_ner", doc) for doc in docs]))
"""


def run(*arguments):
    return CliRunner().invoke(app, ["compile", *map(str, arguments)], env={"COLUMNS": "200"})


def load_elsewhere(pipeline, folder, *installed):
    """What another process, without a hub, finds in the texts of a folder."""
    paths = os.pathsep.join([*map(str, installed), *sys.path])
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": paths}
    command = [sys.executable, "-W", "ignore", "-c", LOAD, str(pipeline), str(folder / "texts")]
    there = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=300)
    assert there.returncode == 0, there.stderr
    return json.loads(there.stdout)


@pytest.fixture(scope="module", params=["NoteEncoder", "Tok2VecListener"])
def model(request, tiny_bert, tmp_path_factory):
    """A pipeline with an encoder of its own, or a shared one."""
    folder = tmp_path_factory.mktemp("model")
    bert = shutil.copytree(tiny_bert, folder / "bert")
    nlp = build("clinbert_ner", request.param, bert)
    train(nlp, "clinbert_ner", 15)
    nlp.to_disk(folder / "model")
    shutil.rmtree(bert)
    return folder / "model"


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_the_folder_is_enough(model, precision, tmp_path):
    nlp = spacy.load(model)
    texts = texts_of(nlp, "clinbert_ner")
    DocBin(attrs=["SENT_START"], docs=texts).to_disk(tmp_path / "texts")
    notes = tmp_path / "notes.jsonl"
    notes.write_text("".join(json.dumps({"note_id": str(n), "text": doc.text}) + "\n" for n, doc in enumerate(texts)))
    done = run(model, tmp_path / "fast", "--precision", precision, *(["--notes", notes] if precision == "int8" else []))
    assert done.exit_code == 0, done.output
    assert f"openvino, {precision}" in done.output and "model" in done.output
    expected = [outcome("clinbert_ner", doc) for doc in nlp.pipe(texts)]
    tolerance = {"fp32": 1e-4, "bf16": 0.05, "int8": 0.1}[precision]
    found = load_elsewhere(tmp_path / "fast", tmp_path)
    assert found == [pytest.approx(one, abs=tolerance) for one in expected] and any(expected)
    meta = json.loads((tmp_path / "fast" / "meta.json").read_text())
    assert meta["requirements"] == ["openvino"]


@pytest.mark.slow
def test_its_package_is_enough(model, tmp_path):
    assert run(model, tmp_path / "fast").exit_code == 0
    nlp = spacy.load(model)
    texts = texts_of(nlp, "clinbert_ner")
    DocBin(attrs=["SENT_START"], docs=texts).to_disk(tmp_path / "texts")
    package(tmp_path / "fast", tmp_path, name="fast", create_sdist=False, create_wheel=False)
    shutil.rmtree(tmp_path / "fast")
    needs = json.loads((tmp_path / "en_fast-0.0.0" / "meta.json").read_text())["requirements"]
    assert "openvino" in needs and any(need.startswith("spacy-clinbert") for need in needs)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    target = tmp_path / "installed"
    subprocess.run([*pip, "--target", str(target), str(tmp_path / "en_fast-0.0.0")], check=True, timeout=300)
    found = load_elsewhere("en_fast", tmp_path, target)
    assert found == [pytest.approx(outcome("clinbert_ner", doc), abs=1e-4) for doc in nlp.pipe(texts)] and any(found)


def test_compiled_again_with_another_precision_and_an_earlier_output_replaced(model, tmp_path):
    assert run(model, tmp_path / "fast").exit_code == 0
    done = run(tmp_path / "fast", tmp_path / "other", "--precision", "bf16")
    assert done.exit_code == 0, done.output
    assert run(model, tmp_path / "other").exit_code == 0
    assert 'precision = "fp32"' in (tmp_path / "other" / "config.cfg").read_text()


def test_where_it_fails_nothing_is_written(model, tmp_path, monkeypatch):
    blank = spacy.blank("en")
    blank.add_pipe("sentencizer")
    blank.to_disk(tmp_path / "blank")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.txt").write_text("mine")
    before = sorted(path.name for path in tmp_path.iterdir())
    cases = [
        ((tmp_path / "nothing", tmp_path / "out"), "is no saved pipeline"),
        ((tmp_path / "blank", tmp_path / "out"), "holds none of spacy_clinbert.NoteEncoder.v1"),
        ((model, model), "give another folder"),
        ((model, tmp_path / "used"), "which is no earlier output"),
        ((model, tmp_path / "out", "--engine", "onnx"), "give one of openvino"),
        ((model, tmp_path / "out", "--precision", "int4"), "give one of fp32, bf16, int8"),
        ((model, tmp_path / "out", "--precision", "int8"), "give some hundred like those to come (--notes)"),
    ]
    for arguments, said in cases:
        done = run(*arguments)
        assert isinstance(done.exception, ClinbertError) and said in str(done.exception), done.exception
    monkeypatch.setattr(openvino_engine, "find_spec", lambda name: None)
    done = run(model, tmp_path / "out")
    assert isinstance(done.exception, ClinbertError) and "pip install" in str(done.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
