"""`clinbert export`: raw notes into pretraining examples, by a recipe."""

from pathlib import Path
from typing import Annotated, Optional

import typer

# Notes of MIMIC-III that Bio_ClinicalBERT saw, as its model card says (huggingface.co/emilyalsentzer/Bio_ClinicalBERT).
MODEL_CARD = {"clinicalbert": "880 M", "clinicalbert-base": "880 M"}


def export(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="Notes: a file, a folder, or the address of a PostgreSQL database.")],
    out: Annotated[Path, typer.Argument(help="Folder for the shards, the tokenizer and manifest.json.")],
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or a config file; `clinbert recipes` lists them.")],
    tokenizer: Annotated[
        Optional[str], typer.Option(help="Catalogue alias, hub id or folder.", show_default="that of the recipe")
    ] = None,
    form: Annotated[Optional[str], typer.Option(help="Form of the source.", show_default="by its files")] = None,
    id_column: Annotated[Optional[str], typer.Option(help="Column of the ids.", show_default="of the form")] = None,
    text_column: Annotated[Optional[str], typer.Option(help="Column of the texts.", show_default="of the form")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes; the result does not depend on their number.")] = 1,
    engine: Annotated[
        str, typer.Option(help="What runs them: local, spark or ray, whose machines must all see OUT.")
    ] = "local",
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove an earlier export in OUT first, once the notes are read.")
    ] = False,
) -> None:
    """Make pretraining examples of notes; --export.setting VALUE overrides the recipe.

    Interrupted, the same command goes on where it was. Rows that cannot be read and notes that are left out are listed
    with the reason in OUT/export.rejected.jsonl.

    Example: clinbert export NOTEEVENTS.csv.gz exports/clinicalbert --recipe clinicalbert --workers 16
    """
    import time

    from wasabi import table

    from ..pretraining.export import export as run
    from ..pretraining.recipes import read_recipe
    from .overrides import read_overrides

    started = time.monotonic()
    overrides = read_overrides(context) if context.args else {}
    if tokenizer:
        overrides["export.tokenizer"] = tokenizer
    manifest = run(
        source,
        out,
        read_recipe(recipe, overrides).export,
        recipe=Path(recipe).stem,
        form=form,
        id_column=id_column,
        text_column=text_column,
        workers=workers,
        engine=engine,
        replace=replace,
    )
    card = MODEL_CARD.get(recipe)
    notes = {"words": f" (Bio_ClinicalBERT's model card: {card})"} if card else {}
    rows = [(name, f"{count:,}{notes.get(name, '')}") for name, count in manifest.counts.items()]
    rows += [
        ("shards", f"{len(manifest.shards):,}, {sum(shard.bytes for shard in manifest.shards) / 1e6:,.1f} MB"),
        ("seconds", f"{time.monotonic() - started:.1f}"),
        ("export", str(out)),
    ]
    typer.echo(table(rows, max_col=200).strip("\n"))
