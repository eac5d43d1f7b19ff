"""MIMIC-IV, folder `hosp`: ICD-9 and ICD-10, told apart by `icd_version` (https://mimic.mit.edu/docs/iv/modules/hosp/).

There are no dates of birth: `anchor_age` is the age in `anchor_year`, 91 for all over 89, so the birth is 1 January of
the year that these give.
"""

from pathlib import Path

import polars as pl

from .cells import COUNT, TIME, day_of
from .forms import Form, Joined, Systems, Tables
from .mimic import SYSTEMS, diagnoses_have, icd_columns, join_mimic, scan_mimic
from .tables import Column
from .visits import person_rows, sex

PATIENTS = {
    "subject_id": Column("subject_id"),
    "gender": Column("gender"),
    "anchor_age": Column("anchor_age", COUNT),
    "anchor_year": Column("anchor_year", COUNT),
    "death": Column("dod", TIME),
}


def _recognises(source: Path) -> bool:
    return diagnoses_have(source, "icd_code", "icd_version")


def _scan(source: Path, systems: Systems) -> Tables:
    return scan_mimic(source, systems, PATIENTS, icd_columns("icd_code", "icd_version"))


def _join(tables: Tables, systems: Systems) -> Joined:
    birth = day_of(pl.col("anchor_year") - pl.col("anchor_age"), pl.lit(1), pl.lit(1))
    patients = person_rows(tables["patients"], birth=birth, sex=sex("gender"), death=pl.col("death"))
    return Joined(join_mimic(tables, systems), patients)


FORM = Form(
    "mimic4",
    "a folder, perhaps hosp, with admissions, patients and diagnoses_icd with icd_version",
    SYSTEMS,
    _recognises,
    _scan,
    _join,
)
