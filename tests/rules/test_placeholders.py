"""Placeholders of MIMIC-III and MIMIC-IV: which stretches they are, and what each hides."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timing import assert_linear

from spacy_clinbert.rules.placeholders import Placeholder, find_placeholders

KINDS = {
    "name": [
        "Known lastname 202",
        "Known firstname 17",
        "Known patient lastname 5",
        "First Name3 (LF) 101",
        "First Name8 (NamePattern2) 9",
        "Last Name (STitle) 404",
        "Last Name (un) 3",
        "Female First Name (un) 12",
        "Male First Name (ambig) 2",
        "Name (NI) 6",
        "Name13 (STitle) 1",
        "Name Initial (PRE) 8",
        "Initials (NamePattern4) 77",
        "Initial (NamePattern1)",
        "Doctor Last Name 4",
        "Doctor First Name 11",
        "Dictator Info 90",
        "Attending Info 13",
    ],
    "date": [
        "2101-3-4",
        "3-2",
        "2101-03-04",
        "1/2101",
        "-7/2101",
        "2101",
        "Month/Day (2) 31",
        "Month/Day/Year 5",
        "Month (only) 4",
        "Day Month Year 8",
        "Year (4 digits) 14",
        "Date range (1) 63",
        "Holiday 21",
    ],
    "age": ["Age over 90 47", "Age over 90"],
    "location": [
        "Location (un) 86",
        "Location 12",
        "Street Address(2) 5",
        "Apartment Address(1) 9",
        "State 350",
        "State/Zipcode 72",
        "Country 33",
        "PO Box 60",
    ],
    "hospital": ["Hospital1 303", "Hospital 4415", "Hospital Ward Name 20", "Hospital Unit Number 6", "Wardname 71"],
    "phone": ["Telephone/Fax (1) 18", "Telephone/Fax 7", "Pager number 41", "Beeper 3"],
    "id": [
        "Numeric Identifier 55",
        "Clip Number (Radiology) 505",
        "Medical Record Number 88",
        "Social Security Number 2",
        "Unit Number 64",
        "Job Number 30",
        "Serial Number 19",
        "MD Number(1) 45",
    ],
    "other": ["", " ", "Company 16", "University/College 40", "E-mail address 22", "CC Contact Info 58", "12"],
}


@pytest.mark.parametrize(("body", "kind"), [(body, kind) for kind, bodies in KINDS.items() for body in bodies])
def test_words_inside_decide_the_kind(body: str, kind: str) -> None:
    text = f"Seen [**{body}**], stable."
    assert find_placeholders(text) == [Placeholder(5, len(text) - 9, kind)]
    assert find_placeholders(text.upper())[0].kind == kind


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (
            "Dr. [**Last Name (un) 3**] and Dr. [**Last Name (un) 4**]",
            ["[**Last Name (un) 3**]", "[**Last Name (un) 4**]"],
        ),
        ("[**2101-3-4**][**Hospital1 5**]", ["[**2101-3-4**]", "[**Hospital1 5**]"]),
        ("called [**First Name8\n(NamePattern2) 12**] today", ["[**First Name8\n(NamePattern2) 12**]"]),
        ("called [**Last\r\n Name (un) 12**] today", ["[**Last\r\n Name (un) 12**]"]),
        ("called [**Last Name\n\n(un) 12**] today", []),
        ("called [**Last\nName\n12**] today", []),
        ("open [**Hospital1 5 and then [**Location 6**]", ["[**Location 6**]"]),
        ("open [**Hospital1 5\nnext line", []),
        ("[**" + "a" * 200 + "**]", []),
        ("text [*not one*] **bold** [x]", []),
    ],
)
def test_bracketed_placeholders(text: str, expected: list) -> None:
    assert [text[found.start : found.end] for found in find_placeholders(text)] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ms. ___ is a ___F seen on ___.", 3),
        ("___ ___ ___-___", 4),
        ("___", 1),
        ("__ signed ____ and ______", 0),
        ("Note\n" + "_" * 78 + "\nFINAL REPORT", 0),
        ("[** ___ **]", 1),
    ],
)
def test_blanks_are_three_underscores_alone(text: str, expected: int) -> None:
    found = find_placeholders(text)
    assert len(found) == expected
    assert {placeholder.kind for placeholder in found} <= {"other"}


PIECES = st.sampled_from(
    ["[**", "**]", "_", "__", "___", "\n", "\r\n", "*", "[", "]", " ", "Hospital1 3", "2101-3-4", "Name", "a" * 81]
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join)))
def test_sorted_disjoint_and_whole(text: str) -> None:
    end = 0
    for placeholder in find_placeholders(text):
        assert end <= placeholder.start < placeholder.end <= len(text)
        end = placeholder.end
        stretch = text[placeholder.start : placeholder.end]
        assert stretch == "___" or (stretch.startswith("[**") and stretch.endswith("**]"))
        assert len(stretch.splitlines()) <= 2 or not re.search(
            r"[\r\n].*[\r\n]", stretch.replace("\r\n", "\n"), re.DOTALL
        )
        assert placeholder.kind in KINDS


@pytest.mark.parametrize("unit", ["[**", "[**" + "a" * 80, "_", "[**a\n", "[**Name**] ", "___ ", "[", "*"])
def test_a_megabyte_takes_linear_time(unit: str) -> None:
    assert_linear(find_placeholders, unit * (1_000_000 // len(unit)))


@pytest.mark.external
def test_physionet_deid_output(shared) -> None:
    """Each bracket of a sample in the de-identification software's form is found, its kind told by its words."""
    text = (shared / "data/formats/physionet_deid/id.res").read_text(encoding="utf8")
    found = find_placeholders(text)
    assert len(found) == text.count("[**") > 30
    for placeholder in found:
        word = re.match(r"\[\*\*(?:Doctor |First |Last )*(\w+)", text[placeholder.start : placeholder.end])
        expected = {"Name": "name", "Date": "date", "Hospital": "hospital", "Age": "age", "Location": "location"}
        assert word and expected.get(word[1], placeholder.kind) == placeholder.kind
