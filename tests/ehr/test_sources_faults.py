"""What is wrong with a source is said in one sentence that names the file and quotes no cell."""

import gzip
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from spacy_clinbert.ehr.sources import FORMS, read_events, reading, recognise
from spacy_clinbert.errors import ClinbertError

CODES = "subject_id,hadm_id,seq_num,icd_code,icd_version\n"
ADMISSIONS = "subject_id,hadm_id,admittime,dischtime\n7771,8881,2150-01-01 08:00:00,2150-01-05 09:00:00\n"
ROW = "7771,8881,1,SECRET9,10\n"


@pytest.fixture
def mimic(tmp_path: Path) -> Path:
    (tmp_path / "admissions.csv").write_text(ADMISSIONS)
    (tmp_path / "patients.csv").write_text("subject_id,gender,anchor_age,anchor_year,dod\n7771,F,50,2150,\n")
    (tmp_path / "diagnoses_icd.csv").write_text(CODES + ROW.replace("SECRET9", "I10"))
    return tmp_path


def sentence(folder: Path, form: str = "mimic4") -> str:
    with pytest.raises(ClinbertError) as caught, reading():
        source = read_events(folder, form)
        source.rejected.collect()
        source.patients.collect()
    said = str(caught.value)
    assert "\n" not in said and "SECRET" not in said and "7771" not in said
    return said


def put_codes(folder: Path, content: bytes, name: str = "diagnoses_icd.csv") -> None:
    (folder / "diagnoses_icd.csv").unlink()
    (folder / name).write_bytes(content)


def parquet_bytes(folder: Path) -> bytes:
    path = folder / "temporary"
    pl.read_csv((CODES + ROW * 500).encode()).write_parquet(path)
    content = path.read_bytes()
    path.unlink()
    return content


def cut_gzip(folder: Path) -> None:
    whole = gzip.compress((CODES + "".join(f"7771,{number},1,SECRET9,10\n" for number in range(100_000))).encode())
    put_codes(folder, whole[: len(whole) // 2], "diagnoses_icd.csv.gz")


def cut_parquet(folder: Path) -> None:
    put_codes(folder, parquet_bytes(folder)[:-200], "diagnoses_icd.parquet")


def damaged_parquet(folder: Path) -> None:
    content = bytearray(parquet_bytes(folder))
    content[4:120] = b"\xff" * 116
    put_codes(folder, bytes(content), "diagnoses_icd.parquet")


def no_gzip(folder: Path) -> None:
    put_codes(folder, (CODES + ROW).encode(), "diagnoses_icd.csv.gz")


def no_utf8(folder: Path) -> None:
    put_codes(folder, (CODES + ROW).encode() + b"7771,8881,2,SECRET\xe9,10\n")


def empty(folder: Path) -> None:
    put_codes(folder, b"")


def no_column(folder: Path) -> None:
    put_codes(folder, (CODES.replace("seq_num", "n") + ROW).encode())


def doubled_column(folder: Path) -> None:
    put_codes(folder, b"SUBJECT_ID," + (CODES + "7771," + ROW).encode())


def semicolons(folder: Path) -> None:
    put_codes(folder, (CODES + ROW).replace(",", ";").encode())


def no_table(folder: Path) -> None:
    (folder / "admissions.csv").unlink()


FAULTS: list[tuple[Callable[[Path], None], str]] = [
    (cut_gzip, "diagnoses_icd.csv.gz cannot be read (it is damaged, cut off"),
    (cut_parquet, "diagnoses_icd.parquet cannot be read (it is damaged, cut off"),
    (damaged_parquet, "diagnoses_icd.parquet cannot be read (it is damaged, cut off"),
    (no_gzip, "diagnoses_icd.csv.gz cannot be read (it is damaged, cut off"),
    (no_utf8, "diagnoses_icd.csv cannot be read (it is damaged, cut off"),
    (empty, "diagnoses_icd.csv has no column subject_id: name it so"),
    (no_column, "diagnoses_icd.csv has no column seq_num: name it so"),
    (doubled_column, "diagnoses_icd.csv has 2 columns subject_id: leave one"),
    (semicolons, "diagnoses_icd.csv: its columns are divided by ';', not by commas or tabs"),
    (no_table, "has no table admissions (named admissions with .csv, .csv.gz, .parquet): put it there"),
]


@pytest.mark.parametrize("spoil, expected", FAULTS, ids=[spoil.__name__ for spoil, _ in FAULTS])
def test_faults(mimic: Path, spoil: Callable[[Path], None], expected: str) -> None:
    spoil(mimic)
    assert expected in sentence(mimic)


def test_ragged_rows_are_rejected_and_the_rest_is_read(mimic: Path) -> None:
    """Also a byte order mark, an escaped line end and a value of NULL."""
    rows = [
        "7771,8881,1,I10,10",
        "7771,8881,2,I11",
        '"7771",8881,3,"I\n12",10',
        "7771,8881,4,I13,10,9",
        "7771,8881,NULL,I15,10",
    ]
    put_codes(mimic, b"\xef\xbb\xbf" + CODES.encode() + "\r\n".join(rows).encode())
    source = read_events(mimic)
    assert sorted(source.events.collect().select("code", "rank").rows()) == [("I10", 1), ("I12", 3), ("I15", None)]
    assert sorted(source.rejected.collect().rows()) == [
        ("diagnoses_icd.csv", "row 2", "it has 4 columns, not 5"),
        ("diagnoses_icd.csv", "row 4", "it has 6 columns, not 5"),
    ]


def test_rows_keep_their_numbers_behind_ragged_ones(mimic: Path) -> None:
    put_codes(mimic, (CODES + "1,2\n" * 3 + "7771,99,1,I10,10\n").encode())
    rejected = read_events(mimic).rejected.collect()
    assert sorted(rejected["id"]) == ["row 1", "row 2", "row 3", "row 4"]


def test_ids_that_pandas_made_floats(mimic: Path) -> None:
    put_codes(mimic, (CODES + "7771,8881.0,1.0,I10,10.0\n").encode())
    assert read_events(mimic).events.collect().select("visit_id", "rank", "code").rows() == [("8881", 1, "I10")]


def test_two_admissions_of_one_id_multiply_nothing(mimic: Path) -> None:
    (mimic / "admissions.csv").write_text(ADMISSIONS + ADMISSIONS.split("\n", 1)[1])
    assert read_events(mimic).events.collect().height == 1


@pytest.mark.parametrize("form", [form.name for form in FORMS])
def test_a_folder_of_something_else(tmp_path: Path, form: str) -> None:
    (tmp_path / "notes.txt").write_text("SECRET\n")
    assert str(tmp_path) in sentence(tmp_path, form)


def test_what_is_no_source(tmp_path: Path, mimic: Path) -> None:
    with pytest.raises(ClinbertError, match="no such file or folder"):
        read_events(tmp_path / "nowhere")
    (tmp_path / "other").mkdir()
    with pytest.raises(ClinbertError, match="is of no known form of coded visits"):
        recognise(tmp_path / "other")
    with pytest.raises(ClinbertError, match="there is no form omap of coded visits: give one of medbert"):
        read_events(mimic, "omap")


def test_unknown_code_systems(mimic: Path) -> None:
    with pytest.raises(ClinbertError, match="there is no code system ICD8: mimic4 has ICD10CM"):
        read_events(mimic, systems=["ICD10CM", "ICD8"])
    with pytest.raises(ClinbertError, match="mimic4 has no codes of LOINC: choose of ICD10CM"):
        read_events(mimic, systems=["LOINC"])


def test_opening_reads_no_rows(mimic: Path) -> None:
    """What is broken behind the header is found when rows are read: opening stays cheap."""
    cut_gzip(mimic)
    source = read_events(mimic, "mimic4")
    with pytest.raises(ClinbertError, match="cannot be read"), reading():
        list(source.events.collect_batches())
