"""What the GPU benchmarks share: rounds by turns on a synchronised device, and spacy-transformers beside us."""

import statistics
import time
from typing import Any, Callable, Mapping, Sequence

import torch
from annotate_speed import ratio
from thinc.compat import has_cupy_gpu

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# Thinc, and with it spacy-transformers, gets to a GPU through CuPy only.
THINC_FOLLOWS = DEVICE == "cpu" or has_cupy_gpu
OURS, PLAIN = "spacy-clinbert, bf16", "plain Hugging Face loop, bf16"
SHIPPED = "spacy-transformers + ner, as shipped (window 128, stride 96, fp32)"
CONFIGURED = "spacy-transformers + ner, a span a sentence, mixed precision"


def synchronise() -> None:
    """Wait for what the GPU was given to do."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def timed(run: Callable[[], None]) -> Callable[[], float]:
    """The run as one that gives its seconds."""

    def clocked() -> float:
        synchronise()
        start = time.perf_counter()
        run()
        synchronise()
        return time.perf_counter() - start

    return clocked


def by_turns(systems: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """The seconds of each round, after one that warms up; the order turns around from round to round."""
    for run in systems.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    for number in range(rounds):
        for name in list(systems)[:: 1 if number % 2 == 0 else -1]:
            seconds[name].append(systems[name]())
    return seconds


def times(seconds: dict[str, list[float]], name: str, other: str) -> str:
    """How many times as fast as another, the median of the ratios within rounds; nothing where that one did not run."""
    return f"{ratio(seconds, name, other):.2f}" if other in seconds else ""


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table: names, then figures."""
    print(f"| {' | '.join(head)} |\n| --- |{' ---: |' * (len(head) - 1)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(flush=True)


def median_rate(amount: float, seconds: Sequence[float]) -> str:
    """So much a second, by the median of the seconds."""
    return f"{amount / statistics.median(seconds):,.0f}"


def spacy_transformers(encoder: str, shipped: bool) -> dict[str, Any]:
    """The components: as the quickstart configures both, or a span a sentence and 16 bits where there is a GPU."""
    spans: dict[str, Any] = {"@span_getters": "spacy-transformers.sent_spans.v1"}
    if shipped:
        spans = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 128, "stride": 96}
    transformer = {
        "@architectures": "spacy-transformers.TransformerModel.v3",
        "name": encoder,
        "get_spans": spans,
        "tokenizer_config": {"use_fast": True},
        "mixed_precision": not shipped and DEVICE == "cuda",
    }
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
    parser = {"state_type": "ner", "extra_state_tokens": False, "hidden_width": 64, "maxout_pieces": 2}
    ner = {"@architectures": "spacy.TransitionBasedParser.v2", **parser, "use_upper": False, "tok2vec": listener}
    return {"transformer": {"factory": "transformer", "model": transformer}, "ner": {"factory": "ner", "model": ner}}
