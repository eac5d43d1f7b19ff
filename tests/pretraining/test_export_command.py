"""`clinbert export` from the outside."""

import json

import pytest
import typer
from typer.testing import CliRunner

from spacy_clinbert.cli.export import export
from spacy_clinbert.cli.overrides import TAKES_OVERRIDES
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.pretraining.manifest import read_manifest

app = typer.Typer()
app.command(context_settings=TAKES_OVERRIDES)(export)


@pytest.fixture
def notes(tmp_path):
    path = tmp_path / "NOTEEVENTS.csv"
    rows = "".join(
        f'{n},{n // 2},,,,,"Nursing ","Note",,,"HISTORY:\nChest pain on day {n}. No fever.\n\nPLAN:\nClinic."\n'
        for n in range(12)
    )
    header = "ROW_ID,SUBJECT_ID,HADM_ID,CHARTDATE,CHARTTIME,STORETIME,CATEGORY,DESCRIPTION,CGID,ISERROR,TEXT\n"
    path.write_text(header + rows + "99,7,,,,,ECG,Note,,,\n")
    return path


def call(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("recipe", ["clinicalbert-tiny", "clinicalbert"])
def test_a_recipe_makes_an_export_and_a_table(notes, tiny_bert, tmp_path, recipe):
    out = tmp_path / "out"
    done = call(
        *(notes, out, "--recipe", recipe, "--tokenizer", tiny_bert, "--export.length", 64, "--export.dupe", 3),
        *("--export.sentences", "pysbd", "--export.sections", "original-fixed"),
    )
    assert done.exit_code == 0, done.exception
    manifest = read_manifest(out)
    assert manifest.recipe == recipe and manifest.settings.dupe == 3 and manifest.source == "NOTEEVENTS.csv"
    rows = {line.split("  ")[0]: line.strip() for line in done.stdout.splitlines()}
    assert {"notes", "rejected", "sentences", "words", "instances", "shards", "seconds"} <= set(rows)
    assert rows["notes"].endswith("12") and rows["rejected"].endswith("1")
    assert ("880 M" in rows["words"]) == (recipe == "clinicalbert")
    (line,) = (out / "export.rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["note_id"] == "99"


def test_the_category_names_the_text_file(notes, tmp_path):
    done = call(
        *(notes, tmp_path / "out", "--recipe", "clinicalbert", "--export.form", "text"),
        *("--export.sentences", "pysbd", "--export.categories", '["nursing"]'),
    )
    assert done.exit_code == 0, done.exception
    assert (tmp_path / "out" / "nursing.txt").read_text().count("\n\n") == 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--recipe", "nosuch"], "no recipe"),
        (["--recipe", "clinicalbert", "--export.dupe", "0"], "dupe"),
        (["--recipe", "clinicalbert", "--form", "nosuch", "--export.form", "text"], "form"),
    ],
)
def test_bad_options_are_one_sentence_and_make_nothing(notes, tmp_path, options, message):
    done = call(notes, tmp_path / "out", *options)
    assert isinstance(done.exception, ClinbertError) and message in str(done.exception)
    assert "\n" not in str(done.exception) and not (tmp_path / "out").exists()
