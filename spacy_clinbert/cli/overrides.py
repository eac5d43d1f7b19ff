"""Settings of a config, overridden as in `spacy train`: by options that typer does not know."""

from typing import Any, Dict

import typer

from ..errors import ClinbertError

TAKES_OVERRIDES = {"allow_extra_args": True, "ignore_unknown_options": True}


def read_overrides(context: typer.Context) -> Dict[str, Any]:
    """Read the options that typer does not know.

    context (typer.Context): of a command registered with `TAKES_OVERRIDES`.
    RETURNS (Dict[str, Any]): values keyed by "section.setting".
    RAISES (ClinbertError): if one is no `--section.setting VALUE`.
    """
    import click
    from spacy.cli._util import parse_config_overrides

    try:
        return parse_config_overrides(list(context.args), env_var=None)
    except click.NoSuchOption as error:
        raise ClinbertError(f"option {error.option_name} is no --section.setting of the config") from error
