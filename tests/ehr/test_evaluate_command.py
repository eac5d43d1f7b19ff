"""`clinbert ehr evaluate` on an invented cohort: numbers, page, and predictions that cannot be judged."""

import datetime
import json
import random

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from spacy_clinbert.cli import app
from spacy_clinbert.ehr.cohort import make_cohort
from spacy_clinbert.ehr.cohort_tasks import read_task
from spacy_clinbert.ehr.evaluate import evaluate
from spacy_clinbert.ehr.evaluated_cohort import read_evaluated_cohort
from spacy_clinbert.ehr.evaluation_report import write_evaluation
from spacy_clinbert.ehr.event_tables import EventTables
from spacy_clinbert.ehr.predictions import PREDICTIONS, TRAINED_ON, read_all
from spacy_clinbert.ehr.prepare_settings import PrepareSettings
from spacy_clinbert.ehr.schemas import EVENTS, PATIENTS
from spacy_clinbert.errors import ClinbertError

CODES = ["I10", "E119", "J45", "K219", "N18", "M545"]
PATIENTS_MADE = 240
COHORT = """
[cohort]
title = "Hypertension <b>"
outcome = "outcome"

[paper]
bias = "All of it."

[landmark]
visit = -2
recurrent = true

[sets]

[sets.outcome]
ICD10CM = "I10"
"""


def make_source():
    rng = random.Random(0)
    events, patients = [], []
    for number in range(PATIENTS_MADE):
        who = {"subject_id": str(number), "birth": datetime.date(1935 + number % 60, 1, 1), "death": None}
        patients.append({**who, "sex": "FM"[number % 2] if number % 9 else None})
        admit = datetime.datetime(2015, 1, 1) + datetime.timedelta(days=number)
        for visit in range(3):
            end = admit + datetime.timedelta(days=2)
            event = {"subject_id": str(number), "visit_id": f"{number}-{visit}", "admit": admit, "discharge": end}
            event |= {"system": "ICD10CM", "flags": [], "available_at": end}
            # Some have hypertension at their last visit only, so that the design `paper` leaves them something before.
            codes = rng.sample(CODES[1:], 3) + (["I10"] if visit == 2 and rng.random() < 0.4 else [])
            events += [{**event, "code": code} for code in codes]
            admit += datetime.timedelta(days=60)
    return EventTables(pl.DataFrame(events, EVENTS).lazy(), pl.DataFrame(patients, PATIENTS).lazy())


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory):
    base = tmp_path_factory.mktemp("cohorts")
    (base / "invented.cfg").write_text(COHORT, encoding="utf-8")
    for design in ("paper", "landmark"):
        task = read_task(str(base / "invented.cfg"), design, {})
        make_cohort(make_source(), task, base / design, PrepareSettings(), name="mimic")
    return base


def predict(folder, names, split="test", noise=0.3, seed=0, **metadata):
    """Write predictions of patients of a split, better than chance; `names` may be files of several draws."""
    cohort = read_evaluated_cohort(folder[0])
    rows = cohort.table.filter(pl.col("split") == split) if split else cohort.table
    for number, name in enumerate(names):
        random_ = np.random.default_rng([seed, number])
        scores = 0.4 * rows["boolean_value"].to_numpy() + 0.3 + random_.normal(0, noise, len(rows))
        probabilities = pl.Series("predicted_boolean_probability", np.clip(scores, 0.01, 0.99))
        table = rows.select("subject_id", "prediction_time", "boolean_value", probabilities)
        folder[1].mkdir(exist_ok=True)
        table.write_parquet(folder[1] / name, metadata=metadata or None)
    return folder[1]


def run(*arguments):
    return CliRunner().invoke(app, ["ehr", "evaluate", *map(str, arguments)])


def test_landmark_has_calibration_and_the_paper_has_not(cohorts, tmp_path):
    for design in ("landmark", "paper"):
        folder = predict((cohorts / design, tmp_path / design), ["logistic.parquet", "gru.0.parquet", "gru.1.parquet"])
        files = [folder / name for name in ("logistic.parquet", "gru.1.parquet", "gru.0.parquet")]
        out = tmp_path / f"{design}-out"
        found = run(cohorts / design, *files, "--output", out, "--resamples", 100)
        assert found.exit_code == 0, found.output
        metrics = json.loads((out / "metrics.json").read_text())
        page = (out / "report.html").read_text()
        assert "<b>," not in page and "Hypertension &lt;b&gt;" in page and "http" not in page.replace("data:image", "")
        assert list(metrics["systems"]) == ["logistic", "gru"] and metrics["systems"]["gru"]["draws"] == 2
        table = pl.read_parquet(files[0])
        scores = metrics["systems"]["logistic"]["groups"]
        auroc = roc_auc_score(table["boolean_value"], table["predicted_boolean_probability"])
        assert scores["all"]["auroc"]["value"] == pytest.approx(auroc)
        assert scores["all"]["auroc"]["low"] < auroc < scores["all"]["auroc"]["high"]
        assert {"women", "men", "sex unknown", "age 18–44", "age 75 and over"} <= metrics["groups"].keys()
        for names in (("women", "men", "sex unknown"), [name for name in metrics["groups"] if name.startswith("age")]):
            assert sum(metrics["groups"][name]["patients"] for name in names) == len(table)
        calibrated = design == "landmark"
        assert ("brier" in scores["all"]) == ("slope" in scores["men"]) == calibrated
        assert (out / "reliability.png").exists() == ("calibration error" in found.output) == calibrated
        assert ("prevalence" in found.output.splitlines()[0]) == calibrated
        assert ("calibration is not reported" in found.output) == (not calibrated) == ("All of it." in found.output)
        assert {row["score"] for row in metrics["differences"]} == (
            {"auroc", "auprc", "brier"} if calibrated else {"auroc", "auprc"}
        )
        assert all(row["low"] <= row["high"] and row["detectable"] > 0 for row in metrics["differences"])


def test_same_seed_same_bytes_and_an_earlier_output_is_replaced(cohorts, tmp_path):
    folder = predict((cohorts / "landmark", tmp_path / "p"), ["a.parquet"])
    out = tmp_path / "out"
    first = []
    for _ in range(2):
        assert run(cohorts / "landmark", folder, "--output", out, "--resamples", 100).exit_code == 0
        first.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert first[0] == first[1] and set(first[0]) == {
        "metrics.json",
        "report.html",
        "discrimination.png",
        "reliability.png",
    }
    (out / "notes.txt").write_text("mine")
    again = run(cohorts / "landmark", folder, "--output", out)
    assert isinstance(again.exception, ClinbertError) and "notes.txt" in str(again.exception)


def test_trained_elsewhere(cohorts, tmp_path):
    """Patients of another source are others: all of the cohort may be predicted, and both sources are named."""
    folder = predict((cohorts / "landmark", tmp_path / "p"), ["a.parquet"], split="", **{TRAINED_ON: "eicu"})
    found = evaluate(read_evaluated_cohort(cohorts / "landmark"), read_all([folder]), 100)
    assert found.metrics["groups"]["all"]["patients"] == PATIENTS_MADE
    assert any("trained on eicu, tested on mimic" in note for note in found.metrics["notes"])
    folder = predict((cohorts / "landmark", tmp_path / "q"), ["b.parquet"], split="")
    assert read_all([folder], "eicu")["b"][0].trained_on == "eicu"
    with pytest.raises(ClinbertError, match=r"b\.parquet: patient \d+ is a training patient"):
        evaluate(read_evaluated_cohort(cohorts / "landmark"), read_all([folder]), 100)
    with pytest.raises(ClinbertError, match="is a training patient"):
        evaluate(read_evaluated_cohort(cohorts / "landmark"), read_all([folder], "mimic"), 100)


def change(table, **columns):
    return table.with_columns(**columns)


FIRST = pl.int_range(pl.len()) == 0
PROBABILITY = pl.col("predicted_boolean_probability")
WRONG = {
    "missing column": (lambda t: t.drop("boolean_value"), "no column boolean_value"),
    "nobody": (lambda t: t.head(0), "no predictions"),
    "one missing": (lambda t: t.slice(1), "is not predicted, but in"),
    "one more": (lambda t: pl.concat([t, change(t.head(1), subject_id=pl.lit("nobody"))]), "is not predicted, but in"),
    "twice": (lambda t: pl.concat([t, t.head(1)]), "is there twice"),
    "NaN": (
        lambda t: change(t, predicted_boolean_probability=pl.when(FIRST).then(np.nan).otherwise(PROBABILITY)),
        "not from 0 to 1",
    ),
    "above 1": (lambda t: change(t, predicted_boolean_probability=PROBABILITY + 1), "not from 0 to 1"),
    "null": (
        lambda t: change(t, predicted_boolean_probability=pl.when(~FIRST).then(PROBABILITY)),
        "has no predicted_boolean_probability",
    ),
    "text": (lambda t: change(t, predicted_boolean_probability=pl.lit("high")), "other kinds"),
    "other truth": (lambda t: change(t, boolean_value=~pl.col("boolean_value")), "another boolean_value"),
    "other time": (
        lambda t: change(t, prediction_time=pl.col("prediction_time").dt.offset_by("1d")),
        "is not predicted, but in",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_predictions_that_cannot_be_judged(cohorts, tmp_path, fault):
    spoil, said = WRONG[fault]
    folder = predict((cohorts / "landmark", tmp_path / "p"), ["a.parquet", "b.parquet"])
    spoil(pl.read_parquet(folder / "b.parquet")).write_parquet(folder / "b.parquet")
    with pytest.raises(ClinbertError, match=said):
        evaluate(read_evaluated_cohort(cohorts / "landmark"), read_all([folder]), 100)


def test_what_is_no_prediction_or_cohort(cohorts, tmp_path):
    folder = predict((cohorts / "landmark", tmp_path / "p"), ["a.parquet"])
    cohort = read_evaluated_cohort(cohorts / "landmark")
    table = pl.read_parquet(folder / "a.parquet")
    change(table, subject_id=pl.lit("x") + pl.col("subject_id")).write_parquet(folder / "a.parquet")
    with pytest.raises(ClinbertError, match="is not in the cohort"):
        evaluate(cohort, read_all([folder]), 100)
    (folder / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(ClinbertError, match="no Parquet file"):
        read_all([folder])
    table.write_parquet(folder / "a.parquet")
    with pytest.raises(ClinbertError, match="both draw 0 of a"):
        read_all([folder, folder / "a.parquet"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ClinbertError, match="holds no Parquet file"):
        read_all([tmp_path / "empty"])
    with pytest.raises(ClinbertError, match=r"holds no cohort\.json"):
        read_evaluated_cohort(tmp_path / "empty")


def test_forms_that_other_writers_of_meds_choose(cohorts, tmp_path):
    """Numbers as ids, nanoseconds or a zone, single precision, and more columns."""
    folder = predict((cohorts / "landmark", tmp_path / "p"), ["a.parquet", "b.parquet"], noise=0.0)
    table = pl.read_parquet(folder / "a.parquet")
    other = table.select(
        pl.lit(1).alias("integer_value"),
        pl.col("predicted_boolean_probability").cast(pl.Float32),
        pl.lit(True).alias("predicted_boolean_value"),
        pl.col("subject_id").cast(pl.Int64),
        pl.col("prediction_time").dt.replace_time_zone("UTC").cast(pl.Datetime("ns", "UTC")),
        "boolean_value",
    ).reverse()
    other.write_parquet(folder / "b.parquet")
    systems = read_all([folder])
    assert dict(systems["b"][0].table.schema) == dict(PREDICTIONS)
    found = evaluate(read_evaluated_cohort(cohorts / "landmark"), systems, 100).metrics
    one, two = (found["systems"][name]["groups"]["all"] for name in "ab")
    assert one["auroc"] == two["auroc"] and one["brier"]["value"] == pytest.approx(two["brier"]["value"], abs=1e-6)


@pytest.mark.parametrize("case", ["one patient", "one class"])
def test_little_to_judge(cohorts, tmp_path, case):
    folder = predict((cohorts / "landmark", tmp_path / "p"), ["a.parquet", "b.parquet"])
    for path in folder.iterdir():
        table = pl.read_parquet(path)
        table = table.head(1) if case == "one patient" else table.filter(~pl.col("boolean_value"))
        table.write_parquet(path)
    found = evaluate(read_evaluated_cohort(cohorts / "landmark"), read_all([folder]), 100)
    scores = found.metrics["systems"]["a"]["groups"]["all"]
    assert scores["auroc"]["value"] is None and scores["slope"]["value"] is None and scores["brier"]["value"] >= 0
    assert (scores["brier"]["low"] is None) == (case == "one patient")
    assert found.metrics["test_patients_without_prediction"] > 0
    assert any("have no prediction" in note for note in found.metrics["notes"])
    write_evaluation(found, tmp_path)
    assert (tmp_path / "report.html").read_text().count("–") > 5


@pytest.mark.parametrize(
    ("birth", "at", "group"),
    [
        ("2001-01-01", "2018-12-31T23:59", "age under 18"),
        ("2001-01-01", "2019-01-01T00:00", "age 18–44"),
        ("1955-07-02", "2020-07-01T12:00", "age 45–64"),
        ("1955-07-02", "2020-07-02T12:00", "age 65–74"),
        ("1945-03-01", "2020-03-01T00:00", "age 75 and over"),
        ("2020-03-02", "2020-03-01T00:00", "age unknown"),
        (None, "2020-03-01T00:00", "age unknown"),
    ],
)
def test_whoever_has_a_birthday_is_in_the_next_band(cohorts, tmp_path, birth, at, group):
    """As the rules of a cohort count years."""
    cohort = read_evaluated_cohort(cohorts / "landmark")
    moment = datetime.datetime.fromisoformat(at)
    born = pl.lit(birth and datetime.date.fromisoformat(birth), pl.Date)
    table = change(cohort.table, prediction_time=pl.lit(moment).cast(pl.Datetime("us")), birth=born)
    folder = predict((cohorts / "landmark", tmp_path / "p"), ["a.parquet"])
    for path in folder.iterdir():
        change(pl.read_parquet(path), prediction_time=pl.lit(moment)).write_parquet(path)
    found = evaluate(cohort._replace(table=table), read_all([folder]), 100).metrics["groups"]
    assert [name for name in found if name.startswith("age")] == [group]


def test_a_group_without_the_outcome(cohorts, tmp_path):
    """Men have it never: what is undefined for them is so said, and the others' numbers stay."""
    cohort = read_evaluated_cohort(cohorts / "landmark")
    none = pl.when(pl.col("sex") == "M").then(False).otherwise(pl.col("boolean_value"))
    cohort = cohort._replace(table=change(cohort.table, boolean_value=none.fill_null(pl.col("boolean_value"))))
    folder = predict((cohorts / "landmark", tmp_path / "p"), ["a.parquet", "b.parquet"])
    for path in folder.iterdir():
        table = pl.read_parquet(path).drop("boolean_value")
        truth = cohort.table.select("subject_id", "boolean_value")
        table.join(truth, on="subject_id").select(PREDICTIONS.names()).write_parquet(path)
    found = evaluate(cohort, read_all([folder]), 100)
    groups = found.metrics["systems"]["a"]["groups"]
    assert groups["men"]["auroc"]["value"] is None and groups["men"]["auprc"]["value"] is None
    assert groups["men"]["slope"]["value"] is None and 0 < groups["men"]["brier"]["value"] < 1
    table = pl.read_parquet(folder / "a.parquet").join(cohort.table.select("subject_id", "sex"), on="subject_id")
    women = table.filter(pl.col("sex") == "F")
    auroc = roc_auc_score(women["boolean_value"], women["predicted_boolean_probability"])
    assert groups["women"]["auroc"]["value"] == pytest.approx(auroc)
    write_evaluation(found, tmp_path)
    assert "men" in (tmp_path / "report.html").read_text()
