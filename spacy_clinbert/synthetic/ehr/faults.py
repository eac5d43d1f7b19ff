"""Dates that cannot be, as real records have them: for trying what is left out and counted."""

import random
from datetime import datetime, timedelta

from .records import Patient, Visit

# A year is more than any tolerance of a few weeks.
_YEAR = timedelta(days=365)


def spoil(patient: Patient, share: float) -> Patient:
    """Give some visits dates that cannot be: a discharge before the admission, a visit before birth or after death.

    patient (Patient): as `make_patient` gives it; share (float): of all visits.
    RETURNS (Patient): the patient, of whom nothing else is changed.
    """
    rng = random.Random(f"faults {patient.seed} {patient.number}")
    visits = [_spoil(visit, patient, rng) if rng.random() < share else visit for visit in patient.visits]
    return patient._replace(visits=visits)


def _spoil(visit: Visit, patient: Patient, rng: random.Random) -> Visit:
    kinds = ["swapped", "before birth", *(["after death"] if patient.death else [])]
    kind = rng.choice(kinds)
    if kind == "swapped":
        return visit._replace(admit=visit.discharge + timedelta(days=1))
    birth = datetime(patient.birth.year, patient.birth.month, patient.birth.day)
    admit = birth - _YEAR if kind == "before birth" else (patient.death or visit.admit) + _YEAR
    return visit._replace(admit=admit, discharge=admit + (visit.discharge - visit.admit))
