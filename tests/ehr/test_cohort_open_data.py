"""Real and open data go through cohorts."""

import polars as pl
import pytest
from cohort_tables import inputs

from spacy_clinbert.ehr.cohort import make_cohort
from spacy_clinbert.ehr.cohort_folder import LABELS
from spacy_clinbert.ehr.cohort_source import open_source, settings_like
from spacy_clinbert.ehr.cohort_tasks import read_task

pytestmark = pytest.mark.external
NEXT = {"sets.outcome.ICD10CM": "E10* I10*", "sets.outcome.ICD9CM": "401*"}


def cohort(shared, source, name, design, out):
    task = read_task(name, design, NEXT if name == "next-diagnosis" else {})
    settings = settings_like(None)
    events = open_source(shared / "data" / "ehr" / source, None, task, settings)
    return make_cohort(events, task, out, settings, name=source)


@pytest.mark.parametrize(
    ("name", "design"),
    [("dhf", "paper"), ("dhf", "landmark"), ("paca", "paper"), ("paca", "landmark"), ("next-diagnosis", "landmark")],
)
@pytest.mark.parametrize("source", ["mimic3_demo", "mimic4_demo"])
def test_the_demos(shared, tmp_path, source, name, design):
    report = cohort(shared, source, name, design, tmp_path / "out")
    assert report.flow[0]["left"] == 100
    assert report.patients == 100 - sum(row["left_out"] for row in report.flow)
    assert len(inputs(tmp_path / "out")) == report.patients == pl.read_parquet(tmp_path / "out" / LABELS).height


def test_two_forms_of_the_same_patients_give_the_same_cohort(shared, tmp_path):
    found = {}
    for form in ("mimic4_demo", "mimic4_demo_fhir"):
        cohort(shared, form, "next-diagnosis", "landmark", tmp_path / form)
        rows = pl.read_parquet(tmp_path / form / LABELS)
        found[form] = (sorted(rows["boolean_value"].to_list()), sorted(map(sorted, inputs(tmp_path / form).values())))
    assert found["mimic4_demo"] == found["mimic4_demo_fhir"]


def test_the_next_visit_of_ten_thousand(shared, tmp_path):
    report = cohort(shared, "bonsai_meds", "next-diagnosis", "landmark", tmp_path / "out")
    assert report.flow[0]["left"] == 10_000 and report.patients > 5_000
    assert report.prevalence is not None and 0.02 < report.prevalence < 0.98
    assert report.ids == "int64"
