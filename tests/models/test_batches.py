"""Sequences are grouped into micro-batches once each, within bounds, at the least cost."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_clinbert.models.batches import Bounds, group

BOUNDS = st.builds(Bounds, most=st.integers(1, 80), overhead=st.integers(0, 60))


def cost(groups: list[np.ndarray], lengths: np.ndarray, bounds: Bounds) -> int:
    return sum(int(lengths[members].max()) * len(members) + bounds.overhead for members in groups)


def cheapest(lengths: np.ndarray, bounds: Bounds) -> int:
    """The least cost of all ways to cut the sorted sequences; a longer one than the bound stands alone."""
    ordered = np.sort(lengths)[::-1]
    found = []
    for number in range(len(ordered)):
        for cuts in combinations(range(1, len(ordered)), number):
            parts = np.split(np.arange(len(ordered)), cuts)
            if all(len(part) == 1 or ordered[part[0]] * len(part) <= bounds.most for part in parts):
                found.append(cost(parts, ordered, bounds))
    return min(found)


@given(st.lists(st.integers(0, 60), max_size=60), BOUNDS)
def test_each_sequence_goes_once_within_the_bound(lengths, bounds):
    lengths = np.array(lengths, dtype=np.int64)
    groups = group(lengths, bounds)
    assert sorted(np.concatenate(groups).tolist() if groups else []) == list(range(len(lengths)))
    for members in groups:
        assert len(members) == 1 or lengths[members].max() * len(members) <= bounds.most
        assert np.all(np.diff(lengths[members]) <= 0)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=8, unique=True), BOUNDS)
def test_sequences_of_different_lengths_are_grouped_at_the_least_cost(lengths, bounds):
    lengths = np.array(lengths, dtype=np.int64)
    assert cost(group(lengths, bounds), lengths, bounds) == cheapest(lengths, bounds)


@pytest.mark.parametrize(("overhead", "expected"), [(0, [[10], [9, 9, 9], [2]]), (5, [[10, 9, 9, 9], [2]])])
def test_overhead_decides_how_many_there_are(overhead, expected):
    lengths = np.array([9, 10, 2, 9, 9])
    assert [lengths[members].tolist() for members in group(lengths, Bounds(100, overhead))] == expected


def test_a_full_kind_is_shared_evenly():
    """A rest of one sequence would cost a pass for itself."""
    assert [len(members) for members in group(np.full(9, 10), Bounds(80, 64))] == [5, 4]
