from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora.paper_lines import PaperLines, cut_at_mentions, spans, tag, whole_words
from spacy_clinbert.corpora.records import Mention

TEXT = "severe chest pain on\nthe left ."


def mention(words: str, label: str) -> Mention:
    start = TEXT.index(words)
    return Mention(((start, start + len(words)),), label)


SEVERE, CHEST, PAIN, OVER = "severe chest pain", "chest", "pain on", "on\nthe"


@pytest.mark.parametrize(
    "mentions, tags",
    [
        ([(SEVERE, "P"), (CHEST, "A")], "B-P B-A I-P O | O O O"),
        ([(CHEST, "A"), (SEVERE, "P")], "B-P I-P I-P O | O O O"),
        ([(SEVERE, "P"), (PAIN, "T")], "B-P I-P B-T I-T | O O O"),
        ([(PAIN, "T"), (SEVERE, "P")], "B-P I-P I-P I-T | O O O"),
        ([(SEVERE, "P"), ("severe", "X")], "B-X I-P I-P O | O O O"),
        ([(OVER, "P")], "O O O B-P | I-P O O"),
    ],
)
@pytest.mark.parametrize("cut", [whole_words, cut_at_mentions])
def test_of_overlapping_mentions_the_later_counts(cut: PaperLines, mentions: list, tags: str) -> None:
    made = [mention(words, label) for words, label in mentions]
    found = [[iob for _, _, iob in line] for line in tag(cut(TEXT, made), made)]
    assert found == [line.split() for line in tags.split(" | ")]


@pytest.mark.parametrize(
    "mentions, tokens",
    [
        ([("hest", "A"), (SEVERE, "P")], "severe chest pain on"),
        ([(SEVERE, "P"), ("hest", "A")], "severe c hest pain on"),
        ([("ch", "A"), ("est", "A")], "severe chest pain on"),
        ([("ch", "A"), ("est", "P")], "severe ch est pain on"),
    ],
)
def test_tokens_are_cut_where_the_label_changes(mentions: list, tokens: str) -> None:
    made = [mention(words, label) for words, label in mentions]
    first = next(cut_at_mentions(TEXT, made))
    assert [TEXT[start:end] for start, end in first] == tokens.split()


def painted(text: str, mentions: Sequence[Mention]) -> list[str]:
    """The label of each character, written one mention after the other, as ClinicalBERT's converters do."""
    labels = [""] * len(text)
    for one in mentions:
        for start, end in one.fragments:
            labels[start:end] = [one.label] * (end - start)
    return labels


@settings(max_examples=60, deadline=None)
@given(
    st.text("ab \n", min_size=1, max_size=30),
    st.lists(st.tuples(st.integers(0, 29), st.integers(1, 9), st.sampled_from("XYZ")), max_size=6),
)
def test_a_token_has_the_label_of_its_characters(text: str, drawn: list) -> None:
    mentions = [Mention(((start, start + size),), label) for start, size, label in drawn if start + size <= len(text)]
    labels = painted(text, mentions)
    for line in tag(cut_at_mentions(text, mentions), mentions):
        assert [{labels[at] for at in range(start, end)} for start, end, _ in line] == [{iob[2:]} for *_, iob in line]
        for (_, end, _), (start, _, _) in pairwise(line):
            assert start > end or labels[start] != labels[end - 1]


def test_mentions_are_read_back_from_tags() -> None:
    mentions = [mention(SEVERE, "P"), mention(OVER, "T"), mention("left", "T")]
    lines = list(tag(whole_words(TEXT, mentions), mentions))
    assert list(spans(lines)) == [(*one.fragments[0], one.label) for one in mentions]
    assert list(spans([])) == list(spans([[(0, 6, "O")]])) == []
