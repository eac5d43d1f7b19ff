"""`clinbert ehr pretrain` and `clinbert ehr recipes`: train a BERT on the codes of prepared patients."""

from typing import Annotated, Optional

import typer

from .overrides import read_overrides
from .pretrain import show


def pretrain(
    context: typer.Context,
    recipe: Annotated[
        str, typer.Argument(help="Name of a recipe, or a config file; `clinbert ehr recipes` lists them.")
    ],
) -> None:
    """Pretrain an encoder of codes on what `clinbert ehr prepare` wrote; --section.setting VALUE overrides the recipe.

    Both --paths. are needed where the recipe has no [paths]. Interrupted, the same command goes on from the last
    checkpoint. On several GPUs: torchrun --nproc-per-node 4 -m spacy_clinbert ehr pretrain, and the rest as below.

    Example: clinbert ehr pretrain medbert --paths.sequences patients --paths.output my-medbert
    """
    from ..ehr.pretrain import pretrain as run
    from ..ehr.pretrain_settings import read_settings

    settings = read_settings(recipe, read_overrides(context) if context.args else {})
    show(run(settings), "patients", settings.paths.output)


def recipes(
    name: Annotated[Optional[str], typer.Argument(help="A recipe; without it, all are listed.")] = None,
) -> None:
    """List the recipes for `clinbert ehr pretrain`, or show the config of one with its sources.

    Example: clinbert ehr recipes medbert
    """
    from ..ehr.pretrain_settings import CODES_SHELF
    from ..pretraining.recipes import recipe_text

    typer.echo(_list() if name is None else recipe_text(name, CODES_SHELF))


def _list() -> str:
    from wasabi import table

    from ..ehr.pretrain_settings import CODES_SHELF
    from ..pretraining.recipes import read_recipe, recipe_names

    header = ("recipe", "style", "data", "width", "layers", "length", "batch", "rate", "steps", "masks")
    rows = []
    for name in recipe_names(CODES_SHELF):
        recipe = read_recipe(name, {}, CODES_SHELF)
        model, training = recipe.model, recipe.training
        share = "one code" if training.mask_probability is None else f"{training.mask_probability:.0%}"
        rows.append(
            (
                name,
                model.style,
                recipe.data,
                model.hidden_size,
                model.layers,
                model.length,
                f"{training.batch_size} patients" if training.batch_size else f"{training.batch_codes:,} codes",
                f"{training.learning_rate:.0e}".replace("e-0", "e-"),
                f"{training.steps:,}" if training.steps else f"{training.epochs:g} epochs",
                f"{share}, {training.masking}" if training.masking else share,
            )
        )
    return table(rows, header=header, divider=True, max_col=60).strip()
