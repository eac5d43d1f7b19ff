"""`clinbert ehr cohort`: who is to be predicted, when, and from what."""

from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from .overrides import read_overrides


class DesignName(str, Enum):
    """The designs of a cohort."""

    paper = "paper"
    landmark = "landmark"


def cohort(
    context: typer.Context,
    source: Annotated[Path, typer.Argument(help="Coded visits: a file or a folder.")],
    name_or_file: Annotated[
        str,
        typer.Argument(
            metavar="NAME_OR_FILE",
            help="dhf, paca, next-diagnosis or a config file; labels of MEDS (.parquet), or a task of ACES (.yaml).",
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder for labels.parquet, flow.csv, cohort.json and the sequences.")],
    design: Annotated[
        DesignName,
        typer.Option(
            help="paper: cases and controls, indexed as published; landmark: one index for all and a fixed horizon."
        ),
    ] = DesignName.landmark,
    form: Annotated[
        Optional[str], typer.Option("--format", help="Form of the source.", show_default="by its files")
    ] = None,
    like: Annotated[
        Optional[Path],
        typer.Option(help="The prepared patients of the encoder: their vocabulary and settings are taken."),
    ] = None,
    splits: Annotated[
        Optional[Path], typer.Option(help="Table of subject_id and split in place of the hash, as in pretraining.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace another cohort in OUT.")] = False,
) -> None:
    """Find the patients of a cohort, and write what was known of each at the time of prediction.

    --section.setting VALUE overrides a setting of a config file. The sequences are divided by the same hash as in
    pretraining, and read by spacy_clinbert.Patients.v1. Who is left out is listed with the reason in
    OUT/rejected.jsonl.

    Example: clinbert ehr cohort assets/mimic4 dhf corpora/dhf --like corpora/patients
    """
    from wasabi import table

    from ..ehr.cohort import SplitBy, make_cohort
    from ..ehr.cohort_source import open_source, settings_like
    from ..ehr.cohort_tasks import read_task

    task = read_task(name_or_file, design.value, read_overrides(context) if context.args else {})
    settings = settings_like(like)
    events = open_source(source, form, task, settings)
    report = make_cohort(events, task, out, settings, SplitBy(splits, like), name=source.name, replace=replace)
    rows = [
        (step["step"], f"{step['left_out']:,}", f"{step['left']:,}", _number(step["cases"]), step["note"])
        for step in report.flow
    ]
    header = ("rule", "left out", "left", "cases", "note")
    typer.echo(f"{report.title}\n{table(rows, header=header, divider=True, max_col=80).strip()}")
    if not report.patients:
        typer.echo(f"Nobody is left: {out} holds no sequences.")
    elif report.prevalence is not None:
        typer.echo(f"Prevalence: {report.prevalence:.2%}, {report.cases:,} of {report.patients:,}.")
    else:
        typer.echo(f"{report.cases:,} cases of {report.patients:,} patients, which is no prevalence. {report.bias}")
    if report.ids == "string":
        typer.echo("Ids in labels.parquet are strings: MEDS wants whole numbers, which those of this source are not.")


def _number(value: Optional[int]) -> str:
    return "" if value is None else f"{value:,}"
