"""Who is a case, and when to predict: the two designs.

Both give `people` the columns label, prediction_time, index_began (when the visit of the index began), and
outcome_stay and outcome_began, the visit before which inputs end, null where no visit carries an outcome.
"""

import polars as pl

from .cohort_flow import Flow
from .cohort_settings import Landmark, Paper
from .cohort_visits import Record

_ID = "subject_id"


def age(birth: pl.Expr, at: pl.Expr) -> pl.Expr:
    """Whole years from birth to a time, null where either is unknown; 29 February has its birthday on 1 March."""
    day = at.dt.month().cast(pl.Int32) * 100 + at.dt.day()
    birthday = birth.dt.month().cast(pl.Int32) * 100 + birth.dt.day()
    return at.dt.year() - birth.dt.year() - (day < birthday).cast(pl.Int32)


def with_codes(record: Record, belongs: pl.Expr) -> pl.DataFrame:
    """The visits, in order, of which an event belongs to a set; also days that are no visits by themselves."""
    found = record.events.filter(belongs).select(_ID, "stay", "began", "ended").unique()
    return found.sort(_ID, "began", "ended", "stay")


def index_paper(flow: Flow, record: Record, outcome: pl.Expr, design: Paper) -> None:
    """Index cases at the beginning of their first visit with the outcome, controls at that of their last visit.

    flow (Flow): the patients; record (Record): theirs; outcome (pl.Expr): of an event; design (Paper): the settings.
    """
    outcomes = with_codes(record, outcome).group_by(_ID, maintain_order=True)
    first = outcomes.agg(pl.len().alias("outcomes"), pl.col("stay", "began").first())
    last = record.visits.group_by(_ID, maintain_order=True).agg(pl.col("stay", "began").last())
    found = flow.people.join(last, on=_ID).join(first, on=_ID, how="left", suffix="_first", maintain_order="left")
    label = pl.col("outcomes").is_not_null()
    enough = pl.col("outcomes").fill_null(design.outcome_visits) >= design.outcome_visits
    stay, began = (pl.when(label).then(f"{name}_first").otherwise(name) for name in ("stay", "began"))
    kept = found.filter(enough).select(
        *flow.people.columns, label=label, outcome_stay=stay, outcome_began=began, index_began=began
    )
    visits = design.outcome_visits
    step = "a case or a control" if visits == 1 else f"the outcome never, or in at least {visits} visits"
    flow.keep(step, kept.with_columns(prediction_time="index_began"))


def index_landmark(flow: Flow, record: Record, outcome: pl.Expr, sets: dict[str, pl.Expr], design: Landmark) -> None:
    """Index all at the end of one of their visits, and look for the outcome after it.

    flow (Flow): the patients; record (Record): theirs; outcome (pl.Expr), sets (dict[str, pl.Expr]): of an event.
    design (Landmark): the settings.
    """
    visits = record.visits.join(flow.people.select(_ID, "birth"), on=_ID, maintain_order="left")
    if design.age is not None:
        visits = visits.filter(age(pl.col("birth"), pl.col("began")) >= design.age)
    if design.after:
        first = with_codes(record, sets[design.after]).group_by(_ID).agg(first=pl.col("began").min())
        later = pl.col("began") >= pl.col("first") + pl.duration(days=design.after_days)
        visits = visits.join(first, on=_ID, maintain_order="left").filter(later)
    if design.having:
        having = with_codes(record, sets[design.having])
        visits = visits.join(having, on=[_ID, "stay"], how="semi", maintain_order="left")
    place = design.visit - 1 if design.visit > 0 else design.visit
    index = visits.group_by(_ID, maintain_order=True).agg(
        pl.col(name).get(place, null_on_oob=True) for name in ("stay", "began", "ended")
    )
    index = index.filter(pl.col("stay").is_not_null()).select(_ID, index_began="began", prediction_time="ended")
    flow.keep("a visit for the index", flow.people.join(index, on=_ID, maintain_order="left"))
    alive = (pl.col("death") > pl.col("prediction_time")).fill_null(True)
    flow.keep("alive at the prediction", flow.people.filter(alive))
    indexed = flow.people.select(_ID, "prediction_time")
    outcomes = with_codes(record, outcome).join(indexed, on=_ID, maintain_order="left")
    if not design.recurrent:
        # Also a visit that has not ended, or begins at that very time: the outcome is no longer to come.
        before = outcomes.filter(~_after())
        flow.keep(
            "no outcome before the prediction", flow.people.join(before, on=_ID, how="anti", maintain_order="left")
        )
    if design.horizon_days is None:
        _look_at_next_visit(flow, record, outcomes)
    else:
        _look_ahead(flow, record, outcomes, design.horizon_days)


def _after() -> pl.Expr:
    """Whether a visit begins after the prediction: at its time, what controls are predicted from may lie."""
    return pl.col("began") > pl.col("prediction_time")


def _look_at_next_visit(flow: Flow, record: Record, outcomes: pl.DataFrame) -> None:
    indexed = flow.people.select(_ID, "prediction_time")
    after = record.visits.join(indexed, on=_ID, maintain_order="left").filter(_after())
    following = after.group_by(_ID, maintain_order=True).agg(
        outcome_stay=pl.col("stay").first(), outcome_began=pl.col("began").first()
    )
    carried = outcomes.select(_ID, outcome_stay="stay", label=pl.lit(True))
    found = flow.people.join(following, on=_ID, maintain_order="left")
    found = found.join(carried, on=[_ID, "outcome_stay"], how="left", maintain_order="left")
    flow.keep("a later visit", found.with_columns(pl.col("label").fill_null(False)))


def _look_ahead(flow: Flow, record: Record, outcomes: pl.DataFrame, horizon_days: int) -> None:
    end = pl.col("prediction_time") + pl.duration(days=horizon_days)
    coming = outcomes.filter(_after() & (pl.col("began") <= end)).group_by(_ID, maintain_order=True)
    carried = coming.agg(outcome_stay=pl.col("stay").first(), outcome_began=pl.col("began").first())
    seen = record.events.group_by(_ID).agg(seen=pl.col("ended").max())
    found = flow.people.join(carried, on=_ID, how="left", maintain_order="left")
    found = found.join(seen, on=_ID, how="left", maintain_order="left")
    label = pl.col("outcome_stay").is_not_null()
    followed = (pl.col("seen") >= end) | (pl.col("death") <= end).fill_null(False)
    kept = found.with_columns(label=label).filter(label | followed).drop("seen")
    flow.keep(f"the outcome, or followed for {horizon_days} days or until death", kept)
