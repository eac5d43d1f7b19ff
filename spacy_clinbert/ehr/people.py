"""The patients of a portion: who they are, in which split, and which have nothing to prepare."""

from typing import NamedTuple, Optional, Tuple

import polars as pl

from ..errors import ClinbertError
from .split import patient_keys, split_of


class People(NamedTuple):
    """The patients of a portion.

    kept (pl.DataFrame): subject_id, birth, sex, death, columns of labels, and `split`, the place in `SPLITS`; in the
        order of a hash, so that no order of the source is learned.
    left_out (pl.DataFrame): subject_id, visit_id (null) and reason of those who have no code, or no label.
    """

    kept: pl.DataFrame
    left_out: pl.DataFrame


def find_people(
    events: pl.DataFrame,
    patients: pl.DataFrame,
    labels: Optional[pl.DataFrame],
    splits: Optional[pl.DataFrame],
    shares: Tuple[int, int, int],
) -> People:
    """Find the patients of events.

    events (pl.DataFrame): EVENTS, good rows only.
    patients (pl.DataFrame): PATIENTS; labels (pl.DataFrame | None): subject_id and labels; each patient once.
    splits (pl.DataFrame | None): subject_id and split; shares (tuple[int, int, int]): of the hash where there is none.
    RETURNS (People): the patients.
    RAISES (ClinbertError): for a patient who is twice in `patients` or `labels`, in two splits, or in none.
    """
    ids = events.select(pl.col("subject_id").unique())
    keys = patient_keys(ids["subject_id"].to_list())
    kept = ids.with_columns(pl.Series("key", keys, pl.UInt64)).sort("key", "subject_id")
    kept = _join(kept, patients, "the patients")
    named = patients if labels is None else labels
    left_out = [_left_out(named.join(ids, on="subject_id", how="anti"), "no code")]
    if labels is not None:
        left_out.append(_left_out(ids.join(labels, on="subject_id", how="anti"), "no label"))
        kept = _join(kept.join(labels, on="subject_id", how="semi", maintain_order="left"), labels, "the labels")
    if splits is None:
        kept = kept.with_columns(pl.Series("split", split_of(kept["key"].to_numpy(), shares), pl.Int64))
    else:
        kept = _join(kept, splits.unique(), "the file of splits")
        if kept["split"].null_count():
            lost = kept.filter(pl.col("split").is_null())["subject_id"]
            raise ClinbertError(
                f"patient {min(lost)} is in no split of the file of splits: add all patients, or give none"
            )
    return People(kept.drop("key"), pl.concat(left_out))


def _join(people: pl.DataFrame, table: pl.DataFrame, name: str) -> pl.DataFrame:
    twice = table.filter(pl.col("subject_id").is_duplicated())["subject_id"]
    if len(twice):
        raise ClinbertError(f"patient {min(twice)} is in {name} more than once, and differently: leave one row")
    return people.join(table, on="subject_id", how="left", maintain_order="left")


def _left_out(people: pl.DataFrame, reason: str) -> pl.DataFrame:
    return people.select("subject_id", visit_id=pl.lit(None, pl.String), reason=pl.lit(reason))
