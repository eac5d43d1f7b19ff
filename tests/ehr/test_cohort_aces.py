"""ACES on our events: where it says the same as our rules, and where it cannot."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from coded_visits import event
from cohort_tables import SMALL, small
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.ehr.cohort_rules import apply_rules
from spacy_clinbert.ehr.cohort_sets import SetMarker
from spacy_clinbert.ehr.cohort_tasks import read_task
from spacy_clinbert.ehr.cohort_visits import make_record
from spacy_clinbert.ehr.prepare_settings import PrepareSettings
from spacy_clinbert.ehr.schemas import DIAGNOSES, EVENTS, PATIENTS
from spacy_clinbert.errors import ClinbertError

pytest.importorskip("aces")

# The first diagnosis A without an O until then; O within 10 days; followed beyond that or O seen.
TASK = """
predicates:
  disease: {code: {regex: "^ICD10CM/A"}}
  outcome: {code: {regex: "^ICD10CM/O"}}
trigger: disease
windows:
  history:
    start: null
    end: trigger
    start_inclusive: True
    end_inclusive: True
    has: {outcome: "(None, 0)"}
    index_timestamp: end
  earlier:
    start: null
    end: trigger
    start_inclusive: True
    end_inclusive: False
    has: {disease: "(None, 0)"}
  target:
    start: trigger
    end: start + 10d
    start_inclusive: False
    end_inclusive: True
    label: outcome
"""
RULES = (
    SMALL.replace("horizon_days = 100", 'horizon_days = 10\nhaving = "disease"') + '[sets.disease]\nICD10CM = "A*"\n'
)
DAY = datetime(2020, 1, 1)


def aces(folder, text=TASK):
    path = folder / "task.yaml"
    path.write_text(text)
    return read_task(str(path), "landmark", {})


def record_of(events, sets=None):
    marker = SetMarker(sets or {})
    return marker, make_record(
        marker.mark(pl.DataFrame(events, EVENTS)), pl.DataFrame(schema=PATIENTS), DIAGNOSES, PrepareSettings()
    )


def by_aces(folder, events):
    marker, record = record_of(events)
    people = aces(folder).find(record, marker, None).people
    return {row["subject_id"]: (row["prediction_time"], row["label"]) for row in people.to_dicts()}


def by_rules(folder, events):
    cohort = small(folder, RULES)
    marker, record = record_of(events, cohort.sets)
    people = apply_rules(cohort, "landmark", record, marker, marker.present).people
    return {row["subject_id"]: (row["prediction_time"], row["label"]) for row in people.to_dicts()}


@settings(max_examples=25)
@given(
    days=st.dictionaries(
        st.sampled_from("pqr"),
        st.dictionaries(st.integers(0, 30), st.sampled_from(["A1", "O1", "Z1"]), min_size=1, max_size=6),
        min_size=1,
    )
)
def test_where_each_visit_is_a_day_both_say_the_same(tmp_path_factory, days):
    """With everybody followed long enough, which our rules ask for and the task does not."""
    folder = tmp_path_factory.mktemp("task")
    events = []
    for subject, codes in days.items():
        for day, code in [*codes.items(), (100, "Z1")]:
            when = (DAY + timedelta(days=day)).isoformat()
            events.append(event(subject, str(day), when, when, code))
    assert by_aces(folder, events) == by_rules(folder, events)


def test_aces_knows_one_time_of_a_visit(tmp_path):
    """The outcome's visit began before the index: it is no prediction, but for ACES the outcome is to come."""
    events = [
        event("p", "1", "2020-01-01", "2020-01-05", "A1"),
        event("p", "2", "2020-01-03", "2020-01-09", "O1"),
        event("p", "3", "2020-06-01", "2020-06-01", "Z1"),
    ]
    assert by_aces(tmp_path, events) == {"p": (datetime(2020, 1, 5), True)}
    assert by_rules(tmp_path, events) == {}


def test_aces_counts_codes_where_we_count_encounters(tmp_path):
    twice = TASK.replace('has: {outcome: "(None, 0)"}', 'has: {outcome: "(None, 0)", disease: "(2, None)"}')
    events = [event("p", "1", "2020-01-01", "2020-01-02", code) for code in ("A1", "A2")]
    marker, record = record_of(events)
    # At least two disease codes, in one encounter.
    assert aces(tmp_path, twice).find(record, marker, None).people.height == 1


def test_aces_has_one_index_for_cases_and_controls(tmp_path):
    """The published index is another window for cases than for controls; a second index is no task."""
    second = TASK.replace("label: outcome", "label: outcome\n    index_timestamp: end")
    with pytest.raises(ClinbertError, match="no task of ACES"):
        aces(tmp_path, second)


@pytest.mark.parametrize("text", ["trigger: x", "[", TASK.replace("    label: outcome\n", "")])
def test_a_file_that_is_no_task(tmp_path, text):
    with pytest.raises(ClinbertError, match=r"task\.yaml") as caught:
        aces(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_settings_are_for_config_files(tmp_path):
    (tmp_path / "task.yaml").write_text(TASK)
    with pytest.raises(ClinbertError, match=r"--landmark\.visit"):
        read_task(str(tmp_path / "task.yaml"), "landmark", {"landmark.visit": 2})
