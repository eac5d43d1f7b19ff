"""What the encoders of notes share: their settings, and how a batch of Docs goes through and back."""

from functools import partial
from typing import Callable, List, Optional, Sequence, Tuple

import numpy as np
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d

from ..errors import ClinbertError
from .openvino_engine import HINTS, require_openvino
from .run_settings import RunSettings
from .transformer_shim import Layout, TransformerShim

PRECISIONS = ("no", "bf16", "fp16")
ENGINES = ("torch", "openvino")


def make_encoder(
    kind: str, name: str, width: Optional[int], settings: RunSettings, layout: Layout, rows: Optional[str] = None
) -> Model[List[Doc], List[Floats2d]]:
    """Make an encoder; nothing is loaded until `initialize` or `from_bytes`.

    kind (str): name of the architecture, for errors.
    name (str): catalogue alias, hub id, or folder with a Hugging Face encoder and a fast tokenizer.
    width (Optional[int]): the rows' width, checked against the encoder.
    settings (RunSettings): how it runs.
    layout (Layout): how its rows are made.
    rows (Optional[str]): what they are, for heads that need to know: "window" or "pair"; None for tokens.
    RETURNS (Model[List[Doc], List[Floats2d]]): the encoder.
    RAISES (ClinbertError): for a setting out of range, or an engine that is not installed.
    """
    check_engine(kind, settings.engine, settings.precision)
    check_choice(kind, "mixed_precision", settings.mixed_precision, PRECISIONS)
    check_range(kind, "max_batch_pieces", settings.max_batch_pieces, 1)
    check_range(kind, "freeze_layers", settings.freeze_layers, 0)
    check_range(kind, "dropout", settings.dropout, 0.0, 1.0)
    return Model(
        kind,
        partial(forward, kind=kind),
        init=partial(init, kind=kind, name=name),
        dims={"nO": width},
        shims=[TransformerShim(settings, layout)],
        attrs={} if rows is None else {"rows": rows},
    )


def check_choice(kind: str, setting: str, value: str, choices: Sequence[str]) -> None:
    """Raise the config error for a value that is none of the choices."""
    if value not in choices:
        raise ClinbertError(f'{kind}: {setting} = "{value}" is unknown: give one of {", ".join(choices)}')


def check_engine(kind: str, engine: str, precision: str) -> None:
    """Raise the config error for an engine or precision that is unknown, not installed, or does not fit the other."""
    check_choice(kind, "engine", engine, ENGINES)
    check_choice(kind, "precision", precision, tuple(HINTS))
    if engine == "openvino":
        require_openvino()
    elif precision != "fp32":
        raise ClinbertError(
            f'{kind}: precision = "{precision}" is for engine = "openvino": set that, or mixed_precision for torch'
        )


def check_range(kind: str, setting: str, value: Optional[float], least: float, most: float = float("inf")) -> None:
    """Raise the config error for a number out of its range; None is always in it."""
    if value is not None and not least <= value <= most:
        bounds = f"at least {least}" + (f" and at most {most}" if most < float("inf") else "")
        raise ClinbertError(f"{kind}: {setting} = {value}: give {bounds}")


def find_shim(model: Model) -> TransformerShim:
    """The encoder inside a Thinc model that one of our architectures built."""
    return model.shims[0]  # type: ignore[return-value]


def find_length(shim: TransformerShim, kind: str, max_pieces: Optional[int]) -> int:
    """The largest number of wordpieces in a sequence, special pieces included.

    shim (TransformerShim): the encoder; kind (str): name of the architecture, for errors.
    max_pieces (Optional[int]): what the config says; None for the length the encoder was trained at.
    RAISES (ClinbertError): if the encoder has fewer positions.
    """
    length = shim.trained_length if max_pieces is None else max_pieces
    if length > shim.max_positions:
        raise ClinbertError(
            f"{kind}: max_pieces = {length}, but the encoder has {shim.max_positions} positions: give at most as many"
        )
    return length


def require_cls(kind: str, prefix: Sequence[int]) -> None:
    """Raise where the tokenizer puts nothing before a text, so that there is no `[CLS]` to take a row from."""
    if not prefix:
        raise ClinbertError(f"{kind}: the encoder's tokenizer puts no [CLS] before a text: give another encoder")


def init(model: Model, X: Optional[List[Doc]] = None, Y: object = None, *, kind: str, name: str) -> None:
    """Read the encoder, unless weights are present (a pipeline that was loaded and is trained further)."""
    shim = find_shim(model)
    if not shim.loaded:
        shim.load(name)
    # What is trained from here on may come with other annotations than before.
    shim.cfg.pop("trained_with", None)
    shim.warned = False
    if model.has_dim("nO") and model.get_dim("nO") != shim.width:
        raise ClinbertError(
            f"{kind}: width = {model.get_dim('nO')}, but the rows of {name!r} are {shim.width} wide: "
            f"set width = {shim.width}"
        )
    model.set_dim("nO", shim.width)


def forward(model: Model, docs: List[Doc], is_train: bool, *, kind: str) -> Tuple[List[Floats2d], Callable]:
    """Sequences → micro-batches → rows, and the way back."""
    shim = find_shim(model)
    if not shim.loaded:
        raise ClinbertError(f"{kind} has no weights yet: call nlp.initialize(), or load a trained pipeline")
    if is_train and not shim.trainable:
        raise ClinbertError(
            f"{kind}: the encoder was compiled and cannot be trained: train the pipeline that it was compiled from, and"
            " compile that again"
        )
    batches, sizes = shim.layout(shim, docs, is_train)
    rows, backprop_rows = shim.rows(batches, sum(sizes), is_train)
    ends = np.cumsum(sizes, dtype=np.int64)

    def backprop(d_rows: List[Floats2d]) -> List[Doc]:
        if d_rows:
            backprop_rows(model.ops.xp.concatenate(d_rows))
        return []

    return [rows[end - size : end] for size, end in zip(sizes, ends)], backprop
