"""Cohorts against the same rules in plain loops, on patients of boundaries: 30 days, 18 and 45 years, equal dates."""

import random
import re
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta

import polars as pl
import pytest
from coded_visits import event, patient, prepared, tables

from spacy_clinbert.ehr.cohort import make_cohort
from spacy_clinbert.ehr.cohort_index import age
from spacy_clinbert.ehr.cohort_rules import apply_rules, find_inputs, telling_sets
from spacy_clinbert.ehr.cohort_sets import SetMarker
from spacy_clinbert.ehr.cohort_settings import read_cohort
from spacy_clinbert.ehr.cohort_tasks import RuleTask
from spacy_clinbert.ehr.cohort_visits import make_record
from spacy_clinbert.ehr.prepare_settings import PrepareSettings
from spacy_clinbert.ehr.schemas import DIAGNOSES, EVENTS, PATIENTS

DAY = datetime(2020, 3, 1)
DAYS = [0, 0, 1, 2, 29, 30, 31, 32, 60, 90, 364, 365, 366, 395, 396, 397, 425, 500]
HOURS = [0, 0, 0, 8, 12]
BIRTHS = ["1940-07-01", "1950-07-01", "2002-03-01", "2002-03-02", "2002-03-31", "1975-03-01", "1975-03-02", ""]
DRUGS = [("ATC", "A10BA02"), ("ATC", "C03CA01"), ("ATC", "N02BE01")]
LABS = [("LOINC", "4548-4"), ("LOINC", "30934-4")]
VALUES = [6.4, 6.5, 99.0, 100.0, None]
CODES = {
    "dhf": [
        *[("ICD10CM", code) for code in "E119 E1165 E119 E119 I509 I110 I9713 I119 E109 P702 O24410 Z00 J189".split()],
        *[("ICD9CM", code) for code in "25000 25092 25000 4280 40201 40411 40413 40200 25001 7751 V1005".split()],
        # Letters of the one system are other codes in the other.
        *[("ICD9CM", "E119"), ("ICD10CM", "4280"), ("SNOMED", "I509")],
    ],
    "paca": [
        *[("ICD10CM", code) for code in "C259 C250 C509 Z8546 D050 K859 R634 Z00 V1005 I10 J189 R17".split()],
        *[("ICD9CM", code) for code in "1579 157 20973 20940 V1005 5771 4019 Z00 78079".split()],
    ],
}


def table(name, seed, size):
    rng = random.Random(f"{name} {seed}")
    events, people = [], []
    for number in range(size):
        subject = f"p{number}"
        death = (DAY + timedelta(days=rng.choice(DAYS), hours=rng.choice(HOURS))).isoformat()
        people.append(patient(subject, rng.choice(BIRTHS), death=death if rng.random() < 0.2 else ""))
        for visit in range(rng.randint(0, 7)):
            admit = DAY + timedelta(days=rng.choice(DAYS), hours=rng.choice(HOURS))
            hours = rng.choice([0, 0, 0, 12, 24, 24, 48, 24 * 40, -24 if rng.random() < 0.1 else 0])
            inside = rng.random() < 0.8
            end = admit + timedelta(hours=hours if inside else 0)
            for _ in range(rng.randint(1, 3)):
                system, code = rng.choice(rng.choice([CODES[name], CODES[name], DRUGS, LABS]))
                early = system in ("ATC", "LOINC") and rng.random() < 0.5
                late = timedelta(days=rng.choice([0] * 9 + [30]))
                row = event(subject, str(visit) if inside else None, admit.isoformat(), end.isoformat(), code)
                known = (admit if early else end) + late
                row.update(system=system, available_at=known, value=rng.choice(VALUES) if system == "LOINC" else None)
                events += [row] * rng.choice([1, 1, 1, 2])
    return events, people


# The sets of the issue, by other means than the config: system, code without dots.
SETS = {
    "heart_failure": {"ICD9CM": "428.*|39891|402.1|404.[13]", "ICD10CM": "I50.*|I110|I0981|I130|I132|I9713.*"},
    "type_2": {"ICD9CM": "250.[02]", "ICD10CM": "E11.*"},
    "type_1": {"ICD9CM": "250.[13]", "ICD10CM": "E10.*"},
    "gestational": {"ICD10CM": "O244.*"},
    "neonatal": {"ICD9CM": "7751", "ICD10CM": "P702"},
    "pancreatic_cancer": {"ICD9CM": "157.*", "ICD10CM": "C25.*"},
    "cancer": {"ICD9CM": "1[4-9].*|20[0-8].*|209[01237].*|V10.*", "ICD10CM": "C.*|Z85.*"},
    "antidiabetic": {"ATC": "A10.*"},
    "diuretic": {"ATC": "C03.*"},
}


def of(row, *names):
    return any(re.fullmatch(SETS[name].get(row["system"], "-"), row["code"]) for name in names)


def high(row, code, least):
    return row["code"] == code and row["value"] is not None and row["value"] >= least


def years(birth, at):
    return at.year - birth.year - ((at.month, at.day) < (birth.month, birth.day))


class Visit:
    def __init__(self, name, rows):
        self.name, self.rows = name, rows
        self.began, self.ended = min(row["admit"] for row in rows), max(row["discharge"] for row in rows)
        self.counts = any(row["system"] in ("ICD9CM", "ICD10CM") for row in rows)

    def possible(self, birth, death):
        born = birth is None or self.began >= datetime.combine(birth, datetime.min.time()) - timedelta(days=30)
        return self.ended >= self.began and born and (death is None or self.began <= death + timedelta(days=30))

    def has(self, *names):
        return any(of(row, *names) for row in self.rows)


class Naive:
    """One patient: why left out, or when and what."""

    def __init__(self, name, design, rows, birth, death):
        self.birth, self.death, self.design = birth, death, design
        found = defaultdict(list)
        for row in rows:
            found[f"visit {row['visit_id']}" if row["visit_id"] else f"day {row['admit'].date()}"].append(row)
        stays = [Visit(*pair) for pair in found.items()]
        self.stays = sorted(
            (stay for stay in stays if stay.possible(birth, death)), key=lambda v: (v.began, v.ended, v.name)
        )
        self.visits = [stay for stay in self.stays if stay.counts]
        self.out = None if self.visits else "a visit"
        steps = (self.paper if design == "paper" else self.landmark, self.dhf if name == "dhf" else self.paca)
        for step in steps:
            self.out = self.out or step(name)
        self.inputs = []
        if not self.out:
            telling = design == "paper" and name == "dhf"
            told = [row for row in self.known() if not (telling and (of(row, "diuretic") or row["code"] == "30934-4"))]
            self.inputs = sorted((row["system"], row["code"], row["available_at"]) for row in told)
            self.out = None if told else "a code to predict from"

    def outcomes(self, name):
        return [stay for stay in self.stays if stay.has("heart_failure" if name == "dhf" else "pancreatic_cancer")]

    def paper(self, name):
        outcomes, least = self.outcomes(name), 2 if name == "dhf" else 1
        self.label = bool(outcomes)
        self.index = self.before = self.time = (outcomes[0] if outcomes else self.visits[-1]).began
        if 0 < len(outcomes) < least:
            return "the outcome never, or in at least 2 visits"
        return None

    def landmark(self, name):
        visits = self.visits
        if name == "dhf":
            first = min((stay.began for stay in self.stays if stay.has("type_2")), default=datetime.max)
            visits = [v for v in visits if v.has("type_2") and v.began - first >= timedelta(days=30)][:1]
        else:
            visits = [v for v in visits if self.birth and years(self.birth, v.began) >= 45][2:3]
        if not visits:
            return "a visit for the index"
        self.index, self.time, self.before = visits[0].began, visits[0].ended, datetime.max
        outcomes = self.outcomes(name)
        if self.death and self.death <= self.time:
            return "alive at the prediction"
        if any(stay.began <= self.time for stay in outcomes):
            return "no outcome before the prediction"
        end = self.time + timedelta(days=365)
        self.label = any(stay.began <= end for stay in outcomes)
        seen = any(stay.ended >= end for stay in self.stays) or (self.death is not None and self.death <= end)
        return None if self.label or seen else "the outcome, or followed for 365 days or until death"

    def known(self):
        return [
            row
            for stay in self.stays
            for row in stay.rows
            if row["available_at"] <= self.time
            and (stay.ended if row["visit_id"] else row["discharge"]) <= self.time
            and stay.began < self.before
        ]

    def seen(self, only_before=False):
        """Stays with the rows that a rule looks at."""
        rows = self.known() if only_before or self.design == "landmark" else None
        pairs = [(stay, [row for row in stay.rows if rows is None or row in rows]) for stay in self.stays]
        return [(stay, rows) for stay, rows in pairs if rows]

    def dhf(self, _):
        stays = self.seen()
        type_2 = [stay for stay, rows in stays if any(of(row, "type_2") for row in rows)]
        rows = [row for _, rows in stays for row in rows]
        if len(type_2) < 2:
            return "at least two type 2 diabetes encounters"
        first = min(stay.began for stay in type_2)
        if self.birth is None or years(self.birth, first) < 18:
            return "aged 18 or more at the first type 2 diabetes code"
        for name in ("type_1", "gestational", "neonatal"):
            if any(of(row, name) for row in rows):
                return f"no {name.replace('_', ' ')} diabetes"
        if not any(of(row, "antidiabetic") or high(row, "4548-4", 6.5) for row in rows):
            return "A1c of 6.5 % or more, or an antidiabetic drug"
        if self.design == "landmark" or not self.label:
            return None
        if (self.index - first).days < 30:
            return "cases: index 30 days or more after the first type 2 diabetes code"
        evident = any(of(row, "diuretic") or high(row, "30934-4", 100) for row in rows)
        return None if evident else "cases: a diuretic, high BNP, or a procedure"

    def paca(self, _):
        if self.birth is None or years(self.birth, self.index) < 45:
            return "aged 45 or more at the index"
        earlier = any(of(row, "cancer") for _, rows in self.seen(only_before=True) for row in rows)
        return "no earlier cancer" if earlier else None


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("design", ["paper", "landmark"])
@pytest.mark.parametrize("name", ["dhf", "paca"])
def test_the_published_cohorts_are_what_plain_loops_say(name, design, seed):
    size = 3000
    events, people = table(name, seed, size)
    mine = defaultdict(list)
    for row in events:
        mine[row["subject_id"]].append(row)
    expected = {
        who["subject_id"]: Naive(name, design, mine[who["subject_id"]], who["birth"], who["death"]) for who in people
    }

    cohort = read_cohort(name)
    marker = SetMarker(cohort.sets, telling_sets(cohort, design))
    marked = marker.mark(pl.DataFrame(events, EVENTS))
    record = make_record(marked, pl.DataFrame(people, PATIENTS), DIAGNOSES, PrepareSettings())
    flow = apply_rules(cohort, design, record, marker, marker.present)
    inputs = find_inputs(record, flow, None)

    found = {row["subject_id"]: (row["prediction_time"], row["label"]) for row in flow.people.to_dicts()}
    assert found == {who: (each.time, each.label) for who, each in expected.items() if not each.out}
    reasons = {row["subject_id"]: row["reason"] for table in flow.left_out for row in table.to_dicts()}
    assert reasons == {who: f"not in the cohort: {each.out}" for who, each in expected.items() if each.out}
    told = defaultdict(list)
    for row in inputs.to_dicts():
        told[row["subject_id"]].append((row["system"], row["code"], row["available_at"]))
    assert {who: sorted(rows) for who, rows in told.items()} == {
        who: each.inputs for who, each in expected.items() if not each.out
    }
    # The flow adds up, step by step, and something happened at most steps.
    counts = Counter(each.out for each in expected.values())
    assert {step.step: step.left_out for step in flow.steps if step.left_out} == {
        step: count for step, count in counts.items() if step
    }
    lefts = [size, *(step.left for step in flow.steps)]
    assert all(before - step.left_out == step.left for before, step in zip(lefts, flow.steps, strict=False))
    assert len(found) > 10 and len({label for _, label in found.values()}) == 2 and len(counts) > 4


@pytest.mark.parametrize("design", ["paper", "landmark"])
def test_the_whole_way_keeps_everybody_of_the_flow(tmp_path, design):
    events, people = table("dhf", 7, 2000)
    settings = PrepareSettings(min_count=1, systems=None)
    report = make_cohort(tables(events, people), RuleTask(read_cohort("dhf"), design), tmp_path / "out", settings)
    assert len(prepared(tmp_path / "out")) == report.patients == 2000 - sum(row["left_out"] for row in report.flow)
    assert (report.prevalence is None) == (design == "paper")
    if design == "landmark":
        assert report.prevalence == report.cases / report.patients > 0


@pytest.mark.parametrize(
    ("birth", "at", "expected"),
    [
        ("2000-02-29", "2018-02-28", 17),
        ("2000-02-29", "2018-03-01", 18),
        ("2000-02-29", "2020-02-29", 20),
        ("2002-03-01", "2020-02-29 23:59", 17),
        ("2002-03-01", "2020-03-01", 18),
        ("2000-12-31", "2045-12-31", 45),
    ],
)
def test_ages(birth, at, expected):
    row = {"birth": [date.fromisoformat(birth)], "at": [datetime.fromisoformat(at)]}
    assert (
        pl.DataFrame(row).select(age(pl.col("birth"), pl.col("at"))).item()
        == expected
        == years(*(row[name][0] for name in ("birth", "at")))
    )
