"""Sequences of earlier batches: the same rows without another pass, in bounded memory, never of other weights."""

import copy
import pickle
import tracemalloc
from contextlib import ExitStack

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Adam

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.note_encoder import NoteEncoder
from spacy_clinbert.models.passes import find_shim
from spacy_clinbert.models.repeats import Repeats, make_key

VOCAB = Vocab()
SENTENCES = [
    ["The", "patient", "denies", "chest", "-", "pain", "."],
    # The same wordpieces, other tokens.
    ["The", "patient", "denies", "chest-pain", "."],
    ["No", "fever", ",", "\n", "chills", "or", "pneumothorax", "."],
    ["aspirin", "81", "mg", "daily"] * 6,
    ["x1" * 30, "given"],
    ["\n"],
    ["Plan", ":"],
]
FORMS = [{}, {"pooling": "mean", "max_pieces": 12}, {"engine": "openvino"}]


def make_doc(*sentences: int) -> Doc:
    words = [word for number in sentences for word in SENTENCES[number]]
    return Doc(VOCAB, words=words, sent_starts=[i == 0 for n in sentences for i in range(len(SENTENCES[n]))])


DOCS = [make_doc(0, 2), make_doc(3, 2), make_doc(6)]


def make(name, **config):
    model = NoteEncoder(str(name), dropout=0.0, **config)
    model.initialize(X=DOCS)
    return model


@pytest.fixture(scope="module", params=FORMS, ids=str)
def encoders(request, tiny_bert):
    """One keeps nothing, one all, one about two sentences; they live through all examples."""
    return [make(tiny_bert, cache_mb=mb, **request.param) for mb in (0, 8, 0.005)]


@settings(max_examples=15)
@given(st.lists(st.lists(st.lists(st.integers(0, len(SENTENCES) - 1), max_size=4), max_size=3), max_size=4))
def test_rows_are_those_that_would_be_computed_in_any_batches(encoders, batches):
    plain, *others = encoders
    docs = [make_doc(*numbers) for batch in batches for numbers in batch]
    expected = [plain.predict([doc])[0] for doc in docs]
    for model in others:
        found = [rows for batch in batches for rows in model.predict([make_doc(*numbers) for numbers in batch])]
        for rows, wanted in zip(found, expected, strict=True):
            np.testing.assert_allclose(rows, wanted, atol=1e-4)
        assert find_shim(model).repeats.n_bytes <= find_shim(model).repeats.max_bytes
    assert len(find_shim(plain).repeats) == 0


def pieces_run(model, monkeypatch) -> list[int]:
    """Record the wordpieces that go through the encoder."""
    shim, passes = find_shim(model), []
    predict = shim._predict

    def recording(batches):
        passes.extend(int(batch.mask.sum()) for batch in batches)
        return predict(batches)

    monkeypatch.setattr(shim, "_predict", recording)
    return passes


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_what_an_earlier_batch_had_is_not_computed_again(tiny_bert, monkeypatch, engine):
    model = make(tiny_bert, engine=engine, cache_mb=1)
    passes = pieces_run(model, monkeypatch)
    model.predict([make_doc(0, 2)])
    first = sum(passes)
    assert first > 0
    model.predict([make_doc(2, 0, 0), make_doc(2)])
    assert sum(passes) == first
    model.predict([make_doc(6, 2)])
    assert sum(passes) == first + 4
    model.predict([make_doc(1)])
    assert sum(passes) > first + 4


def test_training_neither_fills_nor_reads_it(tiny_bert):
    def losses(cache_mb):
        model, optimizer, found = make(tiny_bert, cache_mb=cache_mb), Adam(0.001), []
        for _ in range(4):
            model.predict(DOCS)
            rows, backprop = model.begin_update([*DOCS, DOCS[0]])
            found += [float((part**2).sum()) for part in rows]
            backprop([2 * part for part in rows])
            model.finish_update(optimizer)
        return found

    assert losses(1) == losses(0)
    model = make(tiny_bert, cache_mb=1)
    model.begin_update(DOCS)
    assert len(find_shim(model).repeats) == 0


def step(model, stack):
    rows, backprop = model.begin_update(DOCS)
    backprop([np.ones_like(part) for part in rows])
    model.finish_update(Adam(0.01))


def averages(model):
    shim = find_shim(model)
    return {(shim.id, name): np.full(p.shape, 0.02, "float32") for name, p in shim._model.named_parameters()}


def enter(model, stack):
    stack.enter_context(model.use_params(averages(model)))


def leave(model, stack):
    with model.use_params(averages(model)):
        model.predict(DOCS)


def leave_by_an_error(model, stack):
    with pytest.raises(KeyError), model.use_params(averages(model)):
        model.predict(DOCS)
        raise KeyError


def read_bytes(model, stack):
    other = model.copy()
    step(other, stack)
    model.from_bytes(other.to_bytes())


def read_compiled_bytes(model, stack):
    other = model.copy()
    step(other, stack)
    find_shim(other).keep_compiled()
    model.from_bytes(other.to_bytes())


def load(model, stack):
    find_shim(model).load(find_shim(model).cfg["name"])


def move(model, stack):
    model.to_cpu()


def compile_it(model, stack):
    find_shim(model).keep_compiled()


WAYS = [step, enter, leave, leave_by_an_error, read_bytes, load, move]
CASES = [("torch", way) for way in WAYS] + [("openvino", way) for way in (leave, read_compiled_bytes, compile_it)]


@pytest.mark.parametrize(("engine", "change"), CASES, ids=lambda case: getattr(case, "__name__", case))
def test_no_row_outlives_its_weights(tiny_bert, engine, change):
    model = make(tiny_bert, engine=engine, cache_mb=1)
    model.predict(DOCS)
    assert len(find_shim(model).repeats) == 4
    with ExitStack() as stack:
        change(model, stack)
        assert len(find_shim(model).repeats) == find_shim(model).repeats.n_bytes == 0
        plain = NoteEncoder("nowhere", engine=engine).from_bytes(model.to_bytes())
        for rows, wanted in zip(model.predict(DOCS), plain.predict(DOCS), strict=True):
            np.testing.assert_allclose(rows, wanted, atol=1e-4)


def test_copies_start_empty_and_nothing_of_it_is_saved(tiny_bert):
    model, plain = make(tiny_bert, cache_mb=1), make(tiny_bert)
    model.predict(DOCS)
    kept = find_shim(model).repeats
    for other in (model.copy(), copy.deepcopy(model), pickle.loads(pickle.dumps(kept))):
        repeats = other if isinstance(other, Repeats) else find_shim(other).repeats
        assert repeats is not kept and len(repeats) == repeats.n_bytes == 0 and repeats.max_bytes == kept.max_bytes
    assert model.to_bytes() == plain.to_bytes() and len(kept) == 4
    copied = model.copy()
    step(copied, None)
    assert np.abs(copied.predict(DOCS)[0] - model.predict(DOCS)[0]).max() > 0.01


@settings(max_examples=30)
@given(st.integers(0, 20_000), st.lists(st.tuples(st.integers(0, 30), st.integers(0, 20)), max_size=60))
def test_memory_is_bounded_and_the_longest_unused_go_first(bound, puts):
    repeats, latest = Repeats(bound), []
    for number, n_rows in puts:
        key = make_key([number], (), np.arange(n_rows))
        if repeats.get(key) is None:
            repeats.put(key, np.full((n_rows, 16), number, dtype=np.float32))
        latest = [*(other for other in latest if other != key), key]
        assert repeats.n_bytes <= bound
    there = [key for key in latest if repeats.get(key) is not None]
    assert len(there) == len(repeats)
    # Of entries of one size, those there are the latest.
    same = [key for key in latest if len(key) == len(latest[-1])]
    kept = [key in there for key in same]
    assert kept == sorted(kept)


def test_the_bound_holds_for_what_python_takes():
    repeats, batch = Repeats(200_000), np.zeros((1000, 16), dtype=np.float32)
    tracemalloc.start()
    try:
        for number in range(5000):
            # A part of a batch: kept as it is, it would hold all of it.
            repeats.put(make_key([number], (), np.arange(number % 40)), batch[: number % 40])
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.7 * 200_000 < taken <= 200_000


def test_types_and_places_tell_sequences_apart():
    keys = [
        make_key(*parts)
        for parts in ([[1, 2], (), [0]], [[1, 2], [0, 1], [0]], [[1, 2], (), [0, 1]], [[1], (), [2, 0]])
    ]
    assert len(set(keys)) == 4
    assert make_key([1, 2], [0, 0], np.zeros(1)) == keys[0]


def test_a_bound_below_zero_is_one_sentence():
    with pytest.raises(ClinbertError, match="cache_mb = -1: give at least 0"):
        NoteEncoder("bert", cache_mb=-1)
