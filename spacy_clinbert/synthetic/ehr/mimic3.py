"""Synthetic patients as MIMIC-III: upper-case headers, ICD-9 only.

Visits in ICD-10 are left out. Drugs bear days. Who is over 89 at the first admission was born 300 years before it, as
the release has it: of these the birth is lost. There are a few diagnoses without code or rank, as in the release, and
drugs whose NDC is 0.
"""

from collections.abc import Iterable
from pathlib import Path

from .records import Patient, Visit
from .tables import Rows, csv_tables, traps

HEADERS = {
    "PATIENTS.csv.gz": "ROW_ID SUBJECT_ID GENDER DOB DOD DOD_HOSP DOD_SSN EXPIRE_FLAG",
    "ADMISSIONS.csv.gz": "ROW_ID SUBJECT_ID HADM_ID ADMITTIME DISCHTIME DEATHTIME ADMISSION_TYPE",
    "DIAGNOSES_ICD.csv.gz": "ROW_ID SUBJECT_ID HADM_ID SEQ_NUM ICD9_CODE",
    "PRESCRIPTIONS.csv.gz": "ROW_ID SUBJECT_ID HADM_ID STARTDATE DRUG NDC",
}
NO_CODE, NO_NDC = 0.001, 0.05


def write_mimic3(folder: Path, patients: Iterable[Patient]) -> None:
    """Write the tables of `HEADERS`.

    folder (Path): an existing folder; patients (Iterable[Patient]): as `make_patient` gives them.
    """
    with csv_tables(folder, HEADERS) as tables:
        people, admissions, diagnoses, drugs = (_Numbered(tables[name]) for name in HEADERS)
        for patient in patients:
            rng = traps("mimic3", patient)
            visits = [visit for visit in patient.visits if visit.version == 9]
            death = patient.death or ""
            people.add(patient.number, patient.sex, _birth(patient, visits), death, "", "", int(bool(death)))
            for visit in visits:
                ids = patient.number, visit.number
                kind = "EMERGENCY" if visit.inpatient else "ELECTIVE"
                admissions.add(*ids, visit.admit, visit.discharge, "", kind)
                for rank, code in enumerate(visit.codes, 1):
                    diagnoses.add(*ids, rank, code)
                if rng.random() < NO_CODE:
                    diagnoses.add(*ids, "", "")
                for given in visit.drugs:
                    ndc = "0" if rng.random() < NO_NDC else given.drug.ndc
                    drugs.add(*ids, f"{given.time.date()} 00:00:00", given.drug.name, ndc)


def _birth(patient: Patient, visits: list[Visit]) -> str:
    first = visits[0].admit.date() if visits else patient.birth
    # Exactly to the day, as far as there is such a day.
    if (first - patient.birth).days / 365.25 > 89:
        return f"{first.replace(year=first.year - 300, day=min(first.day, 28))} 00:00:00"
    return f"{patient.birth} 00:00:00"


class _Numbered:
    """A table whose rows are numbered."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.count = 0

    def add(self, *cells: object) -> None:
        """Write a row."""
        self.count += 1
        self.rows.writerow((self.count, *cells))
