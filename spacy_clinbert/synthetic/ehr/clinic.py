"""What happens at a synthetic patient's visits: codes, drugs and measurements."""

import random
from collections.abc import Iterator
from datetime import date, datetime, timedelta

from .conditions import (
    A1C,
    ACUTE,
    ATORVASTATIN,
    CHRONIC,
    FUROSEMIDE,
    INSULIN,
    KIDNEY_DISEASE,
    LISINOPRIL,
    METFORMIN,
    NT_PRO_BNP,
    OTHER_DIABETES,
    TYPE_2,
    Condition,
)
from .records import Given, Measured, Visit

# DE-SynPUF has room for as many in a claim.
MOST_CODES = 10
INPATIENT, PLANTED_INPATIENT = 0.2, 0.5
STAY_DAYS, ILL_STAY_DAYS = 3.5, 7
# How often a condition that stays is coded at a later visit, and a drug or measurement of one noted.
RECODED, NOTED = 0.55, 0.4
_HYPERTENSION, _LIPIDS = list(CHRONIC)[:2]
_ACUTE, _WEIGHTS = list(ACUTE), list(ACUTE.values())


class Clinic:
    """Makes a patient's visits.

    number (int): of the patient; start (date): day 0.
    onset (dict[Condition, int]): the days from which on conditions that stay are coded, now and then.
    failing (int): the day from which on the heart fails, 0 for none; diabetic (bool): of which type ever.
    rng (random.Random): the patient's.
    """

    def __init__(
        self,
        number: int,
        start: date,
        onset: dict[Condition, int],
        failing: int,
        diabetic: bool,
        rng: random.Random,
    ) -> None:
        self.number = number
        self.start = datetime(start.year, start.month, start.day)
        # In the order in which they came, so that the codes that were first are kept where there are too many.
        self.onset = dict(sorted(onset.items(), key=lambda item: item[1]))
        self.failing = failing
        self.diabetic = diabetic
        self.rng = rng
        self.coded: set[Condition] = set()

    def visit(self, place: int, day: int, planned: list[Condition], version: int, free: int) -> Visit:
        """Make the visit of a day.

        place (int): its place among the patient's; day (int): the day.
        planned (list[Condition]): what is coded first; version (int): of ICD; free (int): days until the next visit.
        RETURNS (Visit): the visit.
        """
        rng = self.rng
        found = dict.fromkeys(planned)
        found.update(dict.fromkeys(rng.choices(_ACUTE, _WEIGHTS, k=1 + (rng.random() < 0.5))))
        for condition, first in self.onset.items():
            # At the first visit after its onset it is always coded.
            if first <= day and (rng.random() < RECODED or condition not in self.coded):
                found[condition] = None
        conditions = list(found)[:MOST_CODES]
        self.coded.update(conditions)
        inpatient = rng.random() < (PLANTED_INPATIENT if planned else INPATIENT)
        admit = self.start + timedelta(days=day, minutes=rng.randrange(7 * 60, 15 * 60))
        stay = int(rng.expovariate(1 / (ILL_STAY_DAYS if planned else STAY_DAYS))) + 1
        if inpatient and free > 1:
            discharge = self.start + timedelta(days=day + min(stay, free - 1), minutes=rng.randrange(10 * 60, 18 * 60))
        else:
            discharge = admit + timedelta(minutes=rng.randrange(30, 8 * 60))
        codes = [each.icd9 if version == 9 else each.icd10 for each in conditions]
        drugs, tests = list(self._drugs(day, admit)), list(self._tests(day, admit))
        return Visit(self.number * 1000 + place, admit, discharge, inpatient, version, codes, drugs, tests)

    def _drugs(self, day: int, admit: datetime) -> Iterator[Given]:
        of_condition = {_HYPERTENSION: LISINOPRIL, _LIPIDS: ATORVASTATIN}
        wanted = [drug for condition, drug in of_condition.items() if self.onset.get(condition, day + 1) <= day]
        if self.diabetic and any(self.onset.get(each, day + 1) <= day for each in (*TYPE_2, *OTHER_DIABETES.values())):
            wanted += [METFORMIN, INSULIN]
        if self.failing and self.failing <= day:
            wanted += [FUROSEMIDE, FUROSEMIDE]
        elif KIDNEY_DISEASE in self.coded and self.rng.random() < 0.1:
            wanted.append(FUROSEMIDE)
        for drug in dict.fromkeys(drug for drug in wanted if self.rng.random() < NOTED):
            yield Given(drug, admit + timedelta(minutes=self.rng.randrange(5, 29)))

    def _tests(self, day: int, admit: datetime) -> Iterator[Measured]:
        rng = self.rng
        if rng.random() < (NOTED if self.diabetic else 0.05):
            value = round(rng.gauss(7.6, 1.1) if self.diabetic else rng.gauss(5.4, 0.3), 1)
            yield Measured(A1C, admit + timedelta(minutes=rng.randrange(5, 29)), value)
        failing = 0 < self.failing <= day
        if rng.random() < (NOTED if failing else 0.03):
            value = float(round(max(320.0, rng.gauss(2400, 900)) if failing else rng.uniform(20, 250)))
            yield Measured(NT_PRO_BNP, admit + timedelta(minutes=rng.randrange(5, 29)), value)
