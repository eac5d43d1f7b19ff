"""`clinbert ehr finetune`, `baselines` and `curve`: systems that predict the outcome of a cohort."""

from pathlib import Path
from typing import Annotated, Any, Dict, List, Optional

import typer

from .overrides import read_overrides

COHORT = Annotated[Path, typer.Argument(help="Folder that `clinbert ehr cohort` wrote.")]
RUNS = Annotated[int, typer.Option(min=1, help="Runs, each with a seed of its own, from 0.")]
CURVE = Annotated[
    bool,
    typer.Option("--curve", help="Train on 100, 300, 500 … patients too, a draw a run: OUT/SIZE/SYSTEM.DRAW.parquet."),
]


def finetune(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="Config of `spacy train`, such as configs/ehr-finetune.cfg.")],
    cohort: COHORT,
    out: Annotated[
        Path, typer.Argument(help="Folder for pipelines, SYSTEM.DRAW, and predictions, SYSTEM.DRAW.parquet.")
    ],
    heads: Annotated[
        Optional[List[str]],
        typer.Option("--head", help="ffn, gru, bigru or retain; may be repeated.", show_default="all that can be"),
    ] = None,
    codes: Annotated[str, typer.Option(help="What is below: encoder, static or random.")] = "encoder",
    name: Annotated[
        Optional[str], typer.Option(help="Systems are called NAME-HEAD.", show_default="the kind of codes")
    ] = None,
    runs: RUNS = 10,
    curve: CURVE = False,
    gpu_id: Annotated[int, typer.Option(help="GPU, or -1 for the CPU.")] = -1,
) -> None:
    """Fine-tune systems on a cohort, several times each: train, calibrate, predict for the test patients.

    --section.setting VALUE overrides the config.

    Example: clinbert ehr finetune configs/ehr-finetune.cfg corpora/dhf training/dhf --head gru --paths.encoder medbert
    """
    from ..ehr.curve import train_along
    from ..ehr.finetune import HEADS, POOLED, choose_model
    from ..ehr.finetune import finetune as run

    given = read_overrides(context) if context.args else {}
    for head in heads or [head for head in HEADS if head != POOLED or codes == "encoder"]:
        overrides = {**choose_model(head, codes), **given}
        system = f"{name or codes}-{head}"

        def train(
            folder: Path, place: Path, draw: int, system: str = system, overrides: Dict[str, Any] = overrides
        ) -> None:
            score = run(config, folder, place / f"{system}.{draw}", draw, overrides, gpu_id)
            typer.echo(
                f"{place / system}.{draw}.parquet: AUROC {score:.4f} on the half of valid that chose the pipeline"
            )

        if curve:
            train_along(cohort, out, [system], runs, train)
            continue
        for draw in range(runs):
            train(cohort, out, draw)


def baselines(
    cohort: COHORT,
    out: Annotated[Path, typer.Argument(help="Folder for the predictions, SYSTEM.DRAW.parquet.")],
    runs: RUNS = 10,
    curve: CURVE = False,
    test_on: Annotated[
        Optional[Path],
        typer.Option(help="Cohort whose test patients are predicted, of any source.", show_default="the same cohort"),
    ] = None,
) -> None:
    """Fit logistic regression, random forest and gradient boosting on bags of codes, with settings chosen on valid.

    The forest has a draw for each run; the others know no chance, but on the curve.

    Example: clinbert ehr baselines corpora/dhf training/dhf
    """
    from wasabi import table

    from ..ehr.baselines import BASELINES, run_baselines
    from ..ehr.curve import train_along

    if curve:

        def fit(folder: Path, place: Path, draw: int) -> None:
            run_baselines(folder, place, [draw], test_on=test_on)

        train_along(cohort, out, tuple(BASELINES), runs, fit)
        return
    rows = [
        (name, ", ".join(f"{key} {value}" for key, value in found.settings.items()), f"{found.auroc:.4f}")
        for name, found in run_baselines(cohort, out, range(runs), test_on=test_on).items()
    ]
    typer.echo(table(rows, header=("baseline", "chosen", "AUROC on valid"), divider=True, max_col=80))


def curve(
    out: Annotated[Path, typer.Argument(help="Folder that --curve filled; gets scores.csv, curve.csv and curve.png.")],
) -> None:
    """Draw the learning curve: AUROC on the test patients over the number of training patients.

    Example: clinbert ehr curve training/dhf-curve
    """
    from wasabi import table

    from ..ehr.curve import write_curve

    rows = [
        (
            row["system"],
            f"{row['size']:,}",
            row["draws"],
            f"{row['mean']:.4f}",
            f"{row['low']:.4f} to {row['high']:.4f}",
        )
        for row in write_curve(out).iter_rows(named=True)
    ]
    header = ("system", "patients", "draws", "AUROC", "of the draws")
    typer.echo(table(rows, header=header, divider=True, aligns=("l", *"rrrr")))
