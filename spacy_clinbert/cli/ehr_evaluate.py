"""`clinbert ehr evaluate`: systems that predict an outcome, judged on the test patients of a cohort."""

from pathlib import Path
from typing import Annotated, Any, List, Mapping, Optional

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
    systems = {name: system["groups"] for name, system in metrics["systems"].items()}
    rows = [(name, *(_cell(groups["all"][score]) for score in names)) for name, groups in systems.items()]
    header = ("system", *(TITLES[name] for name in names))
    typer.echo(table(rows, header=header, divider=True, aligns=("l", *"r" * len(names)), max_col=40))
    rows = [
        (
            group,
            count["patients"],
            f"{count['prevalence']:.2%}",
            *(_cell(one[group]["auroc"]) for one in systems.values()),
        )
        for group, count in metrics["groups"].items()
    ]
    header = ("group", "patients", share_title(metrics), *(f"AUROC {name}" for name in systems))
    typer.echo(table(rows, header=header, divider=True, aligns=("l", *"r" * (2 + len(systems))), max_col=40))
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


def _cell(score: Mapping[str, Any]) -> str:
    from ..ehr.evaluation_report import bounds, number

    interval = bounds(score)
    return f"{number(score['value'])} ({interval})" if interval else number(score["value"])
