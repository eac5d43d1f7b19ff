"""Predictions in the form of meds-evaluation: a Parquet table for each draw of each system.

`labels.write_predictions` writes them. A file `SYSTEM.parquet` is of one system, `SYSTEM.3.parquet` its draw 3: one
training with a seed, or with patients, of its own. Columns are those of meds-evaluation's `PredictionSchema`; more may
stand beside them, and are not looked at.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import ClinbertError

KEY = ("subject_id", "prediction_time")
TRUTH, PROBABILITY = "boolean_value", "predicted_boolean_probability"
PREDICTIONS = pl.Schema(
    {KEY[0]: pl.String(), KEY[1]: pl.Datetime("us"), TRUTH: pl.Boolean(), PROBABILITY: pl.Float64()}
)
# In the metadata of a file: the source of the patients that the system was trained on, as `cohort.json` names it.
TRAINED_ON = "clinbert_trained_on"


class Predictions(NamedTuple):
    """What one draw of a system predicts.

    path (Path): its file; system (str): the system; draw (int): the draw, 0 where the file names none.
    trained_on (Optional[str]): the source of its training patients; None where the file does not say.
    table (pl.DataFrame): PREDICTIONS.
    """

    path: Path
    system: str
    draw: int
    trained_on: Optional[str]
    table: pl.DataFrame


def read_all(paths: Sequence[Path], trained_on: Optional[str] = None) -> Dict[str, List[Predictions]]:
    """Read predictions.

    paths (Sequence[Path]): files, and folders whose Parquet files are meant.
    trained_on (Optional[str]): the source of the training patients where a file does not say it.
    RETURNS (Dict[str, List[Predictions]]): the draws of each system, in ascending order; systems as they come.
    RAISES (ClinbertError): if a folder holds none, a draw is there twice or was trained on another source than the
        others of its system, and as `read_predictions`.
    """
    systems: Dict[str, List[Predictions]] = {}
    for path in paths:
        files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        if not files:
            raise ClinbertError(f"{path} holds no Parquet file: give the folder of the predictions")
        for file in files:
            found = read_predictions(file)
            found = found._replace(trained_on=found.trained_on or trained_on)
            for other in systems.setdefault(found.system, []):
                if other.draw == found.draw:
                    raise ClinbertError(
                        f"{other.path} and {file} are both draw {found.draw} of {found.system}: name them "
                        "SYSTEM.DRAW.parquet"
                    )
                if other.trained_on != found.trained_on:
                    raise ClinbertError(
                        f"{other.path} and {file} are one system by their names, and trained on different sources: "
                        "give them different names"
                    )
            systems[found.system].append(found)
    return {name: sorted(draws, key=lambda one: one.draw) for name, draws in systems.items()}


def read_predictions(path: Path) -> Predictions:
    """Read one file.

    path (Path): the file.
    RETURNS (Predictions): what it holds.
    RAISES (ClinbertError): if it cannot be read, lacks a column or rows, has a value that is missing, of another kind
        or out of its range, or predicts twice for one patient and time.
    """
    try:
        metadata = pq.read_metadata(path).metadata or {}
        raw = pl.read_parquet(path)
    except (OSError, pa.ArrowException, pl.exceptions.PolarsError):
        raise ClinbertError(
            f"{path} is missing or no Parquet file: give predictions of meds-evaluation's form"
        ) from None
    table = read_columns(raw, PREDICTIONS, path)
    if table.is_empty():
        raise ClinbertError(f"{path} holds no predictions: predict for the test patients of the cohort")
    probability = pl.col(PROBABILITY)
    refuse(
        table, ~probability.is_between(0, 1) | probability.is_nan(), path, "has a probability that is not from 0 to 1"
    )
    refuse(table, pl.struct(KEY).is_duplicated(), path, "is there twice with one prediction_time")
    name, dot, draw = path.stem.rpartition(".")
    numbered = bool(dot and name) and draw.isdecimal()
    trained_on = metadata.get(TRAINED_ON.encode())
    return Predictions(
        path,
        name if numbered else path.stem,
        int(draw) if numbered else 0,
        None if trained_on is None else trained_on.decode(),
        table,
    )


def read_columns(table: pl.DataFrame, schema: pl.Schema, path: Path) -> pl.DataFrame:
    """Take columns as they should be, none of them with a null.

    table (pl.DataFrame): the table of a file, with whatever types a writer of MEDS may choose.
    schema (pl.Schema): the columns that are needed; path (Path): the file, for errors.
    RETURNS (pl.DataFrame): those columns. Times lose their zone, as UTC.
    RAISES (ClinbertError): if a column is missing, of another kind, or has a null.
    """
    for name in schema:
        if name not in table.columns:
            raise ClinbertError(f"{path} has no column {name}: give a table with {', '.join(schema.names())}")
    try:
        found = table.select(
            pl.col(name).dt.convert_time_zone("UTC").dt.replace_time_zone(None).cast(kind)
            if isinstance(table.schema[name], pl.Datetime) and table.schema[name].time_zone  # type: ignore[attr-defined]
            else pl.col(name).cast(kind)
            for name, kind in schema.items()
        )
    except pl.exceptions.PolarsError:
        kinds = ", ".join(f"{name} {table.schema[name]}" for name in schema)
        raise ClinbertError(f"{path} has columns of other kinds than those of MEDS ({kinds}): correct them") from None
    for name in schema:
        refuse(found, pl.col(name).is_null(), path, f"has no {name}")
    return found


def refuse(table: pl.DataFrame, rows: pl.Expr, path: Path, fault: str) -> None:
    """Raise a ClinbertError that names the first patient with a fault and counts the rows, if there are any.

    table (pl.DataFrame): with a subject_id; rows (pl.Expr): the faulty ones.
    path (Path): the file; fault (str): what is wrong with the patient.
    """
    found = table.filter(rows)
    if not found.is_empty():
        raise ClinbertError(
            f"{path}: patient {found['subject_id'][0]} {fault} ({len(found):,} such rows): correct the file"
        )
