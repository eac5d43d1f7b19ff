"""The rules of a cohort, asked one after the other of some patients."""

import operator
from collections.abc import Collection
from functools import reduce
from typing import Optional

import polars as pl

from .cohort_flow import Flow
from .cohort_index import age, index_landmark, index_paper
from .cohort_sets import TELLING, SetMarker
from .cohort_settings import Cohort, Design, Landmark, Rule
from .cohort_visits import Record
from .schemas import EVENTS

_ID = "subject_id"


def is_input() -> pl.Expr:
    """Whether an event, joined to its patient in the cohort, may be predicted from.

    It is known at the prediction time, and its visit has ended by then, and began before the one that carries the
    outcome. A visit that goes on may carry the outcome, and how long it will take is not known.
    """
    known = (pl.col("available_at") <= pl.col("prediction_time")) & (pl.col("over") <= pl.col("prediction_time"))
    earlier = pl.col("outcome_began").is_null() | (pl.col("began") < pl.col("outcome_began"))
    return known & earlier


def telling_sets(cohort: Cohort, design: Design) -> tuple[str, ...]:
    """The sets whose codes tell who is a case: those that only cases are asked for, over their whole record."""
    rules = cohort.rules.values() if design == "paper" else ()
    return tuple(name for rule in rules if rule.of == "cases" for name in rule.visits)


def apply_rules(cohort: Cohort, design: Design, record: Record, marker: SetMarker, present: Collection[str]) -> Flow:
    """Find the patients of a cohort.

    cohort (Cohort), design (Design): what is asked.
    record (Record): of some patients; marker (SetMarker): which marked its events.
    present (Collection[str]): the sets of which the source has any code.
    RETURNS (Flow): with the patients of the cohort, and of each what `cohort_index` says.
    """
    flow = Flow(record.people)
    visited = record.visits.select(pl.col(_ID).unique())
    flow.keep("a visit", record.people.join(visited, on=_ID, how="semi", maintain_order="left"))
    chosen, outcome = cohort.design(design), marker.belongs(cohort.cohort.outcome)
    if isinstance(chosen, Landmark):
        sets = {name: marker.belongs(name) for name in (chosen.after, chosen.having) if name}
        index_landmark(flow, record, outcome, sets, chosen)
    else:
        index_paper(flow, record, outcome, chosen)
    for rule in cohort.rules.values():
        if reason := _not_applied(rule, design, present):
            flow.skip(rule.about, reason)
        else:
            _apply(rule, design, flow, record, marker)
    return flow


def _not_applied(rule: Rule, design: Design, present: Collection[str]) -> str:
    if rule.of == "cases" and design == "landmark":
        return "a landmark asks the same of all"
    if rule.where_known and set(present).isdisjoint(rule.sets):
        return "the source has no such codes"
    return ""


def _apply(rule: Rule, design: Design, flow: Flow, record: Record, marker: SetMarker) -> None:
    """Keep those whose number is within the bounds; an unknown number is not."""
    events = record.events.join(flow.people.drop("birth", "death"), on=_ID)
    if design == "landmark" or rule.when == "before":
        events = events.filter(is_input())
    asked = flow.people.select(_ID, "birth", "index_began", "label")
    if rule.visits:
        counted = events.filter(marker.belongs(*rule.visits)).group_by(_ID).agg(number=pl.col("stay").n_unique())
        asked = asked.join(counted, on=_ID, how="left").with_columns(pl.col("number").fill_null(0))
    else:
        asked = asked.join(_first(rule, events, marker, asked), on=_ID, how="left")
        number = age(pl.col("birth"), pl.col("first")) if rule.age_at else _days("first", "index_began")
        asked = asked.with_columns(number=number)
    bounds = [pl.col("number") >= rule.at_least] if rule.at_least is not None else []
    bounds += [pl.col("number") <= rule.at_most] if rule.at_most is not None else []
    fits = reduce(operator.and_, bounds).fill_null(False)
    exempt = ~pl.col("label") if rule.of == "cases" else pl.lit(False)
    kept = asked.filter(fits | exempt)
    flow.keep(rule.about, flow.people.join(kept, on=_ID, how="semi", maintain_order="left"))


def _first(rule: Rule, events: pl.DataFrame, marker: SetMarker, asked: pl.DataFrame) -> pl.DataFrame:
    """When what a rule counts from was: subject_id and first."""
    name: Optional[str] = rule.age_at or rule.days_after
    if name == "index" or name is None:
        return asked.select(_ID, first="index_began")
    return events.filter(marker.belongs(name)).group_by(_ID).agg(first=pl.col("began").min())


def _days(start: str, end: str) -> pl.Expr:
    return (pl.col(end) - pl.col(start)).dt.total_days()


def find_inputs(record: Record, flow: Flow, systems: Optional[Collection[str]]) -> pl.DataFrame:
    """Find what the patients of a cohort may be predicted from.

    record (Record): theirs; systems (Collection[str] | None): the code systems that enter, None for all.
    flow (Flow): of the same patients; who has no such event is left out.
    RETURNS (pl.DataFrame): EVENTS.
    """
    wanted = pl.lit(True) if systems is None else pl.col("system").is_in(list(systems))
    index = flow.people.select(_ID, "prediction_time", "outcome_began")
    inputs = record.events.filter(wanted & ~pl.col(TELLING)).join(index, on=_ID).filter(is_input())
    flow.keep("a code to predict from", flow.people.join(inputs, on=_ID, how="semi", maintain_order="left"))
    return inputs.select(EVENTS.names())
