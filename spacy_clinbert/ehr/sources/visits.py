"""Codes put to their visits: the one place that says from when a code is known."""

from collections.abc import Callable, Collection
from typing import Optional

import polars as pl

from ..normalise import Coded, coded, split_code
from ..schemas import DIAGNOSES, EVENTS
from .forms import Systems, only, row_id

# What a table of codes may have, null where it has not.
OPTIONAL = {
    "rank": pl.Int32(),
    "flags": pl.List(pl.String()),
    "value": pl.Float64(),
    "time": pl.Datetime("us"),
    "trouble": pl.String(),
}
CODES = ["subject_id", "visit_id", "code", "system", *OPTIONAL, "billed", "file", "row"]
ROWS = [*EVENTS.names(), "file", "id", "reason"]


def code_rows(
    table: pl.LazyFrame,
    text: pl.Expr,
    holds: Optional[Collection[str]],
    billed: bool,
    split: Callable[[str], Coded] = split_code,
) -> pl.LazyFrame:
    """Make codes and their systems of what a table says.

    table (pl.LazyFrame): subject_id, visit_id, file, row, fault, perhaps some of `OPTIONAL`, and what `text` uses.
    text (pl.Expr): system and code, as `normalise.split_code` takes them; null where there is no code.
    holds (Optional[Collection[str]]): the systems that the table may have, None for any; others are unknown.
    billed (bool): whether its codes come from billing, after the visit, whatever time they bear.
    split (Callable[[str], Coded]): how the text is split.
    RETURNS (pl.LazyFrame): the table with the columns `CODES`.
    """
    names = table.collect_schema().names()
    system, code = pl.col("_coded").struct.field("system"), pl.col("_coded").struct.field("code")
    return (
        table.filter(pl.col("fault").is_null())
        .with_columns(pl.lit(None, kind).alias(name) for name, kind in OPTIONAL.items() if name not in names)
        .with_columns(_coded=coded(text, split))
        .with_columns(
            system=system if holds is None else pl.when(system.is_in(list(holds))).then(system),
            code=pl.when(code != "").then(code),
            billed=pl.lit(billed),
        )
        .drop("_coded")
    )


def together(*tables: pl.LazyFrame) -> pl.LazyFrame:
    """Put several tables of `code_rows` one below the other."""
    return pl.concat(table.select(CODES) for table in tables)


def put_to_visits(codes: pl.LazyFrame, visits: pl.LazyFrame, systems: Systems) -> pl.LazyFrame:
    """Give each code the dates of its visit.

    A diagnosis, or any code that was billed, is known from the discharge of its visit on, whatever date it bears;
    anything else from its own time on, or from the discharge where it has none. A code without visit stands at its own
    time.

    codes (pl.LazyFrame): of `code_rows` or `together`.
    visits (pl.LazyFrame): subject_id, visit_id, admit, discharge; a visit that is named more than once is from the
        first of its admissions to the last of its discharges, so that none of its codes is known too early.
    systems (Systems): which codes enter.
    RETURNS (pl.LazyFrame): as `forms.Joined.rows`.
    """
    visits = visits.group_by("subject_id", "visit_id").agg(pl.col("admit").min(), pl.col("discharge").max())
    visits = visits.with_columns(found=pl.lit(True))
    return dated(codes.filter(only(systems)).join(visits, on=["subject_id", "visit_id"], how="left"))


def dated(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Say of codes with their visits when they are known, and which cannot be used.

    A discharge that is a mere date, that of the admission, is not before the admission on that day.

    rows (pl.LazyFrame): of `code_rows`, with admit, discharge and found, which is null where the visit is not there.
    RETURNS (pl.LazyFrame): as `forms.Joined.rows`.
    """
    time, admit, discharge = pl.col("time"), pl.col("admit"), pl.col("discharge")
    discharge = pl.when(discharge == admit.dt.truncate("1d")).then(admit).otherwise(discharge)
    outside = pl.col("visit_id").is_null()
    billed = pl.col("billed") | pl.col("system").is_in(DIAGNOSES).fill_null(False)
    reasons = {
        "it has no patient": pl.col("subject_id").is_null(),
        "it has no code": pl.col("code").is_null(),
        "its code system is unknown": pl.col("system").is_null(),
        "it has neither a visit nor a date that can be read": outside & time.is_null(),
        "its visit is not among those of its patient": ~outside & pl.col("found").is_null(),
        "its visit has no admission that can be read": ~outside & admit.is_null(),
        "its visit has no discharge that can be read": ~outside & discharge.is_null(),
    }
    reason = pl.coalesce(pl.when(test).then(pl.lit(text)) for text, test in reasons.items())
    return rows.with_columns(
        admit=pl.when(outside).then(time).otherwise(admit),
        discharge=pl.when(outside).then(time).otherwise(discharge),
        available_at=pl.when(outside).then(time).when(billed).then(discharge).otherwise(pl.coalesce(time, discharge)),
        id=row_id(),
        reason=pl.coalesce("trouble", reason),
    ).select(ROWS)


def person_rows(table: pl.LazyFrame, **columns: pl.Expr) -> pl.LazyFrame:
    """Make PATIENTS of a table of them; of one who is named twice, the first row counts.

    table (pl.LazyFrame): with subject_id and fault; columns (pl.Expr): birth, sex and death.
    RETURNS (pl.LazyFrame): PATIENTS.
    """
    rows = table.filter(pl.col("fault").is_null() & pl.col("subject_id").is_not_null())
    return rows.select("subject_id", **columns).unique("subject_id", keep="first", maintain_order=True)


def sex(column: str, female: str = "F", male: str = "M") -> pl.Expr:
    """Sex as F or M, else null: by the first letters of a cell, upper or lower case alike."""
    cell = pl.col(column).str.to_uppercase()
    return pl.when(cell.str.starts_with(female)).then(pl.lit("F")).when(cell.str.starts_with(male)).then(pl.lit("M"))
