"""What a form of coded visits is, and what reading one gives."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import FrozenSet, NamedTuple, Optional

import polars as pl

from ...errors import ClinbertError
from ..schemas import EVENTS

# Rows of `EventSource.rejected`.
REJECTED = pl.Schema({"file": pl.String(), "id": pl.String(), "reason": pl.String()})

Tables = Mapping[str, pl.LazyFrame]
# The code systems whose events enter; None for all.
Systems = Optional[FrozenSet[str]]


class Joined(NamedTuple):
    """The tables of a source put together.

    rows (pl.LazyFrame): EVENTS, and `file`, `id` and `reason` as in REJECTED; `reason` is null for a good row.
    patients (pl.LazyFrame): PATIENTS.
    """

    rows: pl.LazyFrame
    patients: pl.LazyFrame


class Form(NamedTuple):
    """A form in which coded visits come.

    name (str): its name.
    about (str): what it is recognised by, in a few words.
    systems (Optional[FrozenSet[str]]): the code systems that it can hold; None where it can hold any.
    recognises (Callable[[Path], bool]): whether a source is of this form.
    scan (Callable[[Path, Systems], Tables]): its tables, lazily, each with a `subject_id` as the source has it.
    join (Callable[[Tables, Systems], Joined]): what they come to, for all patients or for some.
    """

    name: str
    about: str
    systems: Optional[FrozenSet[str]]
    recognises: Callable[[Path], bool]
    scan: Callable[[Path, Systems], Tables]
    join: Callable[[Tables, Systems], Joined]


@dataclass(frozen=True)
class EventSource:
    """A source of coded visits; nothing is read before something is collected, within `reading`.

    form (Form): its form.
    tables (Tables): its tables, lazily. Each has a `subject_id`, by which it can be divided among files, and
        `over` then puts together the tables of some patients: so memory need not grow with the number of patients.
    systems (Systems): the code systems whose events enter.
    """

    form: Form
    tables: Tables
    systems: Systems

    def over(self, tables: Tables) -> "EventSource":
        """The same source with the tables of some of its patients."""
        return replace(self, tables=tables)

    @property
    def rows(self) -> pl.LazyFrame:
        """Good and bad rows in one pass: EVENTS, file, id, reason."""
        return self.form.join(self.tables, self.systems).rows

    @property
    def events(self) -> pl.LazyFrame:
        """The good rows: EVENTS."""
        return self.rows.filter(pl.col("reason").is_null()).select(EVENTS.names())

    @property
    def patients(self) -> pl.LazyFrame:
        """PATIENTS, each once."""
        return self.form.join(self.tables, self.systems).patients

    @property
    def faults(self) -> pl.LazyFrame:
        """Lines of any table that are no rows: REJECTED."""
        lines = (
            table.filter(pl.col("fault").is_not_null()).select("file", row_id().alias("id"), reason=pl.col("fault"))
            for table in self.tables.values()
        )
        return pl.concat([pl.LazyFrame(schema=REJECTED), *lines])

    @property
    def rejected(self) -> pl.LazyFrame:
        """What gives no event, with the reason: REJECTED. Rows of code systems that were not asked for are none."""
        return pl.concat(
            [self.faults, self.rows.filter(pl.col("reason").is_not_null()).select(REJECTED.names())],
        )


@contextmanager
def reading() -> Iterator[None]:
    """Turn what polars says when a source fails while it is read into the one sentence of the ClinbertError."""
    try:
        yield
    except pl.exceptions.PolarsError as error:
        _, found, sentence = str(error).partition(f"{ClinbertError.__name__}: ")
        if found:
            raise ClinbertError(sentence.partition("\n")[0]) from None
        raise


def row_id() -> pl.Expr:
    """How a row is named where it is rejected: by its number in the file, from 1, without header."""
    return pl.concat_str(pl.lit("row "), pl.col("row"))


def asked(systems: Systems, *of: str) -> bool:
    """Tell whether events of any of these code systems shall enter."""
    return systems is None or not systems.isdisjoint(of)


def only(systems: Systems) -> pl.Expr:
    """Keep rows of the asked code systems, and those whose system is unknown, which are rejected."""
    return pl.lit(True) if systems is None else pl.col("system").is_null() | pl.col("system").is_in(list(systems))
