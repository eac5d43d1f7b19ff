"""What an evaluation leaves behind: the run's folder, and the count of evaluations beside a test set."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin
from tiny_corpora import annotate, write_corpus

from spacy_clinbert.corpora.records import Mention
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.evaluation.counts import Counts
from spacy_clinbert.evaluation.gold import read_gold
from spacy_clinbert.evaluation.opened import count_opening
from spacy_clinbert.evaluation.run import DOCUMENTS, METRICS, Run, checksum, read_run, write_run

ROWS = {"document": ({"problem": Counts(1, 2, 1, 3)}, {}), "cats": ({}, {"asthma": Counts(0, 0, 0, 1)})}
RUN = Run("ours", 3, "m", "test.spacy", "i2b2_2010", "abc", {"by_this_model": 1, "by_all": 2}, ("a\u2028", "é"), ROWS)
GOLD = ("a", (Mention(((0, 4), (6, 8)), "problem"), Mention(((2, 4),), "test")), {"asthma": 1.0})


def test_a_run_comes_back_as_it_was_written(tmp_path: Path) -> None:
    run = replace(RUN, scores={"notes": ["–"], "document": {"strict": {"micro": {"p": None}}}})
    write_run(run, tmp_path)
    back = read_run(tmp_path)
    assert {name: tuple(rows) for name, rows in back.rows.items()} == run.rows
    assert replace(back, rows={}) == replace(run, rows={})


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / METRICS).unlink(),
        lambda folder: (folder / METRICS).write_text("[]"),
        lambda folder: (folder / METRICS).write_text("{"),
        lambda folder: (folder / DOCUMENTS).write_text('{"id": "a"}\n'),
        lambda folder: (folder / DOCUMENTS).write_text(
            '{"id": "a", "counts": {"document": {"x": {"right": 1, "y": 2}}}}'
        ),
        lambda folder: (folder / DOCUMENTS).write_bytes(b"\xff"),
    ],
)
def test_a_damaged_run_ends_in_one_sentence(damage, tmp_path: Path) -> None:
    write_run(RUN, tmp_path)
    damage(tmp_path)
    with pytest.raises(ClinbertError, match="write them with `clinbert evaluate`"):
        read_run(tmp_path)


def test_a_checksum_names_ids_and_gold_in_any_order() -> None:
    other = ("b", (), {})
    same = checksum([GOLD, other])
    assert checksum([other, (GOLD[0], GOLD[1][::-1], GOLD[2])]) == same
    changed = [
        ("c", *GOLD[1:]),
        ("a", GOLD[1][:1], GOLD[2]),
        ("a", (GOLD[1][0]._replace(label="test"), GOLD[1][1]), GOLD[2]),
        ("a", (GOLD[1][0]._replace(fragments=((0, 4),)), GOLD[1][1]), GOLD[2]),
        ("a", GOLD[1], {"asthma": 0.0}),
    ]
    assert len({same, *(checksum([one, other]) for one in changed)}) == 6


def test_openings_of_a_test_set_are_counted_by_model_and_gold(tmp_path: Path) -> None:
    corpus = tmp_path / "test.spacy"
    assert count_opening(corpus, "gold", "model a") == {"by_this_model": 1, "by_all": 1}
    assert count_opening(corpus, "gold", "model b") == {"by_this_model": 1, "by_all": 2}
    assert count_opening(corpus, "gold", "model a") == {"by_this_model": 2, "by_all": 3}
    assert count_opening(corpus, "other gold", "model a") == {"by_this_model": 1, "by_all": 1}
    kept = json.loads((tmp_path / "test.spacy.evaluations.json").read_text())
    assert [one["model"][-1] for one in kept] == ["a", "b", "a", "a"] and all(one["date"] for one in kept)


def test_a_folder_is_one_model_by_whatever_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    count_opening(tmp_path / "test.spacy", "gold", "model")
    assert count_opening(tmp_path / "test.spacy", "gold", str(tmp_path / "model/"))["by_this_model"] == 2


def test_other_splits_are_not_counted(tmp_path: Path) -> None:
    assert count_opening(tmp_path / "dev.spacy", "gold", "model") is None and not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "{}1", '[{"model": "m"}]', "[3]"])
def test_a_damaged_count_is_not_begun_anew_in_silence(content: str, tmp_path: Path) -> None:
    path = tmp_path / "test.spacy.evaluations.json"
    path.write_text(content)
    with pytest.raises(ClinbertError, match="no list of evaluations"):
        count_opening(tmp_path / "test.spacy", "gold", "model")
    assert path.read_text() == content


def write_docs(path: Path, *user_data: dict) -> Path:
    nlp = spacy.blank("en")
    docs = [nlp("SECRET") for _ in user_data]
    for doc, data in zip(docs, user_data):
        doc.user_data.update(data)
    DocBin(store_user_data=True, docs=docs).to_disk(path)
    return path


GOOD = {"clinbert_id": "a", "clinbert_gold": (), "clinbert_format": "i2b2_2010"}


@pytest.mark.parametrize(
    "user_data, message",
    [
        ((), "holds no documents"),
        ((GOOD, {"clinbert_id": "b"}), "document 2: no gold"),
        ((GOOD, {**GOOD, "clinbert_format": "brat"}), "mixes the forms brat and i2b2_2010"),
        (({**GOOD, "clinbert_format": "other"},), "no format 'other'"),
        ((GOOD, GOOD), "two documents are named a"),
    ],
)
def test_a_corpus_without_gold_ends_in_one_sentence(user_data: tuple, message: str, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=message) as raised:
        read_gold(write_docs(tmp_path / "dev.spacy", *user_data))
    assert "SECRET" not in str(raised.value)


def test_no_file_and_no_docbin_end_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="no such file"):
        read_gold(tmp_path / "none.spacy")
    (tmp_path / "text.spacy").write_text("SECRET")
    with pytest.raises(ClinbertError, match=r"is no DocBin: give a \.spacy file"):
        read_gold(tmp_path / "text.spacy")


def test_gold_is_read_as_it_was_converted(tmp_path: Path) -> None:
    record = annotate(
        "a", "No chest pain ,\n some heartburn", ("chest…heartburn", "problem"), ("chest pain", "problem")
    )
    corpus = read_gold(write_corpus(tmp_path / "dev.spacy", [record]))
    (doc,) = corpus.docs
    assert (doc.id, doc.text, doc.parts, doc.cats) == ("a", record.text, {}, {})
    assert [(one.fragments, one.label) for one in doc.mentions] == [
        (one.fragments, one.label) for one in record.mentions
    ]
    assert [doc.text[start:end] for start, end in doc.tokens] == record.text.split()
    assert corpus.has_mentions and not corpus.has_cats
