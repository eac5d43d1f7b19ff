"""How an encoder runs, whatever its weights."""

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class RunSettings:
    """How an encoder runs; none of it is saved with the weights, so that a config can change it at load.

    device (str): "auto", "cpu" or a torch device such as "cuda:0".
    mixed_precision (str): "no", "bf16" or "fp16".
    dropout (Optional[float]): the encoder's own dropout; None leaves what its configuration says.
    freeze_layers (int): how many layers from below, with the embeddings, get no gradient; 0 for none.
    max_batch_pieces (int): above so many padded wordpieces, a training batch is computed again in the backward pass.
    pooler (bool): whether rows go through the pooler that BERT has on `[CLS]`, where its files hold one.
    engine (str): what predicts: "torch" or "openvino"; torch always trains.
    precision (str): what another engine than torch computes in: "fp32", "bf16" or "int8".
    cache_mb (float): how many MB of rows are kept on a CPU for sequences that come again in a later batch; 0 for none.
    """

    device: str
    mixed_precision: str
    dropout: Optional[float]
    freeze_layers: int
    max_batch_pieces: int
    pooler: bool = False
    engine: str = "torch"
    precision: str = "fp32"
    cache_mb: float = 0
