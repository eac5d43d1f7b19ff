"""Fine-tuning on NCBI-disease on a GPU; `gpu_speed.py` runs it and says what is measured."""

import statistics
from itertools import count
from typing import Any, Callable, NamedTuple, Sequence

import spacy
import torch
from gpu_rounds import (
    CONFIGURED,
    DEVICE,
    OURS,
    PLAIN,
    SHIPPED,
    THINC_FOLLOWS,
    by_turns,
    print_table,
    spacy_transformers,
    timed,
    times,
)
from ner_ncbi import (
    BATCH,
    CLIP,
    DECAY,
    LABELS,
    RATE,
    WARMUP,
    Sentence,
    batches,
    encode,
    gold_docs,
    gold_labels,
    ours,
    read,
)
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.util import fix_random_seed, load_model_from_config
from thinc.api import Adam, warmup_linear

from spacy_clinbert.evaluation.seqeval import score_entities
from spacy_clinbert.models.tag_decoding import decode, find_mentions, softmax, tag_names


class System(NamedTuple):
    """What is trained: one more epoch, and strict F1 on sentences."""

    epoch: Callable[[], None]
    score: Callable[[Sequence[Sentence]], float]


def untagged(doc: Doc) -> Doc:
    """The words alone, as one sentence."""
    return Doc(doc.vocab, words=[token.text for token in doc], sent_starts=[i == 0 for i in range(len(doc))])


def with_spacy(components: dict[str, Any], train: Sequence[Sentence], steps: int) -> System:
    """Components of a spaCy pipeline, trained as spaCy trains."""
    fix_random_seed(0)
    nlp = load_model_from_config(
        {"nlp": {"lang": "en", "pipeline": list(components)}, "components": components}, auto_fill=True
    )
    docs = gold_docs(nlp.vocab, list(train))
    nlp.initialize(lambda: [Example(untagged(doc), doc) for doc in docs[:200]])
    schedule = warmup_linear(RATE, int(WARMUP * steps), steps)
    optimizer = Adam(schedule, L2=DECAY, grad_clip=CLIP, use_averages=False, L2_is_weight_decay=True)
    epochs = count()

    def epoch() -> None:
        for batch in batches(len(docs), next(epochs)):
            nlp.update([Example(untagged(docs[i]), docs[i]) for i in batch], sgd=optimizer, drop=0.1)
            optimizer.step_schedules()

    def score(test: Sequence[Sentence]) -> float:
        tests = gold_docs(nlp.vocab, list(test))
        return score_entities([Example(p, g) for p, g in zip(nlp.pipe(map(untagged, tests)), tests)])["ents_f"]

    return System(epoch, score)


def with_plain_loop(encoder: str, train: Sequence[Sentence], steps: int) -> System:
    """`AutoModelForTokenClassification` with AdamW, padded to the longest sentence of an unsorted batch."""
    from transformers import AutoModelForTokenClassification, AutoTokenizer, get_linear_schedule_with_warmup

    fix_random_seed(0)
    names = tag_names(LABELS)
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    model = AutoModelForTokenClassification.from_pretrained(encoder, num_labels=len(names)).to(DEVICE)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = get_linear_schedule_with_warmup(optimizer, int(WARMUP * steps), steps)
    epochs = count()

    def epoch() -> None:
        model.train()
        for batch in batches(len(train), next(epochs)):
            sentences = [train[i] for i in batch]
            inputs, firsts = encode(tokenizer, sentences)
            labels = gold_labels(inputs, firsts, sentences)
            with torch.autocast(DEVICE, torch.bfloat16):
                loss = model(**inputs.to(DEVICE), labels=labels.to(DEVICE)).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()

    @torch.no_grad()
    def score(test: Sequence[Sentence]) -> float:
        model.eval()
        examples = []
        for gold, sentence in zip(gold_docs(spacy.blank("en").vocab, list(test)), test):
            inputs, firsts = encode(tokenizer, [sentence])
            probabilities = softmax(model(**inputs.to(DEVICE)).logits[0, firsts[0]].cpu().numpy())
            predicted = untagged(gold)
            mentions = find_mentions(decode(probabilities, "viterbi"), probabilities)
            predicted.ents = [Span(predicted, m.start, m.end, label=LABELS[m.label]) for m in mentions]
            examples.append(Example(predicted, gold))
        return score_entities(examples)["ents_f"]

    return System(epoch, score)


def report(encoder: str, rounds: int, smoke: bool) -> None:
    """Train all systems by turns, an epoch a round, and print the table."""
    limit = 2 * BATCH if smoke else 0
    train, test = read("train", limit), read("test", limit)
    steps = (rounds + 1) * -(-len(train) // BATCH)
    spacy.prefer_gpu()
    components = ours(encoder)
    components["clinbert_ner"]["model"]["tok2vec"]["mixed_precision"] = "bf16"
    systems = {PLAIN: with_plain_loop(encoder, train, steps), OURS: with_spacy(components, train, steps)}
    if THINC_FOLLOWS:
        systems[SHIPPED] = with_spacy(spacy_transformers(encoder, shipped=True), train, steps)
        systems[CONFIGURED] = with_spacy(spacy_transformers(encoder, shipped=False), train, steps)
    seconds = by_turns({name: timed(system.epoch) for name, system in systems.items()}, rounds)
    print(f"Fine-tuning on {len(train):,} sentences, {rounds} rounds of an epoch after a first one.\n")
    head = ("system", "seconds an epoch", "times spacy-transformers as shipped", "times the plain loop", "strict F1")
    rows = []
    for name, found in seconds.items():
        compared = times(seconds, name, SHIPPED), times(seconds, name, PLAIN)
        rows.append((name, f"{statistics.median(found):.1f}", *compared, f"{100 * systems[name].score(test):.1f}"))
    print_table(head, rows)
