"""A cohort of a source: who is in it, when to predict, whether the outcome came, and what was known until then.

As in `prepare`, the tables of the source are divided by patient into buckets on disk, and the rules are asked portion
by portion: memory does not grow with the number of patients. All events are met once before, since some rules hold only
where the source has such codes.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Optional, TextIO

import numpy as np
import polars as pl
from tqdm import tqdm

from ..errors import ClinbertError
from .buckets import Buckets, Portion, portions
from .cohort_flow import Step, add_flows, flow_table
from .cohort_folder import COHORT, FLOW, LABELS, CohortReport, find_cohort, new_cohort, versions
from .cohort_rules import find_inputs
from .cohort_sets import SetMarker
from .cohort_settings import Paper
from .cohort_tasks import RuleTask, Task
from .cohort_visits import make_record
from .ehr_manifest import CODES, REJECTED, EhrManifest, checksum
from .event_tables import EventTables, Preparable
from .labels import write_labels
from .prepare import Extras, prepare, vocabulary_of
from .prepare_settings import PrepareSettings
from .prepared_folder import work_folder
from .schemas import EVENTS
from .sources import REJECTED as REJECTED_ROW
from .sources import reading
from .split import name_rule


@dataclass(frozen=True)
class SplitBy:
    """How the patients of a cohort are divided, and numbered: as in pretraining.

    splits (Path | None): a file of splits in the place of the hash.
    like (Path | None): the prepared patients of the encoder, whose vocabulary is taken.
    """

    splits: Optional[Path] = None
    like: Optional[Path] = None


def make_cohort(
    source: Preparable,
    task: Task,
    out: Path,
    settings: PrepareSettings,
    split_by: SplitBy = SplitBy(),
    *,
    name: str = "",
    replace: bool = False,
) -> CohortReport:
    """Make a cohort; where it was made before with the same settings, check it and leave it.

    source (Preparable): coded visits, of `read_events` or as `EventTables`.
    task (Task): what to predict, of `read_task`.
    out (Path): folder for labels.parquet, flow.csv, cohort.json, rejected.jsonl, and, unless nobody is in the cohort,
        the sequences of what was known, as `prepare` writes them, with the label as a column.
    settings (PrepareSettings): how visits become sequences; best those of pretraining.
    split_by (SplitBy): how patients are divided.
    name (str): the name of the source; replace (bool): replace another cohort.
    RETURNS (CohortReport): what `out` holds.
    RAISES (ClinbertError): if the source cannot be read, splits conflict, or `out` holds anything else. Then nothing is
        written.
    """
    rule = name_rule(settings.shares, split_by.splits)
    if split_by.like:
        # A conflict is told before all the work.
        vocabulary_of(split_by.like, rule)
    plan: Dict[str, Any] = {
        "source": name,
        "task": json.loads(json.dumps(task.describe())),
        "settings": settings.model_dump(mode="json"),
        "splits": rule,
        "vocabulary": checksum(split_by.like / CODES) if split_by.like else "",
        "versions": versions(),
    }
    find_cohort(out, plan, replace)
    with work_folder(out) as work:
        finding = _Finding(source, task, settings, work)
        plan["checksum"] = finding.fill()
        if earlier := find_cohort(out, plan, replace):
            return earlier
        with new_cohort(out) as folder:
            with (folder / REJECTED).open("w", encoding="utf-8") as rejected:
                steps = finding.find_all(rejected)
            numbers = write_labels(finding.parts("labels"), folder / LABELS)
            flow_table(steps).write_csv(folder / FLOW)
            patients, cases = steps[-1].left, steps[-1].cases or 0
            if patients:
                cohort_sequences(finding, folder, settings, split_by, name)
            chosen = task.chosen if isinstance(task, RuleTask) else None
            bias = chosen.bias if isinstance(chosen, Paper) else ""
            report = CohortReport(
                title=task.title,
                plan=plan,
                label=task.label,
                patients=patients,
                cases=cases,
                prevalence=None if bias or not patients else cases / patients,
                bias=bias,
                ids="int64" if numbers else "string",
                flow=[vars(step) for step in steps],
                files={file: checksum(folder / file) for file in (LABELS, FLOW)},
            )
            (folder / COHORT).write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return report


def cohort_sequences(
    finding: "_Finding", folder: Path, settings: PrepareSettings, split_by: SplitBy, name: str
) -> EhrManifest:
    """Write the sequences of what was known of a cohort's patients, with their labels, into its folder."""
    inputs = pl.scan_parquet(finding.parts("inputs"))
    patients = pl.scan_parquet(finding.parts("patients"))
    labels = pl.scan_parquet(finding.parts("labels")).select(
        "subject_id", pl.col("boolean_value").alias(finding.task.label)
    )
    extras = Extras(labels=labels, splits=split_by.splits, like=split_by.like)
    # Who is in the cohort was decided before, and what enters: perhaps no code of some system.
    chosen = settings.model_copy(update={"min_codes": 1, "systems": None})
    made = folder / "sequences"
    manifest = prepare(EventTables(inputs, patients), made, chosen, extras, name=name)
    with (folder / REJECTED).open("a", encoding="utf-8") as rejected:
        rejected.write((made / REJECTED).read_text(encoding="utf-8"))
    (made / REJECTED).unlink()
    for path in made.iterdir():
        path.rename(folder / path.name)
    made.rmdir()
    return manifest


@dataclass
class _Finding:
    """The search for the patients of a cohort, and where on disk it has got to."""

    source: Preparable
    task: Task
    settings: PrepareSettings
    work: Path
    buckets: Dict[str, Buckets] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)

    def fill(self) -> str:
        """Divide all tables by patient; give a checksum of them."""
        with reading():
            for name, table in self._tables().items():
                self.buckets[name] = Buckets(self.work / f"source {name}").fill(table)
        if self.task.labels is not None:
            try:
                self.buckets[""] = Buckets(self.work / "labels").fill(self.task.labels)
            except pl.exceptions.PolarsError:
                raise ClinbertError(f"the labels {self.task.title} are damaged: copy them again, whole") from None
        return " ".join(f"{table.digest:016x}" for table in self.buckets.values())

    def _tables(self) -> Mapping[str, pl.LazyFrame]:
        # For sequences EventTables leave out what cohorts need.
        if isinstance(self.source, EventTables):
            return {"events": self.source.events, "patients": self.source.patients}
        return self.source.tables

    def parts(self, kind: str) -> list[Path]:
        """The files of a kind, one for each portion: events, patients, given, labels or inputs."""
        return [self._path(kind, number) for number in self.numbers]

    def _path(self, kind: str, number: int) -> Path:
        return self.work / f"{kind}-{number:06d}.parquet"

    def _write(self, kind: str, number: int, table: pl.DataFrame) -> None:
        table.write_parquet(self._path(kind, number), compression="lz4")

    def find_all(self, rejected: TextIO) -> list[Step]:
        """Ask the rules of all patients; list what is left out."""
        marker = self.task.marker()
        total = np.sum([table.rows for table in self.buckets.values()], axis=0)
        for number, portion in enumerate(_progress(list(portions(total)), "reading")):
            self._meet(number, portion, marker, rejected)
            self.numbers.append(number)
        return add_flows(self._find(number, marker, rejected) for number in _progress(self.numbers, "asking the rules"))

    def _meet(self, number: int, portion: Portion, marker: SetMarker, rejected: TextIO) -> None:
        """Put the tables of a portion together, and mark its events."""
        tables = {name: table.read(portion) for name, table in self.buckets.items()}
        given = tables.pop("", pl.DataFrame(schema={"subject_id": pl.String}))
        with reading():
            part = self.source.over({name: table.lazy() for name, table in tables.items()})
            rows, patients, faults = part.rows.collect(), part.patients.collect(), part.faults.collect()
        bad = pl.concat([faults, rows.filter(pl.col("reason").is_not_null()).select(REJECTED_ROW.names())])
        rejected.write(bad.sort(bad.columns).write_ndjson())
        good = rows.filter(pl.col("reason").is_null()).select(EVENTS.names())
        self._write("events", number, marker.mark(good))
        self._write("patients", number, patients.sort("subject_id"))
        self._write("given", number, given)

    def _find(self, number: int, marker: SetMarker, rejected: TextIO) -> list[Step]:
        events, patients, given = (pl.read_parquet(self._path(k, number)) for k in ("events", "patients", "given"))
        record = make_record(events, patients, self.task.visit_systems, self.settings)
        flow = self.task.find(record, marker, None if self.task.labels is None else given)
        self._write("inputs", number, find_inputs(record, flow, self.settings.systems))
        for listed in (record.rejected, *flow.left_out):
            rejected.write(listed.sort(listed.columns).write_ndjson())
        labels = flow.people.sort("subject_id").select("subject_id", "prediction_time", boolean_value="label")
        self._write("labels", number, labels)
        return flow.steps


def _progress(items: list[Any], what: str) -> Iterator[Any]:
    yield from tqdm(items, desc=what, unit=" portions", disable=None)
