"""Which visits and patients are left out, and why: each is counted and listed by its id."""

import polars as pl

from .prepare_settings import PrepareSettings


def find_impossible(visits: pl.DataFrame, settings: PrepareSettings) -> pl.DataFrame:
    """Say which visits have dates that cannot be.

    visits (pl.DataFrame): admit and discharge of each, and birth and death of its patient, null where unknown.
    settings (PrepareSettings): the bounds.
    RETURNS (pl.DataFrame): the same with a column `reason`, null for a visit that may be.
    """
    admit, discharge = pl.col("admit"), pl.col("discharge")
    tolerance = pl.duration(days=settings.tolerance_days)
    reasons = {
        "no date of admission or discharge": admit.is_null() | discharge.is_null(),
        "discharge before admission": discharge < admit,
        f"before {settings.earliest}": admit < pl.lit(settings.earliest).cast(pl.Datetime("us")),
        f"after {settings.latest}": discharge >= pl.lit(settings.latest).cast(pl.Datetime("us")),
        "before birth": admit < pl.col("birth").cast(pl.Datetime("us")) - tolerance,
        "after death": admit > pl.col("death") + tolerance,
    }
    reason = pl.coalesce(pl.when(test).then(pl.lit(text)) for text, test in reasons.items())
    return visits.with_columns(reason=reason)


def few_codes(settings: PrepareSettings) -> str:
    """The reason for which a patient is left out whose codes are few."""
    return f"fewer than {settings.min_codes} different codes"
