"""`spacy_clinbert.CodeEncoder.v1` and `CodePatient.v1`: a BERT over patients' codes, a row per code or patient."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, List, Optional, Sequence, Tuple, cast

import numpy as np
from spacy import registry
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d

from ..errors import ClinbertError
from .batches import DocPieces, MicroBatch, group
from .code_docs import read_patients, watch_visits
from .code_sequences import CodeLayout, Codes
from .code_shim import CodeShim, PatientBatch
from .code_styles import STYLES
from .passes import PRECISIONS, check_choice, check_range, forward, init
from .run_settings import RunSettings
from .transformer_shim import TransformerShim
from .windows import Window


@registry.architectures("spacy_clinbert.CodeEncoder.v1")
def CodeEncoder(
    name: str,
    max_codes: Optional[int] = None,
    style: Optional[str] = None,
    max_batch_codes: int = 4096,
    mixed_precision: str = "no",
    dropout: Optional[float] = None,
    freeze_layers: int = 0,
    device: str = "auto",
    width: Optional[int] = None,
) -> Model[List[Doc], List[Floats2d]]:
    """Build an encoder of patients, whose Docs have codes for tokens and visits for sentences: one row per code.

    Nothing is loaded until `initialize` or `from_bytes`. A code that the encoder does not know is read as an unknown
    one, with its ancestors where the encoder has a hierarchy.

    name (str): folder that `clinbert ehr pretrain` wrote; with style "original", also one of a converted checkpoint of
        the published code.
    max_codes (Optional[int]): so many codes of a patient are read, the latest; None for the encoder's length.
    style (Optional[str]): "original", "paper" or "default", checked against the encoder; None for any.
    max_batch_codes (int): padded codes in one micro-batch, whatever the number and length of the Docs; bounds the
        memory.
    mixed_precision (str): "no", "bf16" or "fp16".
    dropout (Optional[float]): BERT's own dropout, which `training.dropout` does not reach; None for its
        configuration's.
    freeze_layers (int): so many layers from below, and the embeddings, are not trained; 0 trains all.
    device (str): where torch runs while Thinc is on the CPU: "auto", "cpu", "cuda:0".
    width (Optional[int]): the rows' width, where another part of a config must know it; checked against the encoder.
    RETURNS (Model[List[Doc], List[Floats2d]]): rows of shape (len(doc), width) per Doc; zeros for codes that are not
        read, since later ones fill the length.
    RAISES (ClinbertError): for a setting out of range.
    """
    settings = RunSettings(device, mixed_precision, dropout, freeze_layers, max_batch_codes)
    return _make("CodeEncoder", name, style, width, settings, CodeRows(max_codes))


@registry.architectures("spacy_clinbert.CodePatient.v1")
def CodePatient(
    name: str,
    max_codes: Optional[int] = None,
    style: Optional[str] = None,
    max_batch_codes: int = 4096,
    mixed_precision: str = "no",
    dropout: Optional[float] = None,
    freeze_layers: int = 0,
    device: str = "auto",
    width: Optional[int] = None,
) -> Model[List[Doc], List[Floats2d]]:
    """Build an encoder of patients that gives one row per patient, pooled as in its pretraining. For heads it is an
    encoder of windows whose Docs have one window.

    name, max_codes, style, max_batch_codes, mixed_precision, dropout, freeze_layers, device, width: as for
        `spacy_clinbert.CodeEncoder.v1`.
    RETURNS (Model[List[Doc], List[Floats2d]]): rows of shape (1, width) per Doc; zeros for a Doc without codes where
        the encoder has no `[CLS]`.
    RAISES (ClinbertError): for a setting out of range.
    """
    settings = RunSettings(device, mixed_precision, dropout, freeze_layers, max_batch_codes)
    return _make("CodePatient", name, style, width, settings, PatientRows(max_codes), rows="window")


def _make(
    kind: str,
    name: str,
    style: Optional[str],
    width: Optional[int],
    settings: RunSettings,
    layout: "CodeRows",
    rows: Optional[str] = None,
) -> Model[List[Doc], List[Floats2d]]:
    check_choice(kind, "mixed_precision", settings.mixed_precision, PRECISIONS)
    check_range(kind, "max_batch_codes", settings.max_batch_pieces, 1)
    check_range(kind, "max_codes", layout.max_codes, 1)
    check_range(kind, "freeze_layers", settings.freeze_layers, 0)
    check_range(kind, "dropout", settings.dropout, 0.0, 1.0)
    if style is not None:
        check_choice(kind, "style", style, tuple(STYLES))
    return Model(
        kind,
        partial(forward, kind=kind),
        init=partial(init, kind=kind, name=name),
        dims={"nO": width},
        shims=[CodeShim(settings, layout, style)],
        attrs={} if rows is None else {"rows": rows},
    )


@dataclass(frozen=True)
class CodeRows:
    """One row per code.

    max_codes (Optional[int]): the setting of `CodeEncoder`.
    """

    max_codes: Optional[int]
    per_patient: ClassVar[bool] = False

    def __call__(
        self, shim: TransformerShim, docs: Sequence[Doc], is_train: bool
    ) -> Tuple[List[MicroBatch], List[int]]:
        """Lay Docs into micro-batches."""
        layout, codes = self.lay(shim, docs)
        lengths = layout.lengths(codes.starts)
        batches: List[MicroBatch] = []
        for patients in group(lengths, shim.bounds(is_train)):
            inputs = layout.pad(codes.take(patients))
            ids, mask, visits = (inputs.pop(key) for key in ("input_ids", "attention_mask", "token_type_ids"))
            picks, rows = self.pick(layout, codes.starts, patients, lengths[patients], ids.shape[1])
            weights = np.ones(len(rows), dtype=np.float32)
            batches.append(PatientBatch(ids, mask, picks, rows, weights, visits, inputs, self.per_patient))
        return batches, self.sizes(docs)

    def lay(self, shim: TransformerShim, docs: Sequence[Doc]) -> Tuple[CodeLayout, Codes]:
        """The encoder's layout, and the Docs' codes."""
        vocabulary = cast(CodeShim, shim).vocabulary
        assert vocabulary is not None
        watch_visits(shim, docs)
        return CodeLayout(shim.model_config, self.most_codes(shim)), read_patients(docs, vocabulary)

    def most_codes(self, shim: TransformerShim) -> int:
        """How many codes of a patient are read."""
        config = shim.model_config
        room = int(config.max_position_embeddings - STYLES[config.style].cls)
        if self.max_codes is not None and self.max_codes > room:
            raise ClinbertError(
                f"max_codes = {self.max_codes}, but the encoder was trained on {room} at most: give at most as many"
            )
        return self.max_codes or room

    def pick(
        self, layout: CodeLayout, starts: np.ndarray, patients: np.ndarray, lengths: np.ndarray, width: int
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Which rows of the encoder's output go to which of all rows: shapes (n_picks,)."""
        inside = (np.arange(width) >= layout.cls) & (np.arange(width) < lengths[:, None])
        rows = starts[patients + 1, None] - lengths[:, None] + np.arange(width)
        return np.flatnonzero(inside), rows[inside]

    def sizes(self, docs: Sequence[Doc]) -> List[int]:
        """How many rows each Doc gets."""
        return [len(doc) for doc in docs]


class PatientRows(CodeRows):
    """One row per patient; its `cut` and `choose` tell `read_windows` what of a Doc is read."""

    per_patient: ClassVar[bool] = True

    def pick(
        self, layout: CodeLayout, starts: np.ndarray, patients: np.ndarray, lengths: np.ndarray, width: int
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Pick the patients' rows, apart from those that nothing stands for."""
        there = np.flatnonzero(lengths)
        return there, patients[there]

    def sizes(self, docs: Sequence[Doc]) -> List[int]:
        """One row for each Doc."""
        return [1] * len(docs)

    def cut(self, shim: TransformerShim, doc: Doc) -> DocPieces:
        """A Doc as one window over its latest codes."""
        layout, _ = self.lay(shim, [doc])
        tokens = np.arange(len(doc) + 1)
        return DocPieces(tokens[:-1], tokens, [Window(max(0, len(doc) - layout.max_codes), len(doc), 0, len(doc))])

    def choose(self, doc: Doc, pieces: DocPieces) -> Tuple[List[Window], List[Window]]:
        """The window, and that it is read."""
        return pieces.windows, pieces.windows
