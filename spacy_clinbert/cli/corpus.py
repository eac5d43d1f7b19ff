"""`clinbert corpus`: a workflow's corpus, written where it is synthetic and asked for where it is not."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ClinbertError


def corpus(
    form: Annotated[str, typer.Argument(metavar="FORMAT", help="Form of the corpus; `clinbert formats` lists them.")],
    folder: Annotated[Path, typer.Argument(help="Where a workflow reads it; `…/synthetic/…` is written.")],
    notes: Annotated[int, typer.Option(min=1, help="Number of notes of a synthetic corpus.")] = 400,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
) -> None:
    """See that a corpus lies in its folder: write a synthetic one, or say which folder to fill and with what.

    Example: clinbert corpus i2b2_2010 assets/synthetic/i2b2_2010
    """
    from ..corpora.catalogue import find_format
    from .synth import synth

    found = find_format(form)
    if folder.parent.name == "synthetic":
        synth(form, folder, notes, seed)
    elif not folder.is_dir() or not any(folder.iterdir()):
        raise ClinbertError(
            f"put the corpus {found.title!r} into {folder}: corpora/README.md says where to apply; without it,"
            " `--vars.data synthetic` runs on invented notes"
        )
    missing = {"train", "test"} - {entry.split for entry in found.entries(folder)}
    if missing:
        raise ClinbertError(
            f"{folder} holds no documents for {' and '.join(sorted(missing))}: fill it with both, in folders train and"
            " test where the corpus ships without them, or let more synthetic documents be written"
        )
    typer.echo(f"{found.title}: {folder}")
