"""The encoder of marked entities: what goes through it, which row is taken, and that a head learns on it."""

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.note_mentions import NoteMentions
from spacy_clinbert.models.passes import find_shim

VOCAB = Vocab()


def build(folder, **config):
    model = NoteMentions(str(folder), **config)
    model.initialize()
    return model


def make_doc(words, ents, starts=(0,)):
    doc = Doc(VOCAB, words=words, sent_starts=[i in starts for i in range(len(words))])
    doc.ents = [Span(doc, start, end, label="problem") for start, end in ents]
    return doc


@pytest.fixture(scope="module")
def encoder(tiny_bert):
    return build(tiny_bert)


def marked(model, doc):
    """The wordpieces of each entity as text, its marker in capitals."""
    shim = find_shim(model)
    names = {number: piece for piece, number in shim.pieces.tokenizer.get_vocab().items()}
    found = []
    for ids, place in shim.layout.mark(shim, doc):
        words = [names[i] for i in ids]
        # The tiny vocabulary has no "@".
        assert words[place] == "[UNK]"
        found.append(" ".join("<" if i == place else ">" if word == "[UNK]" else word for i, word in enumerate(words)))
    return found


def test_entities_are_marked_in_their_sentences(encoder):
    words = "he denies fever and chills . chest pain given".split()
    doc = make_doc(words, [(2, 3), (4, 5), (6, 8)], starts=(0, 6))
    assert marked(encoder, doc) == [
        "he denies < fever > and chills .",
        "he denies fever and < chills > .",
        "< chest pain > given",
    ]


@pytest.mark.parametrize("place", [0, 1])
def test_a_row_is_that_of_the_marker_in_transformers(encoder, tiny_bert, place):
    import torch
    from transformers import AutoModel

    doc = make_doc("he denies fever and chills .".split(), [(2, 3), (4, 5)])
    shim = find_shim(encoder)
    ids, at = shim.layout.mark(shim, doc)[place]
    bert = AutoModel.from_pretrained(tiny_bert).eval()
    with torch.no_grad():
        expected = bert(torch.tensor([shim.pieces.frame(ids)])).last_hidden_state[0, at + 1]
    np.testing.assert_allclose(encoder.predict([doc])[0][place], expected.numpy(), atol=1e-5)


@settings(max_examples=40)
@given(st.integers(0, 40), st.integers(1, 12), st.integers(0, 40), st.integers(8, 20))
def test_a_long_sentence_is_cut_on_both_sides_of_the_entity(encoder, before, inside, behind, length):
    doc = make_doc(["pain"] * before + ["fever"] * inside + ["chest"] * behind, [(before, before + inside)])
    shim = find_shim(encoder)
    ((ids, place),) = type(shim.layout)(length).mark(shim, doc)
    fever, pain, chest, marker = (shim.pieces.cut(word)[0] for word in ("fever", "pain", "chest", "@"))
    room = length - 4
    assert len(ids) == min(room, before + inside + behind) + 2
    assert ids.count(fever) == min(inside, room) and ids[place] == ids[place + ids.count(fever) + 1] == marker
    left, right = ids.count(pain), ids.count(chest)
    assert left == place and (left == before or right == behind or abs(left - right) <= 1)


def test_rows_do_not_depend_on_the_batch_and_docs_without_entities_have_none(encoder):
    docs = [
        make_doc("no fever".split(), [(1, 2)]),
        make_doc("he was given aspirin for chest pain".split(), [(3, 4), (5, 7)]),
        make_doc(["fever"], []),
        make_doc([], []),
    ]
    together = encoder.predict(docs)
    assert [part.shape for part in together] == [(1, 32), (2, 32), (0, 32), (0, 32)]
    for doc, rows in zip(docs, together):
        np.testing.assert_allclose(encoder.predict([doc])[0], rows, atol=1e-5)
    rows, backprop = encoder.begin_update(docs[2:])
    backprop(rows)


@pytest.mark.parametrize("max_pieces", [7, 65])
def test_lengths_out_of_range_are_one_sentence(tiny_bert, max_pieces):
    with pytest.raises(ClinbertError, match=f"NoteMentions: max_pieces = {max_pieces}"):
        build(tiny_bert, max_pieces=max_pieces).predict([make_doc(["fever"], [(0, 1)])])


def test_assertions_are_learned_on_it_and_saved(tiny_bert, tmp_path):
    from spacy.training import Example

    nlp = spacy.blank("en")
    tok2vec = {"@architectures": "spacy_clinbert.NoteMentions.v1", "name": str(tiny_bert)}
    model = {"@architectures": "spacy_clinbert.MentionClassifier.v1", "tok2vec": tok2vec}
    nlp.add_pipe("clinbert_assertion", config={"model": model})

    def example(text, mentions):
        doc = nlp.make_doc(text)
        places = [(((text.index(words), text.index(words) + len(words)),), one) for words, one in mentions]
        doc.ents = [doc.char_span(*place, label="problem") for (place,), _ in places]
        gold = doc.copy()
        gold.user_data["clinbert_gold"] = tuple((place, "problem") for place, _ in places)
        gold.user_data["clinbert_assertions"] = tuple(one for _, one in places)
        return Example(doc, gold)

    texts = [
        ("he denies fever and chills", [("fever", "absent"), ("chills", "absent")]),
        ("given for chest pain", [("chest pain", "present")]),
        ("no pneumonia , has nausea", [("pneumonia", "absent"), ("nausea", "present")]),
    ]
    optimizer = nlp.initialize(lambda: [example(*one) for one in texts])
    optimizer.learn_rate = 0.003
    for _ in range(40):
        nlp.update([example(*one) for one in texts], sgd=optimizer)
    assert nlp.evaluate([example(*one) for one in texts])["assertion_f"] == 1.0
    nlp.to_disk(tmp_path / "model")
    assert spacy.load(tmp_path / "model").evaluate([example(*one) for one in texts])["assertion_f"] == 1.0
