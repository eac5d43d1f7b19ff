"""Coded visits into sequences: order, filters, vocabulary, and a folder that is whole or absent."""

import json
import random
from datetime import date, timedelta

import polars as pl
import pytest
from coded_visits import event, patient, prepared, run, tables
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.ehr import buckets
from spacy_clinbert.ehr.ehr_manifest import read_manifest
from spacy_clinbert.ehr.filters import find_impossible
from spacy_clinbert.ehr.prepare import prepare
from spacy_clinbert.ehr.prepare_settings import PrepareSettings
from spacy_clinbert.ehr.schemas import PATIENTS, SPECIALS
from spacy_clinbert.errors import ClinbertError


def rejected(out):
    return [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]


def test_visits_and_codes_are_in_their_order(tmp_path):
    events = [
        event("p", "late", "2020-03-01 10:00", "2020-03-04 09:00", "Z9", 2),
        event("p", "late", "2020-03-01 10:00", "2020-03-04 09:00", "B2"),
        event("p", "late", "2020-03-01 10:00", "2020-03-04 09:00", "A1"),
        event("p", "late", "2020-03-01 10:00", "2020-03-04 09:00", "C3", 3),
        event("p", "late", "2020-03-01 10:00", "2020-03-04 09:00", "C3", 1),
        event("p", "b", "2020-01-01", "2020-01-02", "X", 1),
        event("p", "a", "2020-01-01", "2020-01-02", "Y", 1),
        event("p", "long", "2020-01-01", "2020-01-09", "Y", 1),
        event("p", None, "2020-02-01 08:00", "2020-02-01 08:00", "O1"),
        event("p", None, "2020-02-01 17:00", "2020-02-01 17:00", "O2"),
        event("p", None, "2020-02-02 08:00", "2020-02-02 08:00", "O1"),
    ]
    random.Random(0).shuffle(events)
    run(tmp_path / "out", events, [patient("p", "1950-06-01", "F")], shares=(1, 0, 0))
    row = prepared(tmp_path / "out")["p"]
    assert row["codes"] == ["Y", "X", "Y", "O1", "O2", "O1", "C3", "Z9", "A1", "B2"]
    assert row["visit"] == [1, 2, 3, 4, 4, 5, 6, 6, 6, 6]
    assert row["rank"] == [1, 1, 1, 0, 0, 0, 1, 2, 0, 0]
    assert row["day"] == [0, 0, 0, 31, 31, 32, 60, 60, 60, 60]
    assert row["los"] == [1, 1, 8, 0, 0, 3]
    # Visits overlap: the next may begin before the last has ended.
    assert row["gap"] == [-1, -1, 23, 1, 28, 0]
    assert (row["birth"], row["sex"], row["first_admit"].isoformat()) == (date(1950, 6, 1), "F", "2020-01-01T00:00:00")


def test_a_patient_with_one_visit_and_one_with_5000_codes(tmp_path):
    events = [event("one", "v", "2020-01-01", "2020-01-01", code) for code in "ABC"]
    events += [
        event("many", f"v{n // 50}", f"20{n // 50 % 20 + 10}-01-0{n // 1000 + 1}", "2040-01-01", f"C{n}")
        for n in range(5000)
    ]
    manifest = run(tmp_path / "out", events, shares=(1, 0, 0))
    rows = prepared(tmp_path / "out")
    assert rows["one"]["visit"] == [1, 1, 1] and rows["one"]["gap"] == [0]
    assert len(rows["many"]["codes"]) == len(set(rows["many"]["codes"])) == 5000
    assert max(rows["many"]["visit"]) == 100 and manifest.counts["visits"] == 101


def test_codes_that_no_training_patient_has_are_unknown(tmp_path):
    subjects = [f"s{n}" for n in range(60)]
    events = [event(subject, "v", "2020-01-01", "2020-01-02", f"own-{subject}", 1) for subject in subjects]
    events += [event(subject, "v", "2020-01-01", "2020-01-02", "ALL", 2) for subject in subjects if subject != "s0"]
    manifest = run(tmp_path / "out", events, min_count=2)
    rows = prepared(tmp_path / "out")
    assert all(row["codes"] == ["[UNK]", "ALL"][: 1 + (name != "s0")] for name, row in rows.items())
    assert json.loads((tmp_path / "out" / "codes.json").read_text()) == [*SPECIALS, "ICD10CM/ALL"]
    assert sum(manifest.counts[f"{split} unknown codes"] for split in ("train", "valid", "test")) == 60
    assert sum(manifest.counts[f"{split} codes"] for split in ("train", "valid", "test")) == 119

    run(tmp_path / "each", events)
    for name, row in prepared(tmp_path / "each").items():
        assert (row["codes"][0] == "[UNK]") == (row["split"] != "train"), name


def test_the_vocabulary_begins_with_the_most_frequent(tmp_path):
    events = [
        event(f"s{n}", "v", "2020-01-01", "2020-01-02", code) for n in range(9) for code in ["B", "A", "C"][n // 3 :]
    ]
    run(tmp_path / "out", events, shares=(1, 0, 0))
    codes = json.loads((tmp_path / "out" / "codes.json").read_text())
    assert codes == [*SPECIALS, "ICD10CM/C", "ICD10CM/A", "ICD10CM/B"]


IMPOSSIBLE = {
    "discharge before admission": event("p", "bad", "2020-05-02 10:00", "2020-05-02 09:59", "X"),
    "before 1900-01-01": event("p", "bad", "1899-12-31", "2020-05-02", "X"),
    "after 2250-01-01": event("p", "bad", "2020-05-02", "9999-12-31", "X"),
    "before birth": event("p", "bad", "1949-12-01", "1949-12-03", "X"),
    "after death": event("p", "bad", "2021-03-01", "2021-03-01", "X"),
}


@pytest.mark.parametrize("reason", IMPOSSIBLE)
def test_impossible_dates_are_dropped_counted_and_listed(tmp_path, reason):
    good = [
        event("p", "good", "2020-01-01", "2020-01-02", "G"),
        event("p", "birth", "1949-12-02", "1949-12-03", "G"),
        event("p", "death", "2021-01-31", "2021-03-09", "G"),
    ]
    alive = patient("p", "1950-01-01", death="2021-01-01")
    manifest = run(tmp_path / "out", [*good, IMPOSSIBLE[reason]], [alive], shares=(1, 0, 0))
    assert manifest.counts[f"visits left out: {reason}"] == 1 and manifest.counts["events of visits left out"] == 1
    assert rejected(tmp_path / "out") == [{"subject_id": "p", "visit_id": "bad", "reason": reason}]
    assert prepared(tmp_path / "out")["p"]["codes"] == ["G", "G", "G"]


def test_a_visit_without_dates_is_left_out():
    visits = pl.DataFrame({"admit": [None], "discharge": [None], "birth": [None], "death": [None]}).cast(
        {"admit": pl.Datetime("us"), "discharge": pl.Datetime("us"), "birth": pl.Date, "death": pl.Datetime("us")}
    )
    assert find_impossible(visits, PrepareSettings())["reason"].to_list() == ["no date of admission or discharge"]


def test_patients_with_few_codes_or_none_are_left_out(tmp_path):
    events = [event("two", f"v{n}", f"2020-01-0{n + 1}", "2020-02-01", "AB"[n % 2]) for n in range(4)]
    events += [event("three", "v", "2020-01-01", "2020-02-01", code) for code in "ABC"]
    manifest = run(tmp_path / "out", events, [patient("none"), patient("two"), patient("three")], min_codes=3)
    assert set(prepared(tmp_path / "out")) == {"three"}
    assert {(row["subject_id"], row["reason"]) for row in rejected(tmp_path / "out")} == {
        ("two", "fewer than 3 different codes"),
        ("none", "no code"),
    }
    assert manifest.counts["patients left out: fewer than 3 different codes"] == 1
    assert manifest.counts["patients left out: no code"] == 1


def test_it_is_an_error_if_nobody_is_left_and_nothing_is_written(tmp_path):
    with pytest.raises(ClinbertError, match="of 1 patients with codes none is left"):
        run(tmp_path / "out", [event("p", "v", "2020-01-01", "2020-01-02", "A")], min_codes=2)
    assert list(tmp_path.iterdir()) == []


def many(count=300, seed=1):
    rng = random.Random(seed)
    start = date(2010, 1, 1)
    events = []
    for subject in range(count):
        for visit in range(rng.randint(1, 5)):
            admit = start + timedelta(rng.randint(0, 500))
            discharge = admit + timedelta(rng.randint(0, 9))
            events += [
                event(f"s{subject}", f"v{visit}", f"{admit}", f"{discharge}", f"C{rng.randint(0, 40)}", rank)
                for rank in range(1, rng.randint(2, 6))
            ]
    return events


def contents(out):
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_the_order_of_rows_changes_no_byte(tmp_path):
    events = many()
    run(tmp_path / "a", events)
    random.Random(3).shuffle(events)
    run(tmp_path / "b", events)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_what_goes_by_the_disk_is_the_same(tmp_path, monkeypatch):
    events = many(60)
    run(tmp_path / "memory", events)
    monkeypatch.setattr(buckets, "RUN_ROWS", 100)
    monkeypatch.setattr(buckets, "BATCH_ROWS", 40)
    monkeypatch.setattr(buckets, "PORTION_ROWS", 9)
    run(tmp_path / "disk", events)
    assert prepared(tmp_path / "memory") == prepared(tmp_path / "disk")
    then, now = read_manifest(tmp_path / "memory"), read_manifest(tmp_path / "disk")
    assert then.counts == now.counts and then.digest == now.digest and then.vocabulary == now.vocabulary


def test_a_second_run_writes_nothing(tmp_path):
    out = tmp_path / "out"
    first = run(out, many())
    times = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert run(out, many()) == first
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == times


@pytest.mark.parametrize(
    "change, message",
    [
        ({"min_codes": 2}, "the setting min_codes was 1 and is 2"),
        ({"shares": (8, 1, 1)}, "the setting shares was 7:1:2 and is 8:1:1"),
        ({"events": many(seed=2)}, "the rows of the source are others"),
        ({"patients": [patient("s1", sex="M")]}, "the rows of the source are others"),
    ],
)
def test_a_run_that_differs_says_in_what_and_replaces_only_when_asked(tmp_path, change, message):
    out = tmp_path / "out"
    run(out, many())
    before = contents(out)
    with pytest.raises(ClinbertError, match=message):
        run(out, **{"events": many(), **change})
    assert contents(out) == before
    run(out, **{"events": many(), **change}, replace=True)
    assert contents(out)["manifest.json"] != before["manifest.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["train-00000.parquet", "codes.json"])
def test_damage_is_found(tmp_path, name):
    out = tmp_path / "out"
    run(out, many())
    whole = (out / name).read_bytes()
    (out / name).write_bytes(whole[:-9] + b"x" * 9)
    with pytest.raises(ClinbertError, match=f"{name} is damaged"):
        run(out, many())
    (out / name).unlink()
    with pytest.raises(ClinbertError, match=f"{name} is missing"):
        run(out, many())
    run(out, many(), replace=True)
    assert (out / name).read_bytes() == whole


def test_a_folder_of_anything_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ClinbertError, match=r"holds thesis\.tex"):
        run(tmp_path, many(), replace=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_failure_on_the_way_leaves_the_earlier_patients(tmp_path):
    out = tmp_path / "out"
    run(out, many())
    before = contents(out)
    twice = pl.LazyFrame([patient("s1"), patient("s1", sex="F")], PATIENTS)
    source = tables(many())
    with pytest.raises(ClinbertError, match="patient s1 is in the patients more than once"):
        prepare(type(source)(source.events, twice), out, PrepareSettings(), replace=True)
    assert contents(out) == before and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_labels_are_columns_and_say_who_enters(tmp_path):
    labels = pl.LazyFrame({"subject_id": ["s1", "s2", "s3", "absent"], "dhf": [True, False, None, True]})
    run(tmp_path / "out", many(), labels=labels)
    rows = prepared(tmp_path / "out")
    assert {name: row["dhf"] for name, row in rows.items()} == {"s1": True, "s2": False, "s3": None}
    reasons = {row["subject_id"]: row["reason"] for row in rejected(tmp_path / "out")}
    assert reasons.pop("absent") == "no code" and set(reasons.values()) == {"no label"} and len(reasons) == 297


DAYS = st.integers(0, 40)
ROWS = st.lists(
    st.tuples(
        st.sampled_from("pqr"),
        st.sampled_from(["v", "w", "x", None]),
        DAYS,
        st.integers(-1, 9),
        st.sampled_from("ABCD"),
        st.one_of(st.none(), st.integers(0, 5)),
    ),
    min_size=1,
    max_size=40,
)


def plain(rows):
    """The rules once more, patient by patient in plain Python."""
    patients = {}
    for subject, visit, admit, stay, code, rank in rows:
        key = visit or f"day {admit}"
        end = admit if visit is None else admit + stay
        patients.setdefault(subject, {}).setdefault(key, []).append((admit, end, code, rank or 9))
    found = {}
    for subject, visits in patients.items():
        spans = [(min(r[0] for r in rs), max(r[1] for r in rs), key) for key, rs in visits.items()]
        spans = sorted(
            (span for span in spans if span[1] >= span[0]), key=lambda s: (s[0], s[1], s[2].startswith("day"), s[2])
        )
        codes, numbers, ranks = [], [], []
        for number, (_, _, key) in enumerate(spans, 1):
            best = {}
            for _, _, code, rank in visits[key]:
                best[code] = min(rank, best.get(code, 9))
            for code, rank in sorted(best.items(), key=lambda item: (item[1], item[0])):
                codes.append(code)
                numbers.append(number)
                ranks.append(rank % 9)
        if spans:
            later = [span[0] for span in spans[1:]]
            gaps = [after - span[1] for span, after in zip(spans, later)] + [0]
            found[subject] = (codes, numbers, ranks, [span[1] - span[0] for span in spans], gaps)
    return found


@settings(max_examples=60)
@given(ROWS)
def test_any_rows_come_as_the_rules_in_plain_python_say(tmp_path_factory, rows):
    out = tmp_path_factory.mktemp("any") / "out"
    start = date(2020, 1, 1)
    events = [
        event(s, v, f"{start + timedelta(a)}", f"{start + timedelta(a + (n if v else 0))}", c, r)
        for s, v, a, n, c, r in rows
    ]
    expected = plain(rows)
    if not expected:
        with pytest.raises(ClinbertError, match="none is left"):
            run(out, events, shares=(1, 0, 0))
        return
    run(out, events, shares=(1, 0, 0))
    got = {
        name: (row["codes"], row["visit"], row["rank"], row["los"], row["gap"]) for name, row in prepared(out).items()
    }
    assert got == expected


def test_a_vocabulary_without_codes_is_not_made_in_silence(tmp_path, caplog):
    events = [event("p", "v", "2020-01-01", "2020-01-02", code) for code in "ABC"]
    manifest = run(tmp_path / "out", events, shares=(1, 0, 0), min_count=2)
    assert manifest.counts["train unknown codes"] == 3
    assert "no code has 2 training patients, so all are unknown" in caplog.text


def test_a_misspelt_code_system_is_an_error(tmp_path):
    """A source may have systems of its own, so only its events tell."""
    events = [event("p", "v", "2020-01-01", "2020-01-02", code) for code in "ABC"]
    with pytest.raises(ClinbertError, match="no event of the code system ICD10: name it as the source does"):
        run(tmp_path / "out", events, systems=("ICD10CM", "ICD10"))
    assert run(tmp_path / "out", events, shares=(1, 0, 0), systems=("ICD10CM", "RXNORM")).counts["events"] == 3
