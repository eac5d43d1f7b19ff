"""Dates and marks as hospitals write them: mere dates, days that there are not, what never was, what was known when."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from spacy_clinbert.ehr.sources import EventSource, read_events, reading
from spacy_clinbert.errors import ClinbertError

VISITS = "person_id,visit_occurrence_id,visit_start_date,visit_start_datetime,visit_end_date,visit_end_datetime\n"
CONDITIONS = "person_id,visit_occurrence_id,condition_concept_id,condition_source_value,condition_start_date\n"
PERSONS = "person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth\n"


def write(folder: Path, name: str, *lines: str) -> None:
    (folder / name).write_text("".join(lines))


def known(source: EventSource) -> dict[str, tuple]:
    """Of each code its visit, admission and discharge, and when it is known."""
    with reading():
        events = source.events.select("code", "visit_id", "admit", "discharge", "available_at").collect()
    return {code: tuple(rest) for code, *rest in events.rows()}


def reasons(source: EventSource) -> list[tuple]:
    return sorted(source.rejected.select("id", "reason").collect().rows())


@pytest.fixture
def omop(tmp_path: Path) -> Path:
    write(
        tmp_path,
        "visit_occurrence.csv",
        VISITS,
        # A visit of hours, whose end has no time; one whose end is before it; one that stands there three times.
        "1,10,2020-01-01,2020-01-01 10:00:00,2020-01-01,\n",
        "1,11,2020-02-02,2020-02-02 10:00:00,2020-02-01,\n",
        "1,12,2020-03-01,,2020-03-05,\n1,12,2020-03-02,,2020-03-09,\n1,12,2020-03-02,,,\n",
    )
    write(
        tmp_path,
        "condition_occurrence.csv",
        CONDITIONS,
        "1,10,5,I10,2020-01-01\n1,11,5,E11.9,2020-02-02\n1,12,5,I50.9,2020-03-01\n1,NA,5,I11.0,2020-04-01\n",
    )
    write(
        tmp_path,
        "person.csv",
        PERSONS,
        *("1,8507,1950,2,29\n", "2,8507,1952,2,29\n", "3,8507,1950,13,1\n", "4,8507,,2,1\n", "5,8507,1950.0,3.0,\n"),
    )
    return tmp_path


def test_a_mere_date_of_discharge_is_not_before_the_admission_on_that_day(omop: Path) -> None:
    found = known(read_events(omop))
    admit = datetime(2020, 1, 1, 10)
    assert found["I10"] == ("10", admit, admit, admit)
    # Left for the filter: the discharge is on another day.
    assert found["E119"] == ("11", datetime(2020, 2, 2, 10), datetime(2020, 2, 1), datetime(2020, 2, 1))


def test_a_visit_that_stands_there_more_than_once_lasts_until_its_last_discharge(omop: Path) -> None:
    end = datetime(2020, 3, 9)
    assert known(read_events(omop))["I509"] == ("12", datetime(2020, 3, 1), end, end)


def test_na_is_an_empty_cell(omop: Path) -> None:
    day = datetime(2020, 4, 1)
    assert known(read_events(omop))["I110"] == (None, day, day, day)


def test_a_birth_on_a_day_that_there_is_not_is_in_its_month_or_year(omop: Path) -> None:
    births = dict(read_events(omop).patients.select("subject_id", "birth").collect().iter_rows())
    assert births == {
        "1": date(1950, 2, 1),
        "2": date(1952, 2, 29),
        "3": date(1950, 1, 1),
        "4": None,
        "5": date(1950, 3, 1),
    }


def test_the_compact_dates_of_medbert_may_have_a_time(tmp_path: Path) -> None:
    rows = [
        "1\t20140301 10:00\t20140303 12:30:00\tICD9_150.6\t1\t1\t0\n",
        "1\t2014-03-02\t20140303\tICD9_401\t1\t1\t0\n",
    ]
    write(tmp_path, "t.tsv", *rows)
    found = known(read_events(tmp_path / "t.tsv"))
    assert found["1506"] == (
        "2014-03-03",
        *(datetime(2014, 3, 1, 10), datetime(2014, 3, 3, 12, 30), datetime(2014, 3, 3, 12, 30)),
    )
    # One discharge date is one visit, however it is written.
    assert found["401"][0] == "2014-03-03"


def meds(folder: Path, name: str, rows: list[tuple], subject: str = "subject_id", **more: Any) -> None:
    path = folder / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pl.DataFrame(rows, [subject, "time", "code", "numeric_value"], orient="row")
    table.with_columns(pl.lit(value).alias(column) for column, value in more.items()).write_parquet(path)


STAY = [
    (1, datetime(2020, 1, 5, 10), "HOSPITAL_DISCHARGE//HOME", None),
    (1, datetime(2020, 1, 1), "ICD10CM/I50.9", 1.0),
    (1, datetime(2020, 1, 5), "ICD10CM/I10", None),
    (1, datetime(2020, 1, 1, 9), "ICD10CM/E11.9", None),
    (1, datetime(2020, 1, 6), "ICD10CM/I11.0", None),
    (1, datetime(2020, 1, 1, 10), "HOSPITAL_ADMISSION//ER", None),
]


@pytest.mark.parametrize("subject", ["subject_id", "patient_id"])
def test_a_diagnosis_with_the_mere_date_of_an_admission_is_not_known_before_the_discharge(
    tmp_path: Path, subject: str
) -> None:
    """Stamped with the day on which the visit starts, as OMOP exports are; in the columns of MEDS 0.3.0 too."""
    meds(tmp_path, "train/0.parquet", STAY, subject)
    found = known(read_events(tmp_path))
    end = datetime(2020, 1, 5, 10)
    assert found["I509"] == found["I10"] == ("2020-01-01T10:00:00", datetime(2020, 1, 1, 10), end, end)
    for code, time in {"E119": datetime(2020, 1, 1, 9), "I110": datetime(2020, 1, 6)}.items():
        assert found[code] == (None, time, time, time)


def test_visits_of_meds_may_be_named_in_some_of_its_files(tmp_path: Path) -> None:
    meds(tmp_path, "0.parquet", [(2, datetime(2020, 1, 1), "LAB//1", 1.0)])
    meds(tmp_path, "1.parquet", STAY, hadm_id=7)
    assert known(read_events(tmp_path))["I509"][0] == "7"


def condition(number: str, code: str, encounter: str = "", **more: Any) -> dict[str, Any]:
    coding = {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": code}
    where = {"encounter": {"reference": f"Encounter/{encounter}"}} if encounter else {}
    subject = {"reference": "Patient/p"}
    return {
        "resourceType": "Condition",
        "id": number,
        "subject": subject,
        "code": {"coding": [coding]},
        **where,
        **more,
    }


def put(folder: Path, name: str, *resources: Any) -> None:
    write(folder, name, *(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in resources))


@pytest.fixture
def fhir(tmp_path: Path) -> Path:
    put(tmp_path, "people.ndjson", {"resourceType": "Patient", "id": "p", "birthDate": "1950-02-03"})
    encounters = [
        {"resourceType": "Encounter", "id": f"e-{status}", "status": status, "subject": {"reference": "Patient/p"}}
        | {"period": {"start": "2020-01-01T10:00:00-05:00", "end": "2020-01-03T08:00:00-05:00"}}
        for status in ("finished", "entered-in-error")
    ]
    put(tmp_path, "encounters.ndjson", *encounters)
    put(tmp_path, "first.ndjson", condition("a", "I10", "e-finished"))
    return tmp_path


def test_what_never_was_is_rejected(fhir: Path) -> None:
    marks = [{"system": "local", "code": "sure"}, {"code": "refuted"}]
    put(
        fhir,
        "more.ndjson",
        condition("b", "I11", "e-entered-in-error"),
        condition("c", "I12", "e-finished", verificationStatus={"coding": marks}),
    )
    procedure = {**condition("d", "I13", "e-finished"), "resourceType": "Procedure", "status": "not-done"}
    put(fhir, "procedures.ndjson", procedure)
    source = read_events(fhir, systems=None)
    assert set(known(source)) == {"I10"}
    assert reasons(source) == [
        ("row 1", "it is marked not-done"),
        ("row 1", "its visit is not among those of its patient"),
        ("row 2", "it is marked refuted"),
    ]


def test_a_condition_outside_visits_is_known_when_it_was_recorded_not_at_its_onset(fhir: Path) -> None:
    put(
        fhir,
        "more.ndjson",
        condition("b", "I11", recordedDate="2019-05-06", onsetDateTime="2010-01-01"),
        condition("c", "I12", onsetDateTime="2010-01-01"),
    )
    source = read_events(fhir)
    assert known(source)["I11"][-1] == datetime(2019, 5, 6)
    assert reasons(source) == [("row 2", "it has neither a visit nor a date that can be read")]


def test_a_file_with_a_damaged_first_line_is_read_and_no_line_breaks_the_reading(fhir: Path) -> None:
    put(
        fhir,
        "more.ndjson",
        '{"resour',
        "",
        {"contained": [{"resourceType": "Patient"}], **condition("b", "I11", "e-finished")},
        condition("c", "I12\ud800", "e-finished"),
        condition("d", "I13", "e-finished", valueQuantity={"value": 10**400}),
    )
    source = read_events(fhir)
    assert set(known(source)) == {"I10", "I11", "I13"}
    assert reasons(source) == [("row 1", "it is not JSON"), ("row 3", "it is not JSON")]


def test_a_file_that_holds_no_resources_is_not_left_out_in_silence(fhir: Path) -> None:
    (fhir / "empty.ndjson").touch()
    assert set(known(read_events(fhir))) == {"I10"}
    put(fhir, "more.ndjson", "SECRET", json.dumps(["SECRET"]))
    with pytest.raises(ClinbertError, match=r"more\.ndjson does not begin with FHIR resources") as caught:
        read_events(fhir)
    assert "SECRET" not in str(caught.value)
