"""`clinbert convert`: from a corpus in its native form to DocBins or token/tag files."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from ..errors import ClinbertError


class Split(str, Enum):
    """How the development split is made."""

    document = "document"
    shipped = "shipped"
    paper = "paper"


class Output(str, Enum):
    """What is written."""

    docbin = "docbin"
    iob = "iob"


class Tokens(str, Enum):
    """Whose tokens the token/tag files have."""

    pipeline = "pipeline"
    paper = "paper"


def convert(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help="Form of the corpus; `clinbert formats` lists them.")],
    source: Annotated[Path, typer.Argument(help="The corpus: its folder, or its one file.")],
    out: Annotated[Path, typer.Argument(help="Output folder; an earlier conversion there is replaced.")],
    seed: Annotated[int, typer.Option(help="Draws the development split.")] = 0,
    split: Annotated[
        Split,
        typer.Option(
            help="Development split: drawn by patient or document; only as shipped; or as ClinicalBERT's code cut it,"
            " by sentences (it leaks)."
        ),
    ] = Split.document,
    layer: Annotated[str, typer.Option(help="Keep one layer of the labels, such as Disorders of semclinbr.")] = "",
    output: Annotated[Output, typer.Option("--format", help="DocBins, or token/tag files.")] = Output.docbin,
    tokens: Annotated[
        Tokens, typer.Option(help="Tokens of token/tag files: the pipeline's, or those of ClinicalBERT's converters.")
    ] = Tokens.pipeline,
    lang: Annotated[str, typer.Option(help="Language of the tokenizer; by default the corpus' own.")] = "",
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Reject documents that cannot be read.")] = False,
) -> None:
    """Convert a corpus to train.spacy, dev.spacy and test.spacy, and report each mention that could not be placed.

    Example: clinbert convert i2b2_2010 assets/i2b2_2010 corpora/i2b2_2010
    """
    from wasabi import table

    from ..components.tokenizer import tokenizer_of
    from ..corpora.catalogue import find_format
    from ..corpora.convert import REJECTED, REPORT, Conversion
    from ..corpora.convert import convert as convert_corpus

    if tokens is not Tokens.pipeline and output is Output.docbin:
        raise ClinbertError("--tokens paper goes with --format iob only: a DocBin holds the text as it is")
    found = find_format(form)
    try:
        tokenizer = tokenizer_of(lang or found.lang, found.fine)
    except ImportError:
        raise ClinbertError(f"spaCy knows no language {lang!r}: give a code such as en or pt") from None
    files = tokens.value if output is Output.iob else ""
    report = convert_corpus(Conversion(found, source, seed, split.value, layer, keep_going, files), out, tokenizer)
    counted = "mentions" if any(counts.mentions for counts in report.splits.values()) else "categories"
    header = ("split", "documents", "sentences", counted, "not placed")
    rows = [
        (name, counts.documents, counts.sentences, sum((counts.mentions or counts.cats).values()), counts.not_placed)
        for name, counts in report.splits.items()
    ]
    typer.echo(table(rows, header=header, divider=True, aligns=("l", *"r" * (len(header) - 1))))
    labels = sorted({label for counts in report.splits.values() for label in counts.mentions or counts.cats})
    by_label = [
        (label, *((counts.mentions or counts.cats).get(label, 0) for counts in report.splits.values()))
        for label in labels
    ]
    typer.echo(table(by_label, header=("label", *report.splits), divider=True, aligns=("l", *"r" * len(report.splits))))
    typer.echo(f"dev: {report.dev}")
    if found.fine:
        typer.echo("tokenizer: cut inside words; train with --nlp.tokenizer.fine true")
    for warning in report.warnings:
        typer.echo(f"warning: {warning}")
    kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(report.rejected.items())) or "nothing"
    typer.echo(f"listed in {out / REJECTED}: {kinds}\nterms of use: {report.terms}\noutput and {REPORT}: {out}")
