"""The extension attributes: getters over span groups that give "" or None where nothing is known, and never raise."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span, SpanGroup, Token
from spacy.vocab import Vocab

from spacy_clinbert import register_extensions

VOCAB = Vocab()


@pytest.fixture(autouse=True)
def extensions():
    register_extensions()


def make_doc(length, bounds=()):
    """A Doc of so many one-letter tokens with sections s0, s1 … between the bounds."""
    doc = Doc(VOCAB, words=["a"] * length)
    spans = [Span(doc, start, end, label=f"s{i}") for i, (start, end) in enumerate(pairwise(bounds))]
    titles = [[span.start_char, span.start_char + 1] for span in spans]
    doc.spans["sections"] = SpanGroup(doc, spans=spans, attrs={"titles": titles, "levels": [1] * len(spans)})
    return doc


def set_scores(doc, spans, scores):
    doc.spans["clinbert_ner"] = SpanGroup(
        doc, spans=[Span(doc, start, end, label=label) for start, end, label in spans], attrs={"scores": scores}
    )


def test_registering_twice_changes_nothing():
    before = {name: Span.get_extension(name) for name in ("clinbert_section", "clinbert_title", "clinbert_score")}
    register_extensions()
    assert before == {name: Span.get_extension(name) for name in before}
    assert Token.has_extension("clinbert_section")


def test_nothing_is_known_of_a_bare_doc():
    doc = Doc(VOCAB, words=["a", "b"])
    span = doc[0:2]
    assert [token._.clinbert_section for token in doc] == ["", ""]
    assert (span._.clinbert_section, span._.clinbert_title) == ("", "")
    assert (span._.clinbert_level, span._.clinbert_score) == (None, None)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.sets(st.integers(1, 29)), st.integers(0, 5))
def test_section_of_a_token_is_the_one_that_holds_it(length, cuts, first):
    doc = make_doc(length, sorted({min(first, length - 1), length, *(cut for cut in cuts if first < cut < length)}))
    for token in doc:
        held_by = [span.label_ for span in doc.spans["sections"] if span.start <= token.i < span.end]
        assert token._.clinbert_section == (held_by[0] if held_by else "")
        assert doc[token.i : length]._.clinbert_section == token._.clinbert_section
    assert doc[length:length]._.clinbert_section == ""


def test_title_and_level_belong_to_sections_only():
    doc = make_doc(6, [0, 2, 6])
    section = doc.spans["sections"][1]
    assert (section._.clinbert_title, section._.clinbert_level) == ("a", 1)
    same_bounds = Span(doc, section.start, section.end, label="DRUG")
    assert (same_bounds._.clinbert_title, same_bounds._.clinbert_level) == ("", None)
    assert same_bounds._.clinbert_section == "s1"


def test_score_is_found_by_start_end_and_label():
    doc = make_doc(6)
    set_scores(doc, [(0, 1, "A"), (1, 2, "A"), (1, 3, "A"), (1, 3, "B"), (4, 6, "A")], [0.1, 0.2, 0.3, 0.4, 0.5])
    known = [span._.clinbert_score for span in doc.spans["clinbert_ner"]]
    assert known == [0.1, 0.2, 0.3, 0.4, 0.5]
    unknown = [Span(doc, 1, 3, label="C"), Span(doc, 0, 2, label="A"), Span(doc, 5, 6, label="A"), doc[6:6]]
    assert [span._.clinbert_score for span in unknown] == [None] * 4


def test_values_that_no_longer_fit_their_group_are_not_used():
    doc = make_doc(4, [0, 2, 4])
    set_scores(doc, [(0, 1, "A")], [0.1])
    for group in doc.spans.values():
        group.append(Span(doc, 3, 4, label="late"))
    assert [span._.clinbert_score for span in doc.spans["clinbert_ner"]] == [None, None]
    assert [span._.clinbert_title for span in doc.spans["sections"]] == ["", "", ""]


def test_docs_that_lost_attrs_or_groups():
    doc = make_doc(4, [0, 2, 4])
    set_scores(doc, [(0, 1, "A")], [0.5])
    joined = Doc.from_docs([doc, make_doc(2, [0, 2])])
    assert [token._.clinbert_section for token in joined] == ["s0", "s0", "s1", "s1", "s0", "s0"]
    assert {span._.clinbert_title for span in joined.spans["sections"]} == {""}
    assert joined.spans["clinbert_ner"][0]._.clinbert_score is None
    part = doc[1:3].as_doc()
    assert [token._.clinbert_section for token in part] == ["", ""]
    assert part[0:1]._.clinbert_level is None


def test_copies_and_bytes_keep_everything():
    doc = make_doc(4, [0, 2, 4])
    set_scores(doc, [(0, 1, "A")], [0.5])
    for other in (doc.copy(), Doc(VOCAB).from_bytes(doc.to_bytes())):
        assert [span._.clinbert_title for span in other.spans["sections"]] == ["a", "a"]
        assert other.spans["clinbert_ner"][0]._.clinbert_score == 0.5


def test_section_of_every_token_of_a_long_note():
    doc = make_doc(100_000, range(0, 100_001, 20))
    start = time.perf_counter()
    categories = [token._.clinbert_section for token in doc]
    assert time.perf_counter() - start < 30, "a scan of 5,000 sections for each token takes minutes"
    assert categories == [f"s{i // 20}" for i in range(100_000)]
