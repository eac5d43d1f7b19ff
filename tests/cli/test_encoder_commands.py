"""The commands around encoders: the catalogue, a vocabulary, a pretraining run."""

import json

import pytest
from transformers import AutoModel, AutoTokenizer
from typer.testing import CliRunner

from spacy_clinbert.cli import app
from spacy_clinbert.encoders import ENCODERS
from spacy_clinbert.errors import ClinbertError

SIZES = "--model.hidden_size 16 --model.feed_forward 32 --model.length=32 --training.steps 4 --training.warmup_steps 0"
SIZES += " --training.save_steps 2 --training.log_steps 2 --training.evaluation_steps 0"


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def notes(tmp_path):
    file = tmp_path / "notes.jsonl"
    rows = ({"note_id": str(number), "text": f"Patient {number}: Aspirin for chest pain."} for number in range(100))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_the_table_has_a_row_for_each_encoder():
    shown = run("encoders")
    rows = {line.split()[0]: line for line in shown.stdout.splitlines() if line}
    assert shown.exit_code == 0 and set(ENCODERS) < set(rows)
    assert " emilyalsentzer/Bio_ClinicalBERT cased kept 128 768 12 MIT" in " ".join(rows["bio-clinicalbert"].split())
    assert "uncased" in rows["bert-base-multilingual-uncased"] and "stripped" in rows["bert-base-multilingual-uncased"]


def test_one_encoder_is_shown_in_full():
    shown = " ".join(run("encoders", "biobertpt-all").stdout.split())
    assert "ner_prediction.ipynb" in shown and ENCODERS["biobertpt-all"].revision in shown
    assert "seen Wikipedia in 104 languages; clinical narratives" in shown


def test_an_unknown_encoder_is_one_sentence():
    assert isinstance(error := run("encoders", "bert-of-my-aunt").exception, ClinbertError)
    assert "bert-of-my-aunt" in str(error) and "clinbert encoders" in str(error)


def test_from_notes_to_a_model_that_loads(notes, tmp_path):
    vocabulary, encoder = tmp_path / "vocabulary", tmp_path / "encoder"
    done = run("vocab", notes, vocabulary, "--size", 250, "--min-notes", 2, "--uncased", "--length", 32)
    assert done.exit_code == 0 and "100 notes" in done.stdout
    assert AutoTokenizer.from_pretrained(vocabulary).do_lower_case is True
    instances = tmp_path / "instances"
    small = ("--recipe", "clinicalbert-tiny", "--tokenizer", vocabulary, "--export.length", 32)
    done = run("export", notes, instances, *small)
    assert done.exit_code == 0 and "manifest.json" in {path.name for path in instances.iterdir()}
    paths = ("--paths.instances", instances, f"--paths.output={encoder}")
    done = run("pretrain", "clinicalbert-tiny", *paths, *SIZES.split())
    assert done.exit_code == 0, done.exception
    assert "held-out perplexity" in done.stdout and "Aspirin" not in done.output
    assert AutoModel.from_pretrained(encoder).config.hidden_size == 16
    assert AutoTokenizer.from_pretrained(encoder).tokenize("Aspirin") == ["aspirin"]


@pytest.mark.parametrize("option", ["--steps", "--training.stepps", "--paths"])
def test_an_unknown_override_is_one_sentence_and_leaves_nothing(notes, tmp_path, option):
    paths = ("--paths.instances", tmp_path / "instances", "--paths.output", tmp_path / "encoder")
    error = run("pretrain", "clinicalbert-tiny", *paths, option, "5").exception
    assert isinstance(error, ClinbertError) and option.strip("-").split(".")[-1] in str(error)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.jsonl"]
