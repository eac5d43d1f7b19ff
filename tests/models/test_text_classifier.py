"""Poolings and aggregates: their gradients by numbers, their values by hand, and what they refuse."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Model

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.note_windows import NoteWindows
from spacy_clinbert.models.row_pooling import POOLINGS, attention_weights, pool_rows
from spacy_clinbert.models.text_classifier import TextClassifier
from spacy_clinbert.models.window_probabilities import LabelGroup, combine, read_probabilities

WIDTH, STEP = 5, 1e-3
GROUPS = [LabelGroup("a", [0, 2], True), LabelGroup("b", [1, 3, 4], True)]
SINGLE = [LabelGroup("", [0, 1, 2, 3, 4], False)]


def table(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def pooling(name: str) -> Model:
    model = pool_rows(name)
    model.initialize(X=[table(0, 2, WIDTH)])
    if name == "attention":
        model.set_param("query", table(1, WIDTH))
    return model


def slopes(function, at: np.ndarray, step: float = STEP) -> np.ndarray:
    """The gradient of a function of an array, by differences."""
    found = np.zeros(at.shape)
    for place in np.ndindex(at.shape):
        moved = [at.copy(), at.copy()]
        moved[0][place] += step
        moved[1][place] -= step
        found[place] = (function(moved[0]) - function(moved[1])) / (2 * step)
    return found


@pytest.mark.parametrize("name", POOLINGS)
def test_gradients_of_poolings(name: str) -> None:
    model = pooling(name)
    docs = [table(2, 4, WIDTH), table(3, 0, WIDTH), table(4, 1, WIDTH)]
    outer = [table(5 + i, 1, WIDTH) for i in range(3)]

    def value(rows: list) -> float:
        return sum(float((one * weight).sum()) for one, weight in zip(model.predict(rows), outer))

    _, backprop = model.begin_update(docs)
    found = backprop(outer)
    assert [one.shape for one in found] == [one.shape for one in docs]
    for place in (0, 2):
        by_numbers = slopes(lambda rows, k=place: value([*docs[:k], rows, *docs[k + 1 :]]), docs[place])
        np.testing.assert_allclose(found[place], by_numbers, atol=2e-3)
    if name == "attention":
        query = model.get_param("query").copy()

        def with_query(changed: np.ndarray) -> float:
            model.set_param("query", changed)
            return value(docs)

        np.testing.assert_allclose(model.get_grad("query"), slopes(with_query, query), atol=2e-3)


@pytest.mark.parametrize("name", POOLINGS)
def test_a_doc_without_rows_gives_zeros(name: str) -> None:
    (row,) = pooling(name).predict([table(0, 0, WIDTH)])
    assert row.shape == (1, WIDTH) and not row.any()
    assert pooling(name).predict([]) == []


def test_attention_starts_as_the_mean_and_then_learns() -> None:
    model = pool_rows("attention")
    rows = table(0, 3, WIDTH)
    model.initialize(X=[rows])
    pooled, backprop = model.begin_update([rows])
    np.testing.assert_allclose(pooled[0], rows.mean(axis=0, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(attention_weights(model, rows), [1 / 3] * 3, atol=1e-6)
    backprop([table(1, 1, WIDTH)])
    assert np.abs(model.get_grad("query")).max() > 0.01


@pytest.mark.parametrize("groups", [GROUPS, SINGLE], ids=["groups", "single"])
@pytest.mark.parametrize("aggregate", ["none", "mean", "readmission"])
@pytest.mark.parametrize("windows", [1, 4])
def test_gradients_through_probabilities(groups: list, aggregate: str, windows: int) -> None:
    logits = table(windows, windows, 5).astype(float)
    outer = table(9, 5).astype(float)
    temperatures = {"a": 2.0, "": 0.5}
    probabilities, backprop = read_probabilities(logits, groups, aggregate, temperatures)
    for group in groups:
        if group.exclusive:
            assert probabilities[group.columns].sum() == pytest.approx(1.0)

    def value(changed: np.ndarray) -> float:
        return float(read_probabilities(changed, groups, aggregate, temperatures)[0] @ outer)

    np.testing.assert_allclose(backprop(outer), slopes(value, logits, 1e-5), atol=1e-8)


def test_readmission_is_the_rule_of_the_paper() -> None:
    """Huang et al. 2019: (max + mean * n / c) / (1 + n / c), with c = 2."""
    rows = np.array([[0.9], [0.2], [0.1]])
    found, _ = combine(rows, "readmission", exclusive=False)
    assert found[0] == pytest.approx((0.9 + 0.4 * 3 / 2) / (1 + 3 / 2))
    both, _ = combine(np.hstack([rows, 1 - rows]), "readmission", exclusive=True)
    ratings = np.array([(0.9 + 1.2 / 2) / 2.5, (0.9 + 1.8 / 2) / 2.5])
    np.testing.assert_allclose(both, ratings / ratings.sum())


@given(st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=2), min_size=1, max_size=6))
@settings(max_examples=50)
def test_aggregates_stay_within_the_windows(rows: list) -> None:
    array = np.array(rows)
    for aggregate in ("mean", "readmission"):
        found, _ = combine(array, aggregate, exclusive=False)
        assert (found >= array.min(axis=0) - 1e-12).all() and (found <= array.max(axis=0) + 1e-12).all()
    readmission, mean = (combine(array, name, exclusive=False)[0] for name in ("readmission", "mean"))
    assert (readmission >= mean - 1e-12).all()
    one, _ = combine(array[:1], "readmission", exclusive=False)
    np.testing.assert_allclose(one, array[0])


def fake_rows(width: int = WIDTH) -> Model:
    """A tok2vec that gives a row for each token."""
    return Model("rows", lambda model, docs, is_train: ([table(len(d), len(d), width) for d in docs], lambda d: []))


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"pooling": "cls"}, 'pooling = "cls" needs rows of windows'),
        ({"aggregate": "mean"}, 'aggregate = "mean" needs rows of windows'),
        ({"aggregate": "readmission", "pooling": "mean"}, "nothing is pooled"),
        ({"pooling": "sum"}, "give one of cls, mean, max, attention"),
        ({"pooling": "mean", "aggregate": "max"}, "give one of none, mean, readmission"),
    ],
)
def test_config_errors(settings: dict, said: str) -> None:
    with pytest.raises(ClinbertError) as error:
        TextClassifier(fake_rows(), **settings)
    assert said in str(error.value)


@pytest.mark.parametrize("settings", [{}, {"aggregate": "mean"}, {"pooling": "mean"}, {"pooling": "attention"}])
def test_rows_of_windows_take_every_setting(tiny_bert, settings: dict) -> None:
    vocab = Vocab()
    docs = [Doc(vocab, words=["fever"] * n) for n in (1, 30, 0)]
    model = TextClassifier(NoteWindows(str(tiny_bert), max_pieces=12), **settings)
    model.initialize(X=docs, Y=[np.zeros((1, 3), dtype="float32")] * 3)
    windows = [3, 1] if settings.get("aggregate") else [1, 1]
    assert [one.shape for one in model.predict(docs)] == [(1, 3), *((number, 3) for number in windows)]


def test_cls_is_the_first_window(tiny_bert) -> None:
    vocab = Vocab()
    words = ["fever", "cough", "patient", "chest", "pain", "aspirin", "daily"] * 3
    model = TextClassifier(NoteWindows(str(tiny_bert), max_pieces=9))
    long, short = Doc(vocab, words=words), Doc(vocab, words=words[:7])
    model.initialize(X=[long], Y=[np.zeros((1, 2), dtype="float32")])
    assert len(model.get_ref("tok2vec").predict([long])[0]) > 1
    first = model.get_ref("tok2vec").predict([long])[0][:1]
    np.testing.assert_allclose(model.predict([long])[0], model.get_ref("output_layer").predict(first), atol=1e-5)
    assert model.predict([short])[0].shape == (1, 2)
