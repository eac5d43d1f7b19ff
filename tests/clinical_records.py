"""A handful of records that hold gold for every head: mentions, assertions, categories, and two texts each."""

from typing import Sequence

from spacy.language import Language
from spacy.training import Example
from thinc.api import Optimizer

from spacy_clinbert.corpora.docs import make_doc
from spacy_clinbert.corpora.i2b2_2010 import FORMAT
from spacy_clinbert.corpora.records import Mention, Record
from spacy_clinbert.training.corpus import carry_over

CATS = ("contradiction", "entailment", "neutral")
PAIR = ("spans:premise", "spans:hypothesis")
# Premise, hypothesis, the class of the pair, and mentions of the premise.
ROWS = [
    ("The patient denies fever and nausea .", "She has fever .", "contradiction",
     [("fever", "problem", "absent"), ("nausea", "problem", "absent")]),
    ("He was given aspirin for chest pain .", "He takes aspirin .", "entailment",
     [("aspirin", "treatment", ""), ("chest pain", "problem", "present")]),
    ("History of diabetes , on metformin daily .", "Plan is home .", "neutral",
     [("diabetes", "problem", "present"), ("metformin", "treatment", "")]),
    ("CT scan showed no acute process .", "Process is acute .", "contradiction", []),
]  # fmt: skip


def make_records() -> list[Record]:
    """The records; a text holds premise and hypothesis, a line each."""
    return [make_record(f"r{number}", *row) for number, row in enumerate(ROWS)]


def make_record(name: str, premise: str, hypothesis: str, label: str, mentions: list[tuple[str, str, str]]) -> Record:
    """One of them: `label` is the class that holds, each mention is (words, label, assertion)."""
    text = f"{premise}\n{hypothesis}"
    found = []
    for words, kind, assertion in mentions:
        start = text.index(words)
        found.append(Mention(((start, start + len(words)),), kind, assertion=assertion))
    parts = {"premise": (0, len(premise)), "hypothesis": (len(premise) + 1, len(text))}
    cats = {one: float(one == label) for one in {*CATS, label}}
    return Record(name, text, tuple(found), cats=cats, parts=parts)


def make_examples(nlp: Language, records: Sequence[Record], carry: Sequence[str] = ()) -> list[Example]:
    """Bare and gold Docs; what is to be carried is copied to the bare ones, as `spacy_clinbert.Corpus.v1` does."""
    examples = []
    for record in records:
        gold, _ = make_doc(record, nlp.tokenizer, FORMAT)
        bare = nlp.make_doc(record.text)
        for what in carry:
            carry_over(gold, bare, what, record.id)
        examples.append(Example(bare, gold))
    return examples


def step(nlp: Language, examples: list[Example], sgd: Optimizer, exclude: Sequence[str] = ()) -> dict[str, float]:
    """An update as `spacy train` makes it: the encoder's weights move once all heads have given their gradients.

    `nlp.update(examples, sgd=sgd)` moves them one batch later (explosion/spaCy pull request 12136).
    """
    losses: dict[str, float] = {}
    nlp.update(examples, sgd=False, losses=losses, exclude=exclude)
    for name, pipe in nlp.pipeline:
        if name not in exclude and hasattr(pipe, "finish_update"):
            pipe.finish_update(sgd)
    return losses
