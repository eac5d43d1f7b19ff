"""Offsets of SemClinBr, which count line ends in several manners and miss by a character now and then."""

import re
from collections.abc import Sequence
from html import unescape
from itertools import product
from typing import List, Optional, Tuple

from .paper_lines import Bounds

# How the annotation tool cuts tokens (HAILab-PUCPR/SemClinBr, Annotation_Tool/src/util/Tokenizer.java).
TOKEN = re.compile(r"[,.!?:;=#()]|[^\s,.!?:;=#()]+")
# The characters for which a `\r\n`, and a `\n` alone, may stand in the offsets: first, as the file has them.
LINE_ENDS = ((2, 1), (1, 1), (2, 2))
REACH = 2
_SHIFTS = sorted(product(range(-REACH, REACH + 1), repeat=2), key=lambda shift: abs(shift[0]) + abs(shift[1]))


def count_line_ends(text: str, annotated: Sequence[Tuple[int, int, str]]) -> List[int]:
    """Find the manner of counting line ends in which most annotations agree with their strings.

    text (str): the text.
    annotated (Sequence[Tuple[int, int, str]]): start, end and string of each annotation.
    RETURNS (List[int]): the character of the text for each offset.
    """
    return max(
        (_places(text, pair, single) for pair, single in LINE_ENDS),
        key=lambda places: sum(
            _agrees(text, place(places, start), place(places, end), string) for start, end, string in annotated
        ),
    )


def place(places: Sequence[int], offset: int) -> int:
    """Look up an offset.

    places (Sequence[int]): the character of the text for each offset.
    offset (int): an offset, perhaps outside the text.
    RETURNS (int): the character; as far outside the text as the offset is.
    """
    inside = min(max(offset, 0), len(places) - 1)
    return places[inside] + offset - inside


def mend(text: str, start: int, end: int, string: str) -> Tuple[Optional[Bounds], str]:
    """Say where an annotation belongs, and what is to be reported of it.

    text (str): the text.
    start (int), end (int): where it should stand, in characters.
    string (str): the annotated string.
    RETURNS (Tuple[Optional[Bounds], str]): start and end, None if it is to be left out; and the doubt, empty for none.
    """
    for left, right in _SHIFTS:
        if _agrees(text, start + left, end + right, string):
            moved = f"moved to where its string stands: start by {left:+d}, end by {right:+d}"
            return (start + left, end + right), moved if left or right else ""
    if not 0 <= start < end <= len(text):
        return None, "left out: its offsets are not in the text, or empty"
    words, found = TOKEN.findall(unescape(string)), TOKEN.findall(text[start:end])
    if not words:
        return (start, end), "kept at its offsets: it has no string to compare"
    if words[0] in found[:1] and words[-1] in found[-1:]:
        return (start, end), "kept at its offsets, where the text has only the first and last word of its string"
    return None, "left out: the text at its offsets is not its string"


def _places(text: str, pair: int, single: int) -> List[int]:
    places: List[int] = []
    for part in re.finditer(r"\r\n|\n|[^\r\n]+|\r", text):
        start, end = part.span()
        if part[0].endswith("\n"):
            # Where one character counts as two, both are that character.
            places += [start, end - 1][: pair if part[0] == "\r\n" else single]
        else:
            places += range(start, end)
    return [*places, len(text)]


def _agrees(text: str, start: int, end: int, string: str) -> bool:
    if not 0 <= start < end <= len(text):
        return False
    span = text[start:end]
    # Blanks inside do not matter; blanks at an edge do, unless the string has them.
    trimmed = span == span.strip() or string != string.strip()
    return span == string or (trimmed and _bare(span) == _bare(string) != "")


def _bare(string: str) -> str:
    # Blanks go first too: the tool may have cut an escape in two.
    return "".join(unescape("".join(string.split())).split())
