"""Synthetic patients: what is planted in them, and that every form gives the same."""

import csv
import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from spacy_clinbert.cli.synth import synth
from spacy_clinbert.ehr.icd_tables import known_codes
from spacy_clinbert.ehr.schemas import DIAGNOSES, ICD9, ICD10
from spacy_clinbert.ehr.sources import read_events, reading, recognise
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.synthetic.ehr import FORMS, PLANTED, make_patients
from spacy_clinbert.synthetic.ehr.clinic import MOST_CODES
from spacy_clinbert.synthetic.ehr.conditions import CONDITIONS, HEART_FAILURE, PANCREATIC_CANCER, Condition
from spacy_clinbert.synthetic.ehr.mechanisms import HEART_FAILURE as TO_HEART_FAILURE
from spacy_clinbert.synthetic.ehr.mechanisms import PANCREATIC_CANCER as TO_CANCER
from spacy_clinbert.synthetic.ehr.mechanisms import Mechanism
from spacy_clinbert.synthetic.ehr.omop import LEAST
from spacy_clinbert.synthetic.ehr.patients import make_patient
from spacy_clinbert.synthetic.ehr.records import Patient, Visit

SEED, COUNT = 7, 60
NAMES = {9: ICD9, 10: ICD10}
app = typer.Typer()
app.command()(synth)


def run(*arguments: object) -> None:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
    if result.exception:
        raise result.exception


@pytest.fixture(scope="module")
def many() -> list[Patient]:
    return list(make_patients(4000, seed=0))


@pytest.fixture(scope="module")
def few() -> list[Patient]:
    return list(make_patients(COUNT, SEED))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ehr") / "out"
    run("ehr", out, "--patients", COUNT, "--seed", SEED)
    return out


def source(written: Path, form: str) -> Path:
    return written / form / "records.tsv" if form == "medbert" else written / form


def midnight(time: datetime) -> datetime:
    return datetime(time.year, time.month, time.day)


def same(number: str) -> int:
    return int(number)


def above_least(number: str) -> int:
    return int(number) - LEAST


# How a form writes ids, back to the patient's and the visit's number.
PATIENT: dict[str, Callable[[str], int]] = {
    **dict.fromkeys(FORMS, same),
    "omop": above_least,
    "synpuf": lambda name: int(name, 16),
    "synthea": lambda name: int(name[:8]),
}
VISIT: dict[str, Callable[[str], int]] = {
    **dict.fromkeys(FORMS, same),
    "omop": above_least,
    "synthea": lambda name: int(name[-12:]),
}
DAYS_ONLY, NINTH_ONLY, NAMELESS = ("medbert", "synpuf"), ("mimic3", "synpuf"), ("medbert", "meds_03")
RANKED = ("medbert", "mimic3", "mimic4", "synpuf")


@pytest.mark.parametrize("form", FORMS)
def test_the_forms_give_the_same_events(form: str, written: Path, few: list[Patient]) -> None:
    assert recognise(source(written, form)) == form.partition("_")[0]
    wanted = [
        (
            patient.number,
            None if form in NAMELESS else visit.number,
            NAMES[visit.version],
            code,
            rank if form in RANKED else None,
            *(midnight(time) if form in DAYS_ONLY else time for time in (visit.admit, visit.discharge)),
        )
        for patient in few
        for visit in patient.visits
        for rank, code in enumerate(visit.codes, 1)
        if visit.version == 9 or form not in NINTH_ONLY
    ]
    with reading():
        events = read_events(source(written, form)).events.collect()
    if form == "medbert":
        events = events.unique()
    found = [
        (PATIENT[form](subject), None if form in NAMELESS else VISIT[form](visit), system, code, rank, admit, available)
        for subject, visit, system, code, rank, admit, available in events.select(
            "subject_id", "visit_id", "system", "code", "rank", "admit", "available_at"
        ).iter_rows()
    ]
    assert Counter(found) == Counter(wanted)
    assert (events["available_at"] == events["discharge"]).all()


@pytest.mark.parametrize("form", sorted({*FORMS} - {"medbert"}))
def test_the_forms_give_the_same_patients(form: str, written: Path, few: list[Patient]) -> None:
    with reading():
        table = read_events(source(written, form)).patients.collect()
    found = {PATIENT[form](subject): rest for subject, *rest in table.iter_rows()}
    assert found.keys() == {patient.number for patient in few}
    for patient in few:
        birth, sex, death = found[patient.number]
        assert sex == patient.sex and (death is None) == (patient.death is None)
        assert death is None or patient.death is None or death.date() == patient.death.date()
        # MIMIC-IV tells an age; of those over 89 both MIMICs hide it.
        tolerance = 366 if form == "mimic4" else 0
        aged = (patient.visits[-1].discharge.date() - patient.birth).days / 365.25 > 89
        assert abs((birth - patient.birth).days) <= tolerance or (aged and form in ("mimic3", "mimic4"))


@pytest.mark.parametrize(
    "form, systems",
    [("mimic3", ["NDC"]), ("mimic4", ["NDC"]), ("omop", ["OMOP"])]
    + [("meds", ["MEDICATION", "LAB"]), ("meds_03", ["ATC", "LOINC"])]
    + [(form, ["RXNORM", "LOINC"]) for form in ("fhir", "synthea")],
)
def test_drugs_and_measurements(form: str, systems: list[str], written: Path, few: list[Patient]) -> None:
    with reading():
        events = read_events(written / form, systems=systems).events.collect()
    if form in ("mimic3", "mimic4"):
        visits = [visit for patient in few for visit in patient.visits if visit.version == 9 or form != "mimic3"]
        wanted = {given.drug.ndc for visit in visits for given in visit.drugs}
        assert set(events["code"]) == wanted
        return
    a1c, metformin = {
        "omop": ("3004410", "1503297"),
        "meds": ("50852//%", "metformin//Administered"),
        "meds_03": ("4548-4", "A10BA02"),
    }.get(form, ("4548-4", "6809"))
    found = events.filter(pl.col("code") == a1c)
    values = [m.value for p in few for v in p.visits for m in v.tests if m.test.loinc == "4548-4"]
    assert sorted(found["value"].round(1)) == sorted(values)
    given = [g.time for p in few for v in p.visits for g in v.drugs if g.drug.rxnorm == "6809"]
    assert sorted(events.filter(pl.col("code") == metformin)["available_at"]) == sorted(given)


def test_traps_are_rejected_or_passed_over(tmp_path: Path) -> None:
    run("ehr", tmp_path / "out", "--patients", 200, "--form", "mimic3", "--form", "fhir", "--form", "omop")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"mimic3", "fhir", "omop", PLANTED, "synthetic.json"}
    reasons = {}
    for form in ("mimic3", "fhir", "omop"):
        with reading():
            reasons[form] = set(read_events(tmp_path / "out" / form).rejected.collect()["reason"])
    assert reasons == {"mimic3": {"it has no code"}, "fhir": {"it is marked refuted"}, "omop": set()}


def test_same_seed_same_bytes(written: Path, tmp_path: Path) -> None:
    run("ehr", tmp_path / "again", "--patients", COUNT, "--seed", SEED)
    run("ehr", tmp_path / "other", "--patients", COUNT, "--seed", SEED + 1)
    files = [path.relative_to(written) for path in sorted(written.rglob("*")) if path.is_file()]
    assert len(files) > len(FORMS)
    assert all((written / path).read_bytes() == (tmp_path / "again" / path).read_bytes() for path in files)
    assert (written / PLANTED).read_bytes() != (tmp_path / "other" / PLANTED).read_bytes()


def test_a_patient_depends_on_seed_and_number_alone(few: list[Patient]) -> None:
    assert make_patient(COUNT, SEED) == few[-1]


def test_visits_are_as_visits_can_be(few: list[Patient]) -> None:
    for patient in few:
        assert len({visit.number for visit in patient.visits}) == len(patient.visits) > 1
        for visit in patient.visits:
            assert visit.admit < visit.discharge and patient.birth < visit.admit.date()
            assert 1 <= len(visit.codes) <= MOST_CODES and len(set(visit.codes)) == len(visit.codes)
            assert all(visit.admit < given.time < visit.discharge for given in visit.drugs)
            assert all(visit.admit < measured.time < visit.discharge for measured in visit.tests)
        for one, after in zip(patient.visits, patient.visits[1:], strict=False):
            assert one.discharge.date() < after.admit.date()
        assert patient.death is None or patient.death > patient.visits[-1].discharge


def test_faults(few: list[Patient]) -> None:
    spoilt = list(make_patients(COUNT, SEED, faults=0.1))
    kinds = Counter[str]()
    for before, after in zip(few, spoilt, strict=True):
        assert after._replace(visits=before.visits) == before
        for one, other in zip(before.visits, after.visits, strict=True):
            if one == other:
                continue
            assert one._replace(admit=other.admit, discharge=other.discharge) == other
            died = after.death is not None and other.admit > after.death
            swapped, unborn = other.discharge < other.admit, other.admit.date() < after.birth
            kinds.update({"swapped": swapped, "unborn": unborn, "died": died})
            assert swapped or unborn or died
    assert all(kinds[kind] for kind in ("swapped", "unborn", "died"))


def test_every_code_is_one() -> None:
    for place, system in enumerate(DIAGNOSES):
        unknown = {condition[place] for condition in CONDITIONS} - set(known_codes(system))
        assert not unknown
    for place in (0, 1):
        assert len({condition[place] for condition in CONDITIONS}) == len(CONDITIONS)


def has(visit: Visit, condition: Condition) -> bool:
    return condition[visit.version - 9] in visit.codes


def first(patient: Patient, condition: Condition) -> int:
    """The place of the first visit with a condition."""
    return next(place for place, visit in enumerate(patient.visits) if has(visit, condition))


AMONG_WHOM: list[tuple[str, str, Mechanism, Callable[[Patient], bool]]] = [
    ("hf", "heart_failure", TO_HEART_FAILURE, lambda patient: patient.planted.diabetes == "type 2"),
    ("paca", "pancreatic_cancer", TO_CANCER, lambda p: (p.visits[0].admit.date() - p.birth).days > 46 * 365.25),
]


@pytest.mark.parametrize("kind", ["order", "gap"])
@pytest.mark.parametrize("name, disease, mechanism, acts", AMONG_WHOM)
def test_order_and_gap_make_the_disease_and_the_codes_do_not_tell(
    name: str, disease: str, kind: str, mechanism: Mechanism, acts: Callable[[Patient], bool], many: list[Patient]
) -> None:
    shares, codes, visits = {}, {}, {}
    for way in (True, False, None):
        group = [patient for patient in many if acts(patient) and getattr(patient.planted, f"{name}_{kind}") is way]
        assert len(group) > 100
        shares[way] = sum(getattr(patient.planted, disease) is not None for patient in group) / len(group)
        # What a bag of codes sees, in those who did not get the disease.
        free = [patient for patient in group if getattr(patient.planted, disease) is None]
        codes[way] = sum(len(visit.codes) for patient in free for visit in patient.visits) / len(free)
        visits[way] = sum(len(patient.visits) for patient in free) / len(free)
    assert shares[True] > mechanism.pair_risk - 0.1
    assert abs(shares[False] - shares[None]) < 0.08 and shares[False] < 0.25
    assert codes[True] == pytest.approx(codes[False], rel=0.12)
    assert visits[True] == pytest.approx(visits[False], rel=0.12)


def test_pairs_stand_as_they_were_planted(many: list[Patient]) -> None:
    for patient in many[:1000]:
        for name, mechanism in (("hf", TO_HEART_FAILURE), ("paca", TO_CANCER)):
            order, gap = (getattr(patient.planted, f"{name}_{kind}") for kind in ("order", "gap"))
            if order is None:
                assert not any(has(visit, each) for visit in patient.visits for each in mechanism.ordered)
            else:
                one, other = (first(patient, condition) for condition in mechanism.ordered)
                assert one != other and (one < other) == order
            if gap is not None:
                start, end = (patient.visits[first(patient, each)].admit.date() for each in mechanism.near)
                assert (end - start).days > 0 and ((end - start).days <= 90) == gap


def test_the_precursor_raises_the_risk_a_little(many: list[Patient]) -> None:
    plain = [p for p in many if p.planted.diabetes == "type 2" and not p.planted.hf_order and not p.planted.hf_gap]
    shares = {}
    for precursor in (True, False):
        mine = TO_HEART_FAILURE.precursor
        group = [p for p in plain if any(has(visit, mine) for visit in p.visits) == precursor]
        shares[precursor] = sum(p.planted.heart_failure is not None for p in group) / len(group)
    assert shares[True] > shares[False] + 0.03


def test_diseases_come_after_their_causes(many: list[Patient]) -> None:
    encounters = Counter[int]()
    for patient in many:
        for kinds, day in (
            (HEART_FAILURE, patient.planted.heart_failure),
            (PANCREATIC_CANCER, patient.planted.pancreatic_cancer),
        ):
            found = [visit for visit in patient.visits if any(has(visit, kind) for kind in kinds)]
            assert (found[0].admit.date() if found else None) == day
        if patient.planted.heart_failure:
            encounters[sum(any(has(visit, kind) for kind in HEART_FAILURE) for visit in patient.visits)] += 1
            for kind in ("order", "gap"):
                if getattr(patient.planted, f"hf_{kind}") is not None:
                    pair = getattr(TO_HEART_FAILURE, {"order": "ordered", "gap": "near"}[kind])
                    last = max(patient.visits[first(patient, each)].admit.date() for each in pair)
                    assert (patient.planted.heart_failure - last).days >= 60
    # Some failed only once: they are no cases of the published cohort.
    assert 0.04 < encounters[1] / sum(encounters.values()) < 0.2


def test_planted(written: Path, few: list[Patient]) -> None:
    with (written / PLANTED).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["subject_id"]) for row in rows] == [patient.number for patient in few]
    for row, patient in zip(rows, few, strict=True):
        assert row["diabetes"] == patient.planted.diabetes
        assert row["heart_failure"] == str(patient.planted.heart_failure or "")
        assert row["hf_order"] == {None: "", True: "true", False: "false"}[patient.planted.hf_order]


def test_faults_by_the_command_line(tmp_path: Path) -> None:
    run("ehr", tmp_path / "out", "--patients", 40, "--form", "mimic4", "--faults", 0.2)
    with reading():
        events = read_events(tmp_path / "out/mimic4").events.collect()
    assert events.filter(pl.col("discharge") < pl.col("admit")).height
    assert json.loads((tmp_path / "out/synthetic.json").read_text())["faults"] == 0.2


def test_bad_arguments_end_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="no form mimic5 of coded visits: give some of medbert, mimic3"):
        run("ehr", tmp_path / "out", "--form", "mimic5")
    (tmp_path / "real").mkdir()
    (tmp_path / "real/omop").mkdir()
    with pytest.raises(ClinbertError, match="did not write"):
        run("ehr", tmp_path / "real", "--form", "omop")
    assert not (tmp_path / "out").exists()
