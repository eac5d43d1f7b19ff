"""Cells of a source's columns as what they mean: ids, times, numbers."""

import polars as pl

# What a column holds, and the type that its cells get.
ID, TEXT, TIME, DAY, NUMBER, COUNT = "id", "text", "time", "day", "number", "count"
TYPES = {
    ID: pl.String(),
    TEXT: pl.String(),
    TIME: pl.Datetime("us"),
    DAY: pl.Date(),
    NUMBER: pl.Float64(),
    COUNT: pl.Int32(),
}
_FORMATS = {
    19: "%Y-%m-%d %H:%M:%S",
    10: "%Y-%m-%d",
    8: "%Y%m%d",
    16: "%Y-%m-%d %H:%M",
    17: "%Y%m%d %H:%M:%S",
    14: "%Y%m%d %H:%M",
}


def convert(cells: pl.Series, kind: str) -> pl.Series:
    """Give cells the type of what they hold.

    cells (pl.Series): as read, strings or of any type that Parquet has.
    kind (str): ID, TEXT, TIME, DAY, NUMBER or COUNT.
    RETURNS (pl.Series): of the type in `TYPES`; null where a cell is empty or cannot be understood.
    """
    if kind in (TIME, DAY):
        return _times(cells).cast(TYPES[kind])
    if kind in (NUMBER, COUNT):
        numbers = cells.cast(TYPES[kind], strict=False)
        if numbers.null_count() > cells.null_count():
            # A whole number may be written as 3.0.
            numbers = cells.cast(pl.Float64, strict=False).cast(TYPES[kind], strict=False)
        return numbers
    texts = cells.cast(pl.String).str.strip_chars()
    if kind == ID and texts.str.ends_with(".0").any():
        # A column of whole numbers with gaps leaves pandas as 22580999.0.
        texts = texts.str.replace(r"^(-?\d+)\.0$", "$1")
    return texts.set(texts == "", None)


def day_of(year: pl.Expr, month: pl.Expr, day: pl.Expr) -> pl.Expr:
    """Make a date of whole numbers, null where there is no such day."""
    # `pl.date` would fail there, and quote the date.
    written = pl.concat_str(year, month, day, separator="-")
    return written.str.to_date("%Y-%m-%d", strict=False)


def _times(cells: pl.Series) -> pl.Series:
    """The time that a clock on the wall showed: zones and fractions of a second are left off."""
    if isinstance(cells.dtype, pl.Datetime):
        return (cells.dt.replace_time_zone(None) if cells.dtype.time_zone else cells).cast(pl.Datetime("us"))
    if cells.dtype == pl.Date:
        return cells.cast(pl.Datetime("us"))
    texts = cells.cast(pl.String)
    first = next(iter(texts.drop_nulls().head(1)), "")
    times = _parse(texts, _FORMATS.get(len(first), _FORMATS[19]))
    if times.null_count() > texts.null_count():
        # 2180-05-06T22:23:00.000-04:00 (FHIR, Synthea), 20080101.0 (pandas).
        bare = (
            texts.str.strip_chars()
            .str.replace("T", " ", literal=True)
            .str.replace(r"(\.\d+)? ?(Z|UTC|[+-]\d\d:?\d\d)?$", "")
        )
        parsed = [_parse(bare.set(bare.str.len_chars() != length, None), form) for length, form in _FORMATS.items()]
        times = pl.select(pl.coalesce(pl.lit(each) for each in (times, *parsed))).to_series()
    return times


def _parse(texts: pl.Series, form: str) -> pl.Series:
    return texts.str.to_datetime(form, strict=False, time_unit="us")
