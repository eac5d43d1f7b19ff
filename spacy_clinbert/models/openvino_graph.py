"""The OpenVINO graph of a torch encoder: traced, converted, and checked against torch."""

import warnings
from typing import Any

from ..errors import ClinbertError
from .checkpoints import max_positions
from .openvino_engine import OpenVinoEncoder

# By how much of their norm rows in fp32 may be off.
MOST_OFF = 1e-3


def compile_encoder(model: Any, pooled: bool, precision: str) -> OpenVinoEncoder:
    """Compile an encoder, and check it against torch on the longest sequences, since a trace may hold lengths fixed.

    model (PreTrainedModel): the encoder, on any device.
    pooled (bool): whether it gives the pooler's rows rather than those of its last layer.
    precision (str): "fp32" or "bf16"; `quantization` makes "int8" of the former.
    RETURNS (OpenVinoEncoder): the compiled encoder, with the weights as they are now.
    RAISES (ClinbertError): if OpenVINO cannot convert this architecture.
    """
    import torch

    device, training = model.device, model.training
    rows = _as_module(model.cpu().eval(), pooled)
    longest = max_positions(model)
    ids = torch.arange(3 * longest).reshape(3, longest) % model.config.vocab_size
    mask = (torch.arange(longest) < torch.tensor([[longest], [longest // 2], [2]])).long()
    inputs = (ids, mask, torch.zeros_like(ids)) if has_types(model.config) else (ids, mask)
    try:
        graph = _convert(rows, tuple(part[:2, :8] for part in inputs))
        found = torch.from_numpy(*OpenVinoEncoder(graph, "fp32").stream([(ids.numpy(), mask.numpy(), None)]))
        with torch.no_grad():
            expected = rows(*inputs)
        if not pooled:
            found, expected = found[mask > 0], expected[mask > 0]
        if torch.dist(found, expected) > MOST_OFF * expected.norm():
            raise ArithmeticError("other rows than those of torch")
    except Exception as error:
        kind = type(model).__name__
        raise ClinbertError(f'OpenVINO cannot convert this encoder ({kind}): leave engine = "torch"') from error
    finally:
        model.to(device).train(training)
    return OpenVinoEncoder(graph, precision)


def _as_module(model: Any, pooled: bool) -> Any:
    """The encoder as a module with one tensor out."""
    import torch

    class Rows(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = model

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            output = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **types)
            return output.pooler_output if pooled else output.last_hidden_state

    return Rows()


def _convert(rows: Any, example: tuple) -> Any:
    """Trace and convert a module, by the frontend itself: `openvino.convert_model` reports each use to its makers."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    frontend = FrontEndManager().load_by_framework("pytorch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # By a name of its own, since the frontend does not keep it alive.
        decoder = TorchScriptPythonDecoder(rows, example_input=example)
        return frontend.convert(frontend.load(decoder))


def has_types(config: Any) -> bool:
    """Whether an encoder has more than one token type; RoBERTa has one for all."""
    return getattr(config, "type_vocab_size", 0) > 1
