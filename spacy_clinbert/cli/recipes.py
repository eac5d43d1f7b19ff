"""`clinbert recipes`: the published recipes of pretraining."""

from typing import Annotated, Optional

import typer


def recipes(
    name: Annotated[Optional[str], typer.Argument(help="A recipe; without it, all are listed.")] = None,
) -> None:
    """List the recipes for `clinbert export` and `clinbert pretrain`, or show the config of one with its sources.

    Example: clinbert recipes clinicalbert
    """
    from ..pretraining.recipes import recipe_text

    typer.echo(_list() if name is None else recipe_text(name))


def _list() -> str:
    from wasabi import table

    from ..pretraining.recipes import recipe_names

    header = ("recipe", "start", "data", "length", "batch", "rate", "steps", "dup", "predictions", "start's licence")
    return table([_row(name) for name in recipe_names()], header=header, divider=True, max_col=60).strip()


def _row(name: str) -> tuple[object, ...]:
    from ..encoders import find_encoder
    from ..pretraining.recipes import read_recipe

    recipe = read_recipe(name, {})
    export, model, training = recipe.export, recipe.model, recipe.training
    start = find_encoder(model.init) if model.init else None
    predictions = export.max_predictions if training.masking == "static" else f"{training.mask_probability:.0%}"
    return (
        name,
        model.init or "new weights",
        recipe.data,
        export.length,
        training.batch_size,
        f"{training.learning_rate:.0e}".replace("e-0", "e-"),
        f"{training.steps:,}" if training.steps else f"{training.epochs:g} epochs",
        export.dupe if training.masking == "static" else "dynamic",
        f"{predictions}{', MLM only' if model.objective == 'mlm' else ''}",
        start.licence if start else "",
    )
