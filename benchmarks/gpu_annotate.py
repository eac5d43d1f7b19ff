"""Annotating notes on a GPU; `gpu_speed.py` runs it and says what is measured."""

from pathlib import Path
from typing import Callable, Sequence

import spacy
import torch
from annotate_speed import LABELS, gold, make_ours, piped, read_notes
from gpu_rounds import (
    CONFIGURED,
    DEVICE,
    OURS,
    PLAIN,
    SHIPPED,
    THINC_FOLLOWS,
    by_turns,
    median_rate,
    print_table,
    spacy_transformers,
    timed,
    times,
)
from spacy.language import Language
from spacy.util import fix_random_seed, load_model_from_config

from spacy_clinbert.models.passes import find_shim

NOTES, SENTENCES_TOGETHER = 500, 128
ENCODER = "components.clinbert_ner.model.tok2vec"
BF16 = {f"{ENCODER}.mixed_precision": "bf16"}
# More at once than the defaults, which are a CPU's.
LARGE = {**BF16, f"{ENCODER}.max_batch_pieces": 32_768, "nlp.batch_size": 256}


def encoder_alone(nlp: Language, texts: Sequence[str]) -> Callable[[], None]:
    """The encoder on the micro-batches that `nlp.pipe` makes of the texts."""
    shim = find_shim(nlp.get_pipe("clinbert_ner").model.get_ref("tok2vec"))
    docs = list(nlp.pipe(texts, disable=["clinbert_ner"]))
    laid = [shim.layout(shim, docs[i : i + nlp.batch_size], False) for i in range(0, len(docs), nlp.batch_size)]

    def run() -> None:
        for batches, sizes in laid:
            shim.rows(batches, sum(sizes), is_train=False)

    return run


def plain_loop(encoder: str, sentences: Sequence[str]) -> Callable[[], None]:
    """`AutoModelForTokenClassification` on sentences sorted by length; gives the tags of wordpieces, no Docs."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    fix_random_seed(0)
    model = AutoModelForTokenClassification.from_pretrained(encoder, num_labels=2 * len(LABELS) + 1).to(DEVICE).eval()
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    ordered = sorted(sentences, key=len, reverse=True)

    @torch.inference_mode()
    def run() -> None:
        for first in range(0, len(ordered), SENTENCES_TOGETHER):
            together = ordered[first : first + SENTENCES_TOGETHER]
            inputs = tokenizer(together, padding=True, truncation=True, return_tensors="pt").to(DEVICE)
            with torch.autocast(DEVICE, torch.bfloat16):
                model(**inputs).logits.argmax(-1).cpu()

    return run


def make_spacy_transformers(encoder: str, shipped: bool) -> Language:
    """spaCy's `ner` on spacy-transformers, with the batch size of the quickstart for GPUs."""
    fix_random_seed(0)
    components = spacy_transformers(encoder, shipped)
    if not shipped:
        components = {"clinbert_sentences": {"factory": "clinbert_sentences", "backend": "fast"}, **components}
    settings = {"lang": "en", "pipeline": list(components), "batch_size": 128}
    nlp = load_model_from_config({"nlp": settings, "components": components}, auto_fill=True)
    nlp.initialize(gold(nlp))
    return nlp


def report(encoder: str, folder: Path, rounds: int, smoke: bool) -> None:
    """Time all systems and print the table."""
    from transformers import AutoTokenizer

    texts = read_notes(2 if smoke else NOTES)
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    pieces = sum(len(tokenizer(text, add_special_tokens=False, verbose=False).input_ids) for text in texts)
    # Made while Thinc is on the CPU: the tagger's bias is set with NumPy.
    nlp = make_ours(encoder)
    nlp.to_disk(folder / "ours")
    sentences = [sent.text for doc in nlp.pipe(texts, disable=["clinbert_ner"]) for sent in doc.sents]
    spacy.prefer_gpu()
    large = spacy.load(folder / "ours", config=LARGE)
    runs = {
        PLAIN: plain_loop(encoder, [text for text in sentences if text.strip()]),
        OURS: piped(spacy.load(folder / "ours", config=BF16), texts),
        f"{OURS}, micro-batches of 32,768 pieces": piped(large, texts),
        "its encoder alone, on the same micro-batches": encoder_alone(large, texts),
    }
    if THINC_FOLLOWS:
        runs[SHIPPED] = piped(make_spacy_transformers(encoder, shipped=True), texts)
        runs[f"{CONFIGURED}, sorted"] = piped(make_spacy_transformers(encoder, shipped=False), sorted(texts, key=len))
    seconds = by_turns({name: timed(run) for name, run in runs.items()}, rounds)
    print(f"Annotating {len(texts)} notes of {pieces:,} wordpieces, {rounds} rounds.\n")
    head = ("system", "notes/s", "wordpieces/s", "times spacy-transformers as shipped", "times the plain loop")
    print_table(
        head,
        [
            (
                *(name, median_rate(len(texts), found), median_rate(pieces, found)),
                *(times(seconds, name, SHIPPED), times(seconds, name, PLAIN)),
            )
            for name, found in seconds.items()
        ],
    )
