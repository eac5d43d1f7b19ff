"""MIMIC-III: ICD-9 throughout (https://mimic.mit.edu/docs/iii/tables/).

Headers are upper case in the full release, lower case in the demo. Who was over 89 at the first admission has a birth
300 years before it; their median age was 91.4 (the documentation of `patients`), so that birth is put 209 years
later and they are 91. All dates of care lie after 2100, all other births after 2000.
"""

from pathlib import Path

import polars as pl

from .cells import DAY, TIME
from .forms import Form, Joined, Systems, Tables
from .mimic import SYSTEMS, diagnoses_have, icd_columns, join_mimic, scan_mimic
from .tables import Column
from .visits import person_rows, sex

PATIENTS = {
    "subject_id": Column("subject_id"),
    "gender": Column("gender"),
    "birth": Column("dob", DAY),
    "death": Column("dod", TIME),
}
_SHIFTED_BEFORE = 2000
_SHIFT_BACK = "209y"


def _recognises(source: Path) -> bool:
    return diagnoses_have(source, "icd9_code")


def _scan(source: Path, systems: Systems) -> Tables:
    tables = dict(scan_mimic(source, systems, PATIENTS, icd_columns("icd9_code", version=None)))
    icd = ("diagnoses_icd", "procedures_icd")
    return {name: table.with_columns(version=pl.lit("9")) if name in icd else table for name, table in tables.items()}


def _join(tables: Tables, systems: Systems) -> Joined:
    birth = pl.col("birth")
    shifted = birth.dt.year() < _SHIFTED_BEFORE
    patients = person_rows(
        tables["patients"],
        birth=pl.when(shifted).then(birth.dt.offset_by(_SHIFT_BACK)).otherwise(birth),
        sex=sex("gender"),
        death=pl.col("death"),
    )
    return Joined(join_mimic(tables, systems), patients)


FORM = Form(
    "mimic3", "a folder with admissions, patients and diagnoses_icd with icd9_code", SYSTEMS, _recognises, _scan, _join
)
