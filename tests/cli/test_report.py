"""`clinbert report`: what was measured is shown, what was not is not made up, and missing scores are one sentence."""

import json

import pytest
from typer.testing import CliRunner

from spacy_clinbert.cli import app
from spacy_clinbert.errors import ClinbertError

SCORES = {
    "ents_p": 0.5,
    "ents_r": 0.25,
    "ents_f": 1 / 3,
    "ents_per_type": {"problem": {"p": 0.5, "r": 0.25, "f": 1 / 3}},
}


def test_scores_and_outputs_are_shown(tmp_path):
    path = tmp_path / "ner.json"
    path.write_text(json.dumps({**SCORES, "ents_conll_p": 0.625, "ents_conll_r": None}))
    shown = CliRunner().invoke(app, ["report", str(path), "annotated/notes.parquet"]).output
    rows = [line.split() for line in shown.splitlines()]
    assert ["problem", "50.0", "25.0", "33.3"] in rows
    assert ["all,", "CoNLL", "style", "62.5", "–", "–"] in rows
    assert "annotated/notes.parquet" in shown


@pytest.mark.parametrize("content", [None, "{", "", "[]", '{"cats_macro_f": 0.5}'])
def test_missing_scores_are_one_sentence(tmp_path, content):
    path = tmp_path / "ner.json"
    if content is not None:
        path.write_text(content)
    done = CliRunner().invoke(app, ["report", str(path), "annotated"])
    assert isinstance(done.exception, ClinbertError) and "evaluate" in str(done.exception)
