"""An encoder as OpenVINO runs it: converted from torch, kept as a graph with its weights, compiled in each process."""

import os
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Dict, Optional

import numpy as np

from ..errors import ClinbertError
from .checkpoints import max_positions

# The names that OpenVINO's own tools give to the two files of a model.
GRAPH, WEIGHTS = "openvino_model.xml", "openvino_model.bin"
# Our names of what it computes in, and its own.
HINTS = {"fp32": "f32", "bf16": "bf16"}
# It keeps kernels for each shape of input that it has seen, 5,000 unless told, at about 1 MB each; windows come in
# thousands of shapes.
KEPT_SHAPES = "64"
# Padded wordpieces in a micro-batch. BERT-base in bf16 on two quiet cores: 4,200 wordpieces a second with 512, 4,900
# with 1,024, 5,100 with 2,048, 5,300 with 4,096; in fp32 1,400 with each. Beside other work, which takes its share of
# the cache, 4,096 were the slowest.
BEST_PIECES = 2048
# By how much of their norm rows in fp32 may be off.
MOST_OFF = 1e-3
# What forked workers got from their parents, and must not free.
LEFT: list[Any] = []


def require_openvino() -> None:
    """Raise the config error where OpenVINO is not installed."""
    if find_spec("openvino") is None:
        raise ClinbertError('engine = "openvino" needs OpenVINO: pip install "spacy-clinbert[openvino]"')


class OpenVinoEncoder:
    """A compiled encoder: arrays in, rows out.

    graph (openvino.Model): inputs `input_ids`, `attention_mask` and, where the encoder has token types,
        `token_type_ids`; output the last layer, or one row for each sequence where the encoder has a pooler.
    precision (str): "fp32" or "bf16".
    """

    def __init__(self, graph: Any, precision: str) -> None:
        self.precision = precision
        # Whether it gives one row for each sequence.
        self.pooled = len(graph.outputs[0].partial_shape) == 2
        self._typed = len(graph.inputs) == 3
        self._graph = graph
        self._request: Any = None
        self._made_for: Optional[tuple[int, int]] = None

    def __call__(self, ids: np.ndarray, mask: np.ndarray, types: Optional[np.ndarray]) -> np.ndarray:
        """Run one micro-batch.

        ids, mask (ndarray): padded wordpiece ids and where they are none, shape (n_sequences, longest).
        types (Optional[ndarray]): token types, same shape; None where all are 0.
        RETURNS (ndarray): shape (n_sequences, longest, width), or (n_sequences, width) where `pooled`; overwritten by
            the next call.
        """
        inputs = [ids, mask]
        if self._typed:
            inputs.append(np.zeros_like(ids) if types is None else types)
        request = self._prepare()
        request.infer(inputs, share_inputs=True)
        return request.get_output_tensor(0).data

    def _prepare(self) -> Any:
        """Compile for this process and torch's number of threads, as often as one of these changes."""
        import openvino
        import torch

        made_for = (os.getpid(), torch.get_num_threads())
        if self._made_for != made_for:
            if self._made_for is not None and self._made_for[0] != made_for[0]:
                # In a forked worker, to free what the parent compiled would be to wait for threads that are not there.
                LEFT.append(self._request)
            core = openvino.Core()
            if self.precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
                warnings.warn(
                    'precision = "bf16" is slow on this CPU, which has neither AVX512_BF16 nor AMX: set "fp32"',
                    stacklevel=2,
                )
            settings = {
                "INFERENCE_PRECISION_HINT": HINTS[self.precision],
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_NUM_THREADS": made_for[1],
                # Two workers would be pinned to the same cores.
                "ENABLE_CPU_PINNING": False,
                "CPU_RUNTIME_CACHE_CAPACITY": KEPT_SHAPES,
            }
            self._request = core.compile_model(self._graph, "CPU", settings).create_infer_request()
            self._made_for = made_for
        return self._request

    def to_files(self) -> Dict[str, bytes]:
        """Graph and weights, in float32, as the files of an OpenVINO model by name."""
        import openvino

        with tempfile.TemporaryDirectory() as folder:
            openvino.save_model(self._graph, Path(folder) / GRAPH, compress_to_fp16=False)
            return {name: (Path(folder) / name).read_bytes() for name in (GRAPH, WEIGHTS)}

    def __getstate__(self) -> Dict[str, Any]:
        # Copies and spawned workers compile for themselves.
        return {"files": self.to_files(), "precision": self.precision}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        self.__init__(read_graph(state["files"]), state["precision"])  # type: ignore[misc]


def read_graph(files: Dict[str, bytes]) -> Any:
    """The graph in the files that `to_files` gave."""
    import openvino

    return openvino.Core().read_model(files[GRAPH], files[WEIGHTS])


def compile_encoder(model: Any, pooled: bool, precision: str) -> OpenVinoEncoder:
    """Compile an encoder, and check it against torch on the longest sequences, since a trace may hold lengths fixed.

    model (PreTrainedModel): the encoder, on any device.
    pooled (bool): whether it gives the pooler's rows rather than those of its last layer.
    precision (str): "fp32" or "bf16".
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
        found = torch.from_numpy(OpenVinoEncoder(graph, "fp32")(ids.numpy(), mask.numpy(), None))
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
