"""Synthetic patients as MEDS 0.4, and as 0.3 in the way of older exports.

0.4 has microseconds, 32-bit numbers, a column `hadm_id`, and drugs and measurements as MIMIC-IV has them. 0.3, written
as pandas leaves it, has nanoseconds, 64-bit numbers and no column of visits: a stay is from an admission to the next
discharge; drugs are in ATC, measurements in LOINC. There are no ranks. Diagnoses bear the time of the discharge, in no
order.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime, time
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Optional

import pyarrow as pa
import pyarrow.parquet as pq

from .records import Patient
from .tables import traps

SHARD = 1000
SPLITS = ("train", "tuning", "held_out")
_SHARED = [("subject_id", pa.int64()), ("time", pa.timestamp("us")), ("code", pa.string())]
SCHEMAS = {
    "0.4": pa.schema([*_SHARED, ("numeric_value", pa.float32()), ("hadm_id", pa.int64())]),
    "0.3": pa.schema([_SHARED[0], ("time", pa.timestamp("ns")), _SHARED[2], ("numeric_value", pa.float64())]),
}


class Row(NamedTuple):
    """A measurement of MEDS; time (Optional[datetime]): None for what does not change."""

    subject_id: int
    time: Optional[datetime]
    code: str
    numeric_value: Optional[float] = None
    hadm_id: Optional[int] = None


def write_meds(folder: Path, patients: Iterable[Patient]) -> None:
    """Write `data` and `metadata` of MEDS 0.4.

    folder (Path): an existing folder; patients (Iterable[Patient]): as `make_patient` gives them.
    """
    _write(folder, patients, "0.4")
    metadata = {"dataset_name": "clinbert-synthetic", "dataset_version": "1", "meds_version": "0.4.0"}
    (folder / "metadata/dataset.json").write_text(json.dumps(metadata) + "\n", encoding="utf-8")


def write_meds_03(folder: Path, patients: Iterable[Patient]) -> None:
    """Write `data` and `metadata` of MEDS 0.3; as `write_meds`."""
    _write(folder, patients, "0.3")


def _write(folder: Path, patients: Iterable[Patient], version: str) -> None:
    splits: dict[str, list] = {"subject_id": [], "split": []}
    counts = dict.fromkeys(SPLITS, 0)
    people = iter(patients)
    while batch := list(islice(people, SHARD)):
        for split in SPLITS:
            mine = [patient for patient in batch if _split(patient) == split]
            if mine:
                _write_shard(folder / f"data/{split}/{counts[split]}.parquet", mine, SCHEMAS[version])
                counts[split] += 1
                splits["subject_id"] += [patient.number for patient in mine]
                splits["split"] += [split] * len(mine)
    (folder / "metadata").mkdir()
    pq.write_table(pa.table(splits), folder / "metadata/subject_splits.parquet")


def _split(patient: Patient) -> str:
    """Of ten patients, one is for tuning and two are held out."""
    return {0: "tuning", 1: "held_out", 2: "held_out"}.get(patient.number % 10, "train")


def _write_shard(path: Path, patients: Iterable[Patient], schema: pa.Schema) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [row for patient in patients for row in _rows(patient, "hadm_id" in schema.names)]
    columns = zip(*rows, strict=True)
    table = dict(zip(Row._fields, columns, strict=True))
    pq.write_table(pa.table({name: table[name] for name in schema.names}, schema), path)


def _rows(patient: Patient, mimic: bool) -> list[Row]:
    """The rows of a patient: what does not change, then all else by time."""
    timed = list(_timed(patient, mimic))
    traps("meds", patient).shuffle(timed)
    return [
        Row(patient.number, None, f"GENDER//{patient.sex}"),
        *sorted(timed, key=lambda row: row.time or datetime.min),
    ]


def _timed(patient: Patient, mimic: bool) -> Iterator[Row]:
    number = patient.number
    yield Row(number, datetime.combine(patient.birth, time()), "MEDS_BIRTH")
    for visit in patient.visits:
        kind = "EW EMER." if visit.inpatient else "AMBULATORY OBSERVATION"
        yield Row(number, visit.admit, f"HOSPITAL_ADMISSION//{kind}", None, visit.number)
        yield Row(number, visit.discharge, "HOSPITAL_DISCHARGE//HOME", None, visit.number)
        for code in visit.codes:
            yield Row(number, visit.discharge, f"DIAGNOSIS//ICD//{visit.version}//{code}", None, visit.number)
        for given in visit.drugs:
            drug = f"MEDICATION//{given.drug.name}//Administered" if mimic else f"ATC//{given.drug.atc}"
            yield Row(number, given.time, drug, None, visit.number)
        for test, when, value in visit.tests:
            code = f"LAB//{test.item}//{test.unit}" if mimic else f"LOINC//{test.loinc}"
            yield Row(number, when, code, value, visit.number)
    if patient.death:
        yield Row(number, patient.death, "MEDS_DEATH")
