"""The OMOP Common Data Model 5.3 and 5.4 (https://ohdsi.github.io/CommonDataModel/cdm54.html).

A condition is a coded diagnosis where `condition_source_value` holds an ICD code: charted findings are no such codes.
Its version is what CONCEPT says of `condition_source_concept_id` where that table is there; else the shape of the code
tells, and where both versions have that shape, the other codes of the visit do, since a bill is in one version. The
rest, and drugs, procedures, measurements and observations, are of the system OMOP: their code is the standard concept's
id. The model keeps diagnoses that map to no condition (family history, counselling) in the tables of other domains;
these are read where CONCEPT tells them.

`condition_start_date` is not looked at for coded diagnoses: ETLs stamp the visit's start. There is no rank.
"""

from pathlib import Path
from typing import Optional

import polars as pl

from ..normalise import Coded, coded, guess_code, possible_systems
from ..schemas import DIAGNOSES, ICD9, ICD10
from .cells import COUNT, DAY, NUMBER, TEXT, TIME, TYPES, day_of
from .forms import Form, Joined, Systems, Tables, asked
from .tables import Column, Columns, column_names, find_table, need_table, scan_table
from .visits import code_rows, person_rows, put_to_visits, sex, together

OMOP = "OMOP"
VISITS: Columns = {
    "subject_id": Column("person_id"),
    "visit_id": Column("visit_occurrence_id"),
    "admit": Column("visit_start_datetime", TIME, needed=False),
    "admit_date": Column("visit_start_date", TIME),
    "discharge": Column("visit_end_datetime", TIME, needed=False),
    "discharge_date": Column("visit_end_date", TIME),
}
PERSONS: Columns = {
    "subject_id": Column("person_id"),
    "gender": Column("gender_concept_id"),
    "birth": Column("birth_datetime", DAY, needed=False),
    "year": Column("year_of_birth", COUNT),
    "month": Column("month_of_birth", COUNT, needed=False),
    "day": Column("day_of_birth", COUNT, needed=False),
}
DEATHS: Columns = {
    "subject_id": Column("person_id"),
    "death": Column("death_datetime", TIME, needed=False),
    "death_date": Column("death_date", TIME),
}
CONCEPTS: Columns = {"source_concept": Column("concept_id"), "vocabulary": Column("vocabulary_id")}
# Tables that may hold diagnoses, since the model divides source codes by the domain of what they map to: what the names
# of their columns begin with, and those of their times.
EVENT_TABLES = {
    "condition_occurrence": ("condition", "condition_start"),
    "drug_exposure": ("drug", "drug_exposure_start"),
    "procedure_occurrence": ("procedure", "procedure"),
    "measurement": ("measurement", "measurement"),
    "observation": ("observation", "observation"),
}
# Standard concepts of gender, https://athena.ohdsi.org.
FEMALE, MALE = "8532", "8507"
VOCABULARIES = {"ICD9CM": ICD9, "ICD10CM": ICD10, "ICD10": ICD10}
# Both versions have codes of this shape.
EITHER = "ICD"


def _recognises(source: Path) -> bool:
    table = find_table(source, "condition_occurrence")
    return table is not None and "person_id" in column_names(table)


def _scan(source: Path, systems: Systems) -> Tables:
    required: dict[str, Columns] = {"visit_occurrence": VISITS, "person": PERSONS}
    tables = {name: scan_table(need_table(source, name), columns) for name, columns in required.items()}
    if death := find_table(source, "death"):
        tables["death"] = scan_table(death, DEATHS)
    need_table(source, "condition_occurrence")
    vocabulary = _vocabulary(source)
    for name in EVENT_TABLES:
        path = find_table(source, name)
        # Only a vocabulary tells a diagnosis from a procedure or a group: 8154 or 194 can be either.
        if path and (name == "condition_occurrence" or vocabulary is not None or asked(systems, OMOP)):
            tables[name] = _with_vocabulary(scan_table(path, _columns(name)), vocabulary)
            if name != "condition_occurrence" and not asked(systems, OMOP):
                tables[name] = tables[name].filter(pl.col("vocabulary").is_not_null() | pl.col("fault").is_not_null())
    return tables


def _columns(table: str) -> Columns:
    name, start = EVENT_TABLES[table]
    return {
        "subject_id": Column("person_id"),
        "visit_id": Column("visit_occurrence_id", needed=table == "condition_occurrence"),
        "concept": Column(f"{name}_concept_id"),
        "source_value": Column(f"{name}_source_value", TEXT, needed=table == "condition_occurrence"),
        "source_concept": Column(f"{name}_source_concept_id", needed=False),
        "time": Column(f"{start}_datetime", TIME, needed=False),
        "date": Column(f"{start}_date", TIME),
        "value": Column("value_as_number", NUMBER, needed=False),
    }


def _vocabulary(source: Path) -> Optional[pl.LazyFrame]:
    """The concepts of ICD, where there is a table of them."""
    path = find_table(source, "concept")
    if path is None:
        return None
    concepts = scan_table(path, CONCEPTS).filter(pl.col("vocabulary").is_in(list(VOCABULARIES)))
    return concepts.select("source_concept", "vocabulary").unique("source_concept", keep="first")


def _with_vocabulary(table: pl.LazyFrame, vocabulary: Optional[pl.LazyFrame]) -> pl.LazyFrame:
    """Say of each row of which vocabulary its source concept is, null where nothing says so."""
    if vocabulary is None:
        return table.with_columns(vocabulary=pl.lit(None, pl.String()))
    return table.join(vocabulary, on="source_concept", how="left")


def _split(text: str) -> Coded:
    found = guess_code(text)
    if found.system not in DIAGNOSES:
        return Coded(None, found.code)
    return Coded(EITHER, found.code) if len(possible_systems(text)) > 1 else found


def _texts(table: pl.LazyFrame, by_shape: bool) -> pl.LazyFrame:
    """Tell coded diagnoses from the rest: `text` holds system and code.

    A source code that maps to several standard concepts has a row for each: it is one diagnosis.
    """
    system, code = pl.col("_icd").struct.field("system"), pl.col("_icd").struct.field("code")
    said = pl.col("vocabulary").replace_strict(VOCABULARIES, default=None)
    ninth, tenth = ((pl.col("_system") == version).sum().over("subject_id", "visit_id") for version in (ICD9, ICD10))
    either = (
        pl.when(ninth > tenth)
        .then(pl.lit(ICD9))
        .when(tenth > ninth)
        .then(pl.lit(ICD10))
        # As `possible_systems` has it: a V code is likelier of ICD-9, an E code of ICD-10.
        .when(pl.col("_code").str.starts_with("V"))
        .then(pl.lit(ICD9))
        .otherwise(pl.lit(ICD10))
    )
    diagnosis = pl.struct("subject_id", "visit_id", "time", "_system", "_code")
    return (
        table.with_columns(_icd=coded(pl.col("source_value"), _split))
        .with_columns(_system=pl.coalesce(said, system) if by_shape else said, _code=code)
        .with_columns(_system=pl.when(pl.col("_system") == EITHER).then(either).otherwise("_system"))
        .filter(pl.col("_system").is_null() | diagnosis.is_first_distinct())
        .with_columns(
            text=pl.coalesce(
                pl.concat_str("_system", pl.lit("//"), "_code"),
                pl.concat_str(pl.lit(f"{OMOP}//"), pl.col("concept").fill_null("0")),
            )
        )
    )


def _join(tables: Tables, systems: Systems) -> Joined:
    codes = []
    for name in EVENT_TABLES:
        if name in tables:
            table = tables[name].with_columns(time=pl.coalesce("time", "date"))
            table = _texts(table, by_shape=name == "condition_occurrence")
            codes.append(code_rows(table, pl.col("text"), [*DIAGNOSES, OMOP], billed=False))
    visits = tables["visit_occurrence"].with_columns(
        admit=pl.coalesce("admit", "admit_date"), discharge=pl.coalesce("discharge", "discharge_date")
    )
    return Joined(put_to_visits(together(*codes), visits, systems), _patients(tables))


def _patients(tables: Tables) -> pl.LazyFrame:
    year, month, day, first = pl.col("year"), pl.col("month"), pl.col("day"), pl.lit(1)
    # Of a day that there is not, such as 29 February 1950, the month counts; without a month, the year.
    birth = pl.coalesce(day_of(year, month, day), day_of(year, month, first), day_of(year, first, first))
    persons = tables["person"].with_columns(died=pl.lit(None, TYPES[TIME]))
    if "death" in tables:
        deaths = tables["death"].select("subject_id", died=pl.coalesce("death", "death_date"))
        deaths = deaths.unique("subject_id", keep="first")
        persons = tables["person"].join(deaths, on="subject_id", how="left", maintain_order="left")
    return person_rows(
        persons, birth=pl.coalesce("birth", birth), sex=sex("gender", FEMALE, MALE), death=pl.col("died")
    )


FORM = Form(
    "omop",
    "a folder with condition_occurrence, visit_occurrence and person",
    frozenset({*DIAGNOSES, OMOP}),
    _recognises,
    _scan,
    _join,
)
