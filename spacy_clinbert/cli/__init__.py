"""The `clinbert` command line: one typer command a file. Heavy imports stay inside the commands."""

import sys
from typing import Callable, List

import typer

from ..errors import ClinbertError
from .annotate import annotate
from .bionlp import bionlp
from .calibrate import calibrate
from .compare import compare
from .compile import compile_model
from .convert import convert
from .corpus import corpus
from .ehr import ehr
from .encoders import encoders
from .evaluate import evaluate
from .export import export
from .formats import formats
from .import_model import import_model
from .overrides import TAKES_OVERRIDES
from .package import package
from .page import page
from .pretrain import pretrain
from .recipes import recipes
from .report import report
from .synth import synth
from .tune import tune
from .vocab import vocab

app = typer.Typer(
    name="clinbert",
    help="Clinical BERT pipelines in spaCy, from raw notes to trained, evaluated, packaged models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
PLAIN: List[Callable] = [annotate, calibrate, compare, convert, corpus, encoders, evaluate, formats, package]
PLAIN += [page, recipes, report, synth, vocab]
WITH_OVERRIDES: List[Callable] = [bionlp, export, pretrain, tune]
for command in PLAIN:
    app.command()(command)
# Words of Python.
app.command("compile")(compile_model)
app.command("import")(import_model)
for command in WITH_OVERRIDES:
    app.command(context_settings=TAKES_OVERRIDES)(command)

app.add_typer(ehr)


def main() -> None:
    """Run the command line; a `ClinbertError` ends in its one sentence and exit status 1."""
    try:
        app()
    except ClinbertError as error:
        typer.secho(f"clinbert: {error}", fg=typer.colors.RED, err=True)
        sys.exit(1)
