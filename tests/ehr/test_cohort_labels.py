"""Labels and predictions in the forms of MEDS."""

import json
from datetime import datetime

import polars as pl
import pyarrow.parquet as pq
import pytest
from coded_visits import event
from cohort_tables import damage, inputs, labels, make, write_labels

from spacy_clinbert.ehr.labels import LABELS, read_labels, write_predictions
from spacy_clinbert.errors import ClinbertError

EVENTS = [event(subject, "1", "2020-01-01", "2020-01-02", "A1") for subject in ("7", "-8")]


def test_labels_go_out_as_they_came_in(tmp_path):
    given = write_labels(tmp_path / "labels.parquet", [(7, "2020-02-01", True), (-8, "2020-03-01", False)])
    report = make(tmp_path / "out", EVENTS, labels=given)
    assert labels(tmp_path / "out") == {7: ("2020-02-01 00:00", True), -8: ("2020-03-01 00:00", False)}
    assert inputs(tmp_path / "out") == {"7": ["A1"], "-8": ["A1"]}
    assert (report.ids, report.patients, report.cases) == ("int64", 2, 1)
    again = make(tmp_path / "again", EVENTS, labels=tmp_path / "out" / "labels.parquet")
    assert labels(tmp_path / "again") == labels(tmp_path / "out") and again.patients == 2
    meds = pytest.importorskip("meds")
    table = pq.read_table(tmp_path / "out" / "labels.parquet")
    assert meds.LabelSchema.align(table).num_rows == 2
    assert pl.read_parquet_schema(tmp_path / "out" / "labels.parquet") == LABELS


@pytest.mark.parametrize("odd", ["p", "007", "9999999999999999999"])
def test_ids_that_are_no_numbers_stay_strings(tmp_path, odd):
    given = write_labels(tmp_path / "labels.parquet", [(odd, "2020-02-01", True)])
    report = make(tmp_path / "out", [event(odd, "1", "2020-01-01", "2020-01-02", "A1")], labels=given)
    assert report.ids == "string" and set(labels(tmp_path / "out")) == {odd}


def test_labels_that_find_no_use_are_listed(tmp_path):
    folder = tmp_path / "labels"
    folder.mkdir()
    write_labels(folder / "0.parquet", [(7, "2020-03-01", False), (7, "2020-02-01", True), (9, "2020-02-01", True)])
    write_labels(folder / "1.parquet", [(-8, None, True), (-8, "2020-02-01", None)])
    make(tmp_path / "out", EVENTS, labels=folder)
    # The first prediction of a patient.
    assert labels(tmp_path / "out") == {7: ("2020-02-01 00:00", True)}
    rows = [json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()]
    assert sorted((row["subject_id"], row["reason"]) for row in rows) == [
        ("-8", "a label without time or value"),
        ("-8", "a label without time or value"),
        ("-8", "not in the cohort: a label"),
        ("7", "a further label of its patient"),
        ("9", "a label whose patient is not in the source"),
    ]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"subject_id": [1], "boolean_value": [True]}, "no column prediction_time"),
        ({"subject_id": [1], "prediction_time": ["2020"], "boolean_value": [True]}, "must be a time"),
        (None, "cannot be read"),
    ],
)
def test_labels_that_cannot_be_used(tmp_path, table, said):
    path = tmp_path / "labels.parquet"
    if table is None:
        path.write_bytes(b"PAR1")
    else:
        pl.DataFrame(table).write_parquet(path)
    with pytest.raises(ClinbertError, match=said):
        read_labels(path)


def test_zones_of_labels_are_left_off_as_those_of_events_are(tmp_path):
    """In universal time ten o'clock in New York would be three: what happens until then would be an input."""
    when = pl.Series("prediction_time", [datetime(2020, 2, 1, 10)]).dt.replace_time_zone("America/New_York")
    path = tmp_path / "labels.parquet"
    pl.DataFrame({"subject_id": [7], "prediction_time": when, "boolean_value": [True]}).write_parquet(path)
    events = [*EVENTS, event("7", "2", "2020-02-01 11:00", "2020-02-01 12:00", "LATER")]
    make(tmp_path / "out", events, labels=path)
    assert labels(tmp_path / "out") == {7: ("2020-02-01 10:00", True)}
    assert inputs(tmp_path / "out") == {"7": ["A1"]}


def test_damaged_labels_are_told_in_a_sentence(tmp_path):
    path = write_labels(tmp_path / "given.parquet", [(number, "2020-02-01", True) for number in range(20_000)])
    damage(path)
    with pytest.raises(ClinbertError, match="the labels given are damaged"):
        make(tmp_path / "out", EVENTS, labels=path)
    assert not (tmp_path / "out").exists()


def test_predictions_have_the_form_of_meds_evaluation(tmp_path):
    given = write_labels(tmp_path / "labels.parquet", [(7, "2020-02-01", True), (-8, "2020-03-01", False)])
    scores = pl.DataFrame({"subject_id": ["-8"], "predicted_boolean_probability": [0.25]})
    write_predictions(given, scores, tmp_path / "predictions.parquet")
    (row,) = pl.read_parquet(tmp_path / "predictions.parquet").to_dicts()
    assert row.pop("prediction_time").isoformat() == "2020-03-01T00:00:00"
    assert row == {"subject_id": -8, "boolean_value": False, "predicted_boolean_probability": 0.25}
    assert pl.read_parquet_schema(tmp_path / "predictions.parquet") == {
        "subject_id": pl.Int64,
        "prediction_time": pl.Datetime("us"),
        "boolean_value": pl.Boolean,
        "predicted_boolean_probability": pl.Float64,
    }
    for wrong in (scores.with_columns(subject_id=pl.lit("9")), pl.concat([scores, scores])):
        with pytest.raises(ClinbertError, match="no label in"):
            write_predictions(given, wrong, tmp_path / "wrong.parquet")
    assert not (tmp_path / "wrong.parquet").exists()
