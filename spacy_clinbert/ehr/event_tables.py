"""What can be prepared: tables that are divided by patient and then put together for some patients at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from .schemas import EVENTS, PATIENTS
from .sources import REJECTED

# The columns of EVENTS that sequences are made of.
NEEDED = [name for name in EVENTS.names() if name not in ("flags", "value", "available_at")]


class Preparable(Protocol):
    """Coded visits; `sources.EventSource` is one, `EventTables` another.

    tables (Mapping[str, pl.LazyFrame]): the tables, each with a `subject_id`, by which it can be divided.
    rows (pl.LazyFrame): of EVENTS the columns `NEEDED` at least, file, id and reason, null for a good row.
    patients (pl.LazyFrame): PATIENTS, each once; some may be missing.
    faults (pl.LazyFrame): what is no row of its table: REJECTED.
    """

    @property
    def tables(self) -> Mapping[str, pl.LazyFrame]: ...
    @property
    def rows(self) -> pl.LazyFrame: ...
    @property
    def patients(self) -> pl.LazyFrame: ...
    @property
    def faults(self) -> pl.LazyFrame: ...
    def over(self, tables: Mapping[str, pl.LazyFrame]) -> "Preparable":
        """The same with the tables of some of its patients."""


@dataclass(frozen=True)
class EventTables:
    """Events and patients that were read before, such as those of a cohort.

    events (pl.LazyFrame): EVENTS; patients (pl.LazyFrame): PATIENTS, each once.
    """

    events: pl.LazyFrame
    patients: pl.LazyFrame

    @property
    def tables(self) -> Mapping[str, pl.LazyFrame]:
        """Both tables, of the events what sequences are made of."""
        return {"events": self.events.select(NEEDED), "patients": self.patients.select(PATIENTS.names())}

    @property
    def rows(self) -> pl.LazyFrame:
        """The events, all good."""
        return self.events.with_columns(pl.lit(None, pl.String).alias(name) for name in REJECTED.names())

    @property
    def faults(self) -> pl.LazyFrame:
        """None."""
        return pl.LazyFrame(schema=REJECTED)

    def over(self, tables: Mapping[str, pl.LazyFrame]) -> "EventTables":
        """The same with the tables of some of its patients."""
        return EventTables(tables["events"], tables["patients"])
