"""Time of our sentences against scispaCy's `pysbd_sentencizer` as shipped, on the same notes in one run.

Ours is sections and sentences from the bare text; scispaCy's is its component alone, on documents tokenized beforehand.
Run: python benchmarks/sentences_speed.py [--notes 200] [--rounds 3]; the open notes are looked for in CLINBERT_SHARED.
"""

import argparse
import gzip
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import spacy
from scispacy.custom_sentence_segmenter import pysbd_sentencizer

from spacy_clinbert.rules import split_sections, split_sentences

SHARED = Path(os.environ.get("CLINBERT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
LONG = 100_000


def ours(texts: Sequence[str]) -> int:
    return sum(len(split_sentences(text, split_sections(text))) for text in texts)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def compare(name: str, texts: list[str], rounds: int) -> str:
    """Time both by turns and return a row of the table."""
    nlp = spacy.blank("en")
    docs = [nlp.make_doc(text) for text in texts]
    our_times, their_times = [], []
    for _ in range(rounds):
        our_times.append(seconds(lambda: ours(texts)))
        their_times.append(seconds(lambda: [pysbd_sentencizer(doc) for doc in docs]))
    our, their = statistics.median(our_times), statistics.median(their_times)
    theirs = sum(len(list(doc.sents)) for doc in docs)
    characters = sum(map(len, texts))
    return (
        f"| {name} | {characters:,} | {rounds} | {our:.2f} | {their:.2f} | {their / our:.1f} "
        f"| {ours(texts):,} | {theirs:,} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notes", type=int, default=200, help="how many MTSamples notes, drawn with seed 0")
    parser.add_argument(
        "--rounds", type=int, default=3, help="how often the MTSamples notes are timed; the long note once"
    )
    args = parser.parse_args()
    with gzip.open(SHARED / "data" / "notes" / "mtsamples.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    random.Random(0).shuffle(texts)
    long_note = "\n\n".join(texts)[:LONG]
    ours(texts[:5])
    print("| notes | characters | rounds | ours, s | scispaCy, s | ratio | our sentences | scispaCy's |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    print(compare(f"{args.notes} of MTSamples", texts[: args.notes], args.rounds))
    print(compare("one long note", [long_note], rounds=1))


if __name__ == "__main__":
    main()
