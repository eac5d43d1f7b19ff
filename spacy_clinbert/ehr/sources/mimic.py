"""What MIMIC-III and MIMIC-IV share: admissions, and tables of codes that name an admission.

Codes carry no dots and may be padded with blanks. Diagnoses and procedures are billed after discharge, and `seq_num` is
their rank; prescriptions are known from their start.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Optional

import polars as pl

from ..schemas import DIAGNOSES
from .cells import COUNT, TEXT, TIME
from .forms import Systems, Tables, asked
from .tables import Column, Columns, column_names, find_table, need_table, scan_table
from .visits import code_rows, put_to_visits, together

ADMISSIONS: Columns = {
    "subject_id": Column("subject_id"),
    "visit_id": Column("hadm_id"),
    "admit": Column("admittime", TIME),
    "discharge": Column("dischtime", TIME),
}
_VISIT = {"subject_id": Column("subject_id"), "visit_id": Column("hadm_id")}
PRESCRIPTIONS: Columns = {
    **_VISIT,
    "ndc": Column("ndc", TEXT),
    "time": Column("starttime startdate", TIME),
}
PROCEDURES = ("ICD9PROC", "ICD10PCS")
SYSTEMS = frozenset({*DIAGNOSES, *PROCEDURES, "NDC"})


def icd_columns(code: str, version: Optional[str]) -> Columns:
    """The columns of `diagnoses_icd` and `procedures_icd`.

    code (str): name of the column of codes; version (Optional[str]): that of their ICD versions, where there is one.
    """
    columns = {**_VISIT, "code": Column(code, TEXT), "rank": Column("seq_num", COUNT)}
    return {**columns, "version": Column(version)} if version else columns


def tables_folder(source: Path) -> Path:
    """Find the folder of the hospital's tables: MIMIC-IV has it in `hosp`."""
    return source / "hosp" if (source / "hosp").is_dir() else source


def diagnoses_have(source: Path, *names: str) -> bool:
    """Tell whether there is a table `diagnoses_icd` with these columns."""
    table = find_table(tables_folder(source), "diagnoses_icd") if source.is_dir() else None
    return table is not None and set(names) <= set(column_names(table))


def scan_mimic(source: Path, systems: Systems, patients: Columns, icd: Columns) -> Tables:
    """Open the tables of a MIMIC.

    source (Path): its folder; systems (Systems): which code systems enter.
    patients (Columns): the columns of `patients`; icd (Columns): of `icd_columns`.
    RETURNS (Tables): admissions, patients, and the tables of codes that can hold such codes; a table that only other
        systems need may be missing.
    """
    folder = tables_folder(source)
    columns: Mapping[str, Columns] = {"admissions": ADMISSIONS, "patients": patients, "diagnoses_icd": icd}
    tables = {name: scan_table(need_table(folder, name), wanted) for name, wanted in columns.items()}
    others = {"procedures_icd": (icd, PROCEDURES), "prescriptions": (PRESCRIPTIONS, ("NDC",))}
    for name, (wanted, of) in others.items():
        path = find_table(folder, name) if asked(systems, *of) else None
        if path:
            tables[name] = scan_table(path, wanted)
    return tables


class Kind(NamedTuple):
    """How a table of codes is read: what stands before the version, and which systems it may name."""

    prefix: str
    holds: tuple[str, ...]


def join_mimic(tables: Tables, systems: Systems) -> pl.LazyFrame:
    """Put the codes of a MIMIC to their admissions.

    tables (Tables): of `scan_mimic`; those of ICD codes have a `version`; systems (Systems): which code systems enter.
    RETURNS (pl.LazyFrame): as `forms.Joined.rows`.
    """
    kinds = {"diagnoses_icd": Kind("ICD", DIAGNOSES), "procedures_icd": Kind("PROCEDURE//ICD", PROCEDURES)}
    codes = [
        code_rows(
            tables[name],
            pl.concat_str(pl.lit(f"{kind.prefix}//"), pl.col("version").fill_null("?"), pl.lit("//"), "code"),
            kind.holds,
            billed=True,
        )
        for name, kind in kinds.items()
        if name in tables
    ]
    if "prescriptions" in tables:
        # 0 is MIMIC's word for none.
        ndc = pl.when(pl.col("ndc") != "0").then(pl.concat_str(pl.lit("NDC//"), "ndc"))
        codes.append(code_rows(tables["prescriptions"], ndc, ["NDC"], billed=False))
    return put_to_visits(together(*codes), tables["admissions"], systems)
