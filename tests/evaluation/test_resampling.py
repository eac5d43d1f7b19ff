"""Intervals cover, the permutation test is level under the null and finds a planted difference, Holm by hand."""

import numpy as np
import pytest

from spacy_clinbert.evaluation.counts import Counts
from spacy_clinbert.evaluation.resampling import holm, intervals, permutation_test

GOLD = 50


def run(random: np.random.Generator, found: np.ndarray) -> np.ndarray:
    """Counts of a run: each document has fifty gold mentions, found with its probability, and as many predicted."""
    right = random.binomial(GOLD, found.clip(0, 1))
    full = np.full(len(found), GOLD)
    return np.stack([right, full, right, full], axis=1).astype(float)


def rows(counts: np.ndarray) -> list:
    return [{"a": Counts(*map(int, row))} for row in counts]


def test_intervals_cover_the_truth():
    random = np.random.default_rng(1)
    hits = 0
    for number in range(200):
        found = intervals(rows(run(random, random.beta(8, 2, size=60))), resamples=400, seed=number)
        hits += found["f"][0] <= 0.8 <= found["f"][1]
    assert 0.9 <= hits / 200 <= 0.99


def test_one_document_says_nothing_of_others():
    assert intervals([{"a": Counts(1, 2, 1, 4)}]) == {"p": None, "r": None, "f": None}


def test_intervals_by_hand():
    """Of two documents, one all right and one all wrong, a quarter of the resamples holds only one kind: 0 to 1."""
    one = intervals([{"a": Counts(1, 1, 1, 1)}, {"b": Counts(0, 1, 0, 1)}])
    assert one == {"p": (0.0, 1.0), "r": (0.0, 1.0), "f": (0.0, 1.0)}
    same = intervals([{"a": Counts(1, 2, 1, 4)}] * 5)
    assert (same["p"], same["r"]) == ((0.5, 0.5), (0.25, 0.25))
    assert same["f"] == pytest.approx((1 / 3, 1 / 3))


def test_intervals_of_what_is_undefined():
    assert intervals([]) == intervals([{}]) == {"p": None, "r": None, "f": None}
    nothing_predicted = intervals([{"a": Counts(0, 0, 0, 2)}, {}])
    assert nothing_predicted == {"p": None, "r": (0.0, 0.0), "f": (0.0, 0.0)}


def test_intervals_are_seeded():
    counts = rows(run(np.random.default_rng(2), np.full(30, 0.7)))
    assert intervals(counts, seed=3) == intervals(counts, seed=3) != intervals(counts, seed=4)


@pytest.mark.parametrize(("runs", "seed_effect"), [(1, 0.0), (2, 0.03), (4, 0.0), (4, 0.03)])
def test_p_is_uniform_where_there_is_no_difference(runs, seed_effect):
    random = np.random.default_rng(5)
    ps = []
    for number in range(400):
        documents = random.beta(8, 3, size=40)
        first, second = (
            [run(random, documents + random.normal(0, seed_effect)) for _ in range(runs)] for _ in range(2)
        )
        ps.append(permutation_test(first, second, permutations=300, seed=number).p)
    assert np.mean(ps) == pytest.approx(0.5, abs=0.06)
    for level in (0.05, 0.2, 0.5):
        assert np.mean(np.array(ps) <= level) == pytest.approx(level, abs=0.06)


def test_lucky_seeds_are_no_difference():
    """Without the second level, seeds that differ by 0.05 make two equal systems differ in most tests."""
    random = np.random.default_rng(6)
    with_seeds, without = [], []
    for number in range(100):
        effects = random.normal(0, 0.05, size=(2, 5))
        first, second = ([run(random, np.full(200, 0.7) + one) for one in side] for side in effects)
        with_seeds.append(permutation_test(first, second, permutations=200, seed=number).p)
        merged = [[np.mean(side, axis=0)] for side in (first, second)]
        without.append(permutation_test(*merged, permutations=200, seed=number).p)
    assert np.mean(np.array(with_seeds) <= 0.05) <= 0.15
    assert np.mean(np.array(without) <= 0.05) >= 0.5


def test_a_planted_difference_is_found():
    random = np.random.default_rng(7)
    documents = random.beta(8, 3, size=80)
    first, second = ([run(random, documents + shift) for _ in range(3)] for shift in (0.0, 0.06))
    found = permutation_test(first, second, permutations=2000)
    assert found.difference == pytest.approx(0.06, abs=0.03)
    assert found.p < 0.01
    back = permutation_test(second, first, permutations=2000)
    assert back.difference == -found.difference
    assert back.p < 0.01


def test_permutations_by_hand():
    """Four documents, one mention each, all found by the second and none by the first: of the 16 swaps only the two
    that swap all or nothing are as far apart."""
    none, every = np.array([[0.0, 1, 0, 1]] * 4), np.array([[1.0, 1, 1, 1]] * 4)
    found = permutation_test([none], [every], permutations=8000)
    assert found.difference == 1.0
    assert found.p == pytest.approx(2 / 16, abs=0.015)


def test_systems_that_agree_do_not_differ():
    counts = run(np.random.default_rng(8), np.full(20, 0.7))
    assert permutation_test([counts], [counts]) == (0.0, 1.0)
    assert permutation_test([counts], [counts, counts], permutations=50) == (0.0, 1.0)
    assert permutation_test([np.zeros((3, 4))], [np.zeros((3, 4))], permutations=50) == (0.0, 1.0)


def test_holm_by_hand():
    """4 × 0.01, 3 × 0.02, then 2 × 0.025 = 0.05, which may not be below 0.06, and 1 × 0.8."""
    assert holm([0.02, 0.8, 0.01, 0.025]) == pytest.approx([0.06, 0.8, 0.04, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
