"""FHIR resources, one a line (`.ndjson`, `.ndjson.gz`): Condition, Encounter and Patient (https://hl7.org/fhir/R4/).

A file's resource type is that of its first resource, whatever the file is called. Ids are those of the resources;
MIMIC-IV on FHIR keeps MIMIC's own in `identifier`, and then these are taken. Times are those of the clock on the wall:
zones are left off. A time without a day is none. What was refuted, not done or entered in error is rejected, and so is
a Condition without encounter and recorded date, since it was not known at its onset. There is no rank. Procedures,
medication requests and observations enter where their code systems are asked for.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Optional

import polars as pl

from ...errors import ClinbertError
from ..schemas import DIAGNOSES
from .cells import DAY, NUMBER, TEXT, TIME
from .forms import Form, Joined, Systems, Tables
from .resources import TIMES, code_rows_of, encounter_rows, patient_rows
from .tables import Column, Columns, readable, stream
from .visits import ROWS, code_rows, person_rows, put_to_visits, sex, together

BATCH = 20_000
# In how many lines of a file its first resource must stand.
LINES = 100
CODES: Columns = {
    "subject_id": Column("subject"),
    "visit_id": Column("encounter"),
    "text": Column("code", TEXT),
    "time": Column("time", TIME),
    "value": Column("value", NUMBER),
    "trouble": Column("trouble", TEXT),
}
ENCOUNTERS: Columns = {
    "subject_id": Column("subject"),
    "visit_id": Column("id"),
    "own_visit": Column("identifier"),
    "admit": Column("start", TIME),
    "discharge": Column("end", TIME),
}
PATIENTS: Columns = {
    "subject_id": Column("id"),
    "own": Column("identifier"),
    "birth": Column("birthDate", DAY),
    "gender": Column("gender"),
    "death": Column("deceasedDateTime", TIME),
}
_NEEDED = ("Condition", "Encounter", "Patient")


def _recognises(source: Path) -> bool:
    return source.is_dir() and "Condition" in _files(source)


def _files(source: Path) -> dict[str, list[Path]]:
    """The files of each type of resource, "" for what is none; empty files are left out."""
    files: dict[str, list[Path]] = {}
    for path in sorted(source.iterdir()):
        if path.name.lower().endswith((".ndjson", ".ndjson.gz")):
            kind = _kind(path)
            if kind is not None:
                files.setdefault(kind, []).append(path)
    return files


def _kind(path: Path) -> Optional[str]:
    """The type of a file's first resource, "" where none of the first lines is one; None for an empty file."""
    kind = None
    for line in islice(_lines(path), LINES):
        resource = _parse(line)
        kind = str(resource.get("resourceType") or "") if isinstance(resource, dict) else ""
        if kind:
            break
    return kind


def _scan(source: Path, systems: Systems) -> Tables:
    files = _files(source) if source.is_dir() else {}
    if "" in files:
        raise ClinbertError(
            f"{files[''][0]} does not begin with FHIR resources, one a line: copy it again, or remove it"
        )
    missing = [kind for kind in _NEEDED if kind not in files]
    if missing:
        raise ClinbertError(f"{source} has no file of {missing[0]} resources (.ndjson or .ndjson.gz): put it there")
    diagnoses_only = systems is not None and systems <= set(DIAGNOSES)
    kinds = _NEEDED if diagnoses_only else (*_NEEDED, *TIMES)
    others: dict[str, tuple[Columns, Callable[[dict[str, Any]], Iterator[dict[str, Any]]]]] = {
        "Encounter": (ENCOUNTERS, encounter_rows),
        "Patient": (PATIENTS, patient_rows),
    }
    tables = {}
    for kind in dict.fromkeys(kind for kind in kinds if kind in files):
        columns, make_rows = others.get(kind, (CODES, code_rows_of))
        tables[kind] = pl.concat(_scan_file(path, kind, columns, make_rows) for path in files[kind])
    # At once, so that all tables, and labels from elsewhere, are divided by the same ids.
    known = tables["Patient"].filter(pl.col("own").is_not_null())
    own_ids = known.select("subject_id", own_id=pl.col("own")).unique("subject_id", keep="first")
    return {
        kind: table.join(own_ids, on="subject_id", how="left", maintain_order="left")
        .with_columns(subject_id=pl.coalesce("own_id", "subject_id"))
        .drop("own_id")
        for kind, table in tables.items()
    }


def _scan_file(
    path: Path, kind: str, columns: Columns, make_rows: Callable[[dict[str, Any]], Iterator[dict[str, Any]]]
) -> pl.LazyFrame:
    schema = {
        **{name: pl.Float64 if column.kind == NUMBER else pl.String for name, column in columns.items()},
        "row": pl.Int64,
        "fault": pl.String,
    }

    def batches() -> Iterator[pl.DataFrame]:
        rows: list[dict[str, Any]] = []
        for number, line in enumerate(_lines(path), 1):
            resource = _resource(line, kind)
            if isinstance(resource, str):
                rows.append({"row": number, "fault": resource})
            else:
                rows.extend({**row, "row": number} for row in make_rows(resource))
            if len(rows) >= BATCH:
                yield pl.DataFrame(rows, schema, orient="row")
                rows = []
        yield pl.DataFrame(rows, schema, orient="row")

    return stream(batches, columns, path.name)


def _lines(path: Path) -> Iterator[bytes]:
    with readable(path), gzip.open(path, "rb") if path.name.lower().endswith(".gz") else path.open("rb") as lines:
        for line in lines:
            if line.strip():
                yield line.removeprefix(b"\xef\xbb\xbf")


def _parse(line: bytes) -> Any:
    """What a line of JSON holds; None where it is none."""
    try:
        # As a float, since a whole number may have any size.
        found = json.loads(line, parse_int=float)
        if b"\\ud" in line.lower():
            # Half a pair of surrogates is no letter.
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return found


def _resource(line: bytes, kind: str) -> Any:
    """The resource of a line, or why it is none."""
    resource = _parse(line)
    if resource is None:
        return "it is not JSON"
    return resource if isinstance(resource, dict) and resource.get("resourceType") == kind else f"it is no {kind}"


def _join(tables: Tables, systems: Systems) -> Joined:
    codes = (
        code_rows(tables[kind], pl.col("text"), None, billed=kind == "Condition") for kind in TIMES if kind in tables
    )
    encounters, patients = tables["Encounter"], tables["Patient"]
    own_visits = encounters.select("visit_id", "own_visit").unique("visit_id", keep="first")
    rows = (
        put_to_visits(together(*codes), encounters, systems)
        .join(own_visits, on="visit_id", how="left")
        .with_columns(visit_id=pl.coalesce("own_visit", "visit_id"))
        .select(ROWS)
    )
    persons = person_rows(patients, birth=pl.col("birth"), sex=sex("gender"), death=pl.col("death"))
    return Joined(rows, persons)


FORM = Form("fhir", "a folder of .ndjson files with Condition, Encounter and Patient", None, _recognises, _scan, _join)
