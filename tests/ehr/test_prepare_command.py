"""`clinbert ehr prepare` from the outside."""

import json

import polars as pl
import pytest
from coded_visits import prepared
from typer.testing import CliRunner

from spacy_clinbert.cli.ehr import ehr
from spacy_clinbert.ehr.ehr_manifest import read_manifest
from spacy_clinbert.ehr.sources import FORMS
from spacy_clinbert.errors import ClinbertError

HEADER = "patient_id\tvadate\tvddate\tdiag\tpoa\tdiagnosis_priority\tthird_party_ind\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.tsv"
    rows = [
        f"{patient}\t2020-0{visit}-01\t2020-0{visit}-0{visit}\tICD10_I5{patient % 4}.{code}\t1\t{code}\t0\n"
        for patient in range(40)
        for visit in range(1, 4)
        for code in range(1, 4)
    ]
    path.write_text(
        HEADER + "".join(rows) + "41\t2020-01-01\t2019-01-01\tICD10_I50\t1\t1\t0\n41\t\t\tICD10_I50\t1\t1\t0\n"
    )
    return path


def call(*arguments: object):
    return CliRunner().invoke(ehr, ["prepare", *map(str, arguments)])


def failure(*arguments: object) -> str:
    done = call(*arguments)
    assert isinstance(done.exception, ClinbertError), done.output
    return str(done.exception)


def test_the_help_names_all_forms():
    said = CliRunner().invoke(ehr, ["prepare", "--help"], env={"COLUMNS": "200"}).stdout
    assert all(form.name in said for form in FORMS)


def test_blanks_between_systems_are_nothing(table, tmp_path):
    assert call(table, tmp_path / "out", "--systems", "ICD9CM, ICD10CM").exit_code == 0


def test_a_table_is_prepared_and_counted(table, tmp_path):
    out = tmp_path / "out"
    done = call(table, out)
    assert done.exit_code == 0, done.exception
    rows = {line.split("  ")[0]: line.split()[-1] for line in done.stdout.splitlines()}
    assert rows["patients with codes"] == "41" and rows["rows rejected"] == "1"
    assert rows["visits left out: discharge before admission"] == "1"
    assert rows["patients left out: fewer than 3 different codes"] == "1"
    listed = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert sorted(line["reason"] for line in listed if line.get("subject_id") == "41") == [
        "discharge before admission",
        "fewer than 3 different codes",
    ]
    assert sum(line.get("file") == "table.tsv" for line in listed) == 1
    row = prepared(out)["3"]
    assert row["codes"][:3] == ["I531", "I532", "I533"] and row["los"] == [0, 1, 2] and row["rank"][:3] == [1, 2, 3]
    assert call(table, out).exit_code == 0
    assert "min_codes was 3 and is 4" in failure(table, out, "--min-codes", 4)
    assert call(table, out, "--min-codes", 2, "--min-count", 1, "--shares", "1:0:0", "--replace").exit_code == 0
    assert read_manifest(out).settings.shares == (1, 0, 0)


def test_the_original(table, tmp_path):
    done = call(table, tmp_path / "out", "--mode", "original")
    assert done.exit_code == 0, done.exception
    assert json.loads((tmp_path / "out" / "codes.json").read_text())[:2] == ["empty_pad", "ICD10_I50.1"]
    assert "no other settings" in failure(table, tmp_path / "out", "--mode", "original", "--min-codes", 4)


@pytest.mark.parametrize(
    "options, message",
    [
        (["--shares", "7:3"], "three whole numbers"),
        (["--shares", "0:1:1"], "the first of the shares is that of train"),
        (["--min-codes", 0], "min_codes"),
        (["--systems", "ICD11"], "there is no code system ICD11"),
        (["--format", "paper"], "there is no form paper"),
        (["--like", "nowhere"], "holds no manifest.json"),
        (["--splits", "nowhere.csv"], "nowhere.csv cannot be read"),
    ],
)
def test_settings_that_cannot_be(table, tmp_path, options, message):
    assert message in failure(table, tmp_path / "out", *options)
    assert not (tmp_path / "out").exists()


def test_a_damaged_parquet_is_one_sentence(tmp_path):
    data = tmp_path / "meds" / "data"
    data.mkdir(parents=True)
    events = {"subject_id": range(5000), "code": [f"ICD10CM/I{n}" for n in range(5000)]}
    table = pl.DataFrame(events).with_columns(time=pl.datetime(2020, 1, 1), numeric_value=pl.lit(None, pl.Float32))
    table.write_parquet(data / "0.parquet", compression="zstd")
    raw = bytearray((data / "0.parquet").read_bytes())
    raw[4:60] = b"\xff" * 56
    (data / "0.parquet").write_bytes(bytes(raw))
    sentence = failure(tmp_path / "meds", tmp_path / "out", "--format", "meds")
    assert "0.parquet" in sentence and "\n" not in sentence
    assert not (tmp_path / "out").exists()


@pytest.mark.external
@pytest.mark.parametrize("name", ["mimic4_demo", "mimic3_demo", "mimic4_demo_omop", "mimic4_demo_fhir"])
def test_open_data_and_the_room_it_takes(shared, tmp_path, name):
    source = shared / "data" / "ehr" / name
    done = call(source, tmp_path / "out")
    assert done.exit_code == 0, done.exception
    raw = sum(path.stat().st_size for path in source.rglob("*.gz") if not path.name.startswith("d_icd"))
    assert sum(shard.bytes for shard in read_manifest(tmp_path / "out").shards) <= raw
    assert len(prepared(tmp_path / "out")) >= 99


def test_codes_are_rolled_up_and_what_cannot_be_is_listed(tmp_path):
    source, out = tmp_path / "visits.tsv", tmp_path / "patients"
    rows = [
        (patient, f"2014-03-{day:02}", f"2014-03-{day:02}", code, 1, 1, 0)
        for patient in range(40)
        for day, code in ((1, "ICD10_I50.9"), (2, "ICD10_I50.1"), (3, "ICD9_250.00"), (4, "ICD9_999.99"))
    ]
    source.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
    command = ["prepare", str(source), str(out), "--roll-up", "3", "--to-icd10", "--ancestors", "--min-codes", "2"]
    done = CliRunner().invoke(ehr, command)
    assert done.exit_code == 0, done.output
    codes, ancestors = (json.loads((out / name).read_text()) for name in ("codes.json", "ancestors.json"))
    assert {"ICD10CM/I50", "ICD10CM/E11"} <= set(codes) and not {"ICD10CM/I509", "ICD9CM/25000"} & set(codes)
    assert "ICD10CM/I00-I99" in ancestors["ICD10CM/I50"]
    lines = map(json.loads, (out / "rejected.jsonl").read_text().splitlines())
    assert {(line["code"], line["rows"]) for line in lines if "code" in line} == {("ICD9CM/99999", 40)}
