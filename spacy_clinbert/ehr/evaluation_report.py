"""The output of `clinbert ehr evaluate`: numbers, figures and one HTML page."""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, List, Optional

from ..evaluation.binary_figures import draw_discrimination, draw_reliability
from .evaluate import Evaluation
from .evaluated_cohort import PAPER
from .pages import render

METRICS, REPORT = "metrics.json", "report.html"
DISCRIMINATION, RELIABILITY = "discrimination.png", "reliability.png"
CONTENTS = (METRICS, REPORT, DISCRIMINATION, RELIABILITY)
TITLES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "slope": "slope",
    "intercept": "intercept",
    "mean_probability": "mean probability",
}


def write_evaluation(found: Evaluation, folder: Path) -> None:
    """Write numbers, figures and page.

    found (Evaluation): the evaluation.
    folder (Path): an existing folder; of the design `paper` there is no figure of reliability.
    """
    metrics = found.metrics
    (folder / METRICS).write_text(json.dumps(metrics, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    auroc = {
        name: {group: tuple(one["auroc"][key] for key in ("value", "low", "high")) for group, one in groups.items()}
        for name, groups in ((name, system["groups"]) for name, system in metrics["systems"].items())
    }
    draw_discrimination(auroc, TITLES["auroc"], folder / DISCRIMINATION)
    figures = {"discrimination": _embed(folder / DISCRIMINATION)}
    if found.curves:
        draw_reliability(found.curves, folder / RELIABILITY)
        figures["reliability"] = _embed(folder / RELIABILITY)
    page = render(
        "evaluation.html",
        {"number": number, "signed": signed, "bounds": bounds},
        metrics=metrics,
        figures=figures,
        scores=score_names(metrics),
        titles=TITLES,
        share=share_title(metrics),
    )
    (folder / REPORT).write_text(page, encoding="utf-8")


def score_names(metrics: Mapping[str, Any]) -> List[str]:
    """The scores that an evaluation has, in the order of `TITLES`."""
    first = next(iter(metrics["systems"].values()))["groups"]["all"]
    return [name for name in TITLES if name in first]


def share_title(metrics: Mapping[str, Any]) -> str:
    """What the share of those with the outcome is."""
    return "share by design" if metrics["design"] == PAPER else "prevalence"


def number(value: Optional[float]) -> str:
    """A number with four decimals; a dash for what is undefined."""
    return "–" if value is None else f"{value:.4f}"


def signed(value: Optional[float]) -> str:
    """A difference with its sign."""
    return "–" if value is None else f"{value:+.4f}"


def bounds(score: Mapping[str, Any]) -> str:
    """The interval of a score or difference; empty for one that has none."""
    if "low" not in score:
        return ""
    ends: Sequence[Optional[float]] = (score["low"], score["high"])
    return "–" if None in ends else " to ".join(number(end) for end in ends)


def _embed(figure: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(figure.read_bytes()).decode()}"
