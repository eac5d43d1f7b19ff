"""Tables of labelled texts: what is recognised, split and rejected, and a round trip."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora.labelled import FORMAT, entries, fold, write
from spacy_clinbert.corpora.records import Record
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.synthetic.labelled import LABELS, make_record, write_labelled


def rows(path: Path, *objects: dict) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in objects))
    return path


def test_a_table_without_splits_gives_a_fifth_for_test_by_id(tmp_path: Path) -> None:
    notes = [{"note_id": str(n), "specialty": "ab"[n % 2], "text": f"note {n}"} for n in range(200)]
    found = list(entries(rows(tmp_path / "mtsamples.jsonl", *notes)))
    assert {one.id for one in found if one.split == "test"} == {str(n) for n in range(200) if fold(str(n)) == 0}
    assert 20 < sum(one.split == "test" for one in found) < 60
    assert found[1].load().cats == {"a": 0.0, "b": 1.0} and found[1].load().text == "note 1"


def test_files_named_by_split_with_ids_that_stand_twice(tmp_path: Path) -> None:
    for name in ("MTS-Dialog-TrainingSet.csv", "MTS-Dialog-ValidationSet.csv", "MTS-Dialog-TestSet-1.csv"):
        with (tmp_path / name).open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["ID", "section_header", "section_text", "dialogue"])
            writer.writerow([0, name[11:13], "Says, what\nis said.", "Doctor: no"])
    found = list(entries(tmp_path))
    assert sorted(one.split for one in found) == ["dev", "test", "train"] and len({one.id for one in found}) == 3
    record = found[0].load()
    assert record.text == "Says, what\nis said." and len(record.cats) == 3 and sum(record.cats.values()) == 1


@pytest.mark.parametrize(
    "bad, said",
    [
        ({"note_id": "1", "text": "secret words", "label": None}, "row 2: it has no label"),
        ({"note_id": "1", "text": "secret words", "label": float("nan")}, "row 2: it has no label"),
        ({"note_id": "1", "label": "a"}, "row 2: it has no text"),
        ({"text": "secret words", "label": "a"}, "row 2: it has no note id"),
    ],
)
def test_a_row_that_gives_no_text_is_rejected_by_itself(tmp_path: Path, bad: dict, said: str) -> None:
    good = {"note_id": "0", "text": "good", "label": "a"}
    found = list(entries(rows(tmp_path / "train.jsonl", good, bad)))
    assert found[0].load().text == "good"
    with pytest.raises(ClinbertError) as error:
        found[1].load()
    assert said in str(error.value) and "secret" not in str(error.value)


def test_a_table_without_the_columns_says_so_and_costs_no_other(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("a,b\n1,2\n")
    rows(tmp_path / "test.jsonl", {"note_id": "0", "text": "good", "label": "a"})
    good, bad = entries(tmp_path)
    assert good.load().cats == {"a": 1.0}
    with pytest.raises(ClinbertError, match="has no column"):
        bad.load()


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
labels = texts.map(str.strip).filter(bool)


@given(st.lists(st.tuples(texts, labels), min_size=1, max_size=6))
@settings(max_examples=40)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, pairs: list) -> None:
    every = sorted({label for _, label in pairs})
    records = [
        Record(str(n), text, cats={o: float(o == label) for o in every}) for n, (text, label) in enumerate(pairs)
    ]
    folder = tmp_path_factory.mktemp("labelled")
    write(records, folder)
    found = [entry.load() for entry in entries(folder)]
    assert [(one.id, one.text, one.cats) for one in found] == [(one.id, one.text, one.cats) for one in records]


@pytest.mark.parametrize("cats", [{}, {"a": 1.0, "b": 1.0}, {"a": 0.0}])
def test_what_the_form_cannot_hold(tmp_path: Path, cats: dict) -> None:
    with pytest.raises(ClinbertError, match="one label each"):
        write([Record("1", "text", cats=cats)], tmp_path)


def test_the_synthetic_corpus_is_read_as_written(tmp_path: Path) -> None:
    made = [make_record(number, 0) for number in range(1, 81)]
    write_labelled(tmp_path, iter(made))
    found = {entry.id: entry for entry in entries(tmp_path)}
    assert len(found) == 80 and {entry.split for entry in found.values()} == {"train", "dev", "test"}
    for split, record in made:
        loaded = found[record.id].load()
        assert found[record.id].split == split and loaded.text == record.text
        assert {k for k, v in loaded.cats.items() if v} == {k for k, v in record.cats.items() if v}
    assert len({label for _, one in made for label, v in one.cats.items() if v}) >= len(LABELS) - 2
    assert make_record(7, 0) == make_record(7, 0)


@pytest.mark.external
def test_open_corpora(shared: Path) -> None:
    samples = list(FORMAT.entries(shared / "data" / "notes" / "mtsamples.jsonl.gz"))
    assert len(samples) == 1900 and len(samples[0].load().cats) == 38
    sections = list(FORMAT.entries(shared / "data" / "sections"))
    assert {one.split for one in sections} == {"train", "dev"} and len(sections) == 1301
    assert len(sections[0].load().cats) == 20
