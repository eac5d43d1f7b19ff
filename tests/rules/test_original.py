"""ClinicalBERT's splitter, manner by manner on invented text, and note by note against what the original printed."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timing import assert_linear

from spacy_clinbert.rules.original import original_segments

MANNERS = {
    "no text, no segment": ("", [], []),
    "blank lines, no segment": ("\n\n \n\n", [], []),
    "a paragraph is a segment, stripped": ("one\ntwo \n\n  three", ["one\ntwo", "three"], None),
    "a ruler of three or more becomes five": ("a\n---\nb ______ c", ["a", "-----", "b", "_____", "c"], None),
    "two hyphens are no ruler": ("a -- b", ["a -- b"], None),
    "the line of dates is cut in four": (
        "Admission Date:  [**1-2**]   Discharge Date:  [**1-9**]\nlost line\n\nService: SURGERY",
        ["Admission Date: [**1-2**]", "Discharge Date: [**1-9**]", "Service: SURGERY"],
        None,
    ),
    "so is the line of birth, after it": (
        "Admission Date: A Discharge Date: B\n\nDate of Birth: C Sex: F\nlost line",
        ["Admission Date: A", "Discharge Date: B", "Date of Birth: C", "Sex: F"],
        None,
    ),
    "and without it; its last value is lost before prose": (
        "Date of Birth: C Sex: F\n\nrest",
        ["Date of Birth: C", "Sex:", "rest"],
        ["Date of Birth: C", "Sex:", "F", "rest"],
    ),
    "an empty date leaves an empty value": (
        "Admission Date:  Discharge Date: B\n\nLabs:\na\nb",
        ["Admission Date: ", "Discharge Date: B", "Labs:", "a\nb"],
        None,
    ),
    "a header cuts a paragraph": ("Past History:\nasthma,\nmild", ["Past History:", "asthma,\nmild"], None),
    "text before a header is a piece": (
        "seen\nPast History:\nasthma,\nmild",
        ["seen", "Past History:", "asthma,\nmild"],
        None,
    ),
    "of, on and or may be lower case": ("Course of Stay:\na\nb", ["Course of Stay:", "a\nb"], None),
    "other words may not": ("Course in Stay:\na\nb", ["Course in Stay:\na\nb"], None),
    "parentheses are not looked at": ("Labs (on arrival):\na\nb", ["Labs (on arrival):", "a\nb"], None),
    "Disp is no title": ("Disp:*30*\nb", ["Disp:*30*\nb"], None),
    "one letter is no header": ("A:\nb\nc", ["A:\nb\nc"], None),
    "an indented header does not cut here": ("  Labs:\n a\n b", ["Labs:\n a\n b"], None),
    "a header is cut where its string first stands": (
        "x My Labs:\nLabs:\na\nb",
        ["x My", "Labs:", "Labs:\na\nb"],
        None,
    ),
    "a one-line value joins its title": (
        "Service:\nSURGERY\nAllergies:\nnone",
        ["Service: SURGERY", "Allergies: none"],
        None,
    ),
    "the first list item after a title is lost": ("Drugs:\n1. a\n2. b", ["Drugs:", "2. b"], ["Drugs:", "1. a", "2. b"]),
    "a one-line piece before prose is lost": (
        "Plan:\n\nrest\n\nand walk",
        ["Plan:", "and walk"],
        ["Plan:", "rest", "and walk"],
    ),
    "a list of several lines an item": ("1. a\nb\n2. c", ["1. a\nb", "2. c"], None),
    "items may be indented": ("x\n 1. a\n 2. b", ["x", "1. a", "2. b"], None),
    "the list ends where counting ends": ("1. a\n2. b\n7. c", ["1. a", "2. b\n7. c"], None),
    "any character after a number counts": ("1. a\n2 b\n7. c\nd", ["1. a\n2 b", "7. c\nd"], ["1. a\n2 b\n7. c\nd"]),
    "a number counts as its own first digit": (
        "1. a\n25 b\n7. c\nd",
        ["1. a\n25 b", "7. c\nd"],
        ["1. a\n25 b\n7. c\nd"],
    ),
    "a list from nought is kept, after a line feed": ("0. a\nb", ["\n0. a\nb"], None),
    "a title inside an indented paragraph": (
        " Reason: fall\n Clinic: x\n more",
        ["Reason: fall", " Clinic: x\n more"],
        None,
    ),
}


@pytest.mark.parametrize(("text", "original", "fixed"), MANNERS.values(), ids=MANNERS)
def test_manner(text: str, original: list, fixed: list) -> None:
    assert original_segments(text) == original
    assert original_segments(text, fixed=True) == (original if fixed is None else fixed)


def test_it_dies_where_list_items_run_out() -> None:
    text = "1. a\n2 b\n3 c"
    with pytest.raises(ValueError, match="counts list items up to 3 and finds 1"):
        original_segments(text)
    assert original_segments(text, fixed=True) == [text]


@pytest.mark.parametrize("fixed", [False, True])
def test_it_dies_of_a_note_that_is_only_its_dates(fixed: bool) -> None:
    with pytest.raises(ValueError, match="line of dates"):
        original_segments("Admission Date: A Discharge Date: B", fixed)


LINES = st.sampled_from(
    ["1. a", "2. b", "3 c", "12", "0.", "Labs:", "Plan (a):", " Mood: x", "prose", "---", "____", "", "Disp: 3"]
)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(), st.lists(LINES, max_size=15).map("\n".join)), st.booleans())
def test_nothing_is_invented(text: str, fixed: bool) -> None:
    try:
        segments = original_segments(text, fixed)
    except ValueError as error:
        assert "original splitter dies" in str(error)
        return
    printed = "".join("".join(segments).replace("-", "").replace("_", "").split())
    source = iter("".join(text.replace("-", "").replace("_", "").split()))
    assert all(character in source for character in printed), "the segments are not a subsequence of the note"


@pytest.mark.parametrize(
    "text",
    [
        "1" * 1_000_000,
        "\n1" * 500_000,
        "A" + "(" * 1_000_000 + ":",
        "a\n" + " " * 1_000_000 + "1. x",
        " \n" * 500_000,
        "Past History:\n" * 70_000,
        "".join(f"{number}. x\n" for number in range(1, 100_000)),
        "[**" * 300_000,
        "Admission Date: " + "Discharge Date: " * 60_000,
    ],
    ids=lambda text: text[:12],
)
def test_a_megabyte_takes_linear_time(text: str) -> None:
    # A note that is nothing but its line of dates dies.
    assert_linear(lambda part: original_segments(f"{part}\n\nx"), text)


@pytest.mark.external
@pytest.mark.parametrize(("fixed", "key"), [(False, "segments"), (True, "segments_fixed")])
def test_golden_notes(shared, fixed: bool, key: str) -> None:
    """All 404 notes, segment by segment; where the original died, so do we."""
    differing, count = [], 0
    with gzip.open(shared / "golden/clinicalbert_segments.jsonl.gz", "rt", encoding="utf8") as lines:
        for record in map(json.loads, lines):
            count += 1
            try:
                segments = original_segments(record["text"], fixed)
            except ValueError:
                segments = None
            if segments != record.get(key):
                differing.append(record["id"])
    assert (count, differing) == (404, [])
