"""Wordpiece vocabularies: what they hold, what they must not hold, and how they are written."""

import csv
import random
import string
import subprocess
import sys

import pytest
import typer
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer
from typer.testing import CliRunner

from spacy_clinbert.cli.vocab import vocab
from spacy_clinbert.corpora.notes import Note
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.pretraining.vocabulary import SPECIALS, train_vocabulary, write_tokenizer

NOTES = [
    f"Patient {number} denies chest pain. Started on Metoprolol {number} mg daily for hypertension. Família: não."
    for number in range(40)
]


def train(texts, size=400, min_notes=3, cased=True, patients=None):
    patients = patients or [""] * len(texts)
    notes = [Note(f"n{number}", *pair) for number, pair in enumerate(zip(texts, patients, strict=True))]
    return train_vocabulary(lambda: iter(notes), size=size, min_notes=min_notes, cased=cased)


@pytest.mark.parametrize("min_notes", [2, 3])
def test_a_name_written_often_in_one_note_only_is_no_piece(min_notes):
    notes = [*NOTES, "Mrs. Quackenbush. " * 500]
    leaking = train(notes, min_notes=1)
    assert "Quackenbush" in leaking.pieces
    kept = train(notes, min_notes=min_notes)
    assert not [
        piece for piece in kept.pieces if len(piece.removeprefix("##")) > 2 and piece.strip("#") in "Quackenbush"
    ]
    assert "Metoprolol" in kept.pieces and kept.n_rare > 0 and kept.n_notes == 41


def test_a_name_in_many_notes_of_one_patient_is_no_piece():
    texts = [*NOTES, *["Seen by Dr. Quackenbush."] * 9]
    by_note = train(texts)
    assert "Quackenbush" in by_note.pieces and by_note.n_known == 0
    by_patient = train(texts, patients=[*(f"p{number}" for number in range(40)), *["p3"] * 9])
    assert by_patient.n_known == 49 and "Metoprolol" in by_patient.pieces
    assert not [piece for piece in by_patient.pieces if len(piece.strip("#")) > 2 and piece.strip("#") in "Quackenbush"]
    # Two of the patients are not known: each of their notes counts.
    some = train(texts, patients=[*(f"p{number}" for number in range(40)), *["p3"] * 7, "", ""])
    assert "Quackenbush" in some.pieces and some.n_known == 47


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz")), max_size=12), st.integers(1, 4))
def test_a_word_is_in_if_enough_patients_have_it(pairs, least):
    notes = [Note(str(number), f"word{word * 9}", patient) for number, (word, patient) in enumerate(pairs)]
    has = {word: {patient for other, patient in pairs if other == word} for word, _ in pairs}
    wanted = sum(len(patients) >= least for patients in has.values())
    try:
        trained = train_vocabulary(lambda: notes, size=400, min_notes=least, cased=True)
    except ClinbertError:
        assert not wanted
    else:
        assert (trained.n_words, trained.n_rare) == (wanted, len(has) - wanted)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("abcAB éß.字\u0301", min_size=1, max_size=40), min_size=4, max_size=10), st.integers(1, 3))
def test_every_piece_is_part_of_words_of_enough_notes(notes, min_notes):
    try:
        pieces = train(notes, size=2000, min_notes=min_notes).pieces
    except ClinbertError:
        assume(False)
    assert len(pieces) == len(set(pieces)) and pieces[: len(SPECIALS)] == list(SPECIALS)
    for piece in pieces[len(SPECIALS) :]:
        bare = piece.removeprefix("##") or piece
        if len(bare) > 1 or not bare.isascii():
            assert sum(bare in note for note in notes) >= min_notes


def test_plain_words_are_never_unknown(tmp_path):
    write_tokenizer(train(NOTES).pieces, tmp_path, cased=True, length=128)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    rng = random.Random(0)
    words = ["".join(rng.choices(string.ascii_letters + string.digits, k=rng.randint(1, 12))) for _ in range(300)]
    assert "[UNK]" not in tokenizer.tokenize(" ".join(words) + string.punctuation)


@pytest.mark.parametrize(
    ("cased", "pieces"),
    [(True, ["Metoprolol", "Família", "não"]), (False, ["metoprolol", "familia", "nao"])],
)
def test_casing_accents_and_length_are_kept_in_the_folder(tmp_path, cased, pieces):
    write_tokenizer(train(NOTES, cased=cased).pieces, tmp_path, cased=cased, length=77)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.is_fast and tokenizer.model_max_length == 77
    assert (tokenizer.do_lower_case, tokenizer.init_kwargs["strip_accents"]) == (not cased, not cased)
    assert tokenizer.tokenize("Metoprolol Família não") == pieces
    assert tokenizer.decode(tokenizer("chest pain")["input_ids"]) == "[CLS] chest pain [SEP]"


def test_the_same_notes_give_the_same_pieces_in_every_process():
    code = (
        "import hashlib, random; from spacy_clinbert.corpora.notes import Note\n"
        "from spacy_clinbert.pretraining.vocabulary import train_vocabulary\n"
        "r = random.Random(1);"
        "w = [''.join(r.choices('abcdefghABC', k=r.randint(2, 8))) for _ in range(800)];"
        "n = [Note(str(i), ' '.join(r.choices(w, k=60))) for i in range(150)];"
        "v = train_vocabulary(lambda: n, size=700, min_notes=2, cased=True);"
        "print(len(v.pieces), hashlib.md5(' '.join(v.pieces).encode()).hexdigest())"
    )
    runs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    }
    assert len(runs) == 1 and runs.pop().startswith("700 ")


@pytest.mark.parametrize(
    ("notes", "size", "message"),
    [([], 400, "no notes"), (["one", "two"], 400, "no word is of 3 notes"), (NOTES, 50, "larger --size")],
)
def test_bad_input_is_one_sentence(notes, size, message):
    with pytest.raises(ClinbertError, match=message) as raised:
        train(notes, size=size)
    assert "\n" not in str(raised.value)


def test_the_command_reads_any_source_and_counts_patients(tmp_path):
    with (tmp_path / "NOTEEVENTS.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["ROW_ID", "SUBJECT_ID", "CATEGORY", "ISERROR", "TEXT"])
        writer.writerows([number, number % 9, "Nursing", "", text] for number, text in enumerate(NOTES))
        writer.writerow([99, 1, "Nursing", "", ""])
    app = typer.Typer()
    app.command()(vocab)
    options = ["--size", "300", "--min-notes", "2"]
    done = CliRunner().invoke(app, [str(tmp_path / "NOTEEVENTS.csv"), str(tmp_path / "vocabulary"), *options])
    assert done.exit_code == 0 and "of 40 notes, of which 40 name their patient" in done.output
    assert "1 rejected rows" in done.output
    assert AutoTokenizer.from_pretrained(tmp_path / "vocabulary").tokenize("Metoprolol") == ["Metoprolol"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["NOTEEVENTS.csv", "vocabulary"]
