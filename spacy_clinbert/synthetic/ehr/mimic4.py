"""Synthetic patients as MIMIC-IV, folder `hosp`: both versions of ICD, codes padded with blanks.

There are no births, only an age in a year, which is 91 for all over 89: of births the year is kept, and that roughly.
"""

from collections.abc import Iterable
from pathlib import Path

from .records import Patient
from .tables import csv_tables, traps

HEADERS = {
    "hosp/patients.csv.gz": "subject_id gender anchor_age anchor_year anchor_year_group dod",
    "hosp/admissions.csv.gz": "subject_id hadm_id admittime dischtime deathtime admission_type",
    "hosp/diagnoses_icd.csv.gz": "subject_id hadm_id seq_num icd_code icd_version",
    "hosp/prescriptions.csv.gz": "subject_id hadm_id starttime drug ndc",
}
NO_NDC = 0.05


def write_mimic4(folder: Path, patients: Iterable[Patient]) -> None:
    """Write the tables of `HEADERS`.

    folder (Path): an existing folder; patients (Iterable[Patient]): as `make_patient` gives them.
    """
    with csv_tables(folder, HEADERS) as tables:
        people, admissions, diagnoses, drugs = tables.values()
        for patient in patients:
            rng = traps("mimic4", patient)
            year = patient.visits[0].admit.year
            age = year - patient.birth.year
            death = patient.death.date() if patient.death else ""
            people.writerow((patient.number, patient.sex, 91 if age > 89 else age, year, "2014 - 2016", death))
            for visit in patient.visits:
                ids = patient.number, visit.number
                kind = "EW EMER." if visit.inpatient else "AMBULATORY OBSERVATION"
                admissions.writerow((*ids, visit.admit, visit.discharge, "", kind))
                for rank, code in enumerate(visit.codes, 1):
                    diagnoses.writerow((*ids, rank, code.ljust(7), visit.version))
                for given in visit.drugs:
                    ndc = "0" if rng.random() < NO_NDC else given.drug.ndc
                    drugs.writerow((*ids, given.time, given.drug.name, ndc))
