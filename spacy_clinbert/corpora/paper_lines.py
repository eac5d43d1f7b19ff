"""The tokens of a text as ClinicalBERT's converters of the i2b2 corpora cut them: a line is a sentence."""

import re
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import chain, pairwise
from typing import Callable, List, Tuple

from .iob import steps
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

    Where a later mention lies over an edge, or one of the same label goes on behind it, nothing is cut.

    text (str): the text.
    mentions (Sequence[Mention]): the gold mentions.
    RETURNS (Iterator[List[Bounds]]): the tokens of each line that has any.
    """
    stretches = _stretches(mentions)
    edges = {edge for start, end, _ in stretches for edge in (start, end)}
    for (_, end, one), (start, _, other) in pairwise(stretches):
        if start == end and mentions[one].label == mentions[other].label:
            edges.discard(start)
    for tokens in whole_words(text, mentions):
        yield [piece for token in tokens for piece in _pieces(token, edges)]


def tag(lines: Iterable[List[Bounds]], mentions: Sequence[Mention]) -> Iterator[List[Tuple[int, int, str]]]:
    """Give each token its IOB2 tag.

    lines (Iterable[List[Bounds]]): the tokens of each line.
    mentions (Sequence[Mention]): mentions; where two overlap, the later in the sequence counts, as in ClinicalBERT's
        converters of i2b2 2010, 2012 and 2014, and what is left of the earlier one keeps its tags. (In 2012 and 2014,
        a mention inside an earlier one of its label vanishes; here, as in 2010, it begins with B.)
    RETURNS (Iterator[List[Tuple[int, int, str]]]): start, end and tag of the tokens of each line. A mention that runs
        over a line end stays one, as in the papers' files: its first token of the next line is tagged I.
    """
    stretches = _stretches(mentions)
    at = before = 0
    for line in lines:
        tagged = []
        for start, end in line:
            while at < len(stretches) and stretches[at][1] <= start:
                at += 1
            if at < len(stretches) and stretches[at][0] < end:
                mention = mentions[stretches[at][2]]
                tagged.append((start, end, f"{'B' if min(mention.fragments)[0] >= before else 'I'}-{mention.label}"))
            else:
                tagged.append((start, end, "O"))
            before = end
        yield tagged


def spans(tagged: Iterable[List[Tuple[int, int, str]]]) -> Iterator[Tuple[int, int, str]]:
    """Read the mentions back from the tagged tokens of a document.

    tagged (Iterable[List[Tuple[int, int, str]]]): start, end and tag of the tokens of each line, as `tag` gives them.
    RETURNS (Iterator[Tuple[int, int, str]]): start, end and label of each mention.
    """
    tokens = list(chain.from_iterable(tagged))
    span = (0, 0, "")
    for (start, end, _), step in zip(tokens, steps(label for *_, label in tokens), strict=True):
        if span[2] and (step.begins or not step.label):
            yield span
        span = (start if step.begins else span[0], end, step.label)
    if span[2]:
        yield span


def _stretches(mentions: Sequence[Mention]) -> List[Tuple[int, int, int]]:
    """Start and end of each stretch between two edges, with the number of the latest mention that covers it."""
    begins = sorted(
        (start, -number, end) for number, mention in enumerate(mentions) for start, end in mention.fragments
    )
    edges = sorted({edge for start, _, end in begins for edge in (start, end)})
    stretches: List[Tuple[int, int, int]] = []
    # The mentions under way, the latest first.
    under_way: List[Tuple[int, int]] = []
    at = 0
    for left, right in pairwise(edges):
        while at < len(begins) and begins[at][0] == left:
            heappush(under_way, begins[at][1:])
            at += 1
        while under_way and under_way[0][1] <= left:
            heappop(under_way)
        if under_way:
            stretches.append((left, right, -under_way[0][0]))
    return stretches


def _pieces(token: Bounds, edges: set[int]) -> List[Bounds]:
    start, end = token
    cuts = [start, *(at for at in range(start + 1, end) if at in edges), end]
    return list(pairwise(cuts))
