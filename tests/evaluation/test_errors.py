"""Every false positive and false negative is one error of one kind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scored_docs import any_doc, scored

from spacy_clinbert.evaluation.counts import by_label, total
from spacy_clinbert.evaluation.errors import KINDS, count_errors, find_errors
from spacy_clinbert.evaluation.matching import exact_rows


@pytest.mark.parametrize(
    ("gold", "predicted", "kinds"),
    [
        ("a 0-4", "a 0-4", []),
        ("a 0-4", "b 0-4", ["type"]),
        ("a 0-4", "a 0-6", ["bounds"]),
        ("a 0-4", "b 2-6", ["type and bounds"]),
        ("a 0-4", "", ["missed"]),
        ("", "a 0-4", ["spurious"]),
        ("a 0-4", "a 4-6", ["missed", "spurious"]),
        # One has the same bounds and one the same label: the same bounds come first.
        ("a 0-4", "b 0-4; a 1-4", ["type", "spurious"]),
        # The same label comes before more shared text.
        ("a 0-9", "a 0-2; b 2-9", ["bounds", "spurious"]),
        # A prediction that is right is no partner for others.
        ("a 0-9; b 0-4", "a 0-9", ["missed"]),
        ("a 0-4; a 0-4", "a 0-4", ["missed"]),
        ("a 0-2,6-8", "a 0-8", ["bounds"]),
    ],
)
def test_kinds(gold, predicted, kinds):
    assert [error.kind for error in find_errors([scored(gold, predicted)])] == kinds


@given(st.lists(any_doc(), max_size=3))
def test_all_errors_are_accounted_for(docs):
    docs = [doc._replace(id=str(number)) for number, doc in enumerate(docs)]
    counts = total(by_label(exact_rows(docs)).values())
    errors = find_errors(docs)
    assert sum(error.gold is not None for error in errors) == counts.gold - counts.found
    assert sum(error.predicted is not None for error in errors) == counts.predicted - counts.right
    tables = count_errors(errors, lambda name, place: f"{name} {place}")
    for table in tables.values():
        assert sum(sum(kinds.values()) for kinds in table.values()) == len(errors)
        assert all(tuple(kinds) == KINDS for kinds in table.values())


def test_by_label_and_section():
    """A section begins at 10. The error with gold counts under gold's label and where gold starts."""
    docs = [scored("a 0-4; b 12-14", "b 0-4; b 9-13", "x"), scored("", "c 20-21", "y")]
    errors = find_errors(docs)
    tables = count_errors(errors, lambda name, place: f"{name} {'plan' if place >= 10 else 'history'}")
    nothing = dict.fromkeys(KINDS, 0)
    assert tables["labels"] == {
        "a": nothing | {"type": 1},
        "b": nothing | {"bounds": 1},
        "c": nothing | {"spurious": 1},
    }
    assert tables["sections"] == {
        "x history": nothing | {"type": 1},
        "x plan": nothing | {"bounds": 1},
        "y plan": nothing | {"spurious": 1},
    }
