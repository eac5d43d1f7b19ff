"""Blocks: all wordpieces in order, none twice, only the last partial block lost."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from segment_corpus import random_corpus

from spacy_clinbert.pretraining.blocks import block_batches
from spacy_clinbert.pretraining.export_settings import ExportSettings
from spacy_clinbert.pretraining.schemas import BLOCKS

CORPUS = random_corpus(12)
EVERY = [piece for note in CORPUS.documents() for segment in note for piece in segment]
NOTHING = np.empty(0, dtype=np.int32)


def blocks(batches, length, rest=NOTHING):
    """The blocks of some batches as lists, and what is left over."""
    generator = block_batches(batches, ExportSettings(length=length, form="blocks"), CORPUS.ids, rest)
    found = []
    while True:
        try:
            batch = next(generator)
        except StopIteration as end:
            return found, end.value
        assert batch.schema == BLOCKS
        found += batch.column("input_ids").to_pylist()


@settings(max_examples=60)
@given(st.integers(8, 600), st.lists(st.integers(0, 12), max_size=8).map(sorted))
def test_blocks_run_over_documents_and_batches(length, cuts):
    batches = [CORPUS.batch(slice(start, end)) for start, end in zip([0, *cuts], [*cuts, 12])]
    found, rest = blocks(batches, length)
    assert all(len(block) == length and block[0] == 2 and block[-1] == 3 for block in found)
    inner = [piece for block in found for piece in block[1:-1]]
    assert inner + rest.tolist() == EVERY and len(rest) < length - 2


@pytest.mark.parametrize("cut", range(13))
def test_a_run_that_goes_on_later_gives_the_same_blocks(cut):
    first, rest = blocks([CORPUS.batch(slice(0, cut))], 100)
    second, last = blocks([CORPUS.batch(slice(cut, 12))], 100, rest)
    whole, end = blocks([CORPUS.batch()], 100)
    assert first + second == whole and last.tolist() == end.tolist()


def test_notes_shorter_than_a_block_give_none():
    found, rest = blocks([CORPUS.batch(slice(0, 0)), *[CORPUS.batch(slice(0, 1))]], 5000)
    assert found == [] and rest.tolist() == [piece for segment in CORPUS.documents()[0] for piece in segment]
    assert rest.dtype == np.int32 and pa.array(rest).type == pa.int32()
