"""`clinbert page` where the pipeline fails on a note."""

from pathlib import Path

import pytest
import spacy
import typer
from spacy.language import Language
from spacy.tokens import Doc
from typer.testing import CliRunner, Result

from spacy_clinbert.cli.page import page
from spacy_clinbert.errors import ClinbertError


@Language.component("test_page_fails")
def fails(doc: Doc) -> Doc:
    """Raise on one of the notes, with the note in the message."""
    if "FAIL" in doc.text:
        raise RuntimeError(doc.text)
    return doc


@pytest.fixture
def model(tmp_path: Path) -> Path:
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").add_patterns([{"label": "DRUG", "pattern": "aspirin"}])
    nlp.add_pipe("test_page_fails")
    nlp.to_disk(tmp_path / "model")
    (tmp_path / "notes.csv").write_text("ROW_ID,TEXT\n11,Took aspirin\n12,FAIL with a secret\n")
    return tmp_path / "model"


def call(model: Path, *options: object) -> Result:
    app = typer.Typer()
    app.command()(page)
    arguments = (model, model.parent / "notes.csv", model.parent / "out" / "notes.html", *options)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_failing_component_names_the_note_and_quotes_nothing(model: Path) -> None:
    error = call(model).exception
    assert isinstance(error, ClinbertError)
    assert "fails on note 12: RuntimeError in test_page.py, line " in str(error)
    assert "secret" not in str(error) and error.__suppress_context__
    assert not list((model.parent / "out").iterdir())


def test_notes_are_shown_up_to_the_limit(model: Path) -> None:
    assert call(model, "--notes", 1).exit_code == 0
    html = (model.parent / "out" / "notes.html").read_text(encoding="utf-8")
    assert "note 11" in html and "DRUG" in html and "note 12" not in html
