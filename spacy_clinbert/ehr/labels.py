"""Labels and predictions in the forms of the Medical Event Data Standard.

Labels: https://medical-event-data-standard.github.io, MEDS 0.4, `LabelSchema`. Predictions: those of meds-evaluation.
Both want whole numbers as ids; where a source has others, ids are strings, and the rest is as it should be.
"""

from pathlib import Path
from typing import Optional

import polars as pl

from ..errors import ClinbertError
from ..output import whole_files
from .predictions import TRAINED_ON

# MEDS 0.4; of the four values a task has one.
LABELS = pl.Schema(
    {
        "subject_id": pl.Int64(),
        "prediction_time": pl.Datetime("us"),
        "boolean_value": pl.Boolean(),
        "integer_value": pl.Int64(),
        "float_value": pl.Float32(),
        "categorical_value": pl.String(),
    }
)
NEEDED = ("subject_id", "prediction_time", "boolean_value")
# The id as a number, null where that is another text.
_NUMBER = pl.col("subject_id").cast(pl.Int64, strict=False)


def read_labels(path: Path) -> pl.LazyFrame:
    """Read labels of a yes-or-no task.

    path (Path): a Parquet file, or a folder of such.
    RETURNS (pl.LazyFrame): subject_id as a string, prediction_time and boolean_value.
    RAISES (ClinbertError): if it cannot be read, or lacks a column.
    """
    files = sorted(path.glob("**/*.parquet")) if path.is_dir() else [path]
    if not files:
        raise ClinbertError(f"{path} holds no Parquet file: give a file of labels, or their folder")
    return pl.concat([_read(file) for file in files])


def _read(file: Path) -> pl.LazyFrame:
    try:
        table = pl.scan_parquet(file)
        kinds = table.collect_schema()
    except (OSError, pl.exceptions.PolarsError):
        raise ClinbertError(f"{file} cannot be read: give a Parquet file of labels") from None
    for name in NEEDED:
        if name not in kinds:
            raise ClinbertError(f"{file} has no column {name}: give labels of a yes-or-no task as MEDS has them")
    if kinds["boolean_value"] != pl.Boolean or not isinstance(kinds["prediction_time"], pl.Datetime):
        raise ClinbertError(f"{file}: prediction_time must be a time and boolean_value a truth value: convert them")
    # As in events: the time that a clock on the wall showed, zones are left off.
    time = pl.col("prediction_time").dt.replace_time_zone(None).cast(LABELS["prediction_time"])
    return table.select(pl.col("subject_id").cast(pl.String), time, "boolean_value")


def write_labels(parts: list[Path], path: Path) -> bool:
    """Write labels as MEDS has them, as a stream.

    parts (list[Path]): Parquet files of subject_id, a string, prediction_time and boolean_value.
    path (Path): the file to write.
    RETURNS (bool): whether the ids are whole numbers, as MEDS wants them.
    """
    table = pl.scan_parquet(parts)
    numbers = bool(
        table.select((_NUMBER.cast(pl.String) == pl.col("subject_id")).fill_null(False).all()).collect().item()
    )
    others = (pl.lit(None, kind).alias(name) for name, kind in LABELS.items() if name not in NEEDED)
    table.select(_NUMBER if numbers else pl.col("subject_id"), *NEEDED[1:], *others).sink_parquet(path)
    return numbers


def write_predictions(labels: Path, probabilities: pl.DataFrame, path: Path, trained_on: Optional[str] = None) -> None:
    """Write predictions in the form of meds-evaluation.

    labels (Path): labels.parquet of a cohort.
    probabilities (pl.DataFrame): subject_id, a string, and predicted_boolean_probability; some patients, such as those
        of the test split.
    path (Path): Parquet file to write: subject_id, prediction_time, boolean_value, predicted_boolean_probability.
    trained_on (str | None): the source of the training patients, for the file's metadata.
    RAISES (ClinbertError): for a patient without label, or predicted twice; then nothing is written.
    """
    known = pl.scan_parquet(labels).select(NEEDED)
    kind = known.collect_schema()["subject_id"]
    given = probabilities.select(
        pl.col("subject_id").cast(pl.String).cast(kind, strict=False),
        pl.col("predicted_boolean_probability").cast(pl.Float64),
    )
    found = given.join(known.collect(), on="subject_id", how="left", maintain_order="left")
    wrong = found.filter(pl.col("boolean_value").is_null() | pl.col("subject_id").is_duplicated())
    if wrong.height:
        raise ClinbertError(
            f"patient {wrong['subject_id'][0]} has no label in {labels}, or two predictions: give one for each label"
        )
    with whole_files(path) as (temporary,):
        table = found.select(*NEEDED, "predicted_boolean_probability")
        table.write_parquet(temporary, metadata={TRAINED_ON: trained_on} if trained_on else None)
