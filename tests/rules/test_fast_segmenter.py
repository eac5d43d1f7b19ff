"""The single scan decides as pySBD does, but where `fast_segmenter` says otherwise."""

import json
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pysbd.lang.english import English
from timing import assert_linear

from spacy_clinbert.rules import fast_segmenter, find_placeholders, load_lexicon, segmenter, split_sections
from spacy_clinbert.rules import split_sentences as split
from spacy_clinbert.rules.inline_lists import REACH, find_items

CASES = json.loads(Path(__file__).with_name("segmenter_cases.json").read_text(encoding="utf-8"))
ABOUT = [case["about"] for case in CASES]
LISTED = [abbreviation.strip() for abbreviation in English.Abbreviation.ABBREVIATIONS]

# Sentences of one blank, without open quotations or bare list numbers: there is nothing on which the two disagree.
WORDS = (
    "the pain was mild today and 3.5 mg of it 120/80 p.o. q.d. b.i.d. at 98.6 x-ray patient's isn't i.e. e.g. (well)"
)
PHRASES = [
    "Dr. Wells",
    "vs. Effusion",
    "No. 5",
    "no. 12",
    "al. 2004",
    "5 p.m. in bed",
    "7 a.m. on call",
    "J. R. Keller",
    "(See above. Not well.)",
    "[by us. Twice.]",
    '"I am ill. Help me," he said',
    "“no. Never” he said",
    "well ... or not",
    "the U.S. Army",
    "etc. and more",
    "fig. Two",
    "www.example.org",
    "vitamin C. difficile",
    "! he said",
    *(f"{abbreviation}. of it" for abbreviation in LISTED),
]
OPENERS = "The He She It Pain On Then I There In Given 2 Dr. Mr. St. No".split()
ENDS = [".", "?", "!", "...", "....", " .", "?!", ".2", "%.", " p.m.", " etc.", ")."]
parts = st.lists(st.sampled_from([*WORDS.split(), *PHRASES]), max_size=6)
sentences = st.tuples(st.sampled_from(OPENERS), parts, st.sampled_from(ENDS)).map(
    lambda parts: " ".join([parts[0], *parts[1], "pain"]) + parts[2]
)
texts = st.lists(sentences, max_size=6).map(" ".join)
SIGNS = "\"'“”‘’()[]«»-.!?:;#*•1aiA §\n\t。,_"
soups = st.one_of(
    st.text(alphabet=SIGNS, max_size=80),
    st.lists(st.sampled_from(["1.", "2.", "(a)", "b)", "(ii)", "- 3.", "U.S.", "x.[1] T", "No.", "___", "so"])).map(
        " ".join
    ),
    st.text(max_size=60),
)


def mark(text: str, starts: list[int]) -> str:
    """The text with `‖` where a sentence starts."""
    return "‖".join(text[a:b] for a, b in zip([0, *starts], [*starts, len(text)], strict=True))


@pytest.mark.parametrize("case", CASES, ids=ABOUT)
def test_cases(case):
    text = case["marked"].replace("‖", "")
    assert mark(text, fast_segmenter.sentence_starts(text)) == case["marked"]


@pytest.mark.parametrize("case", CASES, ids=ABOUT)
def test_cases_where_pysbd_decides_otherwise_say_so(case):
    text = case["marked"].replace("‖", "")
    assert (mark(text, segmenter.sentence_starts(text)) == case["marked"]) == case.get("pysbd", True)


@settings(max_examples=500, deadline=None)
@given(texts)
def test_sentences_are_those_of_pysbd(text):
    assume(len(text) < segmenter.WINDOW)
    assert mark(text, fast_segmenter.sentence_starts(text)) == mark(text, segmenter.sentence_starts(text))


@pytest.mark.parametrize("after", ["Then", "then", "5", "(he", "I was"])
def test_abbreviations_are_those_of_pysbd(after):
    for word in (*LISTED, *map(str.title, LISTED), *map(str.upper, LISTED)):
        text = f"He saw {word}. {after} left."
        assert mark(text, fast_segmenter.sentence_starts(text)) == mark(text, segmenter.sentence_starts(text))


@settings(max_examples=500, deadline=None)
@given(st.one_of(texts, soups))
def test_starts_ascend_behind_blanks(text):
    starts = fast_segmenter.sentence_starts(text)
    assert starts == sorted(set(starts))
    assert all(0 < start < len(text) and text[start - 1].isspace() and not text[start].isspace() for start in starts)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(soups, st.sampled_from(["[**Name. A 2**]", "[**Dr. B\n3. C**]", "___", "PLAN:", "QP:\n"]))))
@pytest.mark.parametrize("language", ["en", "pt"])
def test_sentences_tile_the_text_and_cut_no_placeholder(language, pieces):
    text = " ".join(pieces)
    bounds = split(text, split_sections(text, load_lexicon(language)), "fast")
    assert [end for _, end in bounds] == [*(start for start, _ in bounds[1:]), *([len(text)] if text else [])]
    for start, end, _ in find_placeholders(text):
        assert not any(start < bound < end for bound, _ in bounds)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("1. rest 2. fluids", "1. 2."),
        ("1) rest 2. fluids", ""),
        ("rest 2. fluids 4. aspirin", ""),
        ("rest 4. fluids 3. aspirin", ""),
        ("9. rest 10. fluids", "9. 10."),
        ("1. gout 2. diabetes type 2. 3. pain", "1. 2. 3."),
        ("1. a 2. b 1. c 2. d", "1. 2. 1. 2."),
        ("(a) rest (b) fluids", "(a) (b)"),
        ("h) rest i) fluids j) aspirin", "h) i) j)"),
        ("(i) rest (ii) fluids", "(i) (ii)"),
        ("a. rest b. fluids", "a. b."),
        ("p.o. q.d. r.", ""),
        ("- 1. rest - 2. fluids", "1. - 2."),
        ("x1. rest x2. fluids", ""),
        (f"1. {'rest ' * (REACH // 5)} 2. fluids", ""),
        (f"1. {'rest ' * (REACH // 5)} 1. fluids 2. rest", "1. 2."),
    ],
)
def test_items_of_lists(text, items):
    found = find_items(text)
    assert " ".join(text[item.start : item.end + 1] for item in found) == items


PATTERNS = [
    '"a ',
    " 'a",
    "(",
    "[1 ",
    "--a",
    "‘a",
    "“",
    "1. 2. ",
    "I. ",
    ". ",
    ".",
    ".[1",
    "(i) ",
    " ‘a’b",
    "No.5 A ",
    "# ",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_time_is_linear(pattern):
    assert_linear(fast_segmenter.sentence_starts, pattern * 100_000)
