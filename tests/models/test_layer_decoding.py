"""Layers decoded all at once: the same as each layer and each sequence decoded by itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spacy_clinbert.models.layer_decoding import decode_layers, find_layer_mentions
from spacy_clinbert.models.tag_decoding import decode, find_mentions, softmax

LENGTHS = st.integers(1, 12)


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    length, layers = draw(LENGTHS), draw(st.integers(1, 4))
    # With values in common, so that ties come up.
    values = st.one_of(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-6, 6, width=32))
    logits = draw(arrays(np.float32, (length, layers, 3), elements=values))
    begins = draw(arrays(np.bool_, length))
    begins[0] = True
    return logits, begins


@given(cases())
def test_as_one_by_one(case: tuple[np.ndarray, np.ndarray]) -> None:
    logits, begins = case
    tags = decode_layers(logits, begins)
    expected = []
    for part in np.split(np.arange(len(logits)), np.flatnonzero(begins)[1:]):
        for label in range(logits.shape[1]):
            probabilities = softmax(logits[part, label].astype("float64"))
            best = decode(probabilities, "viterbi")
            rows = np.arange(len(part))
            # Where two sequences are as likely, either will do.
            likeliest = np.log(probabilities)[rows, best].sum()
            assert np.log(probabilities)[rows, tags[part, label]].sum() == pytest.approx(likeliest, abs=1e-5)
            for mention in find_mentions(tags[part, label].astype("int64"), probabilities):
                assert mention.well_formed
                bounds = mention.start + int(part[0]), mention.end + int(part[0])
                expected.append((*bounds, label, pytest.approx(mention.score, rel=1e-6), True))
    assert [tuple(mention) for mention in find_layer_mentions(logits, begins)] == sorted(
        expected, key=lambda one: one[:3]
    )


def test_empty_layers_cost_nothing_much() -> None:
    """With thousands of labels most have no mention: only those that have one are searched."""
    logits = np.zeros((400, 2000, 3), dtype="float32")
    logits[..., 0] = 5.0
    logits[10, 1999] = (0, 9, 0)
    logits[11, 1999] = (0, 0, 9)
    (mention,) = find_layer_mentions(logits, np.eye(1, 400, dtype=bool)[0])
    assert mention[:3] == (10, 12, 1999) and 0.99 < mention.score < 1.0


def test_a_long_mention_has_a_small_score_but_one() -> None:
    logits = np.tile(np.log(np.array([0.2, 0.7, 0.1])), (300, 1, 1))
    logits[1:] = np.log(np.array([0.1, 0.1, 0.8]))
    (mention,) = find_layer_mentions(logits.astype("float32"), np.eye(1, 300, dtype=bool)[0])
    assert (mention.start, mention.end) == (0, 300) and mention.score == pytest.approx(0.7 * 0.8**299, rel=1e-4)
