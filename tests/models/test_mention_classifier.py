"""`MentionClassifier.v1`: which tokens make an entity's row, the gradients, and which encoders it runs on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy import registry
from spacy.tokens import Doc, Span
from spacy.vocab import Vocab
from thinc.api import Model, NumpyOps

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.mention_attention import WIDTH, buckets
from spacy_clinbert.models.mention_classifier import MentionClassifier
from spacy_clinbert.models.mention_rows import POOLINGS, find_places, in_sentences, mention_rows

VOCAB = Vocab()
OPS = NumpyOps()


def make_doc(words, ents, starts=()):
    flags = [i in starts or i == 0 for i in range(len(words))] if starts else None
    doc = Doc(VOCAB, words=list(words), sent_starts=flags)
    doc.ents = [Span(doc, start, end, label="problem") for start, end in ents]
    return doc


def given_rows(rows):
    """An encoder that gives these rows, so many to each Doc in turn, and keeps the gradient that comes back."""
    kept = []

    def forward(model, docs, is_train):
        ends = np.cumsum([len(doc) for doc in docs], dtype=int)

        def backprop(d_rows):
            kept.append([part.copy() for part in d_rows])
            return []

        return [rows[end - len(doc) : end] for doc, end in zip(docs, ends)], backprop

    return Model("given_rows", forward, dims={"nO": rows.shape[1]}), kept


@st.composite
def docs(draw):
    length = draw(st.integers(1, 14))
    cuts = sorted(draw(st.sets(st.integers(0, length), max_size=6)))
    words = [draw(st.sampled_from(["a", "a", "a", "\n"])) for _ in range(length)]
    # spaCy allows no entity of blanks.
    ents = [(a, b) for a, b in zip(cuts[::2], cuts[1::2]) if words[a] == words[b - 1] == "a"]
    return make_doc(words, ents, draw(st.sets(st.integers(0, length - 1))))


@given(st.lists(docs(), max_size=3), st.integers(0, 5))
def test_an_entity_is_pooled_from_its_words_and_looks_around_in_its_sentence(batch, context):
    places = find_places(OPS, batch, context)
    inside = np.split(places.inside, np.cumsum(places.lengths))
    around = np.split(places.around, np.cumsum(places.sides))
    distances = np.split(places.distances, np.cumsum(places.sides))
    offset = number = 0
    for doc in batch:
        for ent in doc.ents:
            assert inside[number].tolist() == [t.i + offset for t in ent if t.text != "\n"]
            low = doc[ent.start].sent.start if doc.has_annotation("SENT_START") else 0
            high = doc[ent.end - 1].sent.end if doc.has_annotation("SENT_START") else len(doc)
            before = [i for i in range(low, ent.start) if ent.start - i <= context]
            behind = [i for i in range(ent.end, high) if i - ent.end < context]
            assert around[2 * number].tolist() == [i + offset for i in before]
            assert around[2 * number + 1].tolist() == [i + offset for i in behind]
            assert distances[2 * number].tolist() == [ent.start - i for i in before]
            assert distances[2 * number + 1].tolist() == [ent.end - 1 - i for i in behind]
            number += 1
        offset += len(doc)
    assert number == len(places.lengths)


def test_an_entity_over_a_sentence_bound_has_both_sentences():
    doc = make_doc("abcdefgh", [(2, 4), (7, 8)], starts={3, 6})
    assert [bounds for _, bounds in in_sentences(doc)] == [(0, 6), (6, 8)]


def test_distances_are_known_in_powers_of_two():
    assert buckets(np.array([1, 2, 3, 4, 31, 32, -1, -2, -32]), 6).tolist() == [0, 1, 1, 2, 4, 5, 6, 7, 11]


def test_poolings_by_hand():
    rows = np.array([[1, 5], [3, 1], [9, 9], [2, 2]], dtype="float32")
    doc = make_doc(["chest", "pain", "no", "fever"], [(0, 2), (3, 4)])
    expected = {"mean": [[2, 3], [2, 2]], "max": [[3, 5], [2, 2]], "first": [[1, 5], [2, 2]]}
    assert set(expected) == set(POOLINGS)
    for pooling, pooled in expected.items():
        model = mention_rows(given_rows(rows)[0], pooling, context=0)
        model.initialize(X=[doc])
        assert model.predict([doc])[0].tolist() == pooled


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("context", [0, 3])
def test_gradients_are_those_of_finite_differences(pooling, context):
    """Of the encoder's rows and of every parameter of the attention, in a batch with and without entities."""
    rng = np.random.default_rng(0)
    batch = [make_doc("abcdefgh", [(1, 3), (4, 5), (7, 8)], starts={4}), make_doc("xy", []), make_doc("z", [(0, 1)])]
    rows = rng.normal(size=(11, 4)).astype("float32")
    encoder, kept = given_rows(rows)
    model = mention_rows(encoder, pooling, context)
    model.initialize(X=batch)
    weights = [rng.normal(size=part.shape).astype("float32") for part in model.predict(batch)]

    def loss():
        return sum(float((part * weight).sum(dtype="float64")) for part, weight in zip(model.predict(batch), weights))

    _, backprop = model.begin_update(batch)
    backprop(weights)
    checked = [(rows, np.concatenate(kept[0]))]
    checked += [(node.get_param(name), node.get_grad(name)) for node in model.walk() for name in node.param_names]
    assert len(checked) == (10 if context else 1)
    for values, gradient in checked:
        for _ in range(12):
            at = tuple(rng.integers(size) for size in values.shape)
            before = values[at]
            values[at] = before + 0.02
            up = loss()
            values[at] = before - 0.02
            down = loss()
            values[at] = before
            assert (up - down) / 0.04 == pytest.approx(float(gradient[at]), abs=0.01)


@pytest.mark.parametrize("batch", [[make_doc("", [])], [make_doc("ab", []), make_doc("\n", [])]])
def test_without_entities_the_way_back_gives_zeros_to_the_encoder(batch):
    encoder, kept = given_rows(np.ones((3, 4), dtype="float32"))
    model = MentionClassifier(encoder, nO=2)
    model.initialize(X=[make_doc("abc", [(0, 1)])])
    output, backprop = model.begin_update(batch)
    assert [part.shape for part in output] == [(0, 2)] * len(batch)
    backprop(output)
    assert [part.tolist() for part in kept[-1]] == [[[0.0] * 4] * len(doc) for doc in batch]


@settings(max_examples=25)
@given(st.lists(docs(), min_size=1, max_size=4))
def test_rows_do_not_depend_on_the_batch(batch):
    table = np.random.default_rng(1).normal(size=(2, 5)).astype("float32")
    encoder = Model(
        "table",
        lambda model, docs, is_train: ([table[[int(t.text == "\n") for t in doc]] for doc in docs], lambda d: []),
        dims={"nO": 5},
    )
    model = mention_rows(encoder, "mean", 4)
    model.initialize(X=batch)
    together = model.predict(batch)
    for doc, rows in zip(batch, together):
        np.testing.assert_allclose(model.predict([doc])[0], rows, atol=1e-5)


def test_rows_per_entity_are_taken_as_they_are():
    encoder, _ = given_rows(np.eye(3, dtype="float32"))
    encoder.attrs["rows"] = "mention"
    model = MentionClassifier(encoder, nO=3)
    model.initialize(X=[make_doc("abc", [(0, 1)])])
    assert model.get_ref("output_layer").get_dim("nI") == 3
    assert model.get_ref("tok2vec") is encoder


def test_the_layers_are_found_and_as_wide_as_they_should_be():
    make = registry.architectures.get("spacy_clinbert.MentionClassifier.v1")
    model = make(given_rows(np.eye(3, dtype="float32"))[0], context=8)
    doc = make_doc("abc", [(0, 1)])
    model.initialize(X=[doc], Y=[np.zeros((1, 5), dtype="float32")])
    assert model.predict([doc])[0].shape == (1, 5)
    assert model.get_ref("output_layer").get_dim("nI") == 3 + 2 * WIDTH


@pytest.mark.parametrize(
    ("setting", "words"),
    [({"pooling": "cls"}, 'pooling = "cls" is unknown'), ({"context": -1}, "context = -1: give at least 0")],
)
def test_settings_out_of_range_are_one_sentence(setting, words):
    with pytest.raises(ClinbertError, match=words):
        MentionClassifier(given_rows(np.eye(3, dtype="float32"))[0], **setting)


@pytest.mark.parametrize("rows", ["window", "pair"])
def test_rows_of_windows_and_pairs_are_a_config_error(rows):
    encoder, _ = given_rows(np.eye(3, dtype="float32"))
    encoder.attrs["rows"] = rows
    with pytest.raises(ClinbertError, match=f"one row per {rows}"):
        MentionClassifier(encoder)
