"""Shortcuts in the segmenter change nothing but its time."""

from hypothesis import given, settings
from hypothesis import strategies as st
from pysbd.lang.english import English

from spacy_clinbert.rules.segmenter import _Abbreviations

LISTED = [abbreviation.strip() for abbreviation in English.Abbreviation.ABBREVIATIONS]
words = st.one_of(
    st.sampled_from([*LISTED, *map(str.upper, LISTED[::7]), *map(str.title, LISTED[::5])]).map(lambda word: f"{word}."),
    st.sampled_from(
        ["e.g.", "i.e", "p.m.", "U.S.", "Dr.Smith", "fig. 2", "no. (3)", "Mr", "{", "{am}", "x", "The", "5", "("]
    ),
    st.text(alphabet="abc.DE ,:-?(1\t", max_size=4),
)
texts = st.lists(words, max_size=14).map(" ".join)


@settings(max_examples=400)
@given(texts)
def test_the_abbreviations_are_pysbds(text: str) -> None:
    ours = _Abbreviations(text, English).search_for_abbreviations_in_string(text)
    assert ours == English.AbbreviationReplacer(text, English).search_for_abbreviations_in_string(text)
