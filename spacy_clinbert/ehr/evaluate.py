"""`clinbert ehr evaluate`: systems that predict an outcome, side by side on the test patients of a cohort."""

from collections.abc import Mapping, Sequence
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np
import polars as pl

from ..evaluation.binary_resampling import RESAMPLES, Resampled, contrast, draw_weights, resample
from ..evaluation.reliability import Bin, calibration_error, reliability
from .cohort_index import age
from .evaluated_cohort import PAPER, EvaluatedCohort
from .evaluation_notes import ALL, evaluation_notes
from .predictions import KEY, PROBABILITY, TRUTH, Predictions, refuse

# The first age of each band, in years.
AGES = (0, 18, 45, 65, 75)


class Evaluation(NamedTuple):
    """What an evaluation found.

    metrics (Dict[str, Any]): all numbers, as `metrics.json` holds them; None for what is undefined.
    curves (Dict[str, Dict[str, List[Bin]]]): reliability by group, then system, all draws together; empty for the
        design `paper`.
    """

    metrics: Dict[str, Any]
    curves: Dict[str, Dict[str, List[Bin]]]


def evaluate(
    cohort: EvaluatedCohort, systems: Mapping[str, Sequence[Predictions]], resamples: int = RESAMPLES, seed: int = 0
) -> Evaluation:
    """Evaluate systems.

    cohort (EvaluatedCohort): who they predict for.
    systems (Mapping[str, Sequence[Predictions]]): the draws of each; others are compared with the first.
    resamples (int): of the bootstrap; seed (int): same seed, same numbers.
    RETURNS (Evaluation): what was found.
    RAISES (ClinbertError): if patients are not those of the cohort, not the same for all systems, or were trained on.
    """
    first = next(iter(systems.values()))[0]
    rows = _match(cohort, first)
    probabilities = {name: np.stack([_align(rows, first, one) for one in draws]) for name, draws in systems.items()}
    for draws in systems.values():
        _check_split(cohort, rows, draws[0])
    truth = rows[TRUTH].to_numpy().astype(float)
    groups = _group(rows)
    patients = rows["subject_id"].rank("dense").to_numpy().astype(int) - 1
    cases = np.zeros(patients.max() + 1, dtype=int)
    if cohort.design == PAPER:
        np.maximum.at(cases, patients, truth.astype(int))
    # One patient says nothing of others.
    weights = draw_weights(patients, cases, resamples, seed) if len(cases) > 1 else iter(())
    found = resample(probabilities, truth, groups, weights, cohort.calibrated, seed)
    metrics: Dict[str, Any] = {
        "cohort": cohort.title,
        "design": cohort.design,
        "tested_on": cohort.source,
        "resamples": resamples,
        "validation_patients": rows.filter(pl.col("split") == "valid")["subject_id"].n_unique(),
        "test_patients_without_prediction": _left_over(cohort, rows),
        "groups": {name: _count(rows, members) for name, members in groups.items()},
        "systems": {
            name: {
                "draws": len(draws),
                "trained_on": draws[0].trained_on,
                "groups": {
                    group: _scores(
                        found[name, group], patients[members], probabilities[name][:, members], truth[members]
                    )
                    for group, members in groups.items()
                },
            }
            for name, draws in systems.items()
        },
        "differences": _differences(found, list(systems)),
    }
    metrics["notes"] = evaluation_notes(cohort, metrics)
    curves = {
        group: {name: _curve(one[:, members], truth[members]) for name, one in probabilities.items()}
        for group, members in groups.items()
    }
    return Evaluation(metrics, curves if cohort.calibrated else {})


def _match(cohort: EvaluatedCohort, first: Predictions) -> pl.DataFrame:
    """The rows of the cohort that are predicted, in an order of their own."""
    rows = first.table.select(KEY).join(cohort.table, on=KEY, how="left").sort(KEY)
    refuse(rows, pl.col(TRUTH).is_null(), first.path, "is not in the cohort, or with another prediction_time")
    return rows


def _align(rows: pl.DataFrame, first: Predictions, other: Predictions) -> np.ndarray:
    """The probabilities of a draw in the order of the rows; all systems must predict the same rows."""
    table = other.table
    for one, two in ((first, other), (other, first)):
        lost = one.table.join(two.table, on=KEY, how="anti")
        refuse(lost, pl.lit(True), two.path, f"is not predicted, but in {one.path}; all systems need the same patients")
    found = rows.select(*KEY, gold=TRUTH).join(table, on=KEY, how="left", maintain_order="left")
    refuse(found, pl.col("gold") != pl.col(TRUTH), other.path, f"has another {TRUTH} than in the cohort")
    return found[PROBABILITY].to_numpy()


def _check_split(cohort: EvaluatedCohort, rows: pl.DataFrame, system: Predictions) -> None:
    """No patient may be one that the system was trained on; patients of another source are others."""
    fault = "had no codes at the prediction, so that it is in no split: leave it out"
    refuse(rows, pl.col("split").is_null(), system.path, fault)
    if system.trained_on is None or system.trained_on == cohort.source:
        fault = "is a training patient: predict for test patients only"
        refuse(rows, pl.col("split") == "train", system.path, fault)


def _left_over(cohort: EvaluatedCohort, rows: pl.DataFrame) -> int:
    test = cohort.table.filter(pl.col("split") == "test")
    return test.join(rows, on="subject_id", how="anti")["subject_id"].n_unique()


def _group(rows: pl.DataFrame) -> Dict[str, np.ndarray]:
    """All rows, those of each sex and of each age band at the prediction; groups without rows are left out."""
    ages = rows.select(age(pl.col("birth"), pl.col(KEY[1])).alias("age"))["age"]
    groups = {ALL: np.ones(len(rows), dtype=bool)}
    for name, sex in (("women", "F"), ("men", "M")):
        groups[name] = (rows["sex"] == sex).fill_null(False).to_numpy()
    groups["sex unknown"] = ~(groups["women"] | groups["men"])
    for start, end in zip(AGES, (*AGES[1:], None)):
        name = f"age under {end}" if not start else f"age {start} and over" if end is None else f"age {start}–{end - 1}"
        groups[name] = ages.is_between(start, end or np.inf, closed="left").fill_null(False).to_numpy()
    groups["age unknown"] = (ages.is_null() | (ages < 0)).to_numpy()
    return {name: members for name, members in groups.items() if members.any()}


def _count(rows: pl.DataFrame, members: np.ndarray) -> Dict[str, Any]:
    of_group = rows.filter(pl.Series(members))
    with_outcome = int(of_group[TRUTH].sum())
    return {
        "patients": of_group["subject_id"].n_unique(),
        "predictions": len(of_group),
        "with_outcome": with_outcome,
        "prevalence": with_outcome / len(of_group),
    }


def _scores(found: Resampled, patients: np.ndarray, probabilities: np.ndarray, truth: np.ndarray) -> Dict[str, Any]:
    low, high = found.interval() if len(np.unique(patients)) > 1 else np.full((2, len(found.names)), np.nan)
    scores: Dict[str, Any] = {
        name: {
            "value": _number(found.points[:, place].mean()),
            "low": _number(low[place]),
            "high": _number(high[place]),
            "draws": [_number(value) for value in found.points[:, place]],
        }
        for place, name in enumerate(found.names)
    }
    if "brier" in found.names:
        errors = [calibration_error(one, truth) for one in probabilities]
        scores["calibration_error"] = {
            "value": _number(float(np.mean(errors))),
            "draws": [_number(one) for one in errors],
        }
        scores["mean_probability"] = {"value": _number(probabilities.mean())}
    return scores


def _differences(found: Mapping[Any, Resampled], systems: Sequence[str]) -> List[Dict[str, Any]]:
    rows = []
    for name in systems[1:]:
        first, second = found[systems[0], ALL], found[name, ALL]
        compared = contrast(first, second)
        for place, score in enumerate(first.names):
            # Nearer to 1 or 0 is better of slope and intercept: their differences say nothing.
            if score not in ("slope", "intercept"):
                numbers = {key: _number(values[place]) for key, values in compared._asdict().items()}
                rows.append({"system": name, "against": systems[0], "score": score, **numbers})
    return rows


def _curve(probabilities: np.ndarray, truth: np.ndarray) -> List[Bin]:
    return reliability(probabilities.ravel(), np.tile(truth, len(probabilities)), len(probabilities))


def _number(value: float) -> Optional[float]:
    return None if np.isnan(value) else float(value)
