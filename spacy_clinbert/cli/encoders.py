"""`clinbert encoders`: the catalogue of published encoders."""

import textwrap
from dataclasses import asdict
from typing import Annotated, Optional

import typer
from wasabi import table

from ..encoders import ENCODERS, find_encoder
from ..errors import ClinbertError


def encoders(
    name: Annotated[Optional[str], typer.Argument(help="Alias or hub id; without it, all are listed.")] = None,
) -> None:
    """List the published encoders, or show one in full: casing, trained length, pretraining text, licence, citation.

    Example: clinbert encoders bio-clinicalbert
    """
    typer.echo(_list() if name is None else _show(name))


def _list() -> str:
    rows = [
        (
            row.alias,
            row.hub_id,
            "cased" if row.cased else "uncased",
            "stripped" if row.strip_accents else "kept",
            row.trained_length,
            row.width,
            row.layers,
            row.licence,
        )
        for row in ENCODERS.values()
    ]
    header = ("alias", "hub", "casing", "accents", "length", "width", "layers", "licence")
    return table(rows, header=header, divider=True, max_col=60).strip()


def _show(name: str) -> str:
    encoder = find_encoder(name)
    if encoder is None:
        raise ClinbertError(f"no encoder {name!r} in the catalogue: `clinbert encoders` lists them")
    fields = asdict(encoder) | {"seen": encoder.seen}
    lines = (f"{key.replace('_', ' '):<16}{_words(value)}" for key, value in fields.items() if value != "")
    return "\n".join(textwrap.fill(line, width=100, subsequent_indent=" " * 16) for line in lines)


def _words(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "; ".join(value)
    return "none" if value is None else str(value)
