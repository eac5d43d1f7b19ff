"""The bridge between a BERT over codes and Thinc."""

from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, Optional, Sequence

import numpy as np
import srsly

from .batches import MicroBatch
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

    def _inputs(self, batches: Sequence[MicroBatch], is_train: bool) -> Iterator[Dict[str, Any]]:
        """What the encoder is given for each micro-batch: codes, and what else is known of them."""
        import torch

        for batch in batches:
            assert isinstance(batch, PatientBatch) and batch.types is not None
            arrays = {"input_ids": batch.ids, "attention_mask": batch.mask, "token_type_ids": batch.types, **batch.more}
            yield {name: torch.from_numpy(array).to(self.device) for name, array in arrays.items()}

    def _pick_rows(self, output: Any, batch: MicroBatch, picks: Any) -> Any:
        """The rows that are used: of patients, or of their codes."""
        assert isinstance(batch, PatientBatch)
        rows = output.pooler_output if batch.per_patient else output.last_hidden_state.flatten(0, 1)
        return rows[picks]

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
        """Take encoder and vocabulary."""
        self.vocabulary = vocabulary
        self._take(model)
