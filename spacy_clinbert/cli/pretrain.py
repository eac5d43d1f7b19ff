"""`clinbert pretrain`: masked language modelling on notes."""

from pathlib import Path
from typing import Annotated

import typer

# Settings of the config are overridden as in `spacy train`: by options that typer does not know.
TAKES_OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}


def pretrain(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="Config file; configs/pretraining holds examples.")],
) -> None:
    """Pretrain a BERT on notes by masked language modelling; --section.setting VALUE overrides the config.

    Example: clinbert pretrain configs/pretraining/demo.cfg --paths.notes notes.csv.gz --training.steps 500
    """
    import click
    from spacy.cli._util import parse_config_overrides
    from wasabi import table

    from ..errors import ClinbertError
    from ..pretraining.mlm import pretrain as run
    from ..pretraining.settings import read_settings

    try:
        overrides = parse_config_overrides(list(context.args), env_var=None)
    except click.NoSuchOption as error:
        raise ClinbertError(f"option {error.option_name} is no --section.setting of the config") from error
    settings = read_settings(config, overrides)
    done = run(settings)
    rows = (
        ("notes", f"{done.n_notes:,} and {done.n_held_out:,} held out, {done.n_rejected:,} rejected"),
        ("windows", f"{done.n_windows:,}"),
        ("train loss", f"{done.train_loss:.3f}"),
        ("held-out loss", f"{done.held_out_loss:.3f}"),
        ("held-out perplexity", f"{done.perplexity:.2f}"),
        ("held-out accuracy", f"{done.accuracy:.1%}"),
        ("seconds", f"{done.seconds:.0f}"),
        ("output", str(settings.paths.output)),
    )
    typer.echo(table(rows, max_col=100).strip("\n"))
