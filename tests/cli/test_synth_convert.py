import gzip
import json
from pathlib import Path

import pytest
import spacy
import typer
from spacy.tokens import DocBin
from typer.testing import CliRunner, Result

from spacy_clinbert.cli.convert import convert
from spacy_clinbert.cli.synth import synth
from spacy_clinbert.corpora.folders import SYNTHETIC_MARK
from spacy_clinbert.errors import ClinbertError

app = typer.Typer()
for command in (synth, convert):
    app.command()(command)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


def test_synth_and_convert(tmp_path: Path) -> None:
    written = run("synth", "i2b2_2010", tmp_path / "corpus", "--notes", 12)
    assert written.exit_code == 0, written.output
    assert str(tmp_path / "corpus/test_data") in written.output
    converted = run("convert", "i2b2_2010", tmp_path / "corpus", tmp_path / "out", "--seed", 3)
    assert converted.exit_code == 0, converted.output
    assert all(word in converted.output for word in ("train", "problem", "not placed", str(tmp_path / "out")))
    docs = list(DocBin().from_disk(tmp_path / "out/test.spacy").get_docs(spacy.blank("en").vocab))
    assert len(docs) == 3 and all(doc.ents for doc in docs)
    # The clinical tokenizer: a placeholder is one token.
    assert any(token.text.startswith("[**") and " " in token.text for doc in docs for token in doc)
    assert json.loads((tmp_path / "out/report.json").read_text())["seed"] == 3


def test_notes(tmp_path: Path) -> None:
    assert run("synth", "notes", tmp_path / "notes", "--notes", 3, "--seed", 1).exit_code == 0
    assert run("synth", "notes", tmp_path / "notes", "--notes", 5, "--seed", 1).exit_code == 0
    assert len((tmp_path / "notes/gold.jsonl").read_text().splitlines()) == 5
    assert gzip.decompress((tmp_path / "notes/NOTEEVENTS.csv.gz").read_bytes()).startswith(b'"ROW_ID","SUBJECT_ID"')
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


@pytest.mark.parametrize("form", ["notes", "i2b2_2010"])
def test_a_corpus_that_synth_did_not_write_is_not_replaced(form: str, tmp_path: Path) -> None:
    assert run("synth", form, tmp_path / "corpus", "--notes", 3).exit_code == 0
    # A real corpus has the same files, but not the mark.
    (tmp_path / "corpus" / SYNTHETIC_MARK).unlink()
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    refused = run("synth", form, tmp_path / "corpus", "--notes", 5)
    assert isinstance(refused.exception, ClinbertError) and "did not write" in str(refused.exception)
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("synth", "i2b2_1999", "OUT"), "no format 'i2b2_1999': choose one of notes, "),
        (("convert", "i2b2_1999", "OUT", "OUT"), "no format 'i2b2_1999': choose one of "),
        (("convert", "i2b2_2010", "NOWHERE", "OUT"), "no such folder"),
        (("convert", "i2b2_2010", "NOWHERE", "OUT", "--lang", "klingon"), "spaCy knows no language 'klingon'"),
    ],
)
def test_bad_arguments_end_in_one_sentence(arguments: tuple, message: str, tmp_path: Path) -> None:
    result = run(*(tmp_path / one if one.isupper() else one for one in arguments))
    assert isinstance(result.exception, ClinbertError) and message in str(result.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["synth", "convert"])
def test_help_shows_an_example(command: str) -> None:
    assert f"clinbert {command}" in run(command, "--help").output
