"""The folder of a cohort as its evaluation reads it: who is to be predicted for, and who they are."""

import json
from pathlib import Path
from typing import NamedTuple

import polars as pl
from pydantic import ValidationError

from ..errors import ClinbertError
from .cohort_folder import COHORT, LABELS, CohortReport
from .ehr_manifest import SPLITS, read_manifest
from .predictions import KEY, TRUTH, read_columns

PAPER, LANDMARK, GIVEN = "paper", "landmark", "given"
_LABELS = pl.Schema({KEY[0]: pl.String(), KEY[1]: pl.Datetime("us"), TRUTH: pl.Boolean()})
_PEOPLE = pl.Schema({KEY[0]: pl.String(), "birth": pl.Date(), "sex": pl.String(), "split": pl.String()})


class EvaluatedCohort(NamedTuple):
    """A cohort.

    title (str): what it is; source (str): the source of its patients.
    design (str): "paper", "landmark", or "given" for labels from elsewhere.
    bias (str): what is wrong with the design, or nothing.
    table (pl.DataFrame): subject_id, prediction_time, boolean_value, birth, sex and split ("train", "valid" or "test");
        the last three null for a patient of whom nothing was known at the prediction.
    """

    title: str
    source: str
    design: str
    bias: str
    table: pl.DataFrame

    @property
    def calibrated(self) -> bool:
        """Whether calibration means anything: not where patients were chosen by their outcome."""
        return self.design != PAPER


def read_evaluated_cohort(folder: Path) -> EvaluatedCohort:
    """Read a cohort.

    folder (Path): what `clinbert ehr cohort` wrote.
    RETURNS (EvaluatedCohort): the cohort.
    RAISES (ClinbertError): if a file is missing or damaged, or nobody is in it.
    """
    try:
        report = CohortReport.model_validate(json.loads((folder / COHORT).read_text(encoding="utf-8")))
    except OSError:
        raise ClinbertError(f"{folder} holds no {COHORT}: give a folder that `clinbert ehr cohort` wrote") from None
    except (ValidationError, ValueError):
        raise ClinbertError(f"{folder / COHORT} is damaged: make the cohort again with --replace") from None
    if not report.patients:
        raise ClinbertError(f"nobody is in the cohort {folder}: see its flow.csv, and loosen its rules")
    try:
        labels = read_columns(pl.read_parquet(folder / LABELS), _LABELS, folder / LABELS)
        people = [
            pl.read_parquet(folder / shard.name, columns=_PEOPLE.names()[:-1]).with_columns(split=pl.lit(split))
            for split in SPLITS
            for shard in read_manifest(folder).split(split)
        ]
    except (OSError, pl.exceptions.PolarsError):
        raise ClinbertError(f"{folder} lacks files or has damaged ones: make the cohort again with --replace") from None
    table = labels.join(pl.concat([pl.DataFrame(schema=_PEOPLE), *people]), on="subject_id", how="left")
    plan = report.plan
    return EvaluatedCohort(
        report.title, str(plan.get("source", "")), plan.get("task", {}).get("design", GIVEN), report.bias, table
    )
