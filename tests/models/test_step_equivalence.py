"""Training is that of a plain PyTorch loop: same weights, batches and order give the same losses."""

import random

import numpy as np
import pytest
import torch
from spacy.tokens import Doc, Span
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import Adam, fix_random_seed, get_current_ops

from spacy_clinbert.components.ner import ClinbertNer
from spacy_clinbert.models.note_encoder import NoteEncoder
from spacy_clinbert.models.tag_decoding import tag_names
from spacy_clinbert.models.token_classifier import TokenClassifier

WORDS = (
    "the patient was admitted with chest pain denies fever nausea history of hypertension aspirin metformin given"
).split()
LABELS = ["problem", "treatment"]
STEPS, BATCH, RATE, DECAY, DROP = 50, 8, 1e-3, 0.1, 0.1


def make_data(vocab: Vocab, shortest: int) -> list[Doc]:
    """Sentences of random words in which some words are mentions, always of the same label."""
    rng = random.Random(0)
    label = {"fever": 0, "nausea": 0, "hypertension": 0, "pain": 0, "aspirin": 1, "metformin": 1}
    docs = []
    for _ in range(64):
        doc = Doc(vocab, words=rng.choices(WORDS, k=rng.randint(shortest, 20)))
        spans = [Span(doc, t.i, t.i + 1, label=LABELS[label[t.text]]) for t in doc if t.text in label]
        doc.set_ents(spans)
        docs.append(doc)
    return docs


class ThincDropout(torch.nn.Module):
    """Dropout over the words of sentences of one length, each one piece, as Thinc draws it."""

    def forward(self, rows):
        words = rows[:, 1:-1]
        mask = get_current_ops().get_dropout_mask(words.shape, DROP)
        return torch.nn.functional.pad(words * torch.from_numpy(mask), (0, 0, 1, 1))


# With dropout, sentences are of one length: as they are then neither sorted nor padded, the same seed draws the same.
@pytest.mark.parametrize(("clip", "dropout", "shortest"), [(None, 0.0, 3), (0.05, 0.0, 3), (0.05, DROP, 20)])
def test_fifty_steps_are_those_of_a_plain_loop(tiny_bert, clip, dropout, shortest):
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    vocab = Vocab()
    docs = make_data(vocab, shortest)
    names = tag_names(LABELS)
    torch.manual_seed(1)
    drops = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    plain = AutoModelForTokenClassification.from_pretrained(tiny_bert, num_labels=len(names), **drops).train()
    plain.dropout = ThincDropout() if dropout else plain.dropout
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)

    ner = ClinbertNer(vocab, TokenClassifier(NoteEncoder(str(tiny_bert), dropout=dropout)))
    ner.initialize(lambda: [Example(Doc(vocab, words=[t.text for t in doc]), doc) for doc in docs], labels=LABELS)
    head = ner.model.get_ref("output_layer")
    head.set_param("W", plain.classifier.weight.detach().numpy().copy())
    head.set_param("b", plain.classifier.bias.detach().numpy().copy())

    ours = Adam(RATE, L2=DECAY, grad_clip=clip or 0.0, use_averages=False, L2_is_weight_decay=True)
    theirs = torch.optim.AdamW(plain.parameters(), lr=RATE, weight_decay=DECAY)
    differences = []
    for step in range(STEPS):
        batch = random.Random(step).sample(docs, BATCH)
        examples = [Example(Doc(vocab, words=[t.text for t in doc]), doc) for doc in batch]
        fix_random_seed(step)
        loss = ner.update(examples, sgd=ours, drop=dropout)["clinbert_ner"]

        words = [[t.text for t in doc] for doc in batch]
        inputs = tokenizer(words, is_split_into_words=True, padding=True, return_tensors="pt")
        labels = torch.full(inputs["input_ids"].shape, -100)
        for row, doc in enumerate(batch):
            ids = inputs.word_ids(row)
            firsts = [p for p, word in enumerate(ids) if word is not None and word != ids[p - 1]]
            tags = [f"{t.ent_iob_}-{t.ent_type_}" if t.ent_type_ else "O" for t in doc]
            labels[row, firsts] = torch.tensor([names.index(tag) for tag in tags])
        theirs.zero_grad()
        fix_random_seed(step)
        plain_loss = plain(**inputs, labels=labels).loss
        plain_loss.backward()
        if clip:
            assert torch.nn.utils.clip_grad_norm_(plain.parameters(), clip) > 2 * clip
        theirs.step()
        differences.append(abs(loss - plain_loss.item()))
    assert max(differences) < 1e-3
    assert plain_loss.item() < 0.5

    plain.eval()
    for doc in docs:
        inputs = tokenizer([t.text for t in doc], is_split_into_words=True, return_tensors="pt")
        ids = inputs.word_ids()
        firsts = [p for p, word in enumerate(ids) if word is not None and word != ids[p - 1]]
        expected = plain(**inputs).logits[0, firsts].argmax(dim=-1).numpy()
        logits = ner.model.predict([Doc(vocab, words=[t.text for t in doc])])[0]
        np.testing.assert_array_equal(logits.argmax(axis=1), expected)
