"""Speed and memory of `clinbert convert` on a synthetic corpus in i2b2 2010 form.

Run: python benchmarks/convert_speed.py [--documents 10000]. A tenth of the documents and all of them are converted,
each in a process of its own on one core, so that the peaks of memory can be compared.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def convert(source: str, out: str) -> None:
    """Convert, and print seconds and peak memory in MB."""

    from spacy_clinbert.components.tokenizer import tokenizer_of
    from spacy_clinbert.corpora.catalogue import find_format
    from spacy_clinbert.corpora.convert import Conversion
    from spacy_clinbert.corpora.convert import convert as convert_corpus

    tokenizer = tokenizer_of("en")
    began = time.perf_counter()
    convert_corpus(Conversion(find_format("i2b2_2010"), Path(source)), Path(out), tokenizer)
    seconds = time.perf_counter() - began
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=10_000)
    args = parser.parse_args()
    print("| documents | words | seconds | documents/s | peak memory, MB |\n| ---: | ---: | ---: | ---: | ---: |")
    for documents in (args.documents // 10, args.documents):
        with tempfile.TemporaryDirectory() as folder:
            source, out = f"{folder}/corpus", f"{folder}/out"
            synth = [sys.executable, "-m", "spacy_clinbert", "synth", "i2b2_2010", source, "--notes", str(documents)]
            subprocess.run(synth, check=True, capture_output=True)
            words = sum(len(path.read_text(encoding="utf-8").split()) for path in Path(source).rglob("*.txt"))
            measured = subprocess.run(
                [sys.executable, __file__, "--convert", source, out],
                check=True,
                capture_output=True,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
            seconds, memory = map(float, measured.stdout.split()[-2:])
        print(f"| {documents:,} | {words:,} | {seconds:.1f} | {documents / seconds:.0f} | {memory:.0f} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--convert"]:
        convert(*sys.argv[2:])
    else:
        main()
