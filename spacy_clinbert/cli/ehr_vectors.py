"""`clinbert ehr vectors` and `clinbert ehr untrained`: what a pretrained encoder is compared with."""

from pathlib import Path
from typing import Annotated

import typer


def vectors(
    patients: Annotated[
        Path, typer.Argument(help="Folder that `clinbert ehr prepare` wrote; its train split is read.")
    ],
    out: Annotated[Path, typer.Argument(help="Folder for codes.json and vectors.safetensors.")],
    width: Annotated[int, typer.Option(min=1, help="Of the vectors.")] = 192,
    window: Annotated[int, typer.Option(min=0, help="Visits before and behind whose codes count as near.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same vectors.")] = 0,
) -> None:
    """Make static vectors of codes, by what stands near them: mutual information, reduced.

    Example: clinbert ehr vectors corpora/patients training/vectors
    """
    from ..ehr.static_vectors import make_vectors

    number = make_vectors(patients, out, width, window, seed)
    typer.echo(f"{number:,} codes with vectors of {width}: {out}")


def untrained(
    encoder: Annotated[Path, typer.Argument(help="Folder that `clinbert ehr pretrain` wrote.")],
    out: Annotated[Path, typer.Argument(help="Folder for the encoder; an earlier one is replaced.")],
    seed: Annotated[int, typer.Option(min=0, help="Of its weights.")] = 0,
) -> None:
    """Write an encoder of the same sizes and codes with new weights.

    Example: clinbert ehr untrained training/encoder training/untrained
    """
    from ..ehr.untrained import write_untrained

    write_untrained(encoder, out, seed)
    typer.echo(f"encoder that has learned nothing: {out}")
