"""An encoder as OpenVINO runs it: kept as a graph with its weights, compiled in each process."""

import os
import tempfile
import warnings
from collections import deque
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Deque, Dict, Iterable, Iterator, List, Optional, Tuple

import numpy as np

from ..errors import ClinbertError

Arrays = Tuple[np.ndarray, np.ndarray, Optional[np.ndarray]]

# The names that OpenVINO's own tools give to the two files of a model.
GRAPH, WEIGHTS = "openvino_model.xml", "openvino_model.bin"
# Our names of what it computes in, and its own; what is in 8 bits says so in the graph, and the rest is in bf16.
HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}
# It keeps kernels for each shape of input that it has seen, 5,000 unless told, at about 1 MB each; windows come in
# thousands of shapes.
KEPT_SHAPES = "64"
# Padded wordpieces in a micro-batch. BERT-base in bf16 on two quiet cores: 4,200 wordpieces a second with 512, 4,900
# with 1,024, 5,100 with 2,048, 5,300 with 4,096; in fp32 1,400 with each. Beside other work, which takes its share of
# the cache, 4,096 were the slowest. With two at once on these cores, 1,024 to 4,096 took the same time.
BEST_PIECES = 2048
# What forked workers got from their parents, and must not free.
LEFT: list[Any] = []


def require_openvino() -> None:
    """Raise the config error where OpenVINO is not installed."""
    if find_spec("openvino") is None:
        raise ClinbertError('engine = "openvino" needs OpenVINO: pip install "spacy-clinbert[openvino]"')


class OpenVinoEncoder:
    """A compiled encoder: micro-batches in, rows out.

    graph (openvino.Model): inputs `input_ids`, `attention_mask` and, where the encoder has token types,
        `token_type_ids`; output the last layer, or one row for each sequence where the encoder has a pooler.
    precision (str): "fp32", "bf16" or "int8", whose graph comes from `quantization`.
    """

    def __init__(self, graph: Any, precision: str) -> None:
        self.precision = precision
        # Whether it gives one row for each sequence.
        self.pooled = len(graph.outputs[0].partial_shape) == 2
        self.graph = graph
        self._requests: List[Any] = []
        self._made_for: Optional[tuple[int, int]] = None

    @property
    def in_8_bits(self) -> bool:
        """Whether the graph is rounded to 8 bits."""
        return any(operation.get_type_name() == "FakeQuantize" for operation in self.graph.get_ops())

    def stream(self, batches: Iterable[Arrays]) -> Iterator[np.ndarray]:
        """Run micro-batches, several at once where that pays: threads that each have their own wait less for others.

        batches (Iterable[Tuple[ndarray, ndarray, Optional[ndarray]]]): of each, padded wordpiece ids, 1 where they are
            wordpieces and 0 where padding, and token types (None where all are 0): shape (n_sequences, longest).
        YIELDS (ndarray): of each in turn, shape (n_sequences, longest, width), or (n_sequences, width) where `pooled`;
            overwritten once the next is asked for.
        """
        idle = deque(self._prepare())
        busy: Deque[Tuple[Any, List[np.ndarray]]] = deque()

        def finish() -> Iterator[np.ndarray]:
            request, _ = busy[0]
            request.wait()
            yield request.get_output_tensor(0).data
            idle.append(busy.popleft()[0])

        try:
            for arrays in batches:
                if not idle:
                    yield from finish()
                inputs = self.inputs(*arrays)
                idle[0].start_async(inputs, share_inputs=True)
                # OpenVINO reads the inputs where they lie: they must not go before it has.
                busy.append((idle.popleft(), inputs))
            while busy:
                yield from finish()
        finally:
            for request, _ in busy:
                request.wait()

    def inputs(self, ids: np.ndarray, mask: np.ndarray, types: Optional[np.ndarray]) -> List[np.ndarray]:
        """The inputs of the graph, in its order."""
        return [ids, mask, np.zeros_like(ids) if types is None else types][: len(self.graph.inputs)]

    def _prepare(self) -> List[Any]:
        """Compile for this process and torch's number of threads, as often as one of these changes."""
        import openvino
        import torch

        made_for = (os.getpid(), torch.get_num_threads())
        if self._made_for != made_for:
            if self._made_for is not None and self._made_for[0] != made_for[0]:
                # In a forked worker, to free what the parent compiled would be to wait for threads that are not there.
                LEFT.append(self._requests)
            core = openvino.Core()
            hint = HINTS[self.precision]
            if hint == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
                if self.precision == "int8":
                    hint = "f32"
                else:
                    warnings.warn(
                        'precision = "bf16" is slow on this CPU, which has neither AVX512_BF16 nor AMX: set "fp32"',
                        stacklevel=2,
                    )
            settings = {
                "INFERENCE_PRECISION_HINT": hint,
                "PERFORMANCE_HINT": "THROUGHPUT",
                "INFERENCE_NUM_THREADS": made_for[1],
                # Two workers would be pinned to the same cores.
                "ENABLE_CPU_PINNING": False,
                "CPU_RUNTIME_CACHE_CAPACITY": KEPT_SHAPES,
            }
            compiled = core.compile_model(self.graph, "CPU", settings)
            at_once = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
            # One waits, so that none of the others does while the rows of one are taken.
            self._requests = [compiled.create_infer_request() for _ in range(at_once + 1)]
            self._made_for = made_for
        return self._requests

    def to_files(self) -> Dict[str, bytes]:
        """Graph and weights, neither rounded any further, as the files of an OpenVINO model by name."""
        import openvino

        with tempfile.TemporaryDirectory() as folder:
            openvino.save_model(self.graph, Path(folder) / GRAPH, compress_to_fp16=False)
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
