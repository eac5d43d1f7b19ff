"""The `clinbert` command line: one typer command a file. Heavy imports stay inside the commands."""

import sys

import typer

from ..errors import ClinbertError
from .annotate import annotate
from .compare import compare
from .convert import convert
from .encoders import encoders
from .evaluate import evaluate
from .formats import formats
from .page import page
from .pretrain import TAKES_OVERRIDES, pretrain
from .report import report
from .synth import synth
from .vocab import vocab

app = typer.Typer(
    name="clinbert",
    help="Clinical BERT pipelines in spaCy: synthesise, convert, pretrain, annotate.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (annotate, compare, convert, encoders, evaluate, formats, page, report, synth, vocab):
    app.command()(command)
app.command(context_settings=TAKES_OVERRIDES)(pretrain)


def main() -> None:
    """Run the command line; a `ClinbertError` ends in its one sentence and exit status 1."""
    try:
        app()
    except ClinbertError as error:
        typer.secho(f"clinbert: {error}", fg=typer.colors.RED, err=True)
        sys.exit(1)
