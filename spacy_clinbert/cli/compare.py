"""`clinbert compare`: systems side by side."""

from pathlib import Path
from typing import Annotated, List

import typer


def compare(
    runs: Annotated[List[Path], typer.Argument(metavar="RUN…", help="Folders that `clinbert evaluate` wrote.")],
) -> None:
    """Print the scores of systems side by side, and whether they differ from the first.

    Runs of one system that differ in seed count as one system. p is that of a paired permutation over documents, with
    seeds as second level; beside it, p is Holm-adjusted over the table.

    Example: clinbert compare metrics/base-1 metrics/base-2 metrics/ours-1 metrics/ours-2
    """
    from wasabi import table

    from ..evaluation.comparison import compare as compare_runs
    from ..evaluation.report import interval, percent
    from ..evaluation.run import read_run

    compared = compare_runs([(folder, read_run(folder)) for folder in runs])
    rows = []
    for metric, systems, _ in compared:
        for number, name in enumerate(("precision", "recall", "F1")):
            cells = [percent(system.score[number]) for system in systems]
            if name == "F1":
                spreads = [f" ({interval(one.spread)})" if one.spread else "" for one in systems]
                cells = [cell + spread for cell, spread in zip(cells, spreads)]
            rows.append(("" if number else metric, name, *cells))
    systems = compared[0].systems
    names = [f"{one.name}, {one.runs} runs" if one.runs > 1 else one.name for one in systems]
    # As wide as the longest name: a system's is by default the path of its pipeline.
    width = len("against ") + max(map(len, (*names, *(one.metric for one in compared))))
    header = ("metric", "micro, %", *names)
    typer.echo(table(rows, header=header, divider=True, aligns=("l", "l", *"r" * len(names)), max_col=width))
    differences = [
        (metric, one.name, f"{100 * one.difference:+.2f}", f"{one.p:.4f}", f"{one.adjusted:.4f}")
        for metric, _, contrasts in compared
        for one in contrasts
    ]
    header = ("metric", f"against {systems[0].name}", "F1", "p", "p (Holm)")
    typer.echo(table(differences, header=header, divider=True, aligns=("l", "l", "r", "r", "r"), max_col=width))
    if any("–" in row for row in rows):
        typer.echo("–: undefined, because nothing was predicted or nothing is annotated")
    if all(one.runs == 1 for one in systems):
        typer.echo("one run each: p says nothing of other seeds")
