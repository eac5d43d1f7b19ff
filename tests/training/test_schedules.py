"""Steps of epochs and the rate over them."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.util import minibatch, registry

from spacy_clinbert.training.schedules import steps_of_epochs, warmup_share


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 5))
def test_steps_are_the_batches_that_spacy_makes(examples, size, epochs):
    batches = sum(1 for _ in minibatch(range(examples), size))
    assert steps_of_epochs(range(examples), size, epochs) == epochs * batches


@pytest.mark.parametrize(
    "total, warmup, expected",
    [
        (10, 0.2, [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0]),
        (4, 0.0, [1.0, 0.75, 0.5, 0.25, 0.0]),
        (1, 0.1, [1.0, 0.0]),
    ],
)
def test_the_rate_rises_and_ends_at_zero(total, warmup, expected):
    assert list(islice(warmup_share(1.0, warmup, total), total + 1)) == pytest.approx(expected)


def test_spacy_finds_them():
    assert registry.misc.get("spacy_clinbert.steps_of_epochs.v1") is steps_of_epochs
    assert registry.schedules.get("spacy_clinbert.warmup_linear.v1") is warmup_share
