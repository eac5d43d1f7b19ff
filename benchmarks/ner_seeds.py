"""NER on 1,000 sentences of NCBI-disease with MiniLM, over five seeds: the systems of `ner_ncbi.py` by turns.

A round trains each system from one seed, the order of the systems changing from round to round. Prints strict F1 on the
whole test split (mean and standard deviation over seeds), seconds an epoch (median), the median of the ratio to ours
within rounds, and the mean difference of ours to each peer with its 90 % interval (Student's t over the seeds).
"""

import argparse
import sys

import numpy as np
import torch
from ner_ncbi import SYSTEMS, read
from scipy import stats

OURS = "spacy-clinbert"


def main() -> None:
    """Run the rounds and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    train, test = read("train", arguments.sentences), read("test", 0)
    seconds: dict[str, list[float]] = {name: [] for name in SYSTEMS}
    scores: dict[str, list[float]] = {name: [] for name in SYSTEMS}
    for seed in range(arguments.seeds):
        for name in sorted(SYSTEMS, reverse=seed % 2 == 1):
            epochs, f1 = SYSTEMS[name](train, test, arguments.epochs, seed)
            seconds[name].append(float(np.median(epochs)))
            scores[name].append(100 * f1)
            print(f"seed {seed}, {name}: {100 * f1:.2f}, {seconds[name][-1]:.1f} s", file=sys.stderr, flush=True)
    print(
        f"{len(train)} training and {len(test)} test sentences, {arguments.epochs} epochs, {arguments.seeds} seeds,"
        f" {torch.get_num_threads()} threads\n"
    )
    print("| system | strict F1 | sd | seconds an epoch | time of ours to it | F1 of ours above it | 90 % interval |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in SYSTEMS:
        mean, sd = np.mean(scores[name]), np.std(scores[name], ddof=1)
        row = f"| {name} | {mean:.2f} | {sd:.2f} | {np.median(seconds[name]):.1f} |"
        if name != OURS:
            ratio = np.median(np.divide(seconds[OURS], seconds[name]))
            differences = np.subtract(scores[OURS], scores[name])
            error = stats.sem(differences) * stats.t.ppf(0.95, len(differences) - 1)
            mean = differences.mean()
            row += f" {ratio:.2f} | {mean:+.2f} | {mean - error:+.2f} to {mean + error:+.2f} |"
        else:
            row += " | | |"
        print(row)


if __name__ == "__main__":
    main()
