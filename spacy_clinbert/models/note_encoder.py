"""`spacy_clinbert.NoteEncoder.v1`: a Hugging Face BERT over notes, one row per token."""

import warnings
from functools import partial
from typing import Callable, List, Optional, Sequence, Tuple

import numpy as np
from spacy import registry
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d

from ..errors import ClinbertError
from .batches import DocPieces, make_batches
from .transformer_shim import RunSettings, TransformerShim
from .windows import WINDOW_MODES, cut_windows

POOLINGS = ("first", "mean")
PRECISIONS = ("no", "bf16", "fp16")


@registry.architectures("spacy_clinbert.NoteEncoder.v1")
def NoteEncoder(
    name: str,
    window: str = "sentence",
    sections_key: str = "sections",
    max_pieces: Optional[int] = None,
    overlap: Optional[int] = None,
    max_batch_pieces: int = 4096,
    pooling: str = "first",
    mixed_precision: str = "no",
    dropout: Optional[float] = None,
    freeze_layers: int = 0,
    device: str = "auto",
    width: Optional[int] = None,
) -> Model[List[Doc], List[Floats2d]]:
    """Build an encoder of notes: wordpieces in windows cut at sentence bounds, every wordpiece covered, one row per
    token.

    Nothing is loaded until `initialize` or `from_bytes`.

    name (str): catalogue alias (`clinbert encoders`), hub id, or folder with a Hugging Face encoder and a fast
        tokenizer.
    window (str): "sentence" (a window a sentence) or "packed" (whole sentences packed up to `max_pieces`); neither
        crosses sections.
    sections_key (str): key of the sections in `doc.spans`; a Doc without them is one section, one without sentence
        starts one sentence.
    max_pieces (Optional[int]): wordpieces in a window, special pieces included; None for the length the encoder was
        trained at.
    overlap (Optional[int]): wordpieces that the windows of a too long sentence share, each token's row being taken
        from the window in which it stands most centrally; None for a quarter of a window.
    max_batch_pieces (int): padded wordpieces in one micro-batch, whatever the number and length of the Docs; bounds
        the memory.
    pooling (str): a token's row is that of its "first" wordpiece, as in the papers, or the "mean" over its wordpieces.
    mixed_precision (str): "no", "bf16" or "fp16".
    dropout (Optional[float]): BERT's own dropout, which `training.dropout` does not reach; None for its
        configuration's.
    freeze_layers (int): so many layers from below, and the embeddings, are not trained; 0 trains all.
    device (str): where torch runs while Thinc is on the CPU: "auto", "cpu", "cuda:0".
    width (Optional[int]): the rows' width, where another part of a config must know it; checked against the encoder.
    RETURNS (Model[List[Doc], List[Floats2d]]): rows of shape (len(doc), width) per Doc; zeros for a token without
        wordpieces.
    RAISES (ClinbertError): for a setting out of range.
    """
    check_choice("window", window, WINDOW_MODES)
    check_choice("pooling", pooling, POOLINGS)
    check_choice("mixed_precision", mixed_precision, PRECISIONS)
    check_range("max_pieces", max_pieces, 3)
    check_range("overlap", overlap, 0)
    check_range("max_batch_pieces", max_batch_pieces, 1)
    check_range("freeze_layers", freeze_layers, 0)
    check_range("dropout", dropout, 0.0, 1.0)
    settings = RunSettings(device, mixed_precision, dropout, freeze_layers, max_batch_pieces)
    layout = partial(lay_windows, mode=window, sections_key=sections_key, max_pieces=max_pieces, overlap=overlap)
    return Model(
        "note_encoder",
        partial(forward, layout=layout, pooling=pooling, sections_key=sections_key),
        init=partial(init, name=name),
        dims={"nO": width},
        shims=[TransformerShim(settings)],
    )


def check_choice(setting: str, value: str, choices: Sequence[str]) -> None:
    """Raise the config error for a value that is none of the choices."""
    if value not in choices:
        raise ClinbertError(f'NoteEncoder: {setting} = "{value}" is unknown: give one of {", ".join(choices)}')


def check_range(setting: str, value: Optional[float], least: float, most: float = float("inf")) -> None:
    """Raise the config error for a number out of its range; None is always in it."""
    if value is not None and not least <= value <= most:
        bounds = f"at least {least}" + (f" and at most {most}" if most < float("inf") else "")
        raise ClinbertError(f"NoteEncoder: {setting} = {value}: give {bounds}")


def init(model: Model, X: Optional[List[Doc]] = None, Y: object = None, *, name: str) -> None:
    """Read the encoder, unless weights are present (a pipeline that was loaded and is trained further)."""
    shim: TransformerShim = model.shims[0]  # type: ignore[assignment]
    if not shim.loaded:
        shim.load(name)
    # What is trained from here on may come with other annotations than before.
    shim.cfg.pop("trained_with", None)
    shim.warned = False
    if model.has_dim("nO") and model.get_dim("nO") != shim.width:
        raise ClinbertError(
            f"NoteEncoder: width = {model.get_dim('nO')}, but the rows of {name!r} are {shim.width} wide: "
            f"set width = {shim.width}"
        )
    model.set_dim("nO", shim.width)


def forward(
    model: Model,
    docs: List[Doc],
    is_train: bool,
    *,
    layout: Callable[[TransformerShim, Doc], DocPieces],
    pooling: str,
    sections_key: str,
) -> Tuple[List[Floats2d], Callable]:
    """Windows → micro-batches → rows, and the way back."""
    shim: TransformerShim = model.shims[0]  # type: ignore[assignment]
    if not shim.loaded or shim.pieces is None:
        raise ClinbertError("NoteEncoder has no weights yet: call nlp.initialize(), or load a trained pipeline")
    watch_annotations(shim, docs, sections_key, is_train)
    batches, n_rows = make_batches(
        [layout(shim, doc) for doc in docs],
        shim.pieces,
        max_pieces=shim.settings.max_batch_pieces,
        pooling=pooling,
        unique=not is_train,
    )
    rows, backprop_rows = shim.rows(batches, n_rows, is_train)
    ends = np.cumsum([len(doc) for doc in docs])

    def backprop(d_rows: List[Floats2d]) -> List[Doc]:
        if d_rows:
            backprop_rows(model.ops.xp.concatenate(d_rows))
        return []

    return [rows[end - len(doc) : end] for doc, end in zip(docs, ends)], backprop


def lay_windows(
    shim: TransformerShim,
    doc: Doc,
    *,
    mode: str,
    sections_key: str,
    max_pieces: Optional[int],
    overlap: Optional[int],
) -> DocPieces:
    """Cut one Doc into wordpieces and windows.

    shim (TransformerShim): the encoder, for its tokenizer and lengths.
    doc (Doc): the document, with or without sentences and sections.
    RETURNS (DocPieces): its wordpieces and windows.
    RAISES (ClinbertError): if the encoder has no positions for `max_pieces`, or the windows cannot advance.
    """
    assert shim.pieces is not None
    length = shim.trained_length if max_pieces is None else max_pieces
    limit = length - shim.pieces.n_specials
    shared = limit // 4 if overlap is None else overlap
    if length > shim.max_positions:
        raise ClinbertError(
            f"NoteEncoder: max_pieces = {length}, but the encoder has {shim.max_positions} positions: "
            "give at most as many"
        )
    if not 0 <= shared < limit:
        raise ClinbertError(
            f"NoteEncoder: overlap = {shared} does not fit windows of {limit} wordpieces: give a smaller one"
        )
    ids, starts = shim.pieces.encode(doc)
    sections = {span.start for span in doc.spans[sections_key]} if sections_key in doc.spans else set()
    bounds = {0, *sections}
    if doc.has_annotation("SENT_START"):
        bounds.update(np.flatnonzero(doc.to_array("SENT_START") == 1).tolist())
    return DocPieces(ids, starts, cut_windows(starts, sorted(bounds), sections, mode, limit, shared))


def watch_annotations(shim: TransformerShim, docs: List[Doc], sections_key: str, is_train: bool) -> None:
    """Record at training whether Docs came with sentences and sections, and warn once where prediction differs.

    Windows are cut at sentences and sections: a config whose `annotating_components` forget them trains on other
    windows than it predicts on.
    """
    for doc in docs:
        if len(doc) < 2:
            continue
        seen = {"sentences": doc.has_annotation("SENT_START"), "sections": sections_key in doc.spans}
        trained = shim.cfg.get("trained_with", {})
        if is_train:
            shim.cfg["trained_with"] = {key: value or trained.get(key, False) for key, value in seen.items()}
            continue
        differing = [key for key, value in trained.items() if value != seen[key]]
        if differing and not shim.warned:
            shim.warned = True
            states = " and ".join(f"{'with' if seen[key] else 'without'} {key}" for key in differing)
            warnings.warn(
                f"NoteEncoder: this Doc comes {states}, unlike those in training: its windows are cut in another way; "
                "run the same components before it, and list them in [training] annotating_components",
                stacklevel=2,
            )
