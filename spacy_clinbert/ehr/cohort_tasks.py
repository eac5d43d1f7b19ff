"""What a cohort can be made of: our config files, labels in the form of MEDS, or a task of ACES."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, Dict, FrozenSet, Mapping, Optional, Protocol

import polars as pl

from ..errors import ClinbertError
from .cohort_flow import Flow
from .cohort_rules import apply_rules, telling_sets
from .cohort_sets import SetMarker
from .cohort_settings import Cohort, Design, cohort_names, read_cohort
from .cohort_visits import Record
from .labels import read_labels
from .schemas import DIAGNOSES, SYSTEMS

# The label of a task from elsewhere.
LABEL = "boolean_value"


class Task(Protocol):
    """What to predict, of whom and when.

    title, label (str): in words; the name of the label.
    systems (frozenset[str] | None): the code systems that it looks at, None for all.
    visit_systems (Collection[str]): those whose codes make a visit.
    labels (pl.LazyFrame | None): subject_id and more, which come with the source.
    """

    @property
    def title(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def systems(self) -> Optional[FrozenSet[str]]: ...
    @property
    def visit_systems(self) -> Collection[str]: ...
    @property
    def labels(self) -> Optional[pl.LazyFrame]: ...
    def describe(self) -> Dict[str, Any]:
        """Settings, equal for equal tasks; what else is worth saying."""

    def marker(self) -> SetMarker:
        """What marks the events."""

    def find(self, record: Record, marker: SetMarker, labels: Optional[pl.DataFrame]) -> Flow:
        """Find the patients.

        record (Record): of some patients; marker (SetMarker): which has met all events of the source.
        labels (pl.DataFrame | None): of these patients.
        RETURNS (Flow): with the patients of the cohort, and of each what `cohort_index` says.
        """


class RuleTask:
    """A cohort of a config file in one of its designs."""

    labels: Optional[pl.LazyFrame] = None

    def __init__(self, cohort: Cohort, design: Design) -> None:
        self.cohort, self.design = cohort, design
        self.chosen = cohort.design(design)
        self.title = f"{cohort.cohort.title}, {design}"
        self.label = cohort.cohort.outcome
        self.visit_systems: Collection[str] = cohort.cohort.visit_systems
        named = {system for code_set in cohort.sets.values() for system in code_set.codes}
        self.systems: Optional[FrozenSet[str]] = frozenset(named).union(self.visit_systems)

    def describe(self) -> Dict[str, Any]:
        """The cohort and its design."""
        return {"design": self.design, **self.cohort.model_dump(mode="json", exclude_none=True)}

    def marker(self) -> SetMarker:
        """Marks the sets of the cohort."""
        return SetMarker(self.cohort.sets, telling_sets(self.cohort, self.design))

    def find(self, record: Record, marker: SetMarker, labels: Optional[pl.DataFrame]) -> Flow:
        """Ask the rules; raises a ClinbertError for a set that no event of the source can belong to."""
        _check_systems(self.cohort, marker.systems)
        return apply_rules(self.cohort, self.design, record, marker, marker.present)


def _check_systems(cohort: Cohort, met: Collection[str]) -> None:
    """A set that is asked of every source, but of systems that are neither ours nor this one's, is misspelt."""
    for name in sorted(cohort.needed):
        systems = cohort.sets[name].codes
        if set(systems).isdisjoint({*SYSTEMS, *met}):
            raise ClinbertError(
                f"there is no event of the code system {min(systems)}, which [sets.{name}] is of: name it as the source"
                f" does, or one of {', '.join(SYSTEMS)}"
            )


class LabelTask:
    """Labels of any yes-or-no task, in the form of MEDS. A patient is predicted once, at the first time."""

    label, systems, visit_systems = LABEL, frozenset[str](), DIAGNOSES

    def __init__(self, path: Path) -> None:
        self.path, self.title = path, path.stem
        self.labels: Optional[pl.LazyFrame] = read_labels(path)

    def describe(self) -> Dict[str, Any]:
        """The labels, which the checksum of the tables tells."""
        return {"labels": self.path.name}

    def marker(self) -> SetMarker:
        """Marks nothing."""
        return SetMarker({})

    def find(self, record: Record, marker: SetMarker, labels: Optional[pl.DataFrame]) -> Flow:
        """Take those who have a label."""
        assert labels is not None
        return label_people(record, labels)


def label_people(record: Record, labels: pl.DataFrame) -> Flow:
    """Put labels to patients.

    record (Record): of some patients; labels (pl.DataFrame): subject_id, prediction_time, boolean_value.
    RETURNS (Flow): with the patients who have one, each at the first time; labels that find no use are left out.
    """
    whole = labels.drop_nulls().sort("subject_id", "prediction_time", LABEL)
    first = whole.unique("subject_id", keep="first", maintain_order=True)
    # Labels do not say which visit carries the outcome: one that has not ended may.
    unknown = pl.lit(None, pl.Datetime("us")).alias("outcome_began")
    chosen = first.select("subject_id", "prediction_time", unknown, label=LABEL)
    flow = Flow(record.people)
    flow.keep("a label", record.people.join(chosen, on="subject_id", maintain_order="left"))
    lost = {
        "a label without time or value": labels.filter(pl.any_horizontal(pl.all().is_null())),
        "a further label of its patient": whole.filter(~pl.col("subject_id").is_first_distinct()),
        "a label whose patient is not in the source": first.join(record.people, on="subject_id", how="anti"),
    }
    for reason, rows in lost.items():
        flow.left_out.append(rows.select("subject_id", visit_id=pl.lit(None, pl.String), reason=pl.lit(reason)))
    return flow


def read_task(name_or_path: str, design: Design, overrides: Mapping[str, Any]) -> Task:
    """Read what a cohort is to be made of.

    name_or_path (str): a cohort's name or config file; a .parquet file of labels, or a folder of such; or a .yaml file
        of ACES.
    design (str), overrides (Mapping[str, Any]): of a config file.
    RETURNS (Task): the task.
    RAISES (ClinbertError): if it cannot be read, or a setting is given to a file that has none.
    """
    path = Path(name_or_path)
    is_aces, is_labels = path.suffix in (".yaml", ".yml"), path.suffix == ".parquet" or path.is_dir()
    # A folder such as corpora/dhf may well bear the name of its cohort.
    if name_or_path in cohort_names() or not (is_aces or is_labels):
        return RuleTask(read_cohort(name_or_path, overrides), design)
    if overrides:
        raise ClinbertError(
            f"--{next(iter(overrides))} is a setting of a config file, and {path} is none: leave it out"
        )
    if not path.exists():
        raise ClinbertError(f"{path}: no such file")
    if is_labels:
        return LabelTask(path)
    from .cohort_aces import AcesTask

    return AcesTask(path)
