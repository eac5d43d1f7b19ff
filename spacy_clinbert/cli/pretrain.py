"""`clinbert pretrain`: train a BERT on the instances of an export."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .overrides import TAKES_OVERRIDES, read_overrides

if TYPE_CHECKING:
    from ..pretraining.train import Pretrained

__all__ = ["TAKES_OVERRIDES", "pretrain"]


def pretrain(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a config file; `clinbert recipes` lists them.")],
) -> None:
    """Pretrain a BERT on what `clinbert export` wrote; --section.setting VALUE overrides the recipe.

    Both --paths. are needed where the recipe has no [paths]; docs/pretraining.md lists the settings, such as
    --training.steps 1000 or --training.bf16 true. Interrupted, the same command goes on from the last checkpoint. On
    several GPUs: torchrun --nproc-per-node 4 -m spacy_clinbert pretrain, and the rest as below.

    Example: clinbert pretrain clinicalbert --paths.instances exports/clinicalbert --paths.output my-clinicalbert
    """
    from ..pretraining.recipes import read_recipe
    from ..pretraining.settings import Settings
    from ..pretraining.train import pretrain as run

    chosen = read_recipe(recipe, read_overrides(context) if context.args else {})
    settings = Settings(paths=chosen.paths, model=chosen.model, training=chosen.training)
    show(run(settings), "instances", settings.paths.output)


def show(done: "Pretrained", what: str, output: Path) -> None:
    """Print what a run did, in one of its processes.

    done (Pretrained): its counts, losses and time.
    what (str): what it trained on: "instances".
    output (Path): where it put the model.
    """
    import os

    from wasabi import table

    if os.environ.get("RANK", "0") != "0":
        return
    resumed = f", resumed at {done.resumed:,}" if done.resumed else ""
    rows = [
        (what, f"{done.instances:,} trained on, {done.held_out:,} held out"),
        ("steps", f"{done.steps:,} ({done.epochs:.2f} epochs){resumed}"),
        *((f"train {name.replace('_', ' ')}", f"{value:.3f}") for name, value in done.losses.items() if value),
        *((f"held-out {name.replace('_', ' ')}", f"{value:.3f}") for name, value in done.scores.items()),
        ("seconds", f"{done.seconds:.0f}"),
        ("output", str(output)),
    ]
    typer.echo(table(rows, max_col=100).strip("\n"))
