"""`clinbert formats`: the corpora that can be converted."""

import typer


def formats() -> None:
    """List the forms of corpora that `clinbert convert` reads and `clinbert synth` writes.

    Example: clinbert formats
    """
    from wasabi import table

    from ..corpora.catalogue import FORMATS
    from ..synthetic import WRITERS

    rows = [(form.name, form.title, "yes" if form.name in WRITERS else "") for form in FORMATS.values()]
    typer.echo(table(rows, header=("format", "corpus", "synthetic"), divider=True))
