"""`spacy_clinbert.NoteWindows.v1`: a Hugging Face BERT over notes, one row per window."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from spacy import registry
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d

from ..errors import ClinbertError
from .batches import DocPieces, MicroBatch, Sequences, first_places, lay_out
from .doc_windows import lay_windows, watch_annotations
from .passes import check_choice, check_range, find_shim, make_encoder, require_cls
from .run_settings import RunSettings
from .transformer_shim import TransformerShim
from .windows import WINDOW_MODES, Window

KIND = "NoteWindows"
# What is read of a Doc without wordpieces, or without a section that is asked for: the special pieces alone.
EMPTY = Window(0, 0, 0, 0)


@registry.architectures("spacy_clinbert.NoteWindows.v1")
def NoteWindows(
    name: str,
    window: str = "packed",
    sections_key: str = "sections",
    sections: Optional[List[str]] = None,
    max_windows: Optional[int] = None,
    max_pieces: Optional[int] = None,
    max_batch_pieces: int = 4096,
    pooler: bool = True,
    mixed_precision: str = "no",
    dropout: Optional[float] = None,
    freeze_layers: int = 0,
    device: str = "auto",
    width: Optional[int] = None,
    engine: str = "torch",
    precision: str = "fp32",
) -> Model[List[Doc], List[Floats2d]]:
    """Build an encoder of notes that gives one row per window: that of `[CLS]`. It reads notes of any length.

    Windows do not overlap: a sentence that is too long goes on in the next one, at a token bound. A Doc without
    wordpieces has one window, of the special pieces alone; `read_windows` says what was read and what was left out.

    name (str): catalogue alias (`clinbert encoders`), hub id, or folder with a Hugging Face encoder and a fast
        tokenizer.
    window (str): "packed" (whole sentences packed up to `max_pieces`) or "sentence" (a window a sentence); neither
        crosses sections.
    sections_key (str): key of the sections in `doc.spans`; a Doc without them is one section, one without sentence
        starts one sentence.
    sections (Optional[List[str]]): categories of the sections that are read; None for the whole note.
    max_windows (Optional[int]): so many windows are read, from the first on; None for all.
    max_pieces (Optional[int]): wordpieces in a window, special pieces included; None for the length the encoder was
        trained at.
    max_batch_pieces (int): padded wordpieces in one micro-batch, whatever the number and length of the Docs; bounds
        the memory.
    pooler (bool): whether a row goes through the pooler that BERT has on `[CLS]`; where the encoder or its files have
        none, rows are raw.
    mixed_precision, dropout, freeze_layers, device, width, engine, precision: as for `spacy_clinbert.NoteEncoder.v1`.
    RETURNS (Model[List[Doc], List[Floats2d]]): rows of shape (n_windows, width) per Doc, one at least.
    RAISES (ClinbertError): for a setting out of range, or an engine that is not installed.
    """
    check_choice(KIND, "window", window, WINDOW_MODES)
    check_range(KIND, "max_windows", max_windows, 1)
    check_range(KIND, "max_pieces", max_pieces, 3)
    if sections is not None and not sections:
        raise ClinbertError(f"{KIND}: sections = []: name the categories that are read, or null for the whole note")
    settings = RunSettings(device, mixed_precision, dropout, freeze_layers, max_batch_pieces, pooler, engine, precision)
    chosen = None if sections is None else frozenset(sections)
    layout = WindowLayout(window, sections_key, chosen, max_windows, max_pieces)
    return make_encoder(KIND, name, width, settings, layout, rows="window")


class WindowsRead(NamedTuple):
    """What of a Doc is read.

    windows (List[Tuple[int, int]]): first token of each window and the one behind its last, a window a row.
    windows_beyond (int): windows left out since they lie beyond `max_windows`.
    pieces_beyond (int): wordpieces in these.
    pieces_elsewhere (int): wordpieces left out since they stand in sections that are not asked for.
    """

    windows: List[Tuple[int, int]]
    windows_beyond: int
    pieces_beyond: int
    pieces_elsewhere: int


def read_windows(model: Model[List[Doc], List[Floats2d]], doc: Doc) -> WindowsRead:
    """Say which tokens each row of a Doc stands for, and what is left out.

    model (Model[List[Doc], List[Floats2d]]): what `NoteWindows` built, initialized or loaded.
    doc (Doc): the document, as the model gets it.
    RETURNS (WindowsRead): the windows, and counts of what was left out.
    """
    shim = find_shim(model)
    layout: WindowLayout = shim.layout  # type: ignore[assignment]
    pieces = layout.cut(shim, doc)
    inside, kept = layout.choose(doc, pieces)
    beyond = inside[len(kept) :]
    lengths = [sum(w.end - w.start for w in windows) for windows in (kept, beyond)]
    bounds = [
        (token_at(pieces.starts, w.start), token_at(pieces.starts, w.end - 1) + 1) if w.end else (0, 0) for w in kept
    ]
    return WindowsRead(bounds, len(beyond), lengths[1], len(pieces.ids) - sum(lengths))


def token_at(starts: np.ndarray, piece: int) -> int:
    """The token that a wordpiece belongs to."""
    return int(np.searchsorted(starts, piece, side="right")) - 1


@dataclass(frozen=True)
class WindowLayout:
    """One row per window; the fields are the settings of `NoteWindows`."""

    window: str
    sections_key: str
    sections: Optional[frozenset]
    max_windows: Optional[int]
    max_pieces: Optional[int]

    def __call__(
        self, shim: TransformerShim, docs: Sequence[Doc], is_train: bool
    ) -> Tuple[List[MicroBatch], List[int]]:
        """Lay the windows of Docs into micro-batches."""
        assert shim.pieces is not None
        require_cls(KIND, shim.pieces.prefix)
        watch_annotations(shim, docs, KIND, self.sections_key, is_train)
        if self.sections is not None and "trained_with" in shim.cfg:
            require_sections(docs, self.sections_key)
        sequences = Sequences(unique=not is_train)
        numbers, sizes = [], []
        for doc in docs:
            pieces = self.cut(shim, doc)
            _, kept = self.choose(doc, pieces)
            numbers += [sequences.add(shim.pieces.frame(pieces.ids[w.start : w.end].tolist())) for w in kept]
            sizes.append(len(kept))
        picks = first_places(numbers)
        return lay_out(sequences, picks, shim.pieces.pad_id, shim.bounds(is_train)), sizes

    def cut(self, shim: TransformerShim, doc: Doc) -> DocPieces:
        """All wordpieces of a Doc and all windows over them."""
        return lay_windows(shim, doc, KIND, self.window, self.sections_key, self.max_pieces, overlap=0)

    def choose(self, doc: Doc, pieces: DocPieces) -> Tuple[List[Window], List[Window]]:
        """The windows in the sections that are asked for, and those of them that are read, one at least."""
        inside = pieces.windows
        if self.sections is not None:
            spans = sorted(doc.spans.get(self.sections_key, []), key=lambda span: span.start)
            starts = [span.start for span in spans]
            at = [bisect_right(starts, token_at(pieces.starts, w.start)) - 1 for w in inside]
            inside = [
                w
                for w, k in zip(inside, at)
                if k >= 0 and spans[k].label_ in self.sections and token_at(pieces.starts, w.start) < spans[k].end
            ]
        return inside, inside[: self.max_windows] or [EMPTY]


def require_sections(docs: Sequence[Doc], sections_key: str) -> None:
    """Raise where a Doc with text has no sections though only some are to be read: it would pass for an empty one.

    Not before the first training: spaCy's `initialize` shows bare Docs.
    """
    for doc in docs:
        if sections_key not in doc.spans and not doc.text.isspace() and len(doc):
            raise ClinbertError(
                f'{KIND}: sections are chosen, but a Doc has none in doc.spans["{sections_key}"]: run clinbert_sections'
                " before, and list it in [training] annotating_components"
            )
