"""Where brat's mentions stand in the text.

brat counts each character of the file, so a byte order mark and both characters of `\\r\\n`; other programs do not, and
a text that was edited later lets offsets drift. The string that a line repeats tells: it is the text of the fragments,
joined by a blank, line ends written as blanks. A fragment ends where the line ends.
"""

import re
from collections import Counter
from pathlib import Path
from typing import List, NamedTuple, Sequence, Tuple

from ..errors import ClinbertError
from .records import Mention, Rejection

Fragments = Tuple[Tuple[int, int], ...]
# Characters; about a line of a note: what stands farther away is another mention's text.
REACH = 80
# Other ways to count than brat's: a character, and how often it counts. The last is that of a file whose carriage
# returns are gone.
_WAYS = ((r"\r(?=\n)", 0), (r"\A\ufeff", 0), (r"\A\ufeff|\r(?=\n)", 0), (r"(?<!\r)\n", 2))
_BREAK = re.compile(r"\s*[\r\n]\s*")


class Line(NamedTuple):
    """A mention as its file gives it.

    number (int): line of the file, from 1.
    id (str): its id, which may occur twice.
    label (str): its type.
    fragments (Fragments): start and end of each piece, as counted by whoever wrote the file.
    said (str): the annotated string.
    """

    number: int
    id: str
    label: str
    fragments: Fragments
    said: str


def place(text: str, lines: Sequence[Line], path: Path, file: str) -> Tuple[List[Mention], List[Rejection]]:
    """Place the mentions of a document.

    text (str): its text.
    lines (Sequence[Line]): the mentions as given.
    path (Path), file (str): their file, and its name in the corpus.
    RETURNS (Tuple[List[Mention], List[Rejection]]): the mentions in order, their fragments joined where only blanks
        and line ends lie between; and each that was moved, left out because its text stands as near in two places, or
        shares its id.
    RAISES (ClinbertError): if the text of a mention stands neither at its offsets nor within 80 characters.
    """
    mentions: List[Mention] = []
    doubts: List[Rejection] = []
    counted = _recounted(text, lines)
    if counted != lines:
        doubts.append(Rejection(file, "", "offsets count line ends or the byte order mark in another way: read so"))
    for line in counted:
        places = [line.fragments] if _agrees(text, line) else _nearest(text, line)
        if not places:
            raise ClinbertError(
                f"{path}, line {line.number}: the text of {line.id} stands neither at its offsets nor near them:"
                f" correct the line, or take the .txt file that was annotated"
            )
        if len(places) > 1:
            doubts.append(Rejection(file, line.id, "left out: its text stands as near before as behind its offsets"))
            continue
        if places[0] != line.fragments:
            doubts.append(Rejection(file, line.id, "moved from its offsets to where its text stands"))
        mentions.append(Mention(_joined(text, places[0]), line.label, line.id))
    for name, times in Counter(line.id for line in lines).items():
        if times > 1:
            doubts.append(Rejection(file, name, f"stands on {times} lines: each read as a mention of its own"))
    return mentions, doubts


def unbroken(text: str, fragment: Tuple[int, int], name: str) -> List[Tuple[int, int]]:
    """Cut a fragment where lines end, as brat does.

    text (str): the text.
    fragment (Tuple[int, int]): start and end.
    name (str): record and mention, for the error.
    RETURNS (List[Tuple[int, int]]): start and end of the pieces, without the line ends and the blanks around them.
    RAISES (ClinbertError): if the fragment is empty, or begins or ends with a line end.
    """
    start, end = fragment
    cuts = [start + edge for cut in _BREAK.finditer(text[start:end]) for edge in cut.span()]
    bounds = [start, *cuts, end]
    pieces = list(zip(bounds[::2], bounds[1::2]))
    if not all(left < right <= len(text) for left, right in pieces):
        raise ClinbertError(f"{name}: brat holds no mention that is empty, or begins or ends with a line end")
    return pieces


def _recounted(text: str, lines: Sequence[Line]) -> Sequence[Line]:
    """The mentions in characters of the text, counted in the way in which most agree with it."""
    best, agreeing = lines, sum(_agrees(text, line) for line in lines)
    for character, times in _WAYS if agreeing < len(lines) else ():
        special = {match.start() for match in re.finditer(character, text)}
        counted = [at for at in range(len(text)) for _ in range(times if at in special else 1)]
        way = [line._replace(fragments=tuple(_mapped(one, counted) for one in line.fragments)) for line in lines]
        if sum(_agrees(text, line) for line in way) > agreeing:
            best, agreeing = way, sum(_agrees(text, line) for line in way)
    return best


def _mapped(fragment: Tuple[int, int], counted: Sequence[int]) -> Tuple[int, int]:
    start, end = fragment
    return (counted[start], counted[end - 1] + 1) if start < end <= len(counted) else fragment


def _agrees(text: str, line: Line) -> bool:
    real = all(start < end <= len(text) for start, end in line.fragments)
    return real and _blanks(" ".join(text[start:end] for start, end in line.fragments)) == _blanks(line.said)


def _blanks(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _nearest(text: str, line: Line) -> List[Fragments]:
    """The places nearest to a mention's offsets where its text stands: one, two as near, or none."""
    words = [r"\s+".join(map(re.escape, re.split(r"\s+", piece))) for piece in _pieces(line)]
    # Whole words that stand farther away are likelier than a part of a word.
    for patterns in ([re.compile(rf"(?<!\w){piece}(?!\w)") for piece in words], list(map(re.compile, words))):
        for distance in range(REACH + 1 if patterns else 0):
            shifted = (_shifted(text, line, patterns, shift) for shift in sorted({-distance, distance}))
            places = [place for place in shifted if place]
            if places:
                return places
    return []


def _shifted(text: str, line: Line, patterns: Sequence["re.Pattern[str]"], shift: int) -> Fragments:
    starts = [start + shift for start, _ in line.fragments]
    found = [pattern.match(text, at) for pattern, at in zip(patterns, starts) if at >= 0]
    spans = tuple(match.span() for match in found if match)
    return spans if len(spans) == len(starts) else ()


def _pieces(line: Line) -> List[str]:
    """The annotated string cut into its fragments; nothing if their lengths do not add up to it."""
    if len(line.fragments) == 1:
        return [line.said]
    pieces, at = [], 0
    for start, end in line.fragments:
        pieces.append(line.said[at : at + max(end - start, 0)])
        at += end - start + 1
    return pieces if " ".join(pieces) == line.said and all(pieces) else []


def _joined(text: str, fragments: Fragments) -> Fragments:
    joined = [fragments[0]]
    for start, end in fragments[1:]:
        last = joined[-1]
        if last[1] <= start and not text[last[1] : start].strip():
            joined[-1] = (last[0], end)
        else:
            joined.append((start, end))
    return tuple(joined)
