"""Synthetic patients as Synthea's CSV export, with the column SYSTEM that says which conditions are ICD.

Ids are UUIDs that begin with the patient's number; times are UTC. There are conditions in SNOMED CT beside those in
ICD, and observations whose value is a word.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from .records import Patient
from .tables import csv_tables, traps

HEADERS = {
    "patients.csv": "Id BIRTHDATE DEATHDATE GENDER",
    "encounters.csv": "Id START STOP PATIENT ENCOUNTERCLASS",
    "conditions.csv": "START STOP PATIENT ENCOUNTER SYSTEM CODE DESCRIPTION",
    "medications.csv": "START STOP PATIENT ENCOUNTER CODE DESCRIPTION",
    "observations.csv": "DATE PATIENT ENCOUNTER CATEGORY CODE DESCRIPTION VALUE UNITS TYPE",
}
SYSTEMS = {9: "http://hl7.org/fhir/sid/icd-9-cm", 10: "http://hl7.org/fhir/sid/icd-10-cm"}
SNOMED = "http://snomed.info/sct"
SNOMED_SHARE, WORD_SHARE = 0.2, 0.1


def write_synthea(folder: Path, patients: Iterable[Patient]) -> None:
    """Write the tables of `HEADERS`.

    folder (Path): an existing folder; patients (Iterable[Patient]): as `make_patient` gives them.
    """
    with csv_tables(folder, HEADERS) as tables:
        people, encounters, conditions, medications, observations = tables.values()
        for patient in patients:
            rng = traps("synthea", patient)
            name = make_uuid(patient.number, 0)
            people.writerow((name, patient.birth, patient.death.date() if patient.death else "", patient.sex))
            for visit in patient.visits:
                ids = name, make_uuid(patient.number, visit.number)
                start, stop = _utc(visit.admit), _utc(visit.discharge)
                kind = "inpatient" if visit.inpatient else "ambulatory"
                encounters.writerow((ids[1], start, stop, name, kind))
                for code in visit.codes:
                    conditions.writerow((visit.admit.date(), "", *ids, SYSTEMS[visit.version], code, ""))
                if rng.random() < SNOMED_SHARE:
                    due = "Medication review due (situation)"
                    conditions.writerow((visit.admit.date(), visit.discharge.date(), *ids, SNOMED, "314529007", due))
                for given in visit.drugs:
                    medications.writerow((_utc(given.time), stop, *ids, given.drug.rxnorm, given.drug.name))
                for test, time, value in visit.tests:
                    what = "laboratory", test.loinc, test.name
                    observations.writerow((_utc(time), *ids, *what, value, test.unit, "numeric"))
                if rng.random() < WORD_SHARE:
                    what = "social-history", "72166-2", "Tobacco smoking status"
                    observations.writerow((start, *ids, *what, "Never smoked tobacco (finding)", "", "text"))


def make_uuid(patient: int, visit: int) -> str:
    """An id in the form of a UUID that begins with the patient's number, in decimal digits."""
    return f"{patient:08d}-0000-4000-8000-{visit:012d}"


def _utc(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
