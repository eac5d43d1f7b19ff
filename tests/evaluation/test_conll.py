"""The CoNLL score: by hand from conlleval's rules, equal to a plain reading of conlleval, and to seqeval's default."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support

from spacy_clinbert.evaluation.conll import conll_rows
from spacy_clinbert.evaluation.counts import Counts, by_label, macro, micro, total

LINE = st.integers(1, 7).flatmap(
    lambda n: st.tuples(*[st.lists(st.sampled_from("O B-a I-a B-b I-b".split()), min_size=n, max_size=n)] * 2)
)
DOCS = st.lists(st.lists(LINE, max_size=3), min_size=1, max_size=3)


def rows_of(gold: str, predicted: str) -> dict:
    """Lines are parted by bars."""
    lines = [(one.split(), other.split()) for one, other in zip(gold.split("|"), predicted.split("|"))]
    return conll_rows([lines])[0]


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        # An I after an O begins a chunk: it is right.
        ("B-a I-a O", "I-a I-a O", {"a": Counts(1, 1, 1, 1)}),
        # An I of another type begins a chunk: a is cut, b is spurious.
        ("B-a I-a I-a", "B-a I-b I-b", {"a": Counts(0, 1, 0, 1), "b": Counts(0, 1, 0, 0)}),
        # So the cut a may be right.
        ("B-a B-b O", "I-a I-b O", {"a": Counts(1, 1, 1, 1), "b": Counts(1, 1, 1, 1)}),
        # A B after an I of the same type begins a chunk; an I after it goes on.
        ("B-a B-a I-a", "I-a I-a I-a", {"a": Counts(0, 1, 0, 2)}),
        # A line ends a chunk: the I of the next begins one.
        ("B-a | I-a", "B-a | I-a", {"a": Counts(2, 2, 2, 2)}),
        ("B-a I-a O", "B-a O O", {"a": Counts(0, 1, 0, 1)}),
        # A label may hold a hyphen.
        ("B-x-y", "B-x-y", {"x-y": Counts(1, 1, 1, 1)}),
        ("O O", "O O", {}),
    ],
)
def test_by_hand(gold, predicted, expected):
    assert rows_of(gold, predicted) == expected


def test_a_table_by_hand():
    """PER: 1 of 2 found, 1 of 2 right; LOC: 2 of 2 found, 2 of 3 right; so 3 of 4 found, 3 of 5 right."""
    rows = [rows_of("B-PER I-PER O B-LOC | B-LOC B-PER O", "B-PER O O I-LOC | B-LOC I-PER I-LOC")]
    assert by_label(rows) == {"LOC": Counts(2, 3, 2, 2), "PER": Counts(1, 2, 1, 2)}
    assert micro(rows) == pytest.approx((3 / 5, 3 / 4, 2 / 3))
    assert macro(rows).f == pytest.approx((4 / 5 + 1 / 2) / 2)


def conlleval(lines) -> Counts:
    """Count over all types token by token, as the rules of conlleval's documentation say; a line end is an O."""
    correct = found_gold = found_guess = 0
    inside = False
    last = ("O", ""), ("O", "")
    for gold, guess in (pair for one, two in lines for pair in zip([*one, "O"], [*two, "O"])):
        tags = tuple((tag[0], tag[2:]) for tag in (gold, guess))
        starts = [
            tag[0] != "O" and (tag[0] == "B" or old[0] == "O" or tag[1] != old[1]) for old, tag in zip(last, tags)
        ]
        ends = [old[0] != "O" and (tag[0] in "BO" or tag[1] != old[1]) for old, tag in zip(last, tags)]
        if inside and all(ends):
            correct, inside = correct + 1, False
        elif inside and (any(ends) or tags[0][1] != tags[1][1]):
            inside = False
        if all(starts) and tags[0][1] == tags[1][1]:
            inside = True
        found_gold, found_guess = found_gold + starts[0], found_guess + starts[1]
        last = tags
    return Counts(correct, found_guess, correct, found_gold)


@given(DOCS)
def test_equal_to_conlleval_and_to_seqevals_default(docs):
    rows = conll_rows(docs)
    assert [total(row.values()) for row in rows] == [conlleval(lines) for lines in docs]
    gold, predicted = ([line[side] for lines in docs for line in lines] for side in (0, 1))
    if by_label(rows):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = precision_recall_fscore_support(gold, predicted, average="micro", zero_division=0)[:3]
        assert [value or 0.0 for value in micro(rows)] == pytest.approx([float(value) for value in theirs])
