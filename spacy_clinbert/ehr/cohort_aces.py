"""Tasks in the language of ACES (Xu et al. 2024, arXiv:2406.19653; es-aces 0.7), asked of our events.

ACES counts events in windows around a trigger, each event at one time. We give it each event at the time from which it
is known, so that its index is one that a clinician could have had. What it cannot say, and what our own cohorts
therefore say themselves: that two codes of one visit are one encounter; that a visit begins at one time and its
diagnoses are known at another; the first or last of a patient's visits as an index that differs for cases and
controls; age at an event that is not the trigger; rules that hold only where the source has such codes; and how many
patients each rule left out.
"""

import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, Dict, FrozenSet, Optional

import polars as pl

from ..errors import ClinbertError
from .cohort_flow import Flow
from .cohort_sets import SetMarker
from .cohort_tasks import LABEL, label_people
from .cohort_visits import Record
from .ehr_manifest import checksum
from .schemas import DIAGNOSES


class AcesTask:
    """A task file of ACES, with a label and an index. Codes are `SYSTEM/CODE`, as in `ICD10CM/I509`.

    MEDS_BIRTH and MEDS_DEATH are there too. A patient is predicted once, at the first time.
    """

    label = LABEL
    systems: Optional[FrozenSet[str]] = None
    visit_systems: Collection[str] = DIAGNOSES
    labels: Optional[pl.LazyFrame] = None

    def __init__(self, path: Path) -> None:
        try:
            from aces.config import TaskExtractorConfig
        except ImportError:
            raise ClinbertError(f"{path} is a task of ACES: install it (pip install spacy-clinbert[ehr])") from None
        try:
            self._config: Any = TaskExtractorConfig.load(path)
        # ACES and what it reads with raise errors of many kinds.
        except Exception as error:
            reason = " ".join(str(error).strip().splitlines()[:1])
            raise ClinbertError(f"{path} is no task of ACES: {reason}") from None
        if not (self._config.label_window and self._config.index_timestamp_window):
            raise ClinbertError(f"{path} has no label or no index_timestamp in its windows: add them")
        self.path, self.title = path, path.stem

    def describe(self) -> Dict[str, Any]:
        """The file, by its checksum."""
        return {"aces": self.path.name, "sha256": checksum(self.path)}

    def marker(self) -> SetMarker:
        """Marks nothing."""
        return SetMarker({})

    def find(self, record: Record, marker: SetMarker, labels: Optional[pl.DataFrame]) -> Flow:
        """Ask ACES."""
        return label_people(record, query_aces(self._config, record))


def query_aces(config: Any, record: Record) -> pl.DataFrame:
    """Ask a task of ACES.

    config (TaskExtractorConfig): the task; record (Record): of some patients.
    RETURNS (pl.DataFrame): subject_id, prediction_time and boolean_value, a row for each time that fits.
    """
    from aces.predicates import get_predicates_df
    from aces.query import query
    from omegaconf import OmegaConf

    # ACES wants whole numbers as ids.
    people = record.people.with_row_index("number")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.parquet"
        _meds(record.events, people).write_parquet(path)
        predicates = get_predicates_df(config, OmegaConf.create({"path": str(path), "standard": "meds"}))
    found = query(config, predicates)
    if found.is_empty():
        return pl.DataFrame(schema={"subject_id": pl.String, "prediction_time": pl.Datetime("us"), LABEL: pl.Boolean})
    found = found.select(
        pl.col("subject_id").cast(pl.UInt32).alias("number"),
        prediction_time=pl.col("index_timestamp").cast(pl.Datetime("us")),
        boolean_value=pl.col("label") > 0,
    )
    return found.join(people.select("number", "subject_id"), on="number").select("subject_id", "prediction_time", LABEL)


def _meds(events: pl.DataFrame, people: pl.DataFrame) -> pl.DataFrame:
    """Events, births and deaths in the form of MEDS, ordered by patient and time."""
    named = events.join(people.select("number", "subject_id"), on="subject_id")
    codes = named.select(
        "number", time="available_at", code=pl.concat_str("system", pl.lit("/"), "code"), value="value"
    )
    facts = [
        people.filter(pl.col(column).is_not_null()).select(
            "number", time=pl.col(column).cast(pl.Datetime("us")), code=pl.lit(code), value=pl.lit(None, pl.Float64)
        )
        for column, code in (("birth", "MEDS_BIRTH"), ("death", "MEDS_DEATH"))
    ]
    return (
        pl.concat([codes, *facts])
        .sort("number", "time")
        .select(
            pl.col("number").cast(pl.Int64).alias("subject_id"),
            "time",
            "code",
            numeric_value=pl.col("value").cast(pl.Float32),
        )
    )
