"""A folder of tables: which files are of it, in which order, and the faults of one among many."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from upath import UPath

from spacy_clinbert.corpora.notes import Note, Rejected
from spacy_clinbert.corpora.sources import read_source, recognise
from spacy_clinbert.errors import ClinbertError

TABLE = b"note_id,text\n%s,Well.\n"


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> "Iterator[UPath | Path]":
    """An empty folder, on a disk and elsewhere."""
    if request.param == "disk":
        yield tmp_path / "notes.parquet"
    else:
        yield UPath("memory://clinbert-test/notes.parquet")
        UPath("memory://clinbert-test").rmdir(recursive=True)


def put(folder: "UPath | Path", **files: bytes) -> str:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return str(folder)


def read(source: str) -> tuple[list[Note], list[Rejected]]:
    rejected: list[Rejected] = []
    return list(read_source(source, on_reject=rejected.append)), rejected


def test_tables_are_read_in_the_order_of_their_paths(folder: "UPath | Path") -> None:
    files = {
        "year=2021/b.csv": b"TEXT,ROW_ID\nHome.,4\n,5\nLost.,\n",
        "year=2020/part-1.jsonl": b'{"note_id": "2", "text": "a", "patient": 7}\n[]\n',
        "year=2020/part-0.csv": TABLE % b"1",
        "year=2020/part-2.JSONL": b'{"note_id": "3", "text": "b"}\n',
        "z.csv": TABLE % b"6",
    }
    others = ["_SUCCESS", ".z.csv.crc", ".z.csv", "_temporary/0/x.csv", "year=2020/_x.csv", "manifest.json", "a.md"]
    source = put(folder, **files, **dict.fromkeys(others, b"none of it"))
    assert recognise(source) == recognise(source + "/") == "folder"
    notes, rejected = read(source)
    assert notes == [
        Note("1", "Well."),
        Note("2", "a", "7"),
        Note("3", "b"),
        Note("4", "Home."),
        Note("6", "Well."),
    ]
    assert rejected == [
        Rejected("year=2020/part-1.jsonl, row 2", "it is not a JSON object"),
        Rejected("5", "it has no text"),
        Rejected("year=2021/b.csv, row 3", "it has no note id of one line and at most 64 characters"),
    ]
    assert list(read_source(source, "folder")) == notes


def test_a_data_set_of_pyarrow_comes_back(tmp_path: Path) -> None:
    rows = [{"note_id": str(n), "text": f"Note {n}. é", "year": 2019 + n % 3, "unit": "ab"[n % 2]} for n in range(60)]
    hive = ds.partitioning(pa.schema([("year", pa.int64()), ("unit", pa.string())]), flavor="hive")
    table = pa.Table.from_pylist(rows)
    ds.write_dataset(table, tmp_path, format="parquet", partitioning=hive, max_rows_per_file=4, max_rows_per_group=4)
    notes, rejected = read(str(tmp_path))
    expected = sorted((row["year"], row["unit"], int(row["note_id"]), row["text"]) for row in rows)
    assert sorted(int(note.note_id) for note in notes) == list(range(60))
    assert [note.text for note in notes] == [text for *_, text in expected]
    assert rejected == []


def test_folders_of_other_forms_stay_theirs(tmp_path: Path) -> None:
    forms = {
        "mimic3": {"NOTEEVENTS.csv": b"ROW_ID,TEXT\n1,a\n"},
        "mimic4": {"discharge.csv": TABLE % b"1"},
        "omop": {"note.csv": b"note_id,person_id,note_text\n1,2,a\n", "person.csv": b"person_id\n2\n"},
        "txt": {"a.txt": b"a", "labels.csv": TABLE % b"1"},
    }
    for form, files in forms.items():
        assert recognise(put(tmp_path / form, **files)) == form


def test_a_folder_without_tables_is_not_recognised(folder: "UPath | Path") -> None:
    source = put(folder, **{"_SUCCESS": b"", "a/b.doc": b"Smith"})
    with pytest.raises(
        ClinbertError, match=r"notes\.parquet is of no known form of notes.*folder \(a folder of tables"
    ):
        read(source)
    with pytest.raises(ClinbertError, match=r"notes\.parquet has no tables: give a folder of \.csv"):
        list(read_source(source, "folder"))


def test_one_broken_table_among_many_is_named(folder: "UPath | Path") -> None:
    source = put(folder, **{"a.csv": TABLE % b"1", "year=1/b.parquet": b"PAR1 Smith", "z.csv": TABLE % b"2"})
    taken: list[Note] = []
    with pytest.raises(ClinbertError, match=r"notes\.parquet/year=1/b\.parquet is damaged or not a Parquet") as raised:
        taken.extend(read_source(source))
    assert taken == [Note("1", "Well.")]
    assert "Smith" not in str(raised.value)
    put(folder, **{"year=1/b.parquet": b"", "a.csv": b"key,text\n"})
    with pytest.raises(ClinbertError, match=r"notes\.parquet/a\.csv has no column ROW_ID or note_id"):
        read(source)


def test_a_turned_bit_changes_no_note_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "part-0.parquet"
    rows = {"note_id": [str(n) for n in range(99)], "text": [f"Dose {n} mg" for n in range(99)]}
    pq.write_table(pa.table(rows), path, compression="none", use_dictionary=False, write_page_checksum=True)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"Dose 7 mg", b"Dose 8 mg"))
    assert path.read_bytes() != whole
    with pytest.raises(ClinbertError, match=r"part-0\.parquet cannot be read"):
        read(str(tmp_path))


def test_a_delta_table_is_not_taken_for_its_files(folder: "UPath | Path") -> None:
    source = put(folder, **{"_delta_log/00.json": b"{}", "part-0.csv": TABLE % b"1", "part-1.csv": TABLE % b"1"})
    with pytest.raises(ClinbertError, match=r"notes\.parquet is a Delta table, whose folder also holds"):
        read(source)


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path) -> None:
    put(tmp_path, **{"a.csv": TABLE % b"1"})
    for source in (tmp_path / "absent", tmp_path / "a.csv"):
        with pytest.raises(ClinbertError, match=r"(absent|a\.csv) cannot be read \((No such|Not a)"):
            list(read_source(source, "folder"))
