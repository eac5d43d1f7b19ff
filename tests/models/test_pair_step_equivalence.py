"""Training on pairs, and on texts of one window, is that of a plain PyTorch loop: the same losses, step by step."""

import random

import numpy as np
import pytest
import torch
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import Adam
from tiny_models import write_bert

from spacy_clinbert.components.pair import ClinbertPair
from spacy_clinbert.components.textcat import ClinbertTextcat
from spacy_clinbert.models.note_pairs import NotePairs
from spacy_clinbert.models.note_windows import NoteWindows
from spacy_clinbert.models.pair_classifier import PairClassifier
from spacy_clinbert.models.text_classifier import TextClassifier

WORDS = "the patient was admitted with chest pain denies fever nausea history of aspirin metformin given".split()
CLASSES = ["contradiction", "entailment", "neutral"]
STEPS, BATCH, RATE, LONGEST = 50, 8, 1e-3, 24
VOCAB = Vocab()


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    """One layer whose weights are large, so that fifty steps teach it something."""
    return write_bert(tmp_path_factory.mktemp("encoders") / "bert", num_hidden_layers=1, initializer_range=0.2)


def make_data() -> list[tuple[list[str], list[str], str]]:
    """Premise, hypothesis and class; some pairs are too long for the encoder."""
    rng = random.Random(0)
    data = []
    for i in range(48):
        premise, hypothesis = (rng.choices(WORDS, k=rng.randint(2, 16)) for _ in range(2))
        hypothesis[0] = {0: "no", 1: "showed", 2: "plan"}[i % 3]
        data.append((premise, hypothesis, CLASSES[i % 3]))
    return data


def make_pair_doc(premise: list[str], hypothesis: list[str]) -> Doc:
    doc = Doc(VOCAB, words=[*premise, "\n", *hypothesis])
    doc.spans["premise"], doc.spans["hypothesis"] = [doc[: len(premise)]], [doc[len(premise) + 1 :]]
    return doc


def make_text_doc(premise: list[str], hypothesis: list[str]) -> Doc:
    return Doc(VOCAB, words=[*premise, *hypothesis])


def shorten_as_bert(premise: list[str], hypothesis: list[str]) -> tuple[list[str], list[str]]:
    """`_truncate_seq_pair` of BERT, on words that are one wordpiece each."""
    premise, hypothesis = list(premise), list(hypothesis)
    while len(premise) + len(hypothesis) > LONGEST - 3:
        (premise if len(premise) > len(hypothesis) else hypothesis).pop()
    return premise, hypothesis


def encode_pairs(tokenizer, batch):
    sides = [shorten_as_bert(*one[:2]) for one in batch]
    return tokenizer(
        [" ".join(a) for a, _ in sides], [" ".join(b) for _, b in sides], padding=True, return_tensors="pt"
    )


def encode_texts(tokenizer, batch):
    return tokenizer([" ".join([*a, *b]) for a, b, _ in batch], padding=True, return_tensors="pt")


def make_pair_head(name: str) -> ClinbertPair:
    encoder = NotePairs(name, max_pieces=LONGEST, dropout=0.0)
    return ClinbertPair(VOCAB, PairClassifier(encoder))


def make_text_head(name: str) -> ClinbertTextcat:
    return ClinbertTextcat(VOCAB, TextClassifier(NoteWindows(name, dropout=0.0), pooling="cls"))


@pytest.mark.filterwarnings("ignore:clinbert_pair. .* pairs are too long")
@pytest.mark.parametrize(
    ("make_head", "make_doc", "encode"),
    [(make_pair_head, make_pair_doc, encode_pairs), (make_text_head, make_text_doc, encode_texts)],
    ids=["pairs", "texts"],
)
def test_fifty_steps_are_those_of_a_plain_loop(bert, make_head, make_doc, encode):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    data = make_data()

    def example(one) -> Example:
        gold = make_doc(*one[:2])
        gold.cats = {label: float(label == one[2]) for label in CLASSES}
        return Example(make_doc(*one[:2]), gold)

    torch.manual_seed(1)
    off = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    plain = AutoModelForSequenceClassification.from_pretrained(bert, num_labels=len(CLASSES), **off)
    tokenizer = AutoTokenizer.from_pretrained(bert)
    head = make_head(str(bert))
    head.initialize(lambda: [example(one) for one in data], labels=CLASSES)
    output = head.model.get_ref("output_layer")
    output.set_param("W", plain.classifier.weight.detach().numpy().copy())
    output.set_param("b", plain.classifier.bias.detach().numpy().copy())

    ours = Adam(RATE, L2=0.0, grad_clip=0.0, use_averages=False)
    theirs = torch.optim.Adam(plain.parameters(), lr=RATE)
    differences, losses = [], []
    for step in range(STEPS):
        batch = random.Random(step).sample(data, BATCH)
        loss = head.update([example(one) for one in batch], sgd=ours, drop=0.0)[head.name]
        labels = torch.tensor([CLASSES.index(label) for *_, label in batch])
        theirs.zero_grad()
        plain_loss = plain(**encode(tokenizer, batch), labels=labels).loss
        plain_loss.backward()
        theirs.step()
        losses.append(plain_loss.item())
        differences.append(abs(loss - plain_loss.item()))
    assert max(differences) < 1e-3
    # Something was learned, so that the two could have parted.
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])

    plain.eval()
    expected = plain(**encode(tokenizer, data)).logits.argmax(dim=-1).tolist()
    found = np.concatenate(head.model.predict([make_doc(*one[:2]) for one in data])).argmax(axis=1).tolist()
    assert found == expected
