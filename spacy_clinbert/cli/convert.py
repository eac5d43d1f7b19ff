"""`clinbert convert`: from a corpus in its native form to DocBins."""

from pathlib import Path
from typing import Annotated

import typer


def convert(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help="Form of the corpus: i2b2_2010.")],
    source: Annotated[Path, typer.Argument(help="Folder of the corpus.")],
    out: Annotated[Path, typer.Argument(help="Folder for the DocBins; an earlier conversion is replaced.")],
    seed: Annotated[int, typer.Option(help="Draws the development split.")] = 0,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Reject documents that cannot be read.")] = False,
) -> None:
    """Convert a corpus to train.spacy, dev.spacy and test.spacy, and report each mention that could not be placed.

    Example: clinbert convert i2b2_2010 assets/i2b2_2010 corpora/i2b2_2010
    """
    import spacy
    from wasabi import table

    from ..components.tokenizer import create_clinical_tokenizer
    from ..corpora.convert import REJECTED, REPORT
    from ..corpora.convert import convert as convert_corpus

    nlp = spacy.blank("en")
    nlp.tokenizer = create_clinical_tokenizer()(nlp)
    report = convert_corpus(form, source, out, nlp, seed, keep_going)
    labels = sorted({label for split in report.splits.values() for label in split.mentions})
    rows = [
        (name, split.documents, split.sentences, *(split.mentions.get(label, 0) for label in labels), split.not_placed)
        for name, split in report.splits.items()
    ]
    header = ("split", "documents", "sentences", *labels, "not placed")
    typer.echo(table(rows, header=header, divider=True, aligns=("l", *"r" * (len(header) - 1))))
    for warning in report.warnings:
        typer.echo(f"warning: {warning}")
    kinds = ", ".join(f"{number} {kind}s" for kind, number in sorted(report.rejected.items())) or "nothing"
    typer.echo(f"rejected: {kinds}, listed in {out / REJECTED}\nDocBins and {REPORT}: {out}")
