"""Synthetic patients: who they are, their visits, and what was coded, given and measured there.

Nothing depends on the form in which they are written: each is drawn from the seed and its number alone. Dates are
shifted into the future, as MIMIC's are. Each patient's bills change from ICD-9 to ICD-10 on a day of its own, perhaps
never or from the start; all codes of a visit are of one version. Diseases that are planted: `mechanisms`.
"""

import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple, Optional

from . import mechanisms
from .clinic import Clinic
from .conditions import (
    CHRONIC,
    HEART_FAILURE,
    KIDNEY_DISEASE,
    OTHER_DIABETES,
    PANCREATIC_CANCER,
    PANCREATITIS,
    TYPE_2,
    Condition,
)
from .mechanisms import DELAY, OTHER_HEART_FAILURE, plant, risk
from .records import Patient, Planted

TYPE_2_SHARE, OTHER_SHARE = 0.4, 0.05
FOLLOWED = (1500, 4000)
DAYS_BETWEEN_VISITS = 180


def make_patient(number: int, seed: int) -> Patient:
    """Make a patient; it depends on the seed and its number alone.

    number (int): number of the patient, from 1; seed (int): seed of all patients.
    RETURNS (Patient): the patient.
    """
    rng = random.Random(f"ehr {seed} {number}")
    sex = rng.choice("FM")
    age = rng.triangular(20, 92, 62)
    start = date(2130, 1, 1) + timedelta(days=rng.randrange(20_000))
    followed = rng.randint(*FOLLOWED)
    onset = {condition: rng.randint(0, followed) for condition, share in CHRONIC.items() if rng.random() < share}
    diabetes = _draw_diabetes(sex, age, rng)
    if diabetes == "type 2":
        onset[rng.choice(TYPE_2)] = rng.randint(0, followed // 8)
    elif diabetes:
        onset[OTHER_DIABETES[diabetes]] = rng.randint(0, followed // 2)
    planned: dict[int, list[Condition]] = {}
    failing = _plant_heart_failure(diabetes == "type 2", followed, onset, planned, rng)
    cancer = _plant_cancer(age, followed, onset, planned, rng)
    # Nobody dies before all that was planted has come.
    end = max([min(followed, cancer.day + rng.randint(200, 700)) if cancer.day else followed, *planned])
    death = (
        end + 1 + rng.randrange(60) if rng.random() < (0.7 if cancer.day else 0.06 + 0.1 * bool(failing.day)) else None
    )
    for day in _visit_days(followed, rng):
        planned.setdefault(day, [])
    days = [day for day in sorted(planned) if day <= end]
    switch = rng.uniform(-0.3, 1.2) * followed
    clinic = Clinic(number, start, onset, failing.day, bool(diabetes) and diabetes != "insipidus", rng)
    visits = [
        clinic.visit(place, day, planned[day], 9 if day < switch else 10, after - day)
        for place, (day, after) in enumerate(zip(days, [*days[1:], days[-1] + 60], strict=True))
    ]
    died = None if death is None else visits[-1].discharge + timedelta(days=max(0, death - days[-1]), hours=5)
    planted = Planted(
        diabetes,
        failing.order,
        failing.gap,
        cancer.order,
        cancer.gap,
        _date(start, failing.day),
        _date(start, cancer.day),
    )
    return Patient(number, seed, start - timedelta(days=int(age * 365.25)), sex, died, visits, planted)


class _Fate(NamedTuple):
    """Whether pairs raise the risk, and the day of the disease, 0 for none."""

    order: Optional[bool]
    gap: Optional[bool]
    day: int


def _draw_diabetes(sex: str, age: float, rng: random.Random) -> str:
    draw = rng.random()
    if draw < TYPE_2_SHARE:
        return "type 2"
    if draw < TYPE_2_SHARE + OTHER_SHARE:
        return rng.choice([kind for kind in OTHER_DIABETES if kind != "gestational" or (sex == "F" and age < 45)])
    return ""


def _plant_heart_failure(
    diabetic: bool,
    followed: int,
    onset: dict[Condition, int],
    planned: dict[int, list[Condition]],
    rng: random.Random,
) -> _Fate:
    mechanism = mechanisms.HEART_FAILURE
    course = plant(mechanism, followed, rng)
    _merge(planned, course.visits)
    chance = risk(mechanism, course, KIDNEY_DISEASE in onset) if diabetic else OTHER_HEART_FAILURE
    day = 0
    if rng.random() < chance:
        day = max(course.last, followed // 3) + rng.randint(*DELAY)
        kind = rng.choice(HEART_FAILURE)
        visits = {day: [kind]}
        if rng.random() < 0.9:
            visits[day + rng.randint(14, 90)] = [kind]
            onset[kind] = day
        _merge(planned, visits)
    return _Fate(course.order, course.gap, day)


def _plant_cancer(
    age: float,
    followed: int,
    onset: dict[Condition, int],
    planned: dict[int, list[Condition]],
    rng: random.Random,
) -> _Fate:
    mechanism = mechanisms.PANCREATIC_CANCER
    course = plant(mechanism, followed, rng)
    _merge(planned, course.visits)
    day = 0
    if rng.random() < risk(mechanism, course, PANCREATITIS in onset) and age >= 45:
        day = max(course.last, followed // 3) + rng.randint(*DELAY)
        kind = rng.choice(PANCREATIC_CANCER)
        onset[kind] = day
        _merge(planned, {day: [kind]})
    return _Fate(course.order, course.gap, day)


def _merge(planned: dict[int, list[Condition]], visits: dict[int, list[Condition]]) -> None:
    for day, conditions in visits.items():
        planned.setdefault(day, []).extend(conditions)


def _visit_days(followed: int, rng: random.Random) -> Iterator[int]:
    day = 0
    while day <= followed:
        yield day
        day += 2 + int(rng.expovariate(1 / DAYS_BETWEEN_VISITS))


def _date(start: date, day: int) -> Optional[date]:
    return start + timedelta(days=day) if day else None
