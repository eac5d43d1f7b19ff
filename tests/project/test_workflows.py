"""The workflows of the corpora at their smallest size on synthetic ones, and what they say where data are missing."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import srsly
from typer.testing import CliRunner
from weasel.util.config import substitute_project_variables

from spacy_clinbert.cli import app
from spacy_clinbert.errors import ClinbertError

ROOT = Path(__file__).parents[2]
# Workflows of the other heads: the forms they read, documents that are enough, and where their results lie.
OTHERS = {
    "spans-semclinbr": ("semclinbr", 4, "semclinbr-layers"),
    "assertion-i2b2-2010": ("i2b2_2010", 4, "assertion_i2b2_2010"),
    "mednli": ("mednli", 12, "mednli"),
    "textcat-smoking": ("i2b2_2006_smoking", 80, "i2b2_2006_smoking"),
    "textcat-obesity": ("i2b2_2008", 80, "i2b2_2008/textual"),
    "textcat-n2c2-2018-track1": ("n2c2_2018_track1", 80, "n2c2_2018_track1"),
    "textcat-mtsamples": ("labelled", 80, "mtsamples"),
    "textcat-mtsdialog": ("labelled", 80, "mtsdialog"),
}
FORMS = ("i2b2_2006", "i2b2_2010", "i2b2_2012", "i2b2_2014", "n2c2_2018", "semclinbr")
# Of the other heads; those that do not run have the same commands, as `test_the_others_have_the_same_commands` says.
RUN = ("spans-semclinbr", "assertion-i2b2-2010", "mednli", "textcat-obesity", "textcat-mtsamples")


def read_project(**overrides):
    # Not by weasel's `load_project_config`, which makes the project's folders here, in every test process at once.
    return substitute_project_variables(srsly.read_yaml(ROOT / "project.yml"), overrides)


PROJECT = read_project()


def run(folder: Path, workflow: str, **values: object) -> subprocess.CompletedProcess:
    options = [word for name, value in values.items() for word in (f"--vars.{name}", str(value))]
    command = [sys.executable, "-m", "spacy", "project", "run", workflow, str(folder), *options]
    # So small a model is slower on two threads.
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=600, env=env)


@pytest.fixture
def project(tmp_path):
    shutil.copy(ROOT / "project.yml", tmp_path)
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_from_a_synthetic_corpus_to_a_wheel(form, project, tiny_bert):
    # Test documents are every fourth; in 2014, those of every fourth patient.
    size = {"data": "synthetic", "documents": 12 if form == "i2b2_2014" else 4}
    size |= {"encoder": tiny_bert, "biobertpt": tiny_bert, "layer": "Sign or Symptom"}
    workflow = f"ner-{form.replace('_', '-')}"
    done = run(project, workflow, **size)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    place = Path("synthetic", form, "Sign or Symptom") if form == "semclinbr" else Path("synthetic", form)
    metrics = json.loads((project / "metrics" / place / "metrics.json").read_text())
    assert metrics["format"] == form and metrics["test_evaluations"]["by_all"] == 1
    assert metrics["document"]["strict"]["micro"] and metrics["paper"]["strict"]["micro"] and metrics["challenge"]
    package = "semclinbr_Sign_or_Symptom" if form == "semclinbr" else form
    (wheel,) = (project / "packages" / place).glob("*/dist/*.whl")
    with zipfile.ZipFile(wheel) as content:
        (meta,) = [
            json.loads(content.read(name)) for name in content.namelist() if name.endswith(f"_{package}/meta.json")
        ]
    report = json.loads((project / "corpora" / place / "report.json").read_text())
    corpus, encoder = meta["sources"]
    assert corpus["license"] and encoder["name"] == f"encoder {tiny_bert.name}"
    assert report["layer"] in corpus["name"]
    # The papers' epochs, evaluated at the end of each, the last one too.
    steps = [int(step) for step in re.findall(r"^ +\d+ +(\d+)(?: +\d+\.\d+){5}", done.stdout, re.MULTILINE)]
    epochs = 10 if form == "semclinbr" else 3
    assert steps == [number * steps[1] for number in range(epochs + 1)] and steps[1] > 0
    if form == "semclinbr":
        again = run(project, workflow, **size)
        assert again.returncode == 0 and again.stdout.count("Skipping") == 5


@pytest.mark.slow
@pytest.mark.parametrize("workflow", RUN)
def test_the_other_heads_too(workflow, project, tiny_bert):
    form, documents, place = OTHERS[workflow]
    size = {"data": "synthetic", "documents": documents, "encoder": tiny_bert, "biobertpt": tiny_bert}
    for config in (project / "configs").glob("*.cfg"):
        config.write_text(
            config.read_text()
            .replace("epochs = 5\n", "epochs = 1\n")
            .replace("epochs = 10\n", "epochs = 1\n")
            # The tiny encoder has 64 positions.
            .replace("max_pieces = 150", "max_pieces = null")
        )
    done = run(project, workflow, **size)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    metrics = json.loads((project / "metrics" / "synthetic" / place / "metrics.json").read_text())
    assert metrics["format"] == form
    (wheel,) = (project / "packages" / "synthetic" / place).glob("*/dist/*.whl")
    assert zipfile.ZipFile(wheel).testzip() is None


def scripts(workflow: str, name: str) -> list[str]:
    """The commands of a workflow without the names of its corpus and steps."""
    commands = {command["name"]: command for command in PROJECT["commands"]}
    lines = [line for step in PROJECT["workflows"][workflow] for line in commands[step]["script"]]
    return [re.sub(rf"\b{name}\b", "CORPUS", line) for line in lines]


def test_the_others_have_the_same_commands():
    # Labels that exclude one another, or groups of them, are of the corpus.
    kind = re.compile(r" --components.clinbert_textcat.\S+ \S+")
    ran = [kind.sub("", line) for line in scripts("textcat-obesity", "i2b2_2008(/textual|_textual)?")]
    for workflow in set(OTHERS) - set(RUN):
        form, _, place = OTHERS[workflow]
        assert [kind.sub("", line) for line in scripts(workflow, f"({form}|{place})")] == ran


def run_first_step(workflow: str) -> str:
    """Run the first command of a workflow in this folder; return the sentence that it ends with."""
    (step,) = [command for command in PROJECT["commands"] if command["name"] == PROJECT["workflows"][workflow][0]]
    words = shlex.split(step["script"][0])
    assert words[:3] == ["python", "-m", "spacy_clinbert"]
    error = CliRunner().invoke(app, words[3:]).exception
    assert isinstance(error, ClinbertError) and "\n" not in str(error)
    return str(error)


@pytest.mark.parametrize("workflow", OTHERS)
def test_without_their_corpora_the_other_heads_say_what_to_do(workflow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sentence = run_first_step(workflow)
    assert "assets/licensed/" in sentence and "corpora/README.md" in sentence


@pytest.mark.parametrize("form", FORMS)
def test_without_the_licensed_corpus_one_sentence_says_what_to_do(form, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sentence = run_first_step(f"ner-{form.replace('_', '-')}")
    assert f"assets/licensed/{form}" in sentence and "corpora/README.md" in sentence and "synthetic" in sentence


def test_without_the_open_corpora_a_workflow_ends_with_one_sentence(project):
    done = run(project, "ner-bionlp")
    assert done.returncode == 1
    (sentence,) = [line for line in done.stderr.splitlines() if line.strip()]
    assert "assets/bionlp" in sentence and "spacy project assets" in sentence


@pytest.mark.parametrize("data", ["licensed", "synthetic"])
def test_each_step_finds_what_it_needs(data):
    """Inputs are outputs of an earlier step or files of the project; real and synthetic results share no folder."""
    project = read_project(**{"vars.data": data})
    commands = {command["name"]: command for command in project["commands"]}
    for name, steps in project["workflows"].items():
        made: set[str] = set()
        for step in steps:
            for needed in commands[step].get("deps", []):
                assert needed in made or (ROOT / needed).is_file(), (name, step, needed)
            made |= set(commands[step].get("outputs", []))
        if name in OTHERS or (name.startswith("ner-") and name != "ner-bionlp"):
            assert all(f"/{data}/" in place for place in made), (name, made)


def test_every_corpus_of_the_papers_has_a_workflow():
    assert {f"ner-{form.replace('_', '-')}" for form in FORMS} | {"ner-bionlp", "demo", *OTHERS} <= set(
        PROJECT["workflows"]
    )
    (asset,) = PROJECT["assets"]
    assert asset["git"]["repo"].endswith("cambridgeltl/MTL-Bioinformatics-2016") and asset["git"]["path"] == "data"
    (bionlp,) = [command for command in PROJECT["commands"] if command["name"] == "bionlp"]
    assert asset["dest"] in bionlp["script"][0]
