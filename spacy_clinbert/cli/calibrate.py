"""`clinbert calibrate`: probabilities of a text classifier that mean what they say."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ClinbertError


def calibrate(
    model: Annotated[Path, typer.Argument(help="A trained pipeline with clinbert_textcat.")],
    dev: Annotated[Path, typer.Argument(help="The development set of its training, a .spacy file.")],
    out: Annotated[Path, typer.Argument(help="Folder for the calibrated pipeline; an earlier one there is replaced.")],
) -> None:
    """Fit a temperature for each group of labels, on the half of the development set that early stopping did not see.

    Example: clinbert calibrate training/smoking/model-best corpora/smoking/dev.spacy training/smoking/calibrated
    """
    import spacy
    from wasabi import table

    from ..output import check_replaceable, whole_folder
    from ..training.calibrate import calibrate as calibrate_pipeline

    try:
        nlp = spacy.load(model)
    except OSError:
        raise ClinbertError(f"{model} is no saved pipeline: give the folder that training wrote") from None
    contents = ("config.cfg", "meta.json", "tokenizer", "vocab", *nlp.component_names)
    check_replaceable(out, contents)
    fitted = calibrate_pipeline(nlp, dev)
    with whole_folder(out, contents) as folder:
        nlp.to_disk(folder)
    rows = [
        (
            one.group or "all labels",
            one.before.decisions,
            f"{one.temperature:.2f}",
            *(f"{before:.4f} → {after:.4f}" for before, after in zip(one.before[1:], one.after[1:])),
        )
        for one in fitted
    ]
    header = ("labels", "decisions", "temperature", "ECE", "Brier", "NLL")
    typer.echo(table(rows, header=header, divider=True, aligns=("l", *"r" * (len(header) - 1))))
    typer.echo(
        "before → after, on the documents that the temperature was fitted to; `clinbert evaluate` judges on others"
    )
    typer.echo(f"calibrated pipeline: {out}")
