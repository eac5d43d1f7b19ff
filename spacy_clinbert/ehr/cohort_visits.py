"""The visits of some patients as cohorts see them: the same that sequences are made of, impossible ones left out."""

from collections.abc import Collection
from typing import NamedTuple

import polars as pl

from .filters import find_impossible
from .prepare_settings import PrepareSettings


class Record(NamedTuple):
    """What is known of some patients.

    events (pl.DataFrame): marked events, with `stay`, the visit or the day, its bounds `began` and `ended`, and `over`,
        when the event or its visit was.
    visits (pl.DataFrame): subject_id, stay, began, ended; in order.
    people (pl.DataFrame): subject_id, birth and death (null where unknown) of all patients.
    rejected (pl.DataFrame): subject_id, visit_id and reason of impossible visits.
    """

    events: pl.DataFrame
    visits: pl.DataFrame
    people: pl.DataFrame
    rejected: pl.DataFrame


def make_record(
    events: pl.DataFrame, patients: pl.DataFrame, visit_systems: Collection[str], settings: PrepareSettings
) -> Record:
    """Put events to visits.

    events (pl.DataFrame): EVENTS, marked, good rows only; all of some patients.
    patients (pl.DataFrame): PATIENTS, of the same; visit_systems (Collection[str]): whose codes make a visit.
    settings (PrepareSettings): which dates are impossible.
    RETURNS (Record): the record.
    """
    # As `sequences` has it: events outside visits make a visit a day.
    stay = pl.coalesce(
        pl.lit("visit ") + pl.col("visit_id"), pl.lit("day ") + pl.col("admit").dt.date().cast(pl.String)
    )
    events = events.with_columns(stay=stay)
    ids = pl.concat([events["subject_id"], patients["subject_id"]]).unique().sort().to_frame()
    people = ids.join(patients.select("subject_id", "birth", "death"), "subject_id", "left", maintain_order="left")
    stays = events.group_by("subject_id", "stay").agg(
        pl.col("visit_id").first(),
        admit=pl.col("admit").min(),
        discharge=pl.col("discharge").max(),
        visited=pl.col("system").is_in(list(visit_systems)).any(),
    )
    judged = find_impossible(stays.join(people, on="subject_id", how="left"), settings)
    bad = judged.filter(pl.col("reason").is_not_null()).sort("subject_id", "visit_id", "admit")
    good = judged.filter(pl.col("reason").is_null()).select(
        "subject_id", "stay", "visited", began="admit", ended="discharge"
    )
    visits = good.filter("visited").drop("visited").sort("subject_id", "began", "ended", "stay")
    dated = events.join(good.drop("visited"), on=["subject_id", "stay"], how="inner")
    over = pl.when(pl.col("visit_id").is_null()).then("discharge").otherwise("ended")
    dated = dated.with_columns(over=over)
    return Record(dated, visits, people, bad.select("subject_id", "visit_id", "reason"))
