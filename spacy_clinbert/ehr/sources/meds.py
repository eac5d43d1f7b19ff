"""MEDS 0.4 and 0.3: `data/**/*.parquet` with subject_id, time, code, numeric_value (https://medical-event-data-standard.github.io).

Tolerant of what is nearly MEDS: any unit of time, any width of number, further columns, DOB and DOD for MEDS_BIRTH and
MEDS_DEATH.

Systems and codes are those that a code names: `DIAGNOSIS//ICD//10//I509`, `ICD10CM/I50.9`, `LAB//50852//%` (system
LAB). Of bare codes, one with the shape of ICD-10 is taken for that; any other is of the system MEDS. A source with a
code such as `DE10` is in the Danish SKS: there D is put before ICD-10, M before ATC.

Visits: the column hadm_id (or visit_id, visit_occurrence_id, encounter_id) names them, and their first ADMISSION and
last DISCHARGE bound them; where there are neither, their first and last event. Without such a column, a stay is from
the first ADMISSION after a DISCHARGE to the next DISCHARGE; an ADMISSION that none follows makes none. Events outside
visits stand at their own time. Rows without time describe the patient and are no events; births and deaths are none
either. There is no rank: the order of rows means nothing.
"""

from pathlib import Path

import polars as pl

from ...errors import ClinbertError
from ..normalise import Coded, normalise, possible_systems, split_code
from ..schemas import DIAGNOSES, ICD10
from .cells import NUMBER, TEXT, TIME
from .forms import Form, Joined, Systems, Tables, only, reading
from .tables import Column, Columns, column_names, scan_table
from .visits import code_rows, dated, person_rows, sex

MEDS = "MEDS"
COLUMNS: Columns = {
    "subject_id": Column("subject_id patient_id"),
    "time": Column("time", TIME),
    "code": Column("code", TEXT),
    "value": Column("numeric_value", NUMBER, needed=False),
    "visit_id": Column("hadm_id visit_id visit_occurrence_id encounter_id", needed=False),
}
ADMISSION = r"^(HOSPITAL_)?ADMISSION(//|$)"
DISCHARGE = r"^(HOSPITAL_)?DISCHARGE(//|$)"
BIRTH = r"^(MEDS_BIRTH|DOB)(//|$)"
DEATH = r"^(MEDS_DEATH|DOD)(//|$)"
SEX = r"(?i)^(?:GENDER|SEX)//?([FM])"
# Rows that are looked at for codes of the SKS.
SKS_ROWS = 200_000


def _recognises(source: Path) -> bool:
    files = _files(source)
    names = set(column_names(files[0])) if files else set()
    return {"time", "code"} <= names and not names.isdisjoint(COLUMNS["subject_id"].names.split())


def _files(source: Path) -> list[Path]:
    return sorted((source / "data").glob("**/*.parquet"))


def _scan(source: Path, systems: Systems) -> Tables:
    files = _files(source)
    if not files:
        raise ClinbertError(f"{source} has no data/**/*.parquet: give the folder of a MEDS data set")
    folder = source / "data"
    scans = [scan_table(path, COLUMNS).with_columns(file=pl.lit(str(path.relative_to(folder)))) for path in files]
    table = pl.concat(scans).with_columns(text=_of_sks("code") if _is_danish(files[0]) else pl.col("code"))
    visits = set(COLUMNS["visit_id"].names.split())
    named = any(not visits.isdisjoint(column_names(path)) for path in files)
    return {"data": table if named else table.drop("visit_id")}


def _is_danish(path: Path) -> bool:
    head = scan_table(path, COLUMNS).head(SKS_ROWS).select(pl.col("code").str.contains(r"^D[A-Z]\d").any())
    with reading():
        return bool(head.collect().item())


def _of_sks(code: str) -> pl.Expr:
    """Put systems for the letters before bare codes: DE10 is E10 of ICD-10, MA10BA02 is A10BA02 of ATC."""
    bare = r"([A-Z]{0,2}\d\w*)$"
    return pl.col(code).str.replace(f"^D{bare}", f"{ICD10}//$1").str.replace(f"^M{bare}", "ATC//$1")


def _split(text: str) -> Coded:
    found = split_code(text)
    if found.system is not None:
        return found
    system = ICD10 if ICD10 in possible_systems(text) else MEDS
    return Coded(system, normalise(text, system))


def _join(tables: Tables, systems: Systems) -> Joined:
    data = tables["data"]
    named = "visit_id" in data.collect_schema()
    stays = _named_stays(data) if named else _unnamed_stays(data)
    codes = data if named else data.with_columns(visit_id=pl.lit(None, pl.String()))
    codes = code_rows(codes.filter(~_is(f"{BIRTH}|{DEATH}")), pl.col("text"), None, billed=False, split=_split)
    codes = codes.filter(only(systems) & (pl.col("time").is_not_null() | pl.col("system").is_in(DIAGNOSES)))
    rows = codes.join(stays, on=["subject_id", "visit_id"], how="left") if named else _within(codes, stays)
    return Joined(dated(rows.with_columns(found=pl.lit(True))), _patients(data))


def _is(pattern: str) -> pl.Expr:
    return pl.col("code").str.contains(pattern).fill_null(False)


def _named_stays(data: pl.LazyFrame) -> pl.LazyFrame:
    """The visits that a column names: subject_id, visit_id, admit, discharge."""
    time = pl.col("time")
    bounds = (
        data.filter(pl.col("visit_id").is_not_null())
        .group_by("subject_id", "visit_id")
        .agg(
            admission=time.filter(_is(ADMISSION)).min(),
            left=time.filter(_is(DISCHARGE)).max(),
            first=time.min(),
            last=time.max(),
        )
    )
    # Of a visit that is not over it is not known when its diagnoses will be.
    unbounded = pl.col("admission").is_null() & pl.col("left").is_null()
    return bounds.select(
        "subject_id",
        "visit_id",
        admit=pl.coalesce("admission", "first"),
        discharge=pl.when(unbounded).then("last").otherwise("left"),
    )


def _unnamed_stays(data: pl.LazyFrame) -> pl.LazyFrame:
    """The stays between admissions and discharges, which never overlap: subject_id, admit, discharge."""
    times = data.filter(pl.col("time").is_not_null())
    admissions = times.filter(_is(ADMISSION)).select("subject_id", "time", admit=pl.col("time")).sort("time")
    discharges = times.filter(_is(DISCHARGE)).select("subject_id", "time", discharge=pl.col("time")).sort("time")
    pairs = admissions.join_asof(discharges, on="time", by="subject_id", strategy="forward", check_sortedness=False)
    ended = pairs.filter(pl.col("discharge").is_not_null())
    return ended.group_by("subject_id", "discharge").agg(pl.col("admit").min())


def _within(codes: pl.LazyFrame, stays: pl.LazyFrame) -> pl.LazyFrame:
    """Name for each code the stay in which it lies, by the time of its admission.

    Midnight is what a mere date is stored as: such a code lies in the last stay of its day.
    """
    time = pl.col("time")
    midnight = time == time.dt.truncate("1d")
    codes = codes.with_columns(
        until=pl.when(midnight).then(time.dt.offset_by("1d") - pl.duration(microseconds=1)).otherwise(time)
    )
    joined = codes.sort("until").join_asof(
        stays.sort("admit"),
        left_on="until",
        right_on="admit",
        by="subject_id",
        strategy="backward",
        coalesce=False,
        check_sortedness=False,
    )
    inside = time <= pl.col("discharge")
    return joined.with_columns(visit_id=pl.when(inside).then(pl.col("admit").dt.strftime("%Y-%m-%dT%H:%M:%S")))


def _patients(data: pl.LazyFrame) -> pl.LazyFrame:
    time = pl.col("time")
    found = data.group_by("subject_id", maintain_order=True).agg(
        pl.col("fault").first(),
        birth=time.filter(_is(BIRTH)).min(),
        gender=pl.col("code").str.extract(SEX).drop_nulls().first(),
        death=time.filter(_is(DEATH)).max(),
    )
    return person_rows(found, birth=pl.col("birth").dt.date(), sex=sex("gender"), death=pl.col("death"))


FORM = Form("meds", "a folder with data/**/*.parquet of subject_id, time, code", None, _recognises, _scan, _join)
