"""Decoding: the best legal sequence, by comparison with all of them; mentions and their probabilities."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spacy_clinbert.models.tag_decoding import decode, find_mentions, softmax, tag_names

LOGITS = arrays(np.float64, st.tuples(st.integers(1, 5), st.just(5)), elements=st.floats(-4, 4))


def is_legal(tags):
    return all(tag % 2 == 1 or tag == 0 or before in (tag, tag - 1) for before, tag in zip((0, *tags), tags))


@given(LOGITS)
def test_viterbi_finds_the_best_legal_sequence(logits):
    probabilities = softmax(logits)
    found = decode(probabilities, "viterbi")
    scores = np.log(probabilities)
    legal = (tags for tags in itertools.product(range(5), repeat=len(logits)) if is_legal(tags))
    best = max(sum(scores[i, tag] for i, tag in enumerate(tags)) for tags in legal)
    assert is_legal(found)
    assert sum(scores[i, tag] for i, tag in enumerate(found)) == pytest.approx(best)


@given(LOGITS)
def test_mention_scores_are_the_probability_of_just_this_span(logits):
    probabilities = softmax(logits)
    for mention in find_mentions(decode(probabilities, "viterbi"), probabilities):
        begin, inside = 1 + 2 * mention.label, 2 + 2 * mention.label
        total = 0.0
        for tags in itertools.product(range(5), repeat=len(logits)):
            ends = mention.end == len(tags) or tags[mention.end] != inside
            if tags[mention.start] == begin and set(tags[mention.start + 1 : mention.end]) <= {inside} and ends:
                total += np.prod(probabilities[np.arange(len(tags)), tags])
        assert mention.score == pytest.approx(total)


def test_argmax_keeps_ill_formed_mentions_and_says_so():
    tags = np.array([2, 2, 0, 1, 4, 4, 3])
    probabilities = np.eye(5)[tags]
    mentions = find_mentions(decode(probabilities, "argmax"), probabilities)
    assert [(m.start, m.end, m.label, m.well_formed) for m in mentions] == [
        (0, 2, 0, False),
        (3, 4, 0, True),
        (4, 6, 1, False),
        (6, 7, 1, True),
    ]


def test_names_follow_the_outputs():
    assert tag_names(["problem", "test"]) == ["O", "B-problem", "I-problem", "B-test", "I-test"]


def test_the_score_of_a_long_mention_is_small_but_not_nothing():
    tags = np.array([1] + [2] * 59)
    probabilities = np.full((60, 3), 1 / 3, dtype="float32")
    probabilities[:, 1:] = 0.1
    (mention,) = find_mentions(tags, probabilities)
    assert mention.score == pytest.approx(1e-60, rel=1e-4)
