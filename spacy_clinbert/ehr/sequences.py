"""Visits and codes in their order: from the rows of some patients to one row each, codes as numbers of their keys.

Visits are ordered by admission, then discharge, then id. In a visit a code stands once, at its best rank; codes are
ordered by rank, those without one last, equal ones by key. Events outside visits make a visit a day.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from .filters import few_codes, find_impossible
from .prepare_settings import PrepareSettings
from .schemas import SEQUENCES
from .sequence_lists import Codes, Visits, make_lists, starts

# Stands for an unknown rank while codes are ordered.
_LAST = np.iinfo(np.int32).max


class Sequences(NamedTuple):
    """The patients of a portion.

    rows (pa.Table): SEQUENCES and further columns of the patients, in their order; `input_ids` are places of keys.
    counts (Counter[str]): the flow from events to patients.
    rejected (pl.DataFrame): subject_id, visit_id (null for a patient) and reason of what was left out.
    """

    rows: pa.Table
    counts: Counter[str]
    rejected: pl.DataFrame


def make_sequences(events: pl.DataFrame, people: pl.DataFrame, settings: PrepareSettings) -> Sequences:
    """Put the codes of patients in order.

    events (pl.DataFrame): all rows of some patients: subject_id, visit_id, admit, discharge, rank, and code, the place
        of its key among all keys in order.
    people (pl.DataFrame): a row for each of these patients, in the order that they shall have: subject_id, birth, sex
        and death, and perhaps further columns, which are kept.
    settings (PrepareSettings): what is left out.
    RETURNS (Sequences): their rows, and what was left out.
    """
    people = people.with_row_index("subject")
    rows = events.select("subject_id", "visit_id", "admit", "discharge", "code", "rank")
    rows = rows.join(people.select("subject", "subject_id"), on="subject_id").with_columns(
        order=pl.when(pl.col("rank") > 0).then("rank").otherwise(_LAST)
    )
    rows = rows.with_columns(_name_visits(rows))
    visits = rows.group_by("stay").agg(
        pl.col("subject", "visit_id").first(), pl.col("admit").min(), pl.col("discharge").max()
    )
    judged = find_impossible(visits.join(people.select("subject", "birth", "death"), on="subject"), settings)
    visits = judged.filter(pl.col("reason").is_null()).drop("reason", "birth", "death")
    visits = visits.sort("subject", "admit", "discharge", "stay").with_row_index("visit")
    placed = rows.select("stay", "code", "order").join(visits.select("stay", "visit"), on="stay")
    codes = _order(*(placed[name].to_numpy() for name in ("visit", "code", "order")))

    owners = visits["subject"].to_numpy()
    different = _count_different(owners[codes.visit], codes.code, people.height)
    kept = different >= settings.min_codes
    bad = judged.filter(pl.col("reason").is_not_null())
    few = people.filter(pl.Series(~kept)).select(
        "subject_id", visit_id=pl.lit(None, pl.String), reason=pl.lit(few_codes(settings))
    )
    listed = bad.join(people.select("subject", "subject_id"), on="subject").sort("subject", "visit_id", "admit")
    counts = Counter(
        {
            "events": events.height,
            "repeated codes": placed.height - len(codes.code),
            "events of visits left out": rows.height - placed.height,
            "visits": judged.height,
            **{f"visits left out: {reason}": number for reason, number in bad["reason"].value_counts().iter_rows()},
            "patients with codes": people.height,
            f"patients left out: {few_codes(settings)}": few.height,
        }
    )
    table = _rows(people, visits, codes, kept)
    return Sequences(table, counts, pl.concat([listed.select(few.columns), few]))


def _name_visits(rows: pl.DataFrame) -> pl.Series:
    """A number for each visit of each patient, in the order of the ids; without an id, for each day, behind them.

    Strings would be slower to group and to sort by.
    """
    encoded = rows["visit_id"].fill_null("").to_arrow().dictionary_encode()
    places = np.argsort(pc.array_sort_indices(encoded.dictionary).to_numpy())
    days = rows["admit"].dt.date().to_physical().cast(pl.Int64)
    days = (days - days.min()).fill_null(2**31) + len(places)
    visits = pl.Series(places[encoded.indices.to_numpy()]).zip_with(rows["visit_id"].is_not_null(), days)
    return (rows["subject"].cast(pl.Int64) * 2**33 + visits).alias("stay")


def _order(visit: np.ndarray, code: np.ndarray, order: np.ndarray) -> Codes:
    """Put codes in order, each once a visit; unknown ranks stay `_LAST`. Sorts of packed integers, for speed."""
    by_code = _pack(visit, code)
    places = np.argsort(by_code)
    first = starts(by_code[places])
    visit, code = visit[places][first], code[places][first]
    order = np.minimum.reduceat(order[places], first) if len(first) else order
    places = np.argsort(_pack(visit, order), kind="stable")
    return Codes(visit[places], code[places], order[places])


def _count_different(subject: np.ndarray, code: np.ndarray, subjects: int) -> np.ndarray:
    pairs = np.unique(_pack(subject, code))
    return np.bincount((pairs >> np.uint64(32)).astype(np.int64), minlength=subjects)


def _pack(high: np.ndarray, low: np.ndarray) -> np.ndarray:
    return (high.astype(np.uint64) << np.uint64(32)) | low.astype(np.uint64)


def _rows(people: pl.DataFrame, visits: pl.DataFrame, codes: Codes, kept: np.ndarray) -> pa.Table:
    """Make the rows of the patients that are kept."""
    seen = kept[visits["subject"].to_numpy()]
    mine = seen[codes.visit]
    renumber = (np.cumsum(kept) - 1)[visits["subject"].to_numpy()][seen]
    visits = visits.filter(pl.Series(seen))
    admit, discharge = (visits[name].dt.date().to_physical().to_numpy() for name in ("admit", "discharge"))
    order = codes.rank[mine]
    lists = make_lists(
        Visits(renumber, admit, discharge),
        Codes((np.cumsum(seen) - 1)[codes.visit[mine]], codes.code[mine], np.where(order == _LAST, 0, order)),
        int(kept.sum()),
    )
    table = people.filter(pl.Series(kept)).drop("subject", "death").to_arrow(compat_level=pl.CompatLevel.oldest())
    first = visits["admit"].to_arrow().take(pa.array(starts(renumber)))
    return to_sequences({**{name: table[name] for name in table.column_names}, "first_admit": first, **lists})


def to_sequences(columns: Mapping[str, Any]) -> pa.Table:
    """Make a table of SEQUENCES, and of further columns behind, of columns in any order."""
    known = pa.table({name: columns[name] for name in SEQUENCES.names}).cast(SEQUENCES)
    for name, column in columns.items():
        known = known if name in SEQUENCES.names else known.append_column(name, column)
    return known
