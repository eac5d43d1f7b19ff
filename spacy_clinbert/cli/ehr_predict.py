"""`clinbert ehr predict`: what a trained pipeline predicts for the patients of a cohort."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ClinbertError


class SplitName(str, Enum):
    """The splits of a cohort."""

    train = "train"
    valid = "valid"
    test = "test"


def predict(
    pipeline: Annotated[Path, typer.Argument(help="A trained pipeline with clinbert_textcat.")],
    cohort: Annotated[Path, typer.Argument(help="Folder that `clinbert ehr cohort` wrote, of any source.")],
    out: Annotated[Path, typer.Argument(help="Parquet file for the predictions, in the form of meds-evaluation.")],
    split: Annotated[SplitName, typer.Option(help="Which patients.")] = SplitName.test,
) -> None:
    """Predict the outcome for the patients of a cohort.

    Example: clinbert ehr predict training/dhf/encoder-gru.0 corpora/dhf-elsewhere predictions/encoder-gru.0.parquet
    """
    import spacy

    from ..ehr.predict import predict as run

    try:
        nlp = spacy.load(pipeline)
    except OSError:
        raise ClinbertError(f"{pipeline} is no saved pipeline: give the folder that training wrote") from None
    found = run(nlp, cohort, out, split.value)
    typer.echo(f"{len(found):,} patients: {out}")
