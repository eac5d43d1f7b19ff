"""Sections: shapes of titles, categories and levels by case; tiling and time by property."""

import gzip
import json
import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timing import assert_linear

from spacy_clinbert.rules.lexicon import load_lexicon
from spacy_clinbert.rules.placeholders import find_placeholders
from spacy_clinbert.rules.sections import split_sections
from spacy_clinbert.rules.shapes import Context, Shape
from spacy_clinbert.rules.titles import find_titles, split_lines

CASES = json.loads((Path(__file__).parent / "section_cases.json").read_text(encoding="utf8"))
MEGABYTE = 1_000_000
WORDS = sorted({word for case in CASES for word in re.findall(r"\S+|\s+", case["text"])})
PIECES = st.sampled_from([*WORDS, "\r", "\x0b", "\x85", "\u2028", "[**", "**]", "___", "\n1.\n", "  - ", "\n# "])
TEXTS = st.one_of(st.text(max_size=300), st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=40).map("".join))
BRACKETED = st.lists(PIECES, max_size=8).map(lambda words: "".join(words).replace("[**", " ").replace("**]", " "))


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_titles_categories_and_levels(case):
    sections = split_sections(case["text"], load_lexicon(case["language"]))
    assert [[s.title, s.category, s.level] for s in sections if s.title] == case["titles"]
    assert_tiles(case["text"], sections)


def test_every_shape_has_a_case():
    found = set()
    for case in CASES:
        lexicon = load_lexicon(case["language"])
        lines = split_lines(case["text"])
        for before, line, after in zip([None, *lines], lines, [*lines[1:], None], strict=False):
            for parent in ("", "assessment_and_plan", "physical_exam"):
                found |= {title.shape for title in find_titles(line, Context(before, after, parent, False), lexicon)}
    assert found == set(get_args(Shape))


def test_no_text_has_no_section():
    assert split_sections("") == []


def test_a_text_without_titles_is_one_section():
    assert split_sections(" \n") == [(0, 2, 0, 0, "", "", 1)]
    assert split_sections("No title here.") == [(0, 14, 0, 0, "", "", 1)]


def test_text_before_the_first_title_is_a_section_and_blanks_are_not():
    text = "Seen today.\n\n  PLAN: rest"
    assert [(s.start, s.title) for s in split_sections(text)] == [(0, ""), (15, "PLAN")]
    assert [(s.start, s.title_start) for s in split_sections(" \n PLAN: rest")] == [(0, 3)]


def test_a_section_starts_at_its_marker_but_not_at_a_ruler():
    text = "PLAN:\n 2) # x\n  - Diet: low salt\n---- LABS: none"
    starts = {s.title: s.start for s in split_sections(text)}
    assert starts == {"PLAN": 0, "Diet": text.index("- Diet"), "LABS": text.index("LABS")}


def test_the_lexicon_of_the_user_is_heard():
    text = "TURNUS: early\nPLAN: rest"
    assert split_sections(text)[0].category == ""
    extended = load_lexicon("en", {"Turnus": "shift", "plan": "orders"})
    assert [(s.category, s.level) for s in split_sections(text, extended)] == [("shift", 1), ("orders", 1)]


def assert_tiles(text, sections):
    assert [s.start for s in sections[:1]] == [0][: len(text)]
    assert "".join(text[s.start : s.end] for s in sections) == text
    for section in sections:
        assert section.start < section.end
        assert section.start <= section.title_start <= section.title_end <= section.end
        assert text[section.title_start : section.title_end] == section.title
        assert section.level in (1, 2)
        assert section.title or section.title_start == section.start


@given(TEXTS)
@settings(max_examples=400, deadline=None)
def test_sections_tile_any_text(text):
    sections = split_sections(text)
    assert_tiles(text, sections)
    assert split_sections(text) == sections
    assert_tiles(text, split_sections(text, load_lexicon("pt")))


def assert_placeholders_whole(text):
    bounds = {bound for section in split_sections(text) for bound in section[:4]}
    for placeholder in find_placeholders(text):
        assert not any(placeholder.start < bound < placeholder.end for bound in bounds)


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_no_bound_lies_inside_a_placeholder(text):
    assert_placeholders_whole(text)


@given(st.lists(st.tuples(PIECES, BRACKETED), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_titles_in_brackets_are_no_bounds(pieces):
    assert_placeholders_whole("".join(f"{before}[**{inside}**]\nPLAN: {before}" for before, inside in pieces))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("1" * MEGABYTE, id="digits"),
        pytest.param("the patient was seen: and then " * (MEGABYTE // 31), id="one line"),
        pytest.param("CHIEF COMPLAINT:\nfoo\n" * 10_000, id="headers"),
        pytest.param("CHIEF COMPLAINT\n\n" * 10_000, id="headers without colon"),
        pytest.param("[** foo " * (MEGABYTE // 8), id="unclosed placeholders"),
        pytest.param("A" * MEGABYTE, id="one word"),
        pytest.param(" " * MEGABYTE, id="blanks"),
        pytest.param(",A" * (MEGABYTE // 2) + ":", id="glued commas"),
        pytest.param("(" * MEGABYTE, id="parentheses"),
        pytest.param("Name: Ann Lee Sex: F " * (MEGABYTE // 21), id="fields on one line"),
        pytest.param(" # HAS" * (MEGABYTE // 6), id="number signs on one line"),
    ],
)
def test_time_is_linear(text):
    assert_linear(lambda part: assert_tiles(part, split_sections(part)), text)


@pytest.mark.external
def test_upper_case_headers_of_aci_bench(shared):
    with gzip.open(shared / "data/notes/aci_bench.jsonl.gz", "rt", encoding="utf8") as file:
        texts = [json.loads(line)["text"] for line in file]
    headers = found = 0
    for text in texts:
        starts = {section.title_start for section in split_sections(text) if section.title}
        lines = [match.start() for match in re.finditer(r"(?m)^[A-Z][A-Z ,/&()-]{2,}$", text)]
        headers, found = headers + len(lines), found + sum(start in starts for start in lines)
    assert found / headers >= 0.99


@pytest.mark.external
def test_sections_tile_all_open_notes(shared):
    for name in ("aci_bench", "mtsamples"):
        with gzip.open(shared / f"data/notes/{name}.jsonl.gz", "rt", encoding="utf8") as file:
            for line in file:
                text = json.loads(line)["text"]
                assert_tiles(text, split_sections(text))
    for path in sorted((shared / "data/pt/nestedclinbr/train").glob("*.txt")):
        text = path.read_text(encoding="utf8")
        assert_tiles(text, split_sections(text, load_lexicon("pt")))
