"""Synthea's CSV export: patients, encounters and conditions (https://github.com/synthetichealth/synthea/wiki).

Conditions are SNOMED CT unless a column SYSTEM says otherwise, so the default systems, ICD, let none of them in: name
SNOMED. Procedures, medications (RXNORM) and observations (LOINC, with their numbers) enter where they are asked for. A
condition is known from the end of its encounter on; times are UTC, as written. There is no rank.
"""

from pathlib import Path
from typing import NamedTuple

import polars as pl

from ...errors import ClinbertError
from ..schemas import DIAGNOSES
from .cells import DAY, NUMBER, TEXT, TIME
from .forms import Form, Joined, Systems, Tables, asked
from .resources import system_prefix
from .tables import Column, Columns, column_names, find_table, need_table, scan_table
from .visits import code_rows, person_rows, put_to_visits, sex, together

PATIENTS: Columns = {
    "subject_id": Column("id"),
    "birth": Column("birthdate", DAY),
    "death": Column("deathdate", TIME),
    "gender": Column("gender"),
}
ENCOUNTERS: Columns = {
    "subject_id": Column("patient"),
    "visit_id": Column("id"),
    "admit": Column("start", TIME),
    "discharge": Column("stop", TIME),
}
CODES: Columns = {
    "subject_id": Column("patient"),
    "visit_id": Column("encounter"),
    "time": Column("start date", TIME),
    "code": Column("code", TEXT),
    "of": Column("system", TEXT, needed=False),
    "value": Column("value", NUMBER, needed=False),
}


class Kind(NamedTuple):
    """Which systems a table of codes holds, the first where it says nothing, and whether it is written afterwards."""

    systems: tuple[str, ...]
    billed: bool


TABLES = {
    "conditions": Kind(("SNOMED", *DIAGNOSES), billed=True),
    "procedures": Kind(("SNOMED",), billed=False),
    "medications": Kind(("RXNORM",), billed=False),
    "observations": Kind(("LOINC",), billed=False),
}


# What there is without a column SYSTEM.
SYSTEMS = ("SNOMED", "RXNORM", "LOINC")


def _recognises(source: Path) -> bool:
    conditions = find_table(source, "conditions")
    return conditions is not None and {"patient", "encounter", "code"} <= set(column_names(conditions))


def _scan(source: Path, systems: Systems) -> Tables:
    required: dict[str, Columns] = {"patients": PATIENTS, "encounters": ENCOUNTERS, "conditions": CODES}
    tables = {name: scan_table(need_table(source, name), columns) for name, columns in required.items()}
    if "system" not in column_names(need_table(source, "conditions")) and not asked(systems, *SYSTEMS):
        raise ClinbertError(f"{source} has no codes of {' or '.join(sorted(systems or ()))}: name {', '.join(SYSTEMS)}")
    for name, kind in TABLES.items():
        path = find_table(source, name) if asked(systems, *kind.systems) and name not in tables else None
        if path:
            tables[name] = scan_table(path, CODES)
    return tables


def _join(tables: Tables, systems: Systems) -> Joined:
    codes = [_codes(tables[name], kind) for name, kind in TABLES.items() if name in tables]
    patients = person_rows(tables["patients"], birth=pl.col("birth"), sex=sex("gender"), death=pl.col("death"))
    return Joined(put_to_visits(together(*codes), tables["encounters"], systems), patients)


def _codes(table: pl.LazyFrame, kind: Kind) -> pl.LazyFrame:
    of = pl.col("of").map_elements(system_prefix, return_dtype=pl.String).fill_null(f"{kind.systems[0]}//")
    return code_rows(table, pl.concat_str(of, "code"), kind.systems, kind.billed)


FORM = Form(
    "synthea",
    "a folder with patients, encounters and conditions",
    frozenset(system for kind in TABLES.values() for system in kind.systems),
    _recognises,
    _scan,
    _join,
)
