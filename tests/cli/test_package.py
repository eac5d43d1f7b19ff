"""`clinbert package`: a wheel whose meta names its corpora, a table of terms, and a warning for gated ones."""

import json
import zipfile

import pytest
import spacy
from typer.testing import CliRunner

from spacy_clinbert.cli import app
from spacy_clinbert.errors import ClinbertError

GATED = {"name": "i2b2 2010", "url": "", "author": "", "license": "n2c2 data use agreement", "gated": "yes"}
OPEN = {"name": "NCBI disease", "url": "", "author": "", "license": "public domain", "gated": "no"}
ENCODER = {"name": "encoder medbert", "url": "https://huggingface.co/Charangan/MedBERT", "author": "", "license": "MIT"}


def save(folder, sources):
    nlp = spacy.blank("en")
    nlp.add_pipe("clinbert_sections")
    nlp.meta.update({"name": "demo", "sources": sources})
    nlp.to_disk(folder)
    return folder


def package(*arguments):
    return CliRunner().invoke(app, ["package", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.mark.slow
def test_a_wheel_that_names_its_corpora(tmp_path):
    model = save(tmp_path / "model", [GATED, OPEN, ENCODER])
    done = package(model, tmp_path / "out", "--name", "Chemicals and Drugs")
    assert done.exit_code == 0, done.output
    (wheel,) = (tmp_path / "out").glob("*/dist/*.whl")
    with zipfile.ZipFile(wheel) as content:
        assert json.loads(content.read("en_Chemicals_and_Drugs/meta.json"))["sources"] == [GATED, OPEN, ENCODER]
        (readme,) = [name for name in content.namelist() if name.endswith("README.md")]
        assert "i2b2 2010" in content.read(readme).decode()
    rows = [line.split() for line in done.output.splitlines()]
    assert ["i2b2", "2010", "n2c2", "data", "use", "agreement", "yes"] in rows and ["encoder", "medbert", "MIT"] in rows
    (warning,) = [line for line in done.output.splitlines() if "may themselves be gated" in line]
    assert "i2b2 2010" in warning and "NCBI" not in warning and "medbert" not in warning


@pytest.mark.slow
def test_packaged_again_nothing_of_the_first_is_left(tmp_path):
    assert package(save(tmp_path / "model", [GATED]), tmp_path / "out").exit_code == 0
    (tmp_path / "out" / "en_demo-0.0.0" / "build" / "lib" / "en_demo" / "old.txt").write_text("old")
    done = package(save(tmp_path / "model", [OPEN]), tmp_path / "out")
    assert done.exit_code == 0 and "may themselves be gated" not in done.output
    (wheel,) = (tmp_path / "out").glob("*/dist/*.whl")
    with zipfile.ZipFile(wheel) as content:
        text = content.read(next(name for name in content.namelist() if name.endswith("README.md"))).decode()
        assert "NCBI" in text and "i2b2" not in text and not any("old" in name for name in content.namelist())


@pytest.mark.slow
@pytest.mark.parametrize("sources, said", [(None, "names no training corpora"), (["a corpus"], "a corpus")])
def test_pipelines_that_say_little(sources, said, tmp_path):
    done = package(save(tmp_path / "model", sources), tmp_path / "out")
    assert done.exit_code == 0 and said in done.output and "gated (" not in done.output


@pytest.mark.parametrize("content", [None, "", "[]", "{}"])
def test_what_is_no_pipeline_is_one_sentence(content, tmp_path):
    (tmp_path / "model").mkdir()
    if content is not None:
        (tmp_path / "model" / "meta.json").write_text(content)
    done = package(tmp_path / "model", tmp_path / "out")
    assert isinstance(done.exception, ClinbertError) and "no saved pipeline" in str(done.exception)
    assert not (tmp_path / "out").exists()
