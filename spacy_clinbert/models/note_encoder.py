"""`spacy_clinbert.NoteEncoder.v1`: a Hugging Face BERT over notes, one row per token."""

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from spacy import registry
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d

from .batches import MicroBatch, find_sequences, lay_out
from .doc_windows import lay_windows, watch_annotations
from .passes import check_choice, check_range, make_encoder
from .run_settings import RunSettings
from .transformer_shim import TransformerShim
from .windows import WINDOW_MODES

KIND = "NoteEncoder"
POOLINGS = ("first", "mean")


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
    engine: str = "torch",
    precision: str = "fp32",
    cache_mb: float = 0,
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
    engine (str): what predicts: "torch", or "openvino", which is faster on Intel and AMD CPUs (the extra `openvino`);
        torch always trains.
    precision (str): what OpenVINO computes in: "fp32"; "bf16", for CPUs with AVX512_BF16 or AMX; or "int8", for those
        with AVX512_VNNI or AMX, which `clinbert compile` makes.
    cache_mb (float): at prediction on a CPU, so many MB of rows are kept for windows that come again in a later batch
        (those of one batch go through once anyhow); a process has its own. 0 for none.
    RETURNS (Model[List[Doc], List[Floats2d]]): rows of shape (len(doc), width) per Doc; zeros for a token without
        wordpieces.
    RAISES (ClinbertError): for a setting out of range, or an engine that is not installed.
    """
    check_choice(KIND, "window", window, WINDOW_MODES)
    check_choice(KIND, "pooling", pooling, POOLINGS)
    check_range(KIND, "max_pieces", max_pieces, 3)
    check_range(KIND, "overlap", overlap, 0)
    check_range(KIND, "cache_mb", cache_mb, 0)
    settings = RunSettings(
        device, mixed_precision, dropout, freeze_layers, max_batch_pieces, False, engine, precision, cache_mb
    )
    return make_encoder(KIND, name, width, settings, TokenLayout(window, sections_key, max_pieces, overlap, pooling))


@dataclass(frozen=True)
class TokenLayout:
    """One row per token; the fields are the settings of `NoteEncoder`."""

    window: str
    sections_key: str
    max_pieces: Optional[int]
    overlap: Optional[int]
    pooling: str

    def __call__(
        self, shim: TransformerShim, docs: Sequence[Doc], is_train: bool
    ) -> Tuple[List[MicroBatch], List[int]]:
        """Lay the windows of Docs into micro-batches."""
        assert shim.pieces is not None
        watch_annotations(shim, docs, KIND, self.sections_key, is_train)
        cut = (KIND, self.window, self.sections_key, self.max_pieces, self.overlap)
        pieces = [lay_windows(shim, doc, *cut) for doc in docs]
        recalled: Sequence[MicroBatch] = ()
        sequences, picks = find_sequences(pieces, shim.pieces, self.pooling, unique=not is_train)
        if not is_train:
            recalled, sequences, picks = shim.repeats.leave_out(sequences, picks)
        batches = lay_out(sequences, picks, shim.pieces.pad_id, shim.bounds(is_train))
        return [*recalled, *batches], [len(doc) for doc in docs]
