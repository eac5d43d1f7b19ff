"""CMS DE-SynPUF 2008-2010: claims of synthetic Medicare beneficiaries, CSV files out of their zip archives.

`DE1_0_2008_Beneficiary_Summary_File_Sample_1.csv` (one a year), `…Inpatient_Claims…`, `…Outpatient_Claims…` and
`…Carrier_Claims…`, of one or more samples in a folder. A visit is a claim: from its admission, or first service, to its
discharge, or last service; of a claim in two segments the first counts. All codes are ICD-9; the number of the column
is the rank. What a claim says is known after the visit, procedures too. Dates are 20080312. Written from the published
layout (CMS Linkable 2008-2010 Medicare DE-SynPUF User Manual, 2013).
"""

import re
from pathlib import Path

import polars as pl

from ...errors import ClinbertError
from ..schemas import ICD9
from .cells import DAY, TEXT, TIME, TYPES
from .forms import Form, Joined, Systems, Tables, asked
from .tables import SUFFIXES, Column, Columns, column_names, scan_table
from .visits import code_rows, person_rows, put_to_visits, sex, together

BENEFICIARIES: Columns = {
    "subject_id": Column("desynpuf_id"),
    "birth": Column("bene_birth_dt", DAY),
    "death": Column("bene_death_dt", TIME, needed=False),
    "gender": Column("bene_sex_ident_cd"),
}
CLAIMS: Columns = {
    "subject_id": Column("desynpuf_id"),
    "visit_id": Column("clm_id"),
    "admission": Column("clm_admsn_dt", TIME, needed=False),
    "first": Column("clm_from_dt", TIME),
    "discharged": Column("nch_bene_dschrg_dt", TIME, needed=False),
    "last": Column("clm_thru_dt", TIME),
}
# Columns of codes, without their number, and what their codes are.
CODES = {"icd9_dgns_cd_": ICD9, "icd9_prcdr_cd_": "ICD9PROC", "hcpcs_cd_": "HCPCS"}
_FILES = {"beneficiaries": "beneficiary_summary", "inpatient": "inpatient_claims", "outpatient": "outpatient_claims"}
_MORE = {"carrier": "carrier_claims"}
FEMALE, MALE = "2", "1"


def _recognises(source: Path) -> bool:
    return any("desynpuf_id" in column_names(path) for paths in _files(source).values() for path in paths[:1])


def _files(source: Path) -> dict[str, list[Path]]:
    paths = (
        [path for path in sorted(source.iterdir()) if path.name.lower().endswith(SUFFIXES)] if source.is_dir() else []
    )
    kinds = {**_FILES, **_MORE}
    files = {kind: [path for path in paths if part in path.name.lower()] for kind, part in kinds.items()}
    return {kind: paths for kind, paths in files.items() if paths}


def _scan(source: Path, systems: Systems) -> Tables:
    files = _files(source)
    missing = [part for kind, part in _FILES.items() if kind not in files]
    if missing:
        raise ClinbertError(f"{source} has no file with {missing[0]} in its name ({', '.join(SUFFIXES)}): put it there")
    tables = {}
    for kind, paths in files.items():
        scans = (
            scan_table(path, BENEFICIARIES if kind == "beneficiaries" else _claim_columns(path, systems))
            for path in paths
        )
        tables[kind] = pl.concat(scans, how="diagonal")
    return tables


def _claim_columns(path: Path, systems: Systems) -> Columns:
    """The columns of a file of claims, with those of codes that enter."""
    prefixes = [prefix for prefix, system in CODES.items() if asked(systems, system)]
    named = [name for name in column_names(path) if re.sub(r"\d+$", "", name) in prefixes]
    if not any(name.startswith("icd9_dgns_cd_") for name in column_names(path)):
        raise ClinbertError(
            f"{path} has no columns ICD9_DGNS_CD_1 and so on: give a file of claims as CMS publishes it"
        )
    return {**CLAIMS, **{name: Column(name, TEXT) for name in named}}


def _join(tables: Tables, systems: Systems) -> Joined:
    claims = [table for kind, table in tables.items() if kind != "beneficiaries"]
    codes = [
        _codes(table, prefix, system) for table in claims for prefix, system in CODES.items() if asked(systems, system)
    ]
    visits = pl.concat(
        table.select(
            "subject_id",
            "visit_id",
            admit=pl.coalesce("admission", "first"),
            discharge=pl.coalesce("discharged", "last"),
        )
        for table in claims
    ).unique(["subject_id", "visit_id"], keep="first", maintain_order=True)
    return Joined(put_to_visits(together(*codes), visits, systems), _patients(tables["beneficiaries"]))


def _codes(claims: pl.LazyFrame, prefix: str, system: str) -> pl.LazyFrame:
    """The codes of claims, a row each; empty columns are none."""
    index = ["subject_id", "visit_id", "file", "row", "fault"]
    named = [name for name in claims.collect_schema().names() if name.startswith(prefix)]
    long = claims.select(*index, *named).unpivot(named, index=index, variable_name="place", value_name="code")
    rank = pl.col("place").str.extract(r"(\d+)$").cast(TYPES["count"])
    long = long.filter(pl.col("code").is_not_null()).with_columns(
        rank=rank if system == ICD9 else pl.lit(None, pl.Int32())
    )
    return code_rows(long, pl.concat_str(pl.lit(f"{system}//"), "code"), [system], billed=True)


def _patients(beneficiaries: pl.LazyFrame) -> pl.LazyFrame:
    """A beneficiary has a row for each year; the death stands in the last."""
    years = beneficiaries.filter(pl.col("fault").is_null()).group_by("subject_id", maintain_order=True)
    people = years.agg(pl.col("birth", "gender").drop_nulls().first(), pl.col("death").max(), pl.col("fault").first())
    return person_rows(people, birth=pl.col("birth"), sex=sex("gender", FEMALE, MALE), death=pl.col("death"))


FORM = Form(
    "synpuf",
    "a folder with DE-SynPUF's beneficiary summaries and inpatient and outpatient claims",
    frozenset(CODES.values()),
    _recognises,
    _scan,
    _join,
)
