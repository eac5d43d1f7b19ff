"""What a reader of an evaluation must know: its design, who is in it, and what systems were trained on."""

from collections.abc import Mapping
from typing import Any, List

from ..evaluation.reliability import BINS
from .evaluated_cohort import LANDMARK, PAPER, EvaluatedCohort

# The group of all rows.
ALL = "all"


def evaluation_notes(cohort: EvaluatedCohort, metrics: Mapping[str, Any]) -> List[str]:
    """Say what a reader of the numbers must know.

    cohort (EvaluatedCohort): who was predicted for.
    metrics (Mapping[str, Any]): the numbers, as `evaluate` found them.
    RETURNS (List[str]): sentences, the design first.
    """
    counts = metrics["groups"][ALL]
    notes = []
    if cohort.design == PAPER:
        notes.append(
            "Design paper: cases and controls were chosen by their outcome. The share of cases is the design's and no "
            "prevalence, AUPRC holds for this share only, and calibration is not reported. Cases and controls are "
            "resampled apart."
        )
        notes += [f"Bias of the design: {cohort.bias}"] if cohort.bias else []
    else:
        notes.append(
            f"The prevalence is {counts['prevalence']:.2%}. The calibration error is that of at most {BINS} bins of "
            "equal mass; by chance it is above 0 for calibrated probabilities too. Patients are resampled."
        )
    if cohort.design not in (PAPER, LANDMARK):
        notes.append(
            "The labels are from elsewhere: prevalence and calibration mean something only if patients were not chosen "
            "by their outcome."
        )
    if not counts["with_outcome"] or counts["with_outcome"] == counts["predictions"]:
        notes.append("All predictions have the same outcome: AUROC, slope and intercept are undefined.")
    if counts["patients"] == 1:
        notes.append("One patient says nothing of others: there are no intervals.")
    lost = metrics["test_patients_without_prediction"]
    if metrics["validation_patients"]:
        notes.append(
            f"{metrics['validation_patients']:,} patients are of the validation split, by which a system may be chosen."
        )
    if lost:
        notes.append(f"{lost:,} test patients of the cohort have no prediction and are not judged.")
    for name, system in metrics["systems"].items():
        if system["trained_on"] is None:
            notes.append(f"{name}: the predictions do not say on which source it was trained.")
        elif system["trained_on"] != cohort.source:
            notes.append(
                f"{name}: trained on {system['trained_on']}, tested on {cohort.source}: whether a patient is in both "
                "is not checked."
            )
    if len(metrics["systems"]) > 2:
        notes.append("Intervals of differences are not adjusted for their number.")
    return notes
