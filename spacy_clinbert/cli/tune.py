"""`clinbert tune`: search a grid of settings on the development split."""

from pathlib import Path
from typing import Annotated

import typer

from .overrides import read_overrides


def tune(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="Config of spaCy's training, such as configs/ner.cfg.")],
    out: Annotated[Path, typer.Argument(help="Output folder; a search that was stopped there goes on.")],
    grid: Annotated[Path, typer.Option(help="JSON: section.setting → list of values, and its source.")],
    seeds: Annotated[int, typer.Option(min=1, help="Train each point with so many seeds, from 0.")] = 1,
    gpu_id: Annotated[int, typer.Option(help="GPU, or -1 for the CPU.")] = -1,
) -> None:
    """Train each point of a grid and choose by the score on dev; --section.setting VALUE overrides the config.

    A config that names a test file is refused.

    Example: clinbert tune configs/ner.cfg training/tune --grid configs/grids/clinicalbert.json --paths.train …
    """
    from wasabi import table

    from ..training.tune import BEST, SUMMARY, rank, read_grid, search

    overrides = read_overrides(context)
    points = read_grid(grid)
    found = search(config, out, points, overrides, seeds, gpu_id)
    rows = [
        (*(str(value) for value in settings.values()), f"{100 * sum(scores) / len(scores):.2f}")
        + ((f"{100 * min(scores):.2f} to {100 * max(scores):.2f}",) if seeds > 1 else ())
        for settings, scores in rank(found.trials)
    ]
    header = (*points.settings, "dev", *(["over seeds"] if seeds > 1 else []))
    typer.echo(table(rows, header=header, divider=True, max_col=60))
    typer.echo(f"grid: {points.source}\nbest pipeline: {out / found.best.model}")
    typer.echo(f"its config: {out / BEST}\nall scores: {out / SUMMARY}")
    typer.echo("the best of many scores on dev is too high: only a test set, opened once, says how good it is")
