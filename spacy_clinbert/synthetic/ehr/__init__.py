"""Synthetic patients with coded visits, in each form that `spacy_clinbert.ehr.sources` reads.

The same seed gives the same patients in every form: the same (patient, visit, code, available_at), as far as the form
holds them. MIMIC-III and SynPUF hold the visits in ICD-9 only; Med-BERT's table and SynPUF days instead of times;
Med-BERT's table and MEDS 0.3 no ids of visits; OMOP, MEDS, FHIR and Synthea no ranks; Med-BERT's table and SynPUF
neither drugs nor measurements, and MIMIC no measurements here. Of births MIMIC-IV holds the year, roughly.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Dict

from .faults import spoil
from .fhir import write_fhir
from .medbert import write_medbert
from .meds import write_meds, write_meds_03
from .mimic3 import write_mimic3
from .mimic4 import write_mimic4
from .omop import write_omop
from .patients import make_patient
from .records import Patient, Planted
from .synpuf import write_synpuf
from .synthea import write_synthea

# What writes patients into a folder, by form; MEDS twice.
FORMS: Dict[str, Callable[[Path, Iterable[Patient]], None]] = {
    "medbert": write_medbert,
    "mimic3": write_mimic3,
    "mimic4": write_mimic4,
    "omop": write_omop,
    "meds": write_meds,
    "meds_03": write_meds_03,
    "fhir": write_fhir,
    "synpuf": write_synpuf,
    "synthea": write_synthea,
}
# What is planted in each patient; beside the forms, in none of them.
PLANTED = "planted.csv"


def make_patients(count: int, seed: int, faults: float = 0.0) -> Iterator[Patient]:
    """Make patients 1 to `count`.

    count (int): their number; seed (int): same seed, same patients; faults (float): share of visits that get dates
        which cannot be.
    YIELDS (Patient): the patients.
    """
    for number in range(1, count + 1):
        patient = make_patient(number, seed)
        yield spoil(patient, faults) if faults else patient


def write_planted(path: Path, patients: Iterable[Patient]) -> None:
    """Write what is planted in each patient: its number, and the fields of `Planted`; empty where there is nothing."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("subject_id", *Planted._fields))
        for patient in patients:
            cells = ("" if cell is None else str(cell).lower() for cell in patient.planted)
            table.writerow((patient.number, *cells))
