"""`clinbert corpus`: synthetic corpora are written, licensed ones asked for."""

import pytest
from typer.testing import CliRunner

from spacy_clinbert.cli import app
from spacy_clinbert.corpora.catalogue import FORMATS
from spacy_clinbert.errors import ClinbertError


def corpus(*arguments):
    return CliRunner().invoke(app, ["corpus", *map(str, arguments)])


@pytest.mark.parametrize("form", ["i2b2_2006", "i2b2_2010", "i2b2_2012", "i2b2_2014", "n2c2_2018", "semclinbr"])
def test_synthetic_corpora_are_written_with_both_splits(form, tmp_path):
    folder = tmp_path / "synthetic" / form
    for _ in range(2):
        done = corpus(form, folder, "--notes", 12)
        assert done.exit_code == 0, done.exception
    assert {"train", "test"} <= {entry.split for entry in FORMATS[form].entries(folder)}


@pytest.mark.parametrize("empty", [True, False])
def test_a_missing_corpus_is_one_sentence_with_the_folder_to_fill(empty, tmp_path):
    folder = tmp_path / "licensed" / "i2b2_2010"
    if empty:
        folder.mkdir(parents=True)
    done = corpus("i2b2_2010", folder)
    assert isinstance(done.exception, ClinbertError)
    assert str(folder) in str(done.exception) and "corpora/README.md" in str(done.exception)
    assert not empty or not any(folder.iterdir())


def test_a_licensed_corpus_is_never_written_over(tmp_path):
    assert corpus("semclinbr", tmp_path / "synthetic" / "semclinbr", "--notes", 4).exit_code == 0
    real = (tmp_path / "synthetic").rename(tmp_path / "licensed") / "semclinbr"
    before = {path: path.read_bytes() for path in real.rglob("*") if path.is_file()}
    assert corpus("semclinbr", real, "--notes", 8).exit_code == 0
    assert {path: path.read_bytes() for path in real.rglob("*") if path.is_file()} == before


def test_a_corpus_without_test_documents_is_said_before_anything_is_trained(tmp_path):
    assert corpus("semclinbr", tmp_path / "synthetic" / "semclinbr", "--notes", 4).exit_code == 0
    flat = tmp_path / "licensed" / "semclinbr"
    flat.parent.mkdir()
    (tmp_path / "synthetic" / "semclinbr" / "train").rename(flat)
    done = corpus("semclinbr", flat)
    assert isinstance(done.exception, ClinbertError) and "no documents for test" in str(done.exception)
