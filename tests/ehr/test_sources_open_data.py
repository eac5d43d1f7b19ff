"""The open demos: the same patients in four forms give the same codes, and every row is accounted for."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from spacy_clinbert.ehr.schemas import EVENTS, ICD9, PATIENTS
from spacy_clinbert.ehr.sources import EventSource, read_events

pytestmark = pytest.mark.external
KEY = ["subject_id", "visit_id", "code", "system", "available_at"]


@pytest.fixture(scope="module")
def ehr(shared: Path) -> Path:
    return shared / "data" / "ehr"


@pytest.fixture(scope="module")
def mimic4(ehr: Path) -> Counter:
    return diagnoses(read_events(ehr / "mimic4_demo"))


def diagnoses(source: EventSource) -> Counter:
    events = source.events.collect()
    assert events.schema == EVENTS and source.patients.collect().schema == PATIENTS
    assert source.rejected.collect().is_empty()
    return Counter(events.select(KEY).rows())


def test_mimic4(mimic4: Counter, ehr: Path) -> None:
    assert mimic4.total() == 4506 and max(mimic4.values()) == 1
    raw = pl.read_csv(ehr / "mimic4_demo" / "hosp" / "diagnoses_icd.csv.gz", infer_schema=False)
    events = read_events(ehr / "mimic4_demo").events.collect()
    expected = raw.select(
        "subject_id", "hadm_id", pl.col("icd_code").str.strip_chars(), pl.col("seq_num").cast(pl.Int32)
    )
    assert sorted(events.select("subject_id", "visit_id", "code", "rank").rows()) == sorted(expected.rows())
    assert (events["available_at"] == events["discharge"]).all()


def test_fhir_gives_the_same(mimic4: Counter, ehr: Path) -> None:
    source = read_events(ehr / "mimic4_demo_fhir")
    assert diagnoses(source) == mimic4
    # The tables are divided by the ids of the events.
    patients = {row[0] for row in mimic4}
    assert all(set(table.collect()["subject_id"]) == patients for table in source.tables.values())


def test_meds_gives_the_same_of_its_patients(mimic4: Counter, ehr: Path) -> None:
    found = diagnoses(read_events(ehr / "mimic4_demo_meds"))
    patients = {row[0] for row in found}
    assert len(patients) == 20 and found.total() == 541
    assert found == Counter({row: count for row, count in mimic4.items() if row[0] in patients})


def test_omop_gives_the_same_of_what_it_has(mimic4: Counter, ehr: Path) -> None:
    """The model moves codes that map to no condition to tables that this export lacks: 257 codes, wholly."""
    folder = ehr / "mimic4_demo_omop"
    persons = pl.read_csv(folder / "person.csv.gz", infer_schema=False)
    visits = pl.read_csv(folder / "visit_occurrence.csv.gz", infer_schema=False)
    patient_of = dict(persons.select("person_id", "person_source_value").rows())
    # Written as patient|admission.
    visit_of = {
        key: value.split("|")[1] for key, value in visits.select("visit_occurrence_id", "visit_source_value").rows()
    }
    found = Counter(
        {
            (patient_of[subject], visit_of[visit], *rest): count
            for (subject, visit, *rest), count in diagnoses(read_events(folder)).items()
        }
    )
    there = {row[2:4] for row in found}
    assert found == Counter({row: count for row, count in mimic4.items() if row[2:4] in there})
    missing = mimic4 - found
    assert missing.total() == 866 and len({row[2:4] for row in missing}) == 257
    # Of the 3,833 coded rows, 193 repeat a code that maps to several standard concepts.
    assert found.total() == 4506 - 866 == 3833 - 193


def test_births_and_sexes_agree(ehr: Path) -> None:
    def people(name: str) -> dict:
        patients = read_events(ehr / name).patients.collect()
        assert patients["subject_id"].is_unique().all()
        return {
            subject: (birth.year, sex) for subject, birth, sex in patients.select("subject_id", "birth", "sex").rows()
        }

    plain, meds = people("mimic4_demo"), people("mimic4_demo_meds")
    assert len(plain) == 100 and meds == {subject: plain[subject] for subject in meds}
    fhir = people("mimic4_demo_fhir")
    assert fhir.keys() == plain.keys()
    assert all(fhir[subject][1] == plain[subject][1] for subject in plain)


def test_mimic3(ehr: Path) -> None:
    source = read_events(ehr / "mimic3_demo")
    found = diagnoses(source)
    assert found.total() == 1761 and {row[3] for row in found.elements()} == {ICD9}
    events, patients = source.events.collect(), source.patients.collect()
    assert events["visit_id"].n_unique() == 129 and patients.height == 100
    years = events.join(patients, on="subject_id").select(pl.col("admit").dt.year() - pl.col("birth").dt.year())
    # Nobody is 300 years old.
    assert 0 <= years["admit"].min() <= years["admit"].max() <= 95


def test_bonsai(ehr: Path) -> None:
    """Danish codes, nanoseconds, no visits, no MEDS names."""
    events = read_events(ehr / "bonsai_meds", systems=None).events.collect()
    raw = pl.concat(
        pl.read_parquet(path).select("time", "code") for path in (ehr / "bonsai_meds").glob("data/*/*.parquet")
    )
    described = pl.col("time").is_null() | pl.col("code").is_in(["DOB", "DOD"])
    assert (raw.height, raw["code"].n_unique()) == (806_965, 2_033)
    assert events.height == raw.filter(~described).height == 764_965
    assert events.select("system", "code").n_unique() == raw.filter(~described)["code"].n_unique() == 2_022
    systems = dict(events.group_by("system").len().rows())
    bare = raw.filter(~described)["code"]
    assert systems["ICD10CM"] == bare.str.contains(r"^D[A-Z]{0,2}\d").sum()
    assert systems["ATC"] == bare.str.contains(r"^M[A-Z]{0,2}\d").sum()
    assert "E10" in events.filter(system="ICD10CM")["code"]
    patients = read_events(ehr / "bonsai_meds").patients.collect()
    assert patients.height == 10_000 and patients["birth"].null_count() == patients["sex"].null_count() == 0
    assert patients["death"].count() == 2_000


@pytest.mark.parametrize("name, rows", [("example", 9), ("mimic4demo", 4506), ("synthetic", 6949)])
def test_medbert(shared: Path, name: str, rows: int) -> None:
    source = read_events(shared / "golden" / "medbert_preprocess" / f"{name}.tsv.gz")
    assert source.form.name == "medbert"
    assert diagnoses(source).total() == rows
