"""Scores of counts, worked out by hand, and equal to seqeval's averages."""

import numpy as np
import pytest

from spacy_clinbert.evaluation.counts import (
    Counts,
    Score,
    array,
    by_label,
    macro,
    macro_by_document,
    micro,
    score,
    total,
    weighted,
)

# Document 1: a 2 of 3 predicted right, 2 of 4 gold; b nothing predicted of 1. Document 2: a 1 of 1, 1 of 1.
ROWS = [{"a": Counts(2, 3, 2, 4), "b": Counts(0, 0, 0, 1)}, {"a": Counts(1, 1, 1, 1)}, {}]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (Counts(2, 3, 2, 4), Score(2 / 3, 1 / 2, 4 / 7)),
        (Counts(0, 0, 0, 4), Score(None, 0.0, 0.0)),
        (Counts(0, 3, 0, 0), Score(0.0, None, 0.0)),
        (Counts(0, 3, 0, 4), Score(0.0, 0.0, 0.0)),
        (Counts(), Score(None, None, None)),
        (Counts(2, 2, 1, 2), Score(1.0, 0.5, 2 / 3)),
    ],
)
def test_score(counts, expected):
    assert score(counts) == pytest.approx(expected)


def test_micro():
    """3 of 4 predicted, 3 of 6 gold."""
    assert micro(ROWS) == pytest.approx(Score(3 / 4, 1 / 2, 3 / 5))


def test_averages_count_the_undefined_as_nothing():
    """a: p 3/4, r 3/5, f 2/3; b: p undefined, r 0, f 0; 5 gold a, 1 gold b."""
    assert by_label(ROWS) == {"a": Counts(3, 4, 3, 5), "b": Counts(0, 0, 0, 1)}
    assert macro(ROWS) == pytest.approx(Score(3 / 8, 3 / 10, 1 / 3))
    assert weighted(ROWS) == pytest.approx(Score(5 / 8, 1 / 2, 5 / 9))


def test_macro_by_document():
    """Precision 2/3 and 1, recall 2/5 and 1; the third document has neither."""
    p, r = (2 / 3 + 1) / 2, (2 / 5 + 1) / 2
    assert macro_by_document(ROWS) == pytest.approx(Score(p, r, 2 * p * r / (p + r)))


@pytest.mark.parametrize("rows", [[], [{}], [{"a": Counts()}]])
@pytest.mark.parametrize("average", [micro, macro_by_document, weighted])
def test_nothing_is_no_error(rows, average):
    assert average(rows) == Score(None, None, None)


def test_array():
    assert np.array_equal(array(ROWS), [[2, 3, 2, 5], [1, 1, 1, 1], [0, 0, 0, 0]])
    assert array([]).shape == (0, 4)
    assert total([]) == Counts()
