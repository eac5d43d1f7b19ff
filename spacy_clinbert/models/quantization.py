"""The 8-bit form of a compiled encoder: weights and activations rounded, by ranges measured on real sequences."""

import logging
import os
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import Any, Sequence

import numpy as np

from ..errors import ClinbertError
from .openvino_engine import Arrays, OpenVinoEncoder

# What NNCF measures on unless told otherwise. With 50 to 1,000 sentences MiniLM trained on NCBI-disease kept as many of
# its entities.
N_SEQUENCES = 300


def require_nncf() -> None:
    """Raise the config error where NNCF, OpenVINO's own tool for rounding, is not installed."""
    if find_spec("nncf") is None:
        raise ClinbertError('precision = "int8" is made by NNCF: pip install "spacy-clinbert[int8]"')


def quantize(encoder: OpenVinoEncoder, sequences: Sequence[Arrays]) -> OpenVinoEncoder:
    """Round an encoder to 8 bits after training (SmoothQuant, Xiao et al. 2023, ICML, and bias correction, by NNCF).

    encoder (OpenVinoEncoder): the encoder in fp32.
    sequences (Sequence[Tuple[ndarray, ndarray, Optional[ndarray]]]): sequences like those to come, without padding, as
        `OpenVinoEncoder.stream` takes them; ranges are measured on `N_SEQUENCES` of them.
    RETURNS (OpenVinoEncoder): the rounded encoder; nothing of the sequences is in it but the ranges.
    """
    # Unless told that it runs in a test, NNCF reports each use to its makers.
    os.environ.setdefault("NNCF_CI", "1")
    with redirect_stdout(sys.stderr):
        import nncf

        nncf.set_log_level(logging.ERROR)
        names = [one.get_any_name() for one in encoder.graph.inputs]
        places = np.linspace(0, len(sequences) - 1, min(N_SEQUENCES, len(sequences))).astype(int)
        chosen = [dict(zip(names, encoder.inputs(*sequences[place]))) for place in places]
        graph: Any = nncf.quantize(
            encoder.graph.clone(),
            nncf.Dataset(chosen),
            subset_size=len(chosen),
            model_type=nncf.ModelType.TRANSFORMER,
            # Symmetric ranges: with others MiniLM took half as long again and found entities no better.
            preset=nncf.QuantizationPreset.PERFORMANCE,
        )
    return OpenVinoEncoder(graph, "int8")
