"""The heads of imported checkpoints: what they compute, and that they can be trained further."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from thinc.api import HashEmbed, NumpyOps, chain, list2array

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.dense_text_classifier import ACTIVATIONS, DenseTextClassifier, activate
from spacy_clinbert.models.mapped_classifier import read_as
from spacy_clinbert.models.tag_decoding import tag_names

TAGS = st.lists(st.sampled_from(["O", "B-x", "I-x", "B-y", "I-y"]), min_size=2, max_size=9).map(lambda t: ["O", *t])


def numbers(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@given(TAGS, st.integers(0, 99))
def test_the_likeliest_tag_is_that_of_the_likeliest_class(tags, seed):
    layer, logits = read_as(tags), numbers((7, len(tags)), seed)
    names = tag_names(list(dict.fromkeys(tag[2:] for tag in tags if tag != "O")))
    found = layer.predict(logits)
    assert found.shape == (7, len(names))
    assert [names[i] for i in found.argmax(axis=1)] == [tags[i] for i in logits.argmax(axis=1)]


def check_gradient(layer, X):
    Y, backprop = layer(X, is_train=True)
    d_out = numbers(Y.shape, seed=1)
    gradient = backprop(d_out)
    for place in np.ndindex(*X.shape):
        step = np.zeros_like(X)
        step[place] = 1e-2
        slope = ((layer.predict(X + step) - layer.predict(X - step)) * d_out).sum() / 2e-2
        assert gradient[place] == pytest.approx(slope, abs=2e-2)


def test_gradients_are_those_of_the_computation():
    check_gradient(read_as(["B-x", "I-x", "I-x", "B-x", "O", "O"]), numbers((5, 6)))
    for name in ACTIVATIONS:
        check_gradient(activate(name), numbers((4, 3)))


def test_a_tag_without_class_teaches_the_other_of_its_label():
    _, backprop = read_as(["O", "I-x"])(numbers((1, 2)), is_train=True)
    # Gold is B-x, which in IO is class x: the gradient of softmax less one-hot, with no probability for B-x.
    np.testing.assert_allclose(backprop(np.array([[0.4, -1.0, 0.6]], dtype="float32")), [[0.4, -0.4]], atol=1e-6)


def test_the_dense_head_wants_windows_and_known_settings():
    tokens = chain(HashEmbed(4, 10), list2array())
    with pytest.raises(ClinbertError, match="needs rows of windows"):
        DenseTextClassifier(tokens, 4, "tanh")
    with pytest.raises(ClinbertError, match='activation = "swish" is unknown'):
        DenseTextClassifier(tokens, 4, "swish")


def test_gelu_is_the_exact_one():
    torch = pytest.importorskip("torch")
    X = NumpyOps().asarray2f(numbers((5, 8)) * 3)
    np.testing.assert_allclose(activate("gelu").predict(X), torch.nn.functional.gelu(torch.tensor(X)), atol=1e-5)
