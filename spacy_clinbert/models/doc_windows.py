"""The windows of a Doc: its wordpieces, cut at its sentences and sections; and a watch on whether it has these."""

import warnings
from typing import Optional, Sequence

import numpy as np
from spacy.tokens import Doc

from ..errors import ClinbertError
from .batches import DocPieces
from .passes import find_length
from .transformer_shim import TransformerShim
from .windows import cut_windows


def lay_windows(
    shim: TransformerShim,
    doc: Doc,
    kind: str,
    mode: str,
    sections_key: str,
    max_pieces: Optional[int],
    overlap: Optional[int],
) -> DocPieces:
    """Cut one Doc into wordpieces and windows.

    shim (TransformerShim): the encoder, for its tokenizer and lengths.
    doc (Doc): the document, with or without sentences and sections.
    kind, mode, sections_key, max_pieces, overlap: name and settings of the architecture.
    RETURNS (DocPieces): its wordpieces and windows.
    RAISES (ClinbertError): if the encoder has no positions for `max_pieces`, or the windows cannot advance.
    """
    assert shim.pieces is not None
    limit = find_length(shim, kind, max_pieces) - shim.pieces.n_specials
    shared = limit // 4 if overlap is None else overlap
    if not 0 <= shared < limit:
        raise ClinbertError(
            f"{kind}: overlap = {shared} does not fit windows of {limit} wordpieces: give a smaller one"
        )
    ids, starts = shim.pieces.encode(doc)
    spans = doc.spans.get(sections_key, [])
    # Where sections do not tile the Doc, what stands between them is no part of the one before.
    sections = {place for span in spans for place in (span.start, span.end) if place < len(doc)}
    bounds = {0, *sections}
    if doc.has_annotation("SENT_START"):
        bounds.update(np.flatnonzero(doc.to_array("SENT_START") == 1).tolist())
    return DocPieces(ids, starts, cut_windows(starts, sorted(bounds), sections, mode, limit, shared))


def watch_annotations(shim: TransformerShim, docs: Sequence[Doc], kind: str, sections_key: str, is_train: bool) -> None:
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
                f"{kind}: this Doc comes {states}, unlike those in training: its windows are cut in another way; "
                "run the same components before it, and list them in [training] annotating_components",
                stacklevel=2,
            )
