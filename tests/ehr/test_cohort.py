"""Cohorts: config files, rules, flow tables, and folders that are whole or absent."""

import json
import random

import polars as pl
import pytest
from coded_visits import event, patient, prepared, run, tables
from cohort_tables import SMALL, damage, drug, inputs, labels, make, small, write_labels
from spacy.lang.en import English
from typer.testing import CliRunner

from spacy_clinbert.cli import app
from spacy_clinbert.ehr import buckets
from spacy_clinbert.ehr.cohort import SplitBy, make_cohort
from spacy_clinbert.ehr.cohort_sets import SetMarker
from spacy_clinbert.ehr.cohort_settings import CodeSet, cohort_names, read_cohort
from spacy_clinbert.ehr.cohort_tasks import RuleTask, read_task
from spacy_clinbert.ehr.patients_reader import make_patients_reader
from spacy_clinbert.ehr.prepare_settings import PrepareSettings
from spacy_clinbert.errors import ClinbertError


def rejected(out):
    return [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]


def visits(subject, *days_and_codes):
    """Visits of a day: `("2020-01-01", "E119 I509")`."""
    return [
        event(subject, str(number), day, day, code)
        for number, (day, codes) in enumerate(days_and_codes)
        for code in codes.split()
    ]


# Which diagnoses the published sets hold.
@pytest.mark.parametrize(
    ("cohort", "name", "inside", "outside"),
    [
        ("dhf", "heart_failure", "9/4280 9/42833 9/39891 9/40201 9/40491 9/40413", "9/40200 9/40412 9/4299 9/40290"),
        (
            "dhf",
            "heart_failure",
            "10/I509 10/I110 10/I0981 10/I130 10/I132 10/I97131",
            "10/I119 10/I131 10/I97110 9/I509",
        ),
        ("dhf", "type_2", "9/25000 9/25092 10/E11 10/E1165", "9/25001 9/25013 9/250 10/E109 10/E139"),
        ("dhf", "type_1", "9/25001 9/25083 10/E109", "9/25000 10/E119"),
        ("dhf", "gestational", "9/64880 10/O24410", "9/64800 10/O2411"),
        ("dhf", "secondary", "9/24900 10/E089 10/E099 10/E139", "9/2509 10/E079"),
        ("dhf", "neonatal", "9/7751 10/P702", "9/7750 10/P701"),
        ("dhf", "insipidus", "9/2535 10/E232 9/5881 10/N251", "9/2536 10/E230"),
        ("paca", "pancreatic_cancer", "9/1570 9/1579 9/157 10/C250 10/C259", "9/1560 10/C240 9/15"),
        (
            "paca",
            "cancer",
            "9/1400 9/20891 9/20936 9/20970 10/C509 9/V1005 10/Z8546",
            "9/2100 9/20940 10/D050 10/V1005 9/1398",
        ),
    ],
)
def test_the_published_sets(cohort, name, inside, outside):
    marker = SetMarker(read_cohort(cohort).sets)
    for codes, belongs in ((inside, True), (outside, False)):
        rows = [code.split("/") for code in codes.split()]
        events = pl.DataFrame(
            {"system": [f"ICD{version}CM" for version, _ in rows], "code": [code for _, code in rows], "value": None},
            schema_overrides={"value": pl.Float64},
        )
        found = marker.mark(events).select(marker.belongs(name)).to_series().to_list()
        assert found == [belongs] * len(rows), codes


def test_a_measurement_belongs_by_its_value():
    marker = SetMarker({"high": CodeSet(codes={"LOINC": ("4548-4",)}, value_min=6.5)}, telling=["high"])
    events = pl.DataFrame({"system": ["LOINC"] * 3, "code": ["4548-4"] * 3, "value": [6.4, 6.5, None]})
    marked = marker.mark(events)
    assert marked.select(marker.belongs("high")).to_series().to_list() == [False, True, False]
    # That it was measured may tell as much.
    assert marked["telling"].to_list() == [True, True, True]
    assert marker.present == {"high"}


DHF = {
    "case": [("2020-01-01", "E119"), ("2020-02-15", "E119 J189"), ("2020-03-01", "I509"), ("2020-04-01", "I509")],
    "control": [("2020-01-01", "E119"), ("2020-02-15", "E119 J189"), ("2020-03-01", "Z00")],
    "once": [("2020-01-01", "E119"), ("2020-02-15", "E119"), ("2020-03-01", "I509 I5021")],
    "early": [("2020-01-01", "E119"), ("2020-01-20", "I509 E119"), ("2020-04-01", "I509")],
    "one diabetes visit": [("2020-01-01", "E119 E1165"), ("2020-02-15", "J189"), ("2020-03-01", "Z00")],
    "young": [("2020-01-01", "E119"), ("2020-02-15", "E119"), ("2020-03-01", "Z00")],
    "no birth": [("2020-01-01", "E119"), ("2020-02-15", "E119"), ("2020-03-01", "Z00")],
    "type 1": [("2020-01-01", "E119"), ("2020-02-15", "E119"), ("2020-03-01", "E109")],
    "insipidus": [("2020-01-01", "E119"), ("2020-02-15", "E119 E232"), ("2020-03-01", "Z00")],
}
BIRTHS = {"young": "2002-01-02", "no birth": ""}
PEOPLE = [patient(name, BIRTHS.get(name, "1950-06-01")) for name in [*DHF, "nobody"]]


def dhf_events():
    return [row for name, days in DHF.items() for row in visits(name, *days)]


def test_heart_failure_in_diabetes_as_published(tmp_path):
    report = make(tmp_path / "out", dhf_events(), PEOPLE, cohort=read_cohort("dhf"))
    assert labels(tmp_path / "out") == {"case": ("2020-03-01 00:00", True), "control": ("2020-03-01 00:00", False)}
    assert inputs(tmp_path / "out") == {name: ["E119", "E119", "J189"] for name in ("case", "control")}
    left_out = {row["step"]: row["left_out"] for row in report.flow}
    assert left_out == {
        "all patients": 0,
        "a visit": 1,
        "the outcome never, or in at least 2 visits": 1,
        "at least two type 2 diabetes encounters": 1,
        "aged 18 or more at the first type 2 diabetes code": 2,
        "no type 1 diabetes": 1,
        "no gestational diabetes": 0,
        "no secondary diabetes": 0,
        "no neonatal diabetes": 0,
        "no diabetes insipidus": 1,
        "A1c of 6.5 % or more, or an antidiabetic drug": 0,
        "cases: index 30 days or more after the first type 2 diabetes code": 1,
        "cases: a diuretic, high BNP, or a procedure": 0,
        "a code to predict from": 0,
    }
    notes = {row["step"]: row["note"] for row in report.flow if row["note"]}
    assert set(notes.values()) == {"not applied: the source has no such codes"} and len(notes) == 2
    assert (report.patients, report.cases, report.prevalence) == (2, 1, None) and "no prevalence" in report.bias
    # Everybody is accounted for by name.
    reasons = {row["subject_id"]: row["reason"] for row in rejected(tmp_path / "out")}
    assert set(reasons) == {*DHF, "nobody"} - {"case", "control"}
    assert reasons["type 1"] == "not in the cohort: no type 1 diabetes"
    table = pl.read_csv(tmp_path / "out" / "flow.csv")
    assert table["left"].to_list()[0] == 10 and table["left"].to_list()[-1] == 2


def test_evidence_is_asked_for_where_the_source_has_it(tmp_path):
    events = [*dhf_events(), drug("case", "2020-01-05", "A10BA02"), drug("case", "2020-05-05", "C03CA01")]
    make(tmp_path / "drugs", events, PEOPLE, cohort=read_cohort("dhf"))
    assert set(labels(tmp_path / "drugs")) == {"case"}
    low = {**drug("control", "2020-01-05", "4548-4", system="LOINC"), "value": 6.0}
    high = {**low, "value": 7.0}
    for out, value, expected in (("low", low, {"case"}), ("high", high, {"case", "control"})):
        make(tmp_path / out, [*events, value], PEOPLE, cohort=read_cohort("dhf"))
        assert set(labels(tmp_path / out)) == expected


def test_the_landmark_asks_the_same_of_all(tmp_path):
    seen = ("2022-01-01", "Z00")
    days = {
        "case": DHF["case"],
        "followed": [*DHF["control"], seen],
        "censored": DHF["control"],
        "dead": DHF["control"],
        "late": [*DHF["control"], ("2021-03-01", "I509"), seen],
        "before": [("2020-01-01", "E119 I509"), ("2020-02-15", "E119"), seen],
        "at the index": [("2020-01-01", "E119"), ("2020-02-15", "E119 I509"), seen],
        "too soon": [("2020-01-01", "E119"), ("2020-01-30", "E119"), seen],
        "type 1 later": [("2020-01-01", "E119"), ("2020-02-15", "E119"), ("2020-06-01", "E109"), seen],
    }
    events = [row for name, visited in days.items() for row in visits(name, *visited)]
    people = [patient(name, "1950-06-01", death="2020-12-01" if name == "dead" else "") for name in days]
    report = make(tmp_path / "out", events, people, cohort=read_cohort("dhf"), design="landmark")
    index = "2020-02-15 00:00"
    assert labels(tmp_path / "out") == {
        "case": (index, True),
        **dict.fromkeys(("followed", "dead", "late", "type 1 later"), (index, False)),
    }
    assert report.prevalence == 1 / 5 and not report.bias
    assert inputs(tmp_path / "out")["type 1 later"] == ["E119", "E119"]


def test_who_has_died_is_not_predicted(tmp_path):
    """In hospital at the very end of the index visit, or on the day of it; a day later is another matter."""
    deaths = {"in hospital": "2020-01-03 10:00", "that day": "2020-01-03", "later": "2020-01-04", "alive": ""}
    events = [event(name, "1", "2020-01-01 08:00", "2020-01-03 10:00", "A1") for name in deaths]
    events.append(event("alive", "2", "2020-06-01", "2020-06-01", "A1"))
    people = [patient(name, "1950-06-01", death=death) for name, death in deaths.items()]
    report = make(tmp_path / "out", events, people, cohort=small(tmp_path), design="landmark")
    assert {name: label for name, (_, label) in labels(tmp_path / "out").items()} == {"later": False, "alive": False}
    assert {row["step"]: row["left_out"] for row in report.flow}["alive at the prediction"] == 2


def test_pancreatic_cancer(tmp_path):
    days = {
        "case": [("2020-01-01", "K859"), ("2020-03-01", "C259 C787")],
        "young": [("1990-01-01", "K859"), ("1995-05-31", "C259")],
        "cancer before": [("2020-01-01", "C509"), ("2020-03-01", "C259")],
        "cancer at the end": [("2020-01-01", "K859"), ("2020-03-01", "C509")],
        "control": [("2020-01-01", "K859"), ("2020-03-01", "Z00")],
        "nothing before": [("2020-03-01", "C259")],
    }
    events = [row for name, visited in days.items() for row in visits(name, *visited)]
    make(tmp_path / "out", events, [patient(name, "1950-06-01") for name in days], cohort=read_cohort("paca"))
    found = {name: label for name, (_, label) in labels(tmp_path / "out").items()}
    assert found == {"case": True, "cancer at the end": False, "control": False}


@pytest.mark.parametrize(
    ("visit", "expected"),
    [
        (-2, {"p": ("2020-03-01 00:00", True), "q": ("2020-01-01 00:00", False)}),
        (1, {"p": ("2020-01-01 00:00", False), "q": ("2020-01-01 00:00", False)}),
        (3, {}),
    ],
)
def test_a_diagnosis_in_the_next_visit(tmp_path, visit, expected):
    events = [
        *visits("p", ("2020-01-01", "I10"), ("2020-03-01", "Z00"), ("2020-06-01", "I10 E119")),
        *visits("q", ("2020-01-01", "I10"), ("2020-03-01", "E119")),
        *visits("one", ("2020-01-01", "I10")),
        *visits("overlap", ("2020-03-01", "I10")),
        event("overlap", "long", "2020-02-01", "2020-04-01", "I10"),
    ]
    cohort = read_cohort("next-diagnosis", {"sets.outcome.ICD10CM": "I1?", "landmark.visit": visit})
    report = make(tmp_path / "out", events, cohort=cohort, design="landmark")
    assert labels(tmp_path / "out") == expected
    assert (report.prevalence is None) == (not expected)
    # An empty cohort says how it got empty, and has no sequences.
    assert (tmp_path / "out" / "manifest.json").exists() == bool(expected)


def test_labels_ride_with_the_sequences_and_the_splits_are_those_of_pretraining(tmp_path):
    days = [("2020-01-01", "A1 B1 C1"), ("2020-03-01", "D1")]
    events = [row for number in range(100) for row in visits(f"p{number}", *days)]
    events += [row for number in range(0, 100, 3) for row in visits(f"p{number}", ("2020-03-01", "O1"))]
    run(tmp_path / "patients", events, shares=(7, 1, 2))
    report = make(
        *(tmp_path / "cohort", events),
        cohort=small(tmp_path),
        shares=(7, 1, 2),
        split_by=SplitBy(like=tmp_path / "patients"),
    )
    before, after = prepared(tmp_path / "patients"), prepared(tmp_path / "cohort")
    assert {name: row["split"] for name, row in after.items()} == {name: before[name]["split"] for name in after}
    examples = list(make_patients_reader(tmp_path / "cohort", "test")(English()))
    told = {example.predicted.user_data["clinbert_id"]: example.reference.cats for example in examples}
    assert told and all(cats == {"outcome": float(int(name[1:]) % 3 == 0)} for name, cats in told.items())
    assert report.label == "outcome"
    with pytest.raises(ClinbertError, match="divided by"):
        make(
            *(tmp_path / "other", events),
            cohort=small(tmp_path),
            shares=(8, 1, 1),
            split_by=SplitBy(like=tmp_path / "patients"),
        )
    assert not (tmp_path / "other").exists()


def test_a_conflict_is_told_before_the_work(tmp_path):
    """Also where nobody would be left, and no sequences made."""
    events = visits("p", ("2020-01-01", "A1"), ("2020-03-01", "B1"))
    run(tmp_path / "patients", events, shares=(7, 1, 2))
    with pytest.raises(ClinbertError, match="divided by"):
        make(
            *(tmp_path / "out", []),
            cohort=small(tmp_path),
            shares=(8, 1, 1),
            split_by=SplitBy(like=tmp_path / "patients"),
        )
    (tmp_path / "patients" / "codes.json").unlink()
    with pytest.raises(ClinbertError, match=r"codes\.json cannot be read"):
        make(
            *(tmp_path / "out", events),
            cohort=small(tmp_path),
            shares=(7, 1, 2),
            split_by=SplitBy(like=tmp_path / "patients"),
        )
    assert not (tmp_path / "out").exists()


def test_a_damaged_file_of_splits_is_named(tmp_path):
    path = tmp_path / "splits.parquet"
    pl.DataFrame({"subject_id": [f"p{number}" for number in range(20_000)], "split": "train"}).write_parquet(path)
    damage(path)
    events = visits("p1", ("2020-01-01", "A1"), ("2020-03-01", "B1"))
    with pytest.raises(ClinbertError, match=r"splits\.parquet cannot be read"):
        make(tmp_path / "out", events, cohort=small(tmp_path), split_by=SplitBy(splits=path))


def test_code_systems_of_the_encoder_that_no_patient_of_the_cohort_has(tmp_path):
    events = visits("p", ("2020-01-01", "A1"), ("2020-03-01", "B1"))
    make(tmp_path / "out", events, cohort=small(tmp_path), systems=("ICD10CM", "MEDICATION"))
    assert inputs(tmp_path / "out") == {"p": ["A1"]}


def test_the_same_rows_give_the_same_bytes(tmp_path, monkeypatch):
    events = [row for number in range(20) for name in DHF for row in visits(f"{name} {number}", *DHF[name])]
    people = [patient(f"{name} {number}", "1950-06-01") for number in range(20) for name in DHF]
    make(tmp_path / "one", events, people, cohort=read_cohort("dhf"))
    random.Random(1).shuffle(events)
    make(tmp_path / "two", events, people, cohort=read_cohort("dhf"))
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
    # In many small portions the patients are the same.
    monkeypatch.setattr(buckets, "PORTION_ROWS", 60)
    monkeypatch.setattr(buckets, "RUN_ROWS", 100)
    make(tmp_path / "small", events, people, cohort=read_cohort("dhf"))
    assert labels(tmp_path / "small") == labels(tmp_path / "one")
    assert inputs(tmp_path / "small") == inputs(tmp_path / "one")
    assert (tmp_path / "small" / "flow.csv").read_bytes() == (tmp_path / "one" / "flow.csv").read_bytes()


def test_a_second_run_changes_nothing_and_another_is_refused(tmp_path):
    out, cohort = tmp_path / "out", read_cohort("dhf")
    first = make(out, dhf_events(), PEOPLE, cohort=cohort)
    times = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert make(out, dhf_events(), PEOPLE, cohort=cohort) == first
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == times
    with pytest.raises(ClinbertError, match="another cohort"):
        make(out, dhf_events(), PEOPLE, cohort=cohort, design="landmark")
    with pytest.raises(ClinbertError, match=r"another cohort \(checksum differs\)"):
        make(out, dhf_events()[1:], PEOPLE, cohort=cohort)
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == times
    (out / "labels.parquet").write_bytes(b"")
    with pytest.raises(ClinbertError, match="damaged"):
        make(out, dhf_events(), PEOPLE, cohort=cohort)
    assert make(out, dhf_events(), PEOPLE, cohort=cohort, replace=True) == first
    (out / "mine.txt").write_text("")
    with pytest.raises(ClinbertError, match=r"mine\.txt"):
        make(out, dhf_events(), PEOPLE, cohort=cohort, replace=True)


def test_a_cohort_with_ancestors_of_codes_is_found_again(tmp_path):
    settings = PrepareSettings(min_codes=1, min_count=1, shares=(1, 0, 0), ancestors=True)
    task = RuleTask(read_cohort("dhf"), "paper")
    for replace in (False, False, True):
        report = make_cohort(tables(dhf_events(), PEOPLE), task, tmp_path / "out", settings, replace=replace)
        assert report.patients == 2 and (tmp_path / "out" / "ancestors.json").is_file()


def test_what_is_prepared_is_not_replaced_by_a_cohort(tmp_path):
    run(tmp_path / "out", dhf_events(), shares=(1, 0, 0))
    with pytest.raises(ClinbertError, match="no earlier output"):
        make(tmp_path / "out", dhf_events(), PEOPLE, cohort=read_cohort("dhf"), replace=True)


def test_impossible_visits_are_no_index(tmp_path):
    events = [
        *visits("p", ("2020-01-01", "A1"), ("2020-03-01", "B1")),
        event("p", "wrong", "2020-06-02", "2020-06-01", "O1"),
    ]
    make(tmp_path / "out", events, cohort=small(tmp_path))
    assert labels(tmp_path / "out") == {"p": ("2020-03-01 00:00", False)}
    assert {"subject_id": "p", "visit_id": "wrong", "reason": "discharge before admission"} in rejected(
        tmp_path / "out"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SMALL.replace('outcome = "outcome"', 'outcome = "other"'), r"no section \[sets\.other\]"),
        (SMALL.replace('ICD10CM = "O*"', ""), "the set outcome has no codes"),
        (SMALL.replace("visit = 1", "visit = 0"), "visits count from 1"),
        (SMALL.replace("visit = 1", "visits = 1"), "landmark.visits: extra"),
        (SMALL + '[rules]\n\n[rules.x]\nabout = "x"\nvisits = "outcome"', "at_least or at_most"),
        (SMALL + '[rules]\n\n[rules.x]\nabout = "x"\nat_least = 1', "one of visits"),
        ("no config", "cannot be read"),
        # As a number it would be 250.1.
        (SMALL.replace('"O*"', "250.10"), "text, not numbers"),
        (SMALL.replace("ICD10CM", "ICD10"), "no code system ICD10: it is called ICD10CM"),
        (SMALL.replace("ICD10CM", "icd9cm"), "no code system icd9cm: it is called ICD9CM"),
        (SMALL.replace('"outcome"\n', '"outcome"\nvisit_systems = "ICD10"\n'), "it is called ICD10CM"),
        (SMALL.replace('"much"', '""'), "paper.bias"),
    ],
)
def test_a_wrong_config_is_named(tmp_path, text, said):
    with pytest.raises(ClinbertError, match=said) as caught:
        small(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_code_system_that_no_source_has(tmp_path):
    """A misspelt one would make everybody a control. Ours may be missing, and so may all where a rule says so."""
    events = visits("p", ("2020-01-01", "A1"), ("2020-03-01", "O1"))
    foreign = small(tmp_path, SMALL.replace("ICD10CM", "ICD11"))
    with pytest.raises(ClinbertError, match="no event of the code system ICD11"):
        make(tmp_path / "out", events, cohort=foreign)
    assert not (tmp_path / "out").exists()
    own = [{**row, "system": "ICD11"} if row["code"] == "O1" else row for row in events]
    assert make(tmp_path / "own", own, cohort=foreign).cases == 1
    assert make(tmp_path / "ours", events, cohort=small(tmp_path, SMALL.replace("ICD10CM", "SNOMED"))).cases == 0
    assert make(tmp_path / "known", events, PEOPLE, cohort=read_cohort("dhf")).patients == 0


def test_a_folder_may_bear_the_name_of_a_cohort(tmp_path, monkeypatch):
    (tmp_path / "dhf").mkdir()
    monkeypatch.chdir(tmp_path)
    assert read_task("dhf", "paper", {}).label == "heart_failure"


def test_a_design_or_cohort_that_is_not_there(tmp_path):
    assert cohort_names() == ["dhf", "next-diagnosis", "paca"]
    with pytest.raises(ClinbertError, match="the cohorts are dhf, next-diagnosis, paca"):
        read_cohort("diabetes")
    with pytest.raises(ClinbertError, match="no design paper"):
        make(tmp_path, [], cohort=read_cohort("next-diagnosis", {"sets.outcome.ICD10CM": "I10"}))


def test_the_command(tmp_path):
    rows = [("p1", "1", "A1"), ("p1", "2", "I10"), ("p2", "1", "A1"), ("p2", "2", "B1")]
    (tmp_path / "visits.tsv").write_text(
        "PATIENT_SK\tADMIT_DT_TM\tDISCHARGE_DT_TM\tDIAGNOSIS\tPOA\tPRIORITY\tTHIRD_PARTY\n"
        + "".join(f"{p}\t2020-0{v}-01\t2020-0{v}-02\tICD10_{code}\t1\t1\t0\n" for p, v, code in rows)
    )
    command = ["ehr", "cohort", str(tmp_path / "visits.tsv"), "next-diagnosis", str(tmp_path / "out")]
    missing = CliRunner().invoke(app, command)
    assert missing.exit_code and "--sets.outcome.ICD10CM" in str(missing.exception)
    # spaCy reads 041 as 41.
    number = CliRunner().invoke(app, [*command, "--sets.outcome.ICD9CM", "041"])
    assert number.exit_code and "text, not numbers" in str(number.exception)
    found = CliRunner().invoke(app, [*command, "--sets.outcome.ICD10CM", "I10*"])
    assert found.exit_code == 0, found.output
    assert "Prevalence: 50.00%, 1 of 2." in found.output and "are strings" in found.output
    assert labels(tmp_path / "out") == {"p1": ("2020-01-02 00:00", True), "p2": ("2020-01-02 00:00", False)}
    given = write_labels(tmp_path / "given.parquet", [("p1", "2020-01-05", True)])
    command[3:] = [str(given), str(tmp_path / "given")]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert labels(tmp_path / "given") == {"p1": ("2020-01-05 00:00", True)}
