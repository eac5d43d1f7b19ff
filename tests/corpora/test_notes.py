"""The stream of notes: three formats, MIMIC's columns by default, and what happens to broken rows and files."""

import csv
import gzip
import json
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora import text_tables
from spacy_clinbert.corpora.notes import Note, Rejected, read_notes
from spacy_clinbert.errors import ClinbertError

NO_ID = "it has no note id of one line and at most 64 characters"
FORMATS = ["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet"]
NOTES = [
    Note("7", 'Chief Complaint:\nchest pain, "sharp"\n\n1. a,b\r\n2. c\r\n'),
    Note("8", " \n"),
    Note("n-9", "Febre há 3 dias; naïve ∆ 🙂\t\u00a0___ [**Hospital1 3**]"),
]


def write(path: Path, notes: list, columns: tuple = ("note_id", "text")) -> Path:
    """Write notes in the format that the name of the file says."""
    rows = [{columns[0]: note.note_id, "CATEGORY": "Nursing, other", columns[1]: note.text} for note in notes]
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
        return path
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", encoding="utf8", newline="") as file:
        if ".csv" in path.suffixes:
            writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_NONNUMERIC)
            writer.writeheader()
            writer.writerows(rows)
        else:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def read(path: Path, **options: str) -> tuple:
    rejected: list = []
    return list(read_notes(path, on_reject=rejected.append, **options)), rejected


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("columns", [("ROW_ID", "TEXT"), ("row_id", "text"), ("note_id", "text"), ("Note_ID", "Text")])
def test_notes_come_back_character_for_character(tmp_path: Path, suffix: str, columns: tuple) -> None:
    assert read(write(tmp_path / f"notes.{suffix}", NOTES, columns)) == (NOTES, [])


@pytest.mark.parametrize("suffix", FORMATS)
def test_named_columns_are_matched_case_blind(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"notes.{suffix}", NOTES, ("Doc", "Report"))
    assert read(path, id_column="doc", text_column="REPORT") == (NOTES, [])


def test_exact_case_and_row_id_come_first(tmp_path: Path) -> None:
    path = tmp_path / "notes.csv"
    path.write_text("note_id,row_id,text,TEXT\nA,1,no,yes\n")
    assert read(path)[0] == [Note("1", "yes")]
    assert read(path, id_column="NOTE_ID", text_column="text")[0] == [Note("A", "no")]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), min_size=1, max_size=5
    ),
    st.sampled_from(FORMATS),
)
def test_any_text_survives(tmp_path: Path, texts: list, suffix: str) -> None:
    notes = [Note(f"n{number}", text) for number, text in enumerate(texts)]
    assert read(write(tmp_path / f"notes.{suffix}", notes)) == (notes, [])


def test_integer_ids_become_text(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"ROW_ID": [3, None], "TEXT": pa.array(["a", "b"]).dictionary_encode()}), tmp_path / "n.parquet"
    )
    (tmp_path / "n.jsonl").write_text('{"note_id": 3, "text": "a"}\n\n{"note_id": true, "text": "b"}\n')
    for name in ("n.parquet", "n.jsonl"):
        assert read(tmp_path / name) == ([Note("3", "a")], [Rejected("row 2", NO_ID)])


def test_a_byte_order_mark_is_not_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_bytes(b'\xef\xbb\xbf"ROW_ID","TEXT"\r\n1,"a\r\n\xef\xbb\xbfb"\r\n')
    (tmp_path / "n.jsonl").write_bytes(b'\xef\xbb\xbf{"note_id": "1", "text": "a\\r\\n\\ufeffb"}\r\n')
    for name in ("n.csv", "n.jsonl"):
        assert read(tmp_path / name) == ([Note("1", "a\r\n\ufeffb")], [])


CSV_FAULTS = {
    b'2,""': ("2", "it has no text"),
    b',"b"': ("row 2", NO_ID),
    b'2,"b\xff\nb"': ("2", "its text is not valid UTF-8"),
    b'\xff,"b"': ("row 2", NO_ID),
    b'"Plan:\nrest","b"': ("row 2", NO_ID),
    b'%d,"b"' % 10**64: ("row 2", NO_ID),
    b'2,"b","c"': ("row 2", "it has 3 columns, the header 2"),
    b"2": ("row 2", "it has 1 columns, the header 2"),
}


@pytest.mark.parametrize(("row", "rejected"), CSV_FAULTS.items())
def test_a_broken_row_of_csv_is_rejected_alone(tmp_path: Path, row: bytes, rejected: tuple) -> None:
    (tmp_path / "n.csv").write_bytes(b'ROW_ID,TEXT\n1,"a"\n' + row + b'\n\n3,"c"\n')
    assert read(tmp_path / "n.csv") == ([Note("1", "a"), Note("3", "c")], [Rejected(*rejected)])


BROKEN_QUOTES = [
    rb'2,"He said \"ow\"' + b'\nPlan: rest, fluids\n"\n',
    b'2,"b "said" b"\n',
    b'2,"unclosed\n',
    b'2,"' + b"b" * 60 + b'"\n',
]


@pytest.mark.parametrize("rows", BROKEN_QUOTES)
def test_nothing_is_read_after_broken_quotes(tmp_path: Path, rows: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_tables, "MAX_CHARACTERS", 50)
    (tmp_path / "n.csv").write_bytes(b'ROW_ID,TEXT\n1,"a"\n\n' + rows + b'3,"c"\n')
    read_so_far: list = []
    rejected: list = []
    with pytest.raises(ClinbertError, match=r"n\.csv, row 2: its quotes .*: repair it") as raised:
        read_so_far.extend(read_notes(tmp_path / "n.csv", on_reject=rejected.append))
    assert "rest" not in str(raised.value)
    assert (read_so_far, rejected) == ([Note("1", "a")], [])


JSON_FAULTS = {
    b'{"note_id": "2"}': ("2", "it has no text"),
    b'{"note_id": "2", "text": null}': ("2", "it has no text"),
    b'{"note_id": "2", "text": 5}': ("2", "its text is not a string"),
    b'{"note_id": "2", "text": "b\xff"}': ("2", "its text is not valid UTF-8"),
    b'{"note_id": "2", "text": "b\\ud800"}': ("2", "its text is not valid UTF-8"),
    b'{"note_id": "", "text": "b"}': ("row 2", NO_ID),
    b'{"text": "b"}': ("row 2", NO_ID),
    b'{"note_id": "2", "te': ("row 2", "it is not JSON"),
    b"[" * 100_000: ("row 2", "it is not JSON"),
    b'["2", "b"]': ("row 2", "it is not a JSON object"),
}


@pytest.mark.parametrize(("row", "rejected"), JSON_FAULTS.items(), ids=[str(row[:40]) for row in JSON_FAULTS])
def test_a_broken_row_of_json_is_rejected_alone(tmp_path: Path, row: bytes, rejected: tuple) -> None:
    good = [json.dumps({"note_id": name, "text": ""}).encode() for name in "13"]
    (tmp_path / "n.jsonl").write_bytes(b"\n".join([good[0], row, good[1]]))
    assert read(tmp_path / "n.jsonl") == ([Note("1", ""), Note("3", "")], [Rejected(*rejected)])


def test_a_broken_row_of_parquet_is_rejected_alone(tmp_path: Path) -> None:
    texts = pa.array([b"a", b"b\xff", None, b""], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"ROW_ID": ["1", "2", "3", "4"], "TEXT": texts}), tmp_path / "n.parquet")
    notes, rejected = read(tmp_path / "n.parquet")
    assert notes == [Note("1", "a"), Note("4", "")]
    assert rejected == [Rejected("2", "its text is not valid UTF-8"), Rejected("3", "it has no text")]


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_missing_column_is_named_with_those_found(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"notes.{suffix}", NOTES, ("note_id", "report"))
    with pytest.raises(
        ClinbertError, match=r"notes\..* has no column TEXT \(its columns: note_id, CATEGORY, report\).*--text-column"
    ):
        read(path)
    with pytest.raises(ClinbertError, match=r"no column HADM_ID .*--id-column"):
        read(path, id_column="HADM_ID", text_column="report")


def test_an_error_shows_no_text_of_a_table_without_header(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text('12,"Mr. Smith, seen today\nfor cough"\n')
    with pytest.raises(ClinbertError, match="no column") as raised:
        read(tmp_path / "n.csv")
    assert "Smith" not in str(raised.value)


@pytest.mark.parametrize("suffix", ["csv.gz", "jsonl.gz"])
def test_a_truncated_gzip_is_one_error(tmp_path: Path, suffix: str) -> None:
    path = write(
        tmp_path / f"notes.{suffix}", [Note(str(number), f"{number * 7919 % 1000} " * 500) for number in range(200)]
    )
    whole = path.read_bytes()
    for size in (len(whole) // 2, len(whole) - 4):
        path.write_bytes(whole[:size])
        with pytest.raises(ClinbertError, match=r"notes.*cut off before its end"):
            read(path)
    path.write_bytes(whole[:30] + bytes(50) + whole[80:])
    with pytest.raises(ClinbertError, match=r"notes.*cannot be read"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.csv", None, "absent.csv is no file"),
        ("n.txt", b"ROW_ID,TEXT\n", "n.txt is none of .csv"),
        ("n.csv", b"", r"no column ROW_ID or note_id \(its columns: none\)"),
        ("n.csv", b'"a" b,c\n', "n.csv has a broken first line"),
        ("n.csv.gz", b"ROW_ID,TEXT\n", "n.csv.gz cannot be read"),
        ("n.parquet", b"PAR1 and nothing", "n.parquet is damaged or not a Parquet file"),
    ],
)
def test_an_unreadable_file_is_one_sentence(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ClinbertError, match=message):
        read(tmp_path / name)


def test_rejected_rows_are_logged_by_default(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "n.csv").write_text("ROW_ID,TEXT\n1,\n")
    assert list(read_notes(tmp_path / "n.csv")) == []
    assert [record.getMessage() for record in caplog.records] == ["note 1 is left out: it has no text"]


@pytest.mark.parametrize("suffix", ["csv.gz", "jsonl", "parquet"])
def test_memory_does_not_grow_with_the_notes(tmp_path: Path, suffix: str) -> None:
    """Forty megabytes of notes pass through a few megabytes of memory."""
    path = write(tmp_path / f"notes.{suffix}", [Note(str(number), f"{number} " * 2000) for number in range(4000)])
    tracemalloc.start()
    size = sum(len(note.text) for note in read_notes(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 35_000_000
    assert peak < 12_000_000


@pytest.mark.external
def test_mimic_sample_and_open_notes(shared: Path) -> None:
    notes, rejected = read(shared / "data/formats/mimic3_notes/NOTEEVENTS.csv")
    assert [note.note_id for note in notes] == ["1", "2", "3"]
    assert notes[0].text.startswith("Admission Date:  [**2101-3-4**]")
    assert rejected == []
    assert len(read(shared / "data/notes/aci_bench.jsonl.gz")[0]) == 87
