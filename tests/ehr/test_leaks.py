"""Planted leaks: nothing of the outcome reaches what is predicted from."""

import gzip
from datetime import datetime, timedelta

import polars as pl
import pytest
from coded_visits import event, patient, prepared
from cohort_tables import SMALL, drug, inputs, labels, make, small, write_labels
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.ehr.cohort import make_cohort
from spacy_clinbert.ehr.cohort_rules import apply_rules, find_inputs, telling_sets
from spacy_clinbert.ehr.cohort_sets import SetMarker
from spacy_clinbert.ehr.cohort_settings import Cohort, read_cohort
from spacy_clinbert.ehr.cohort_tasks import LabelTask, label_people
from spacy_clinbert.ehr.cohort_visits import make_record
from spacy_clinbert.ehr.prepare_settings import PrepareSettings
from spacy_clinbert.ehr.schemas import DIAGNOSES, EVENTS, PATIENTS
from spacy_clinbert.ehr.sources import read_events

BEFORE = [event("p", "1", "2020-01-01", "2020-01-03", "A1"), event("p", "1", "2020-01-01", "2020-01-03", "B1")]
OUTCOME = ("2", "2020-02-01", "2020-02-09")
LATER = event("p", "3", "2021-09-01", "2021-09-02", "LATER")


@pytest.mark.parametrize("design", ["paper", "landmark"])
@pytest.mark.parametrize(
    "planted",
    [
        pytest.param(event("p", *OUTCOME, "SAME"), id="a diagnosis of the outcome's visit"),
        pytest.param(
            {**event("p", *OUTCOME, "SAME"), "available_at": datetime(2020, 1, 1)}, id="which bears an early date"
        ),
        pytest.param(drug("p", "2020-02-01", "SAME", OUTCOME), id="a drug at the admission of the outcome's visit"),
        pytest.param(event("p", "1b", "2020-01-02", "2020-02-02", "LONG"), id="a visit that goes on over the index"),
        pytest.param(drug("p", "2020-01-20", "LONG", ("1b", "2020-01-02", "2020-02-02")), id="a drug of such a visit"),
        pytest.param(event("p", "2b", "2020-02-01", "2020-02-01", "CLAIM"), id="another claim of the outcome's day"),
        pytest.param(event("p", None, "2020-02-01", "2020-02-01", "CLAIM"), id="a code outside visits on that day"),
        pytest.param(event("p", "2c", "2020-02-03", "2020-02-04", "NESTED"), id="a visit within the outcome's"),
        pytest.param(LATER, id="a code after the outcome"),
        pytest.param(
            {**event("p", "1", "2020-01-01", "2020-01-03", "LATE"), "available_at": datetime(2020, 2, 5)},
            id="a result of an earlier visit that is known later",
        ),
        pytest.param(
            {**event("p", "1", "2020-01-01", "2020-01-03", "LATE"), "available_at": None}, id="known at no known time"
        ),
    ],
)
def test_a_leak_does_not_reach_the_inputs(tmp_path, design, planted):
    events = [*BEFORE, event("p", *OUTCOME, "O1"), LATER, planted]
    make(tmp_path / "out", events, cohort=small(tmp_path), design=design)
    expected = {"paper": "2020-02-01 00:00", "landmark": "2020-01-03 00:00"}[design]
    assert labels(tmp_path / "out") == {"p": (expected, True)}
    assert inputs(tmp_path / "out") == {"p": ["A1", "B1"]}


def test_an_outcome_outside_visits_takes_its_day_with_it(tmp_path):
    events = [
        *BEFORE,
        event("p", None, "2020-02-01 08:00", "2020-02-01 08:00", "EARLIER"),
        event("p", None, "2020-02-01 17:00", "2020-02-01 17:00", "O1"),
    ]
    make(tmp_path / "out", events, cohort=small(tmp_path))
    assert labels(tmp_path / "out") == {"p": ("2020-02-01 08:00", True)}
    assert inputs(tmp_path / "out") == {"p": ["A1", "B1"]}


def test_a_claim_of_the_day_of_discharge_does_not_tell_the_controls(tmp_path):
    """Where times are mere dates, an outcome of that day is no outcome to come: cases would lack what controls have."""
    events = [
        event(subject, visit, admit, discharge, code)
        for subject, last in (("case", "O1"), ("control", "Z1"))
        for visit, admit, discharge, code in (
            ("1", "2020-01-01", "2020-01-05", "A1"),
            ("2", "2020-01-05", "2020-01-05", "CLAIM"),
            ("3", "2020-01-05", "2020-01-05", last),
            ("4", "2021-01-01", "2021-01-01", "B1"),
        )
    ]
    recurrent = small(tmp_path, SMALL.replace("visit = 1", "visit = 1\nrecurrent = true"))
    make(tmp_path / "out", events, cohort=recurrent, design="landmark")
    assert labels(tmp_path / "out") == dict.fromkeys(("case", "control"), ("2020-01-05 00:00", False))
    assert inputs(tmp_path / "out") == {"case": ["A1", "CLAIM", "O1"], "control": ["A1", "CLAIM", "Z1"]}
    make(tmp_path / "new", events, cohort=small(tmp_path), design="landmark")
    assert set(labels(tmp_path / "new")) == {"control"}


def test_controls_lose_their_index_visit_as_cases_do(tmp_path):
    events = [*BEFORE, event("p", *OUTCOME, "Z1")]
    make(tmp_path / "out", events, cohort=small(tmp_path))
    assert labels(tmp_path / "out") == {"p": ("2020-02-01 00:00", False)}
    assert inputs(tmp_path / "out") == {"p": ["A1", "B1"]}


def test_a_start_dated_code_of_omop(tmp_path):
    """An ETL stamps diagnoses with the start of the visit: at the time of prediction the visit has begun."""
    source = tmp_path / "omop"
    source.mkdir()
    files = {
        "person": "person_id,gender_concept_id,year_of_birth\n-7,8507,1950\n",
        "visit_occurrence": (
            "visit_occurrence_id,person_id,visit_start_datetime,visit_start_date,visit_end_datetime,visit_end_date\n"
            "1,-7,2020-01-01 10:00:00,2020-01-01,2020-01-03 10:00:00,2020-01-03\n"
            "2,-7,2020-02-01 10:00:00,2020-02-01,2020-02-09 10:00:00,2020-02-09\n"
        ),
        "condition_occurrence": (
            "condition_occurrence_id,person_id,visit_occurrence_id,condition_concept_id,condition_source_value,"
            "condition_start_date,condition_start_datetime\n"
            "1,-7,1,0,I10,2020-01-01,2020-01-01 10:00:00\n2,-7,2,0,I50.9,2020-02-01,2020-02-01 10:00:00\n"
        ),
    }
    for name, text in files.items():
        with gzip.open(source / f"{name}.csv.gz", "wt") as file:
            file.write(text)
    wanted = write_labels(tmp_path / "labels.parquet", [(-7, "2020-02-05", True)])
    chosen = PrepareSettings(min_codes=1, min_count=1, shares=(1, 0, 0))
    make_cohort(read_events(source), LabelTask(wanted), tmp_path / "out", chosen)
    assert inputs(tmp_path / "out") == {"-7": ["I10"]}
    assert labels(tmp_path / "out") == {-7: ("2020-02-05 00:00", True)}


def test_a_drug_that_only_cases_must_have(tmp_path):
    """Every case has a diuretic at some time: to see one would tell half the answer. Antidiabetics are asked of all."""
    cohort = read_cohort("dhf")
    events, patients = [], []
    for subject, last in (("case", "I509"), ("control", "J189")):
        patients.append(patient(subject, "1950-01-01"))
        events += [
            event(subject, "1", "2020-01-01", "2020-01-02", "E119"),
            event(subject, "2", "2020-03-01", "2020-03-02", "E119"),
            event(subject, "3", "2020-06-01", "2020-06-02", last),
            event(subject, "4", "2020-07-01", "2020-07-02", last),
            drug(subject, "2020-01-05", "A10BA02"),
            drug(subject, "2020-01-06", "C03CA01"),
            drug(subject, "2020-01-06", "START//Furosemide", system="MEDICATION"),
            drug(subject, "2020-01-07", "STOP//Furosemide", system="MEDICATION"),
            {**drug(subject, "2020-01-07", "30934-4", system="LOINC"), "value": 20.0},
        ]
    report = make(tmp_path / "out", events, patients, cohort=cohort)
    assert (report.patients, report.cases) == (2, 1)
    found = {subject: [code.split("/")[-1] for code in codes] for subject, codes in inputs(tmp_path / "out").items()}
    assert found == {"case": ["E119", "A10BA02", "E119"], "control": ["E119", "A10BA02", "E119", "J189"]}
    make(tmp_path / "landmark", events, patients, cohort=cohort, design="landmark")
    # There it is asked of nobody, and tells only what is known.
    assert "ATC/C03CA01" in {code for codes in inputs(tmp_path / "landmark").values() for code in codes}


def test_the_end_of_life_does_not_reach_the_inputs(tmp_path):
    events = [*BEFORE, event("p", *OUTCOME, "O1")]
    make(tmp_path / "alive", events, [patient("p", "1950-01-01")], cohort=small(tmp_path))
    make(tmp_path / "dead", events, [patient("p", "1950-01-01", death="2020-02-09")], cohort=small(tmp_path))
    assert prepared(tmp_path / "alive") == prepared(tmp_path / "dead")


DAY = datetime(2020, 1, 1)
CODES = st.sampled_from([("ICD10CM", "O1"), ("ICD10CM", "A1"), ("ICD10CM", "B1"), ("ATC", "C03"), ("ATC", "A10")])
RULES = """
[rules]

[rules.drug]
about = "cases: a drug"
of = "cases"
visits = "drug"
at_least = 1

[sets.drug]
ATC = "C03"
"""


@st.composite
def random_events(draw):
    """Visits that overlap and nest, codes in and outside of them that are known at any time from their admission."""
    events = []
    for subject in ("p", "q"):
        for visit in range(draw(st.integers(1, 5))):
            admit = DAY + timedelta(hours=12 * draw(st.integers(0, 30)))
            discharge = admit + timedelta(hours=12 * draw(st.integers(0, 8)))
            inside = draw(st.booleans())
            for system, code in draw(st.lists(CODES, min_size=1, max_size=3)):
                row = event(subject, str(visit) if inside else None, "2020-01-01", "2020-01-01", code)
                end = discharge if inside else admit
                early = system == "ATC" and draw(st.booleans())
                row.update(admit=admit, discharge=end, system=system, available_at=admit if early else end)
                events.append(row)
    return events


@settings(max_examples=60)
@given(events=random_events(), design=st.sampled_from(["paper", "landmark"]), days=st.sampled_from([2, 5, None]))
def test_no_input_is_of_the_outcome_or_known_later(tmp_path_factory, events, design, days):
    text = (SMALL + RULES).replace("horizon_days = 100", f"horizon_days = {days or 'null'}")
    cohort: Cohort = small(tmp_path_factory.mktemp("cohort"), text)
    marker = SetMarker(cohort.sets, telling_sets(cohort, design))
    record = make_record(
        marker.mark(pl.DataFrame(events, EVENTS)), pl.DataFrame(schema=PATIENTS), DIAGNOSES, PrepareSettings()
    )
    flow = apply_rules(cohort, design, record, marker, marker.present)
    found = find_inputs(record, flow, None)
    chosen = {row["subject_id"]: row for row in flow.people.to_dicts()}
    assert set(found["subject_id"]) == set(chosen)
    for row in found.to_dicts():
        index = chosen[row["subject_id"]]["prediction_time"]
        assert row["available_at"] <= index and row["discharge"] <= index
        if design == "paper":
            assert row["code"] != "C03"
        stays = [
            each
            for each in events
            if each["subject_id"] == row["subject_id"] and each["code"] == "O1" and stay(each) == stay(row)
        ]
        # With the outcome in its own visit, an input is of a visit that was over before the index of a landmark.
        assert not stays
    # Whoever is a case has the outcome after all inputs.
    for subject, person in chosen.items():
        mine = [each for each in events if each["subject_id"] == subject]
        assert person["label"] <= any(each["code"] == "O1" for each in mine)


def stay(row):
    return row["visit_id"] or row["admit"].date()


@settings(max_examples=30)
@given(events=random_events(), hours=st.integers(0, 400))
def test_no_input_of_given_labels_is_known_later(events, hours):
    when = DAY + timedelta(hours=hours)
    marker = SetMarker({})
    record = make_record(
        marker.mark(pl.DataFrame(events, EVENTS)), pl.DataFrame(schema=PATIENTS), DIAGNOSES, PrepareSettings()
    )
    given_labels = pl.DataFrame({"subject_id": ["p"], "prediction_time": [when], "boolean_value": [True]})
    found = find_inputs(record, label_people(record, given_labels), None)
    assert (found["available_at"] <= when).all() and (found["discharge"] <= when).all()
    # Nothing else is left out.
    ended = [row for row in events if row["subject_id"] == "p" and row["discharge"] <= when]
    assert found.height == len(ended)
