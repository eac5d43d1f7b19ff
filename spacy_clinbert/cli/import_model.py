"""`clinbert import`: a published Hugging Face classifier as a spaCy pipeline."""

from pathlib import Path
from typing import Annotated, Optional

import typer

# What a pipeline's folder holds: an earlier one may be replaced, anything else not.
CONTENTS = {"config.cfg", "meta.json", "tokenizer", "vocab", "clinbert_placeholders", "clinbert_sections"}
CONTENTS |= {"clinbert_sentences", "clinbert_ner", "clinbert_textcat"}


def import_model(
    source: Annotated[str, typer.Argument(metavar="HUB_ID_OR_FOLDER", help="A token or sequence classifier.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the pipeline; an earlier one is replaced.")],
    lang: Annotated[str, typer.Option(help="Language of the notes: en or pt.")] = "en",
    labels: Annotated[
        Optional[str],
        typer.Option(help="Names of its classes, in order, with commas.", show_default="those of its config.json"),
    ] = None,
    scheme: Annotated[
        Optional[str],
        typer.Option(
            help="Tags of a token classifier: iob2, iob1, io, bilou.", show_default="by the names of its classes"
        ),
    ] = None,
) -> None:
    """Make a spaCy pipeline of a Hugging Face token or sequence classifier: same weights, labels and predictions.

    Rules for placeholders, sections and sentences stand before it. The folder loads with spacy.load, without the hub.

    Example: clinbert import pucpr/clinicalnerpt-disorder models/disorder --lang pt
    """
    from wasabi import table

    from ..output import check_replaceable, whole_folder
    from ..training.import_checkpoint import import_checkpoint

    check_replaceable(output, CONTENTS)
    classes = None if labels is None else [label.strip() for label in labels.split(",")]
    imported = import_checkpoint(source, lang, classes, scheme)
    with whole_folder(output, CONTENTS) as folder:
        imported.nlp.to_disk(folder)
    rows = [*imported.summary.items(), ("terms", imported.nlp.meta["sources"][0]["license"]), ("pipeline", str(output))]
    typer.echo(table(rows, max_col=100).strip("\n"))
