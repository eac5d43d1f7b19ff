"""`clinbert ehr evaluate`: systems that predict an outcome, judged on the test patients of a cohort."""

from pathlib import Path
from typing import Annotated, List, Optional

import typer


def evaluate(
    cohort: Annotated[Path, typer.Argument(help="Folder that `clinbert ehr cohort` wrote.")],
    predictions: Annotated[
        List[Path],
        typer.Argument(
            metavar="PREDICTIONS…",
            help="Parquet of meds-evaluation's form, or folders of it: SYSTEM.parquet, or SYSTEM.DRAW.parquet.",
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder for the results; an earlier evaluation there is replaced.")],
    trained_on: Annotated[
        Optional[str],
        typer.Option(help="Source of the training patients, for predictions that do not say it."),
    ] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of the bootstrap.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same numbers.")] = 0,
) -> None:
    """Score systems side by side: AUROC, AUPRC and, of a landmark cohort, calibration; by sex and age.

    The first system is the one that others are compared with. Intervals are by bootstrap over patients, with draws as
    second level. Writes metrics.json, figures and report.html.

    Example: clinbert ehr evaluate corpora/dhf predictions/logistic.parquet predictions/medbert.*.parquet
    --output metrics/dhf
    """
    from wasabi import table

    from ..ehr.evaluate import evaluate as evaluate_systems
    from ..ehr.evaluated_cohort import read_evaluated_cohort
    from ..ehr.evaluation_report import (
        CONTENTS,
        REPORT,
        TITLES,
        bounds,
        number,
        score_names,
        share_title,
        signed,
        write_evaluation,
    )
    from ..ehr.predictions import read_all
    from ..output import whole_folder

    with whole_folder(output, CONTENTS) as folder:
        found = evaluate_systems(read_evaluated_cohort(cohort), read_all(predictions, trained_on), resamples, seed)
        write_evaluation(found, folder)
    metrics = found.metrics
    counts = metrics["groups"]["all"]
    typer.echo(
        f"{metrics['cohort']}, tested on {metrics['tested_on']}: {counts['patients']:,} "
        f"patients, {counts['with_outcome']:,} with the outcome, {share_title(metrics)} {counts['prevalence']:.2%}"
    )
    names = score_names(metrics)
    rows = []
    for name, system in metrics["systems"].items():
        for group, scores in system["groups"].items():
            cells = [f"{number(scores[score]['value'])} {_brackets(bounds(scores[score]))}".strip() for score in names]
            rows.append((name, group, *cells))
    header = ("system", "group", *(TITLES[name] for name in names))
    typer.echo(table(rows, header=header, divider=True, aligns=("l", "l", *"r" * len(names)), max_col=40))
    if metrics["differences"]:
        rows = [
            (row["system"], TITLES[row["score"]], signed(row["difference"]), bounds(row), number(row["detectable"]))
            for row in metrics["differences"]
        ]
        first = metrics["differences"][0]["against"]
        header = (f"against {first}", "score", "difference", "95 % interval", "smallest detectable")
        typer.echo(table(rows, header=header, divider=True, aligns=("l", "l", *"rrr"), max_col=40))
    for note in metrics["notes"]:
        typer.echo(note)
    typer.echo(f"report: {output / REPORT}")


def _brackets(interval: str) -> str:
    return f"({interval})" if interval else ""
