"""The bridge between a BERT over codes and Thinc."""

from dataclasses import dataclass, field
from typing import Any, Dict, Optional, Sequence

import numpy as np
import srsly
from thinc.api import PyTorchGradScaler

from ..errors import ClinbertError
from .batches import MicroBatch
from .checkpoints import freeze, set_dropout
from .code_vocabulary import CodeVocabulary
from .run_settings import RunSettings
from .transformer_shim import Layout, TransformerShim


@dataclass
class PatientBatch(MicroBatch):
    """Patients of similar length that go through the encoder together.

    more (Dict[str, ndarray]): the encoder's inputs beside ids, mask and visits (`types`).
    per_patient (bool): whether `picks` are numbers of patients, each with one row, or of the codes' rows.
    """

    more: Dict[str, np.ndarray] = field(default_factory=dict)
    per_patient: bool = False


class CodeShim(TransformerShim):
    """A BERT over codes with its vocabulary, as Thinc's model sees it; empty until `load` or `from_bytes`.

    settings (RunSettings): how it runs.
    layout (Layout): what its rows are: codes or patients.
    style (Optional[str]): what the encoder must be.
    """

    def __init__(self, settings: RunSettings, layout: Layout, style: Optional[str]) -> None:
        super().__init__(settings, layout)
        self.style = style
        self.vocabulary: Optional[CodeVocabulary] = None

    @property
    def most_codes(self) -> int:
        """How many codes of a patient are read."""
        layout: Any = self.layout
        return int(layout.most_codes(self))

    def load(self, name: str) -> None:
        """Read an encoder from its folder."""
        from .code_checkpoints import read_code_checkpoint

        checkpoint = read_code_checkpoint(name, self.style)
        self.cfg = {"name": name}
        self._place(*checkpoint)

    def _look_up(self, batches: Sequence[MicroBatch]) -> Sequence[Any]:
        """Nothing: codes are looked up in each micro-batch, together with what else is known of them."""
        return [None] * len(batches)

    def _run(self, batch: MicroBatch, is_train: bool, recompute: bool, vectors: Any = None) -> "tuple[Any, Any]":
        """One micro-batch: the places of its rows among all, and the rows."""
        import torch
        from torch.utils.checkpoint import checkpoint

        assert isinstance(batch, PatientBatch) and batch.types is not None
        arrays = {"input_ids": batch.ids, "attention_mask": batch.mask, "token_type_ids": batch.types, **batch.more}
        inputs = {name: torch.from_numpy(array).to(self.device) for name, array in arrays.items()}
        picks = torch.from_numpy(batch.picks).to(self.device)

        def encode(inputs: Any) -> Any:
            # A prediction between the passes may have switched dropout off; what is computed again must be the same.
            self._model.train(is_train)
            with self._autocast():
                output = self._model(**inputs)
            rows = output.pooler_output if batch.per_patient else output.last_hidden_state.flatten(0, 1)
            return rows[picks].float()

        values = checkpoint(encode, inputs, use_reentrant=False) if recompute else encode(inputs)
        return torch.from_numpy(batch.rows).to(self.device), values

    def to_bytes(self) -> bytes:
        """Configuration, vocabulary and safetensors as bytes; of an empty shim, nothing but that it is empty."""
        from .code_checkpoints import code_files

        files = code_files(self._model, self.vocabulary) if self.vocabulary is not None else {}
        return srsly.msgpack_dumps({"cfg": self.cfg, "files": files})

    def from_bytes(self, bytes_data: bytes) -> "CodeShim":
        """Restore what `to_bytes` wrote; the folder that it came from is not needed."""
        from .code_checkpoints import from_code_files

        msg = srsly.msgpack_loads(bytes_data)
        self.cfg = msg["cfg"]
        if msg["files"]:
            self._place(*from_code_files(msg["files"]))
        return self

    def _place(self, model: Any, vocabulary: CodeVocabulary) -> None:
        """Take encoder and vocabulary, with this run's settings."""
        set_dropout(model, self.settings.dropout)
        freeze(model, self.settings.freeze_layers, self.cfg["name"])
        self.vocabulary = vocabulary
        try:
            self._model = model.to(self._choose_device())
        except (RuntimeError, AssertionError) as error:
            raise ClinbertError(
                f'device = "{self.settings.device}" is not there for torch: give "cpu" or "auto"'
            ) from error
        self._grad_scaler = PyTorchGradScaler(
            enabled=self.settings.mixed_precision == "fp16" and self.device.type == "cuda"
        )
        self._grad_scaler.to_(self.device)
