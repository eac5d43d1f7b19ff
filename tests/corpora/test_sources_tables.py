"""Sources that are tables: MIMIC-III, MIMIC-IV, OMOP and any other; how they are recognised, and their faults."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora.notes import Note, Rejected
from spacy_clinbert.corpora.sources import FORMS, read_source, recognise
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.synthetic.noteevents import COLUMNS, make_note, write_noteevents

ISERROR = "marked as an error (ISERROR)"
NOTEEVENTS = [
    dict(zip(COLUMNS, row))
    for row in [
        [1, 10, 100, "2101-03-09", "", "", "Discharge summary", "Report", "", "", 'Pain, "sharp"\n\n1. a,b\n'],
        [2, 10, 100, "2101-03-09", "", "", "Physician ", "Note", "14", 1, "Wrong patient\n"],
        [3, 11, "", "2101-03-09", "", "", "Nursing/other", "Report", "", "", "Slept well.\n"],
        [4, 12, "", "2101-03-09", "", "", "Physician ", "Note", "14", "", "Afebrile.\n"],
    ]
]
NOTES = [Note(str(row["ROW_ID"]), row["TEXT"], str(row["SUBJECT_ID"]), row["CATEGORY"].strip()) for row in NOTEEVENTS]
MIMIC4 = ("note_id", "subject_id", "hadm_id", "note_type", "note_seq", "charttime", "storetime", "text")
DISCHARGE = [dict(zip(MIMIC4, ["10-DS-1", 10, 100, "DS", 1, "", "", "Well.\nHome."]))]
RADIOLOGY = [dict(zip(MIMIC4, ["10-RR-2", 10, 100, "RR", 2, "", "", "Chest clear."]))]
OMOP = [
    {"NOTE_ID": 5, "PERSON_ID": 10, "NOTE_CLASS_CONCEPT_ID": 44814637, "NOTE_TITLE": "", "NOTE_TEXT": "Well."},
    {"NOTE_ID": 6, "PERSON_ID": 11, "NOTE_CLASS_CONCEPT_ID": 44814641, "NOTE_TITLE": "CT", "NOTE_TEXT": "Clear."},
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write rows in the format that the name of the file says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(
            pa.Table.from_pylist([{name: value or None for name, value in row.items()} for row in rows]), path
        )
        return path
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", encoding="utf8", newline="") as file:
        if ".csv" in path.suffixes:
            writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_NONNUMERIC)
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def read(source: Path, **options: Any) -> tuple[list[Note], list[Rejected]]:
    rejected: list[Rejected] = []
    return list(read_source(source, on_reject=rejected.append, **options)), rejected


def lower(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name.lower(): value for name, value in row.items()} for row in rows]


@pytest.mark.parametrize(
    "name", ["NOTEEVENTS.csv", "NOTEEVENTS.csv.gz", "noteevents.jsonl", "sample.csv", "mine.jsonl.gz"]
)
@pytest.mark.parametrize("rows", [NOTEEVENTS, lower(NOTEEVENTS)], ids=["upper", "lower"])
def test_noteevents_gives_patients_and_categories(tmp_path: Path, name: str, rows: list) -> None:
    path = write(tmp_path / "mimic" / name, rows)
    sources = [path, path.parent] if name.lower().startswith("noteevents") else [path]
    for source in sources:
        assert recognise(source) == "mimic3"
        assert read(source) == (NOTES, [])
    assert list(read_source(str(path), "table")) == NOTES


def test_rows_marked_as_errors_are_kept_or_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "NOTEEVENTS.csv.gz", NOTEEVENTS)
    assert read(path, keep_errors=True) == (NOTES, [])
    assert read(path, keep_errors=False) == (NOTES[:1] + NOTES[2:], [Rejected("2", ISERROR)])


@pytest.mark.parametrize(
    ("mark", "wrong"),
    [
        ("1", True),
        (1, True),
        (1.0, True),
        (True, True),
        ("1 ", True),
        (0, False),
        ("0", False),
        (None, False),
        ("", False),
    ],
)
def test_marks_of_errors_as_tables_have_them(tmp_path: Path, mark: object, wrong: bool) -> None:
    rows = [{"ROW_ID": "1", "ISERROR": mark, "TEXT": "a"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "n.parquet")
    for path in (tmp_path / "n.parquet", write(tmp_path / "n.jsonl", rows)):
        assert read(path, keep_errors=False) == (([], [Rejected("1", ISERROR)]) if wrong else ([Note("1", "a")], []))


@pytest.mark.parametrize("asked", [["physician"], ["PHYSICIAN "], ["Radiology", "Physician"]])
def test_categories_are_compared_without_blanks_and_case(tmp_path: Path, asked: list[str]) -> None:
    path = write(tmp_path / "NOTEEVENTS.csv", NOTEEVENTS)
    assert [note.note_id for note in read(path, categories=asked)[0]] == ["2", "4"]
    assert [note.note_id for note in read(path, categories=asked, keep_errors=False)[0]] == ["4"]


def test_categories_that_no_note_has_are_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "NOTEEVENTS.csv", NOTEEVENTS)
    with pytest.raises(ClinbertError, match=r"NOTEEVENTS.csv has no note of the categories Discharge: give those"):
        read(path, categories=["Discharge"])


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(1, 30))
def test_synthetic_notes_come_back(tmp_path_factory: pytest.TempPathFactory, seed: int, count: int) -> None:
    made = [make_note(number, seed)[0] for number in range(1, count + 1)]
    folder = tmp_path_factory.mktemp("notes")
    write_noteevents(folder, (make_note(number, seed) for number in range(1, count + 1)))
    expected = [Note(str(row[0]), str(row[-1]), str(row[1]), str(row[6]).strip()) for row in made]
    assert read(folder) == (expected, [])


def test_mimic4_takes_the_file_for_the_category(tmp_path: Path) -> None:
    discharge, radiology = (
        Note("10-DS-1", "Well.\nHome.", "10", "discharge"),
        Note("10-RR-2", "Chest clear.", "10", "radiology"),
    )
    first = write(tmp_path / "note/discharge.csv.gz", DISCHARGE)
    second = write(tmp_path / "note/radiology.csv.gz", RADIOLOGY)
    write(tmp_path / "note/discharge_detail.csv.gz", [{"note_id": "10-DS-1", "field_name": "author"}])
    for source in (tmp_path, tmp_path / "note"):
        assert recognise(source) == "mimic4"
        assert read(source) == ([discharge, radiology], [])
    assert (recognise(first), read(first), read(second)) == ("mimic4", ([discharge], []), ([radiology], []))
    assert read(tmp_path, categories=["Radiology"]) == ([radiology], [])


@pytest.mark.parametrize("rows", [OMOP, lower(OMOP)], ids=["upper", "lower"])
@pytest.mark.parametrize("name", ["NOTE.csv", "note.csv.gz", "note.parquet", "hospital.csv"])
def test_omop_gives_persons_and_classes(tmp_path: Path, name: str, rows: list) -> None:
    path = write(tmp_path / "cdm" / name, rows)
    expected = [Note("5", "Well.", "10", "44814637"), Note("6", "Clear.", "11", "44814641")]
    for source in [path, path.parent] if "note" in name.lower() else [path]:
        assert recognise(source) == "omop"
        assert read(source) == (expected, [])
    titled = write(
        tmp_path / "titled.jsonl",
        [{name: value for name, value in row.items() if name.lower() != "note_class_concept_id"} for row in rows],
    )
    assert [note.category for note in read(titled)[0]] == ["", "CT"]


def test_any_table_has_patients_and_categories_where_it_names_them(tmp_path: Path) -> None:
    path = write(tmp_path / "n.jsonl", [{"note_id": "a", "text": "b", "patient": 7}, {"note_id": "c", "text": "d"}])
    assert (recognise(path), read(path)) == ("table", ([Note("a", "b", "7"), Note("c", "d")], []))
    path = write(tmp_path / "n.csv", [{"Doc": "a", "Report": "b", "PATIENT_ID": "7.0", "Category": " ECG "}])
    assert read(path, id_column="doc", text_column="report") == ([Note("a", "b", "7", "ECG")], [])


def test_columns_can_be_named_for_every_table(tmp_path: Path) -> None:
    write(tmp_path / "discharge.csv", [{"key": "a", "text": "no", "body": "yes", "subject_id": 1}])
    assert read(tmp_path, id_column="key", text_column="body") == ([Note("a", "yes", "1", "discharge")], [])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "NOTEEVENTS.csv",
            b'"ROW_ID","SUBJECT_ID","CATEGORY","ISERROR"\n1,2,"a",""\n',
            r"NOTEEVENTS.csv has no column TEXT",
        ),
        (
            "discharge.csv",
            b"note_id,subject_id\n1,2\n",
            r"discharge.csv has no column text \(its columns: note_id, sub",
        ),
        (
            "NOTEEVENTS.csv",
            b'"ROW_ID";"SUBJECT_ID";"TEXT"\n1;2;"a"\n',
            "NOTEEVENTS.csv: its columns are divided by ';'",
        ),
        (
            "notes.csv",
            b"note_id\ttext\n1\tPt. Smith\n",
            r"notes.csv: its columns are divided by '\\t', not by commas: conv",
        ),
        ("notes.csv", b"note_id|text\n1|Pt. Smith\n", r"notes.csv: its columns are divided by '\|', not"),
        (
            "notes.csv.gz",
            gzip.compress(b"note_id,text\n1,Smith\n", mtime=0)[:-12],
            "notes.csv.gz is cut off before its end",
        ),
        ("NOTEEVENTS.csv.gz", b"ROW_ID,TEXT\n1,Smith\n", "NOTEEVENTS.csv.gz cannot be read"),
        ("absent.csv", None, "absent.csv: no such file or folder"),
        (
            "notes.doc",
            b"Smith",
            "notes.doc is of no known form of notes: give one, or name its form: postgres .*; table",
        ),
    ],
)
def test_an_unreadable_source_is_one_sentence(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ClinbertError, match=message) as raised:
        read(tmp_path / name)
    assert "Smith" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_notes_before_a_cut_are_given_and_the_cut_is_told(tmp_path: Path) -> None:
    path = write(
        tmp_path / "NOTEEVENTS.csv.gz",
        [{**NOTEEVENTS[0], "ROW_ID": n, "TEXT": f"{n * 7919} " * 99} for n in range(999)],
    )
    path.write_bytes(path.read_bytes()[:-4000])
    taken: list[Note] = []
    with pytest.raises(ClinbertError, match=r"NOTEEVENTS.csv.gz is cut off before its end: copy it again, whole"):
        taken.extend(read_source(path))
    assert 0 < len(taken) < 999


def test_rows_in_latin_1_are_rejected_alone(tmp_path: Path) -> None:
    rows = [b'1,10,"Afebrile"', '2,11,"Febre há 3 dias"'.encode("latin-1"), '3,12,"Febre há 3 dias"'.encode()]
    (tmp_path / "NOTEEVENTS.csv").write_bytes(b"\n".join([b"ROW_ID,SUBJECT_ID,TEXT", *rows]))
    notes = [Note("1", "Afebrile", "10"), Note("3", "Febre há 3 dias", "12")]
    assert read(tmp_path) == (notes, [Rejected("2", "its text is not valid UTF-8")])


def test_an_unknown_form_and_columns_of_a_form_without_are_errors(tmp_path: Path) -> None:
    names = ", ".join(form.name for form in FORMS)
    with pytest.raises(ClinbertError, match=f"there is no form pdf of notes: give one of {names}"):
        read(tmp_path, form="pdf")
    (tmp_path / "a.txt").write_text("a")
    with pytest.raises(ClinbertError, match="form txt has no columns"):
        read(tmp_path, text_column="TEXT")
    with pytest.raises(ClinbertError, match="is of no known form of notes"):
        read(write(tmp_path / "empty/x.doc", []).parent)


@pytest.mark.external
def test_the_noteevents_sample(shared: Path) -> None:
    notes, rejected = read(shared / "data/formats/mimic3_notes")
    assert (notes[0].patient, notes[0].category) == ("10", "Discharge summary")
    assert [note.note_id for note in notes] == ["1", "2", "3"]
    assert rejected == []
    assert notes == list(read_source(shared / "data/formats/mimic3_notes/NOTEEVENTS.csv", "table"))


@pytest.mark.external
def test_open_notes_are_recognised(shared: Path) -> None:
    sources = {"data/notes/mtsamples.jsonl.gz": ("table", 1900), "data/pt/nestedclinbr/train": ("txt", 100)}
    for name, (form, count) in sources.items():
        assert recognise(shared / name) == form
        assert sum(1 for _ in read_source(shared / name)) == count
