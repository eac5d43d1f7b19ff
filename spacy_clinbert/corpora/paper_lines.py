"""The tokens of a text as ClinicalBERT's converters of the i2b2 corpora cut them: a line is a sentence."""

import re
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Callable, List, Tuple

from .records import Mention

Bounds = Tuple[int, int]
# From a text and its gold mentions to its lines, each the start and end of its tokens, in characters of the text.
PaperLines = Callable[[str, Sequence[Mention]], Iterator[List[Bounds]]]


def whole_words(text: str, mentions: Sequence[Mention]) -> Iterator[List[Bounds]]:
    """Cut lines at blanks (i2b2 2010).

    text (str): the text.
    mentions (Sequence[Mention]): not looked at.
    RETURNS (Iterator[List[Bounds]]): the tokens of each line that has any.
    """
    start = 0
    for line in text.split("\n"):
        tokens = [(start + word.start(), start + word.end()) for word in re.finditer(r"\S+", line)]
        if tokens:
            yield tokens
        start += len(line) + 1


def cut_at_mentions(text: str, mentions: Sequence[Mention]) -> Iterator[List[Bounds]]:
    """Cut lines at blanks and at the edges of gold mentions (i2b2 2012 and 2014), which gives away a bit of the gold.

    text (str): the text.
    mentions (Sequence[Mention]): the gold mentions.
    RETURNS (Iterator[List[Bounds]]): the tokens of each line that has any.
    """
    edges = {edge for mention in mentions for fragment in mention.fragments for edge in fragment}
    for tokens in whole_words(text, mentions):
        yield [piece for token in tokens for piece in _pieces(token, edges)]


def tag(lines: Iterable[List[Bounds]], mentions: Sequence[Mention]) -> Iterator[List[Tuple[int, int, str]]]:
    """Give each token its IOB2 tag.

    lines (Iterable[List[Bounds]]): the tokens of each line.
    mentions (Sequence[Mention]): mentions; of two that overlap, the earlier in the sequence counts.
    RETURNS (Iterator[List[Tuple[int, int, str]]]): start, end and tag of the tokens of each line. A mention that runs
        over a line end stays one, as in the papers' files: its first token of the next line is tagged I.
    """
    free: List[Tuple[Bounds, int]] = []
    for number, mention in enumerate(mentions):
        for fragment in mention.fragments:
            place = bisect(free, (fragment, number))
            before, after = free[place - 1 : place], free[place : place + 1]
            if all(one[0][1] <= fragment[0] for one in before) and all(fragment[1] <= one[0][0] for one in after):
                free.insert(place, (fragment, number))
    begun: set[int] = set()
    at = 0
    for line in lines:
        tagged = []
        for start, end in line:
            while at < len(free) and free[at][0][1] <= start:
                at += 1
            if at < len(free) and free[at][0][0] < end:
                number = free[at][1]
                tagged.append((start, end, f"{'I' if number in begun else 'B'}-{mentions[number].label}"))
                begun.add(number)
            else:
                tagged.append((start, end, "O"))
        yield tagged


def _pieces(token: Bounds, edges: set[int]) -> List[Bounds]:
    start, end = token
    cuts = [start, *(at for at in range(start + 1, end) if at in edges), end]
    return list(pairwise(cuts))
