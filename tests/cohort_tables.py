"""Cohorts of small tables for tests."""

from datetime import datetime
from pathlib import Path
from typing import Any, Iterable, Mapping, Optional

import polars as pl
import pyarrow.parquet as pq
from coded_visits import event, prepared, tables

from spacy_clinbert.ehr.cohort import SplitBy, make_cohort
from spacy_clinbert.ehr.cohort_folder import LABELS, CohortReport
from spacy_clinbert.ehr.cohort_settings import Cohort, read_cohort
from spacy_clinbert.ehr.cohort_tasks import LabelTask, RuleTask
from spacy_clinbert.ehr.prepare_settings import PrepareSettings

SMALL = """
[cohort]
title = "small"
outcome = "outcome"

[paper]
outcome_visits = 1
bias = "much"

[landmark]
visit = 1
horizon_days = 100

[sets]

[sets.outcome]
ICD10CM = "O*"
"""

TOGETHER = SplitBy()


def drug(subject: str, when: str, code: str, visit: Optional[tuple[str, str, str]] = None, system: str = "ATC") -> Any:
    """A drug at its own time, in a visit (id, admission, discharge) or outside."""
    name, admit, discharge = visit or (None, when, when)
    return {
        **event(subject, name, admit, discharge, code),
        "system": system,
        "available_at": datetime.fromisoformat(when),
    }


def small(folder: Path, text: str = SMALL, overrides: Mapping[str, Any] = {}) -> Cohort:
    """A cohort of a config file."""
    path = folder / "small.cfg"
    path.write_text(text)
    return read_cohort(path, overrides)


def make(
    out: Path,
    events: Iterable[dict[str, Any]],
    patients: Iterable[dict[str, Any]] = (),
    *,
    cohort: Optional[Cohort] = None,
    design: Any = "paper",
    labels: Optional[Path] = None,
    systems: Optional[tuple[str, ...]] = None,
    replace: bool = False,
    shares: tuple[int, int, int] = (1, 0, 0),
    split_by: SplitBy = TOGETHER,
) -> CohortReport:
    """Make a cohort of events, by rules or by labels, all codes as inputs."""
    settings = PrepareSettings(min_codes=1, min_count=1, systems=systems, shares=shares)
    if labels is not None:
        return make_cohort(tables(events, patients), LabelTask(labels), out, settings, name="test", replace=replace)
    assert cohort is not None
    task = RuleTask(cohort, design)
    return make_cohort(tables(events, patients), task, out, settings, split_by, name="test", replace=replace)


def inputs(out: Path) -> dict[str, list[str]]:
    """The codes that the sequences of a cohort hold, by patient."""
    return {subject: row["codes"] for subject, row in prepared(out).items()} if (out / "codes.json").exists() else {}


def labels(out: Path) -> dict[Any, tuple[str, bool]]:
    """The labels of a cohort: time (ISO) and value, by patient."""
    rows = pq.read_table(out / LABELS).to_pylist()
    return {row["subject_id"]: (row["prediction_time"].isoformat(" ", "minutes"), row["boolean_value"]) for row in rows}


def write_labels(path: Path, rows: Iterable[tuple[Any, Optional[str], Optional[bool]]]) -> Path:
    """A file of MEDS labels."""
    columns = [(subject, when and datetime.fromisoformat(when), value) for subject, when, value in rows]
    table = pl.DataFrame(columns, ["subject_id", "prediction_time", "boolean_value"], orient="row")
    table.with_columns(pl.col("prediction_time").cast(pl.Datetime("us"))).write_parquet(path)
    return path


def damage(path: Path) -> None:
    """Turn bits behind the head of a file of Parquet; its foot stays whole."""
    content = bytearray(path.read_bytes())
    content[100 : len(content) // 3] = bytes(byte ^ 0x5A for byte in content[100 : len(content) // 3])
    path.write_bytes(content)
