"""`clinbert ehr …`: coded visits, one command a file."""

from typing import Callable, Tuple

import typer

from .ehr_cohort import cohort
from .ehr_evaluate import evaluate
from .ehr_finetune import baselines, curve, finetune
from .ehr_predict import predict
from .ehr_prepare import prepare
from .ehr_pretrain import pretrain, recipes
from .ehr_timeline import timeline
from .ehr_vectors import untrained, vectors
from .overrides import TAKES_OVERRIDES

ehr = typer.Typer(name="ehr", help="Med-BERT: coded visits, from a source to a trained model.", no_args_is_help=True)
PLAIN: Tuple[Callable, ...] = (baselines, curve, evaluate, predict, prepare, recipes, timeline, untrained, vectors)
WITH_OVERRIDES: Tuple[Callable, ...] = (cohort, finetune, pretrain)
for command in PLAIN:
    ehr.command()(command)
for command in WITH_OVERRIDES:
    ehr.command(context_settings=TAKES_OVERRIDES)(command)
