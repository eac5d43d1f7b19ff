"""The rows of a note: lines that run on are one; a list item, a headed line and a row of a table start their own."""

import re
from collections.abc import Iterator
from typing import NamedTuple

# Notes are wrapped at columns between these: MIMIC's at 70 to 78, where placeholders have made some lines longer.
MIN_WRAP = 60
MAX_WRAP = 120

# What opens an item of a list; i2b2's tokens stand apart (`1 .`). `p.o.` and `E. coli` open none.
MARKER = re.compile(
    r"[•·●▪◦‣∙]|#+[^\S\r\n]?(?:\d{1,2}[.:)]?)?|[-–—*+>]{1,3}(?=\s|[^\W\d_]|\Z)"
    r"|(?:\( ?)?\d{1,2} ?[.)](?=\s|[^\W\d_]|\Z)"
    r"|\(?(?:[a-z]|[ivx]{2,5})[.)](?=\s|\Z)"
    r"|\(?(?:[A-Z]|[IVX]{2,5})(?:\)(?=\s|\Z)|\.(?=\s+[^\W\d_a-z]|\s*\Z))"
)

_BREAK = "\r\n\v\f\u2028\u2029"
_BREAKS = re.compile(f"[{_BREAK}]")
_LINE = re.compile(rf"([^{_BREAK}]*)(\r\n|[{_BREAK}]|\Z)")
_HEADED = re.compile(r"[A-Z][^\s:]*(?: [^\s:]+){0,3} ?:(?=[\s\[]|\Z)")
_LABEL = re.compile(r"[^\W\d_]+(?: [^\s:]+)?:(?=\s|\Z)")
_COLUMN_GAP = re.compile(r"(?<=\S)(?: {3,}|\t+|[ \t]*\|[ \t]*)(?=\S)")
_RULER = re.compile(r"[-_=*~.#+ ]{5,}")
_UNFINISHED = re.compile(
    r"(?:,|\b(?:a|an|and|at|by|for|from|had|has|in|is|of|on|or|that|the|to|was|were|which|who|with))\Z"
)
_WRAPPED = re.compile(
    rf"^([^\r\n]{{{MIN_WRAP - 1},{MAX_WRAP - 1}}}[^\s.!?:;])(?=[ \t]*\r?\n[ \t]*[^\W\d_A-Z])", re.MULTILINE
)


class Line(NamedTuple):
    """A line from its first to behind its last character that is not blank, and the column at which it ends."""

    start: int
    end: int
    column: int


def wrap_column(text: str) -> float:
    """Estimate the column at which a note's prose is wrapped.

    text (str): the whole note.
    RETURNS (float): the third quartile of the lengths of lines that end without a mark before one in lower case, in
        characters; infinite where there is no such line, since then a line end is the writer's own.
    """
    lengths = sorted(len(line) for line in _WRAPPED.findall(text))
    return lengths[len(lengths) * 3 // 4] if lengths else float("inf")


def split_rows(text: str, start: int, end: int, title_end: int, wrap: float) -> Iterator[tuple[int, int]]:
    """Split a section into rows.

    text (str): the whole note.
    start (int), end (int): the section, as offsets into the note.
    title_end (int): where the section's title ends (alone on its line it is a row of its own); `start` without one.
    wrap (float): the column at which the note's prose is wrapped.
    YIELDS (tuple[int, int]): each row's start and end, without the blanks around it.
    """
    row_start, before = -1, None
    for line in _lines(text, start, end):
        if before and not (line and _runs_on(text, before, line, title_end, wrap)):
            yield row_start, before.end
            before = None
        if line and not before:
            row_start = line.start
        before = line


def _lines(text: str, start: int, end: int) -> Iterator[Line | None]:
    """The lines of a section, None for each blank one and at the end."""
    # A section may begin inside a line; beyond the widest wrap a column does not matter.
    indent = len(_BREAKS.split(text[max(0, start - MAX_WRAP) : start])[-1])
    for match in _LINE.finditer(text, start, end):
        line = match[1]
        length = len(line.rstrip())
        yield Line(match.end(1) - len(line.lstrip()), match.start() + length, indent + length) if length else None
        indent = 0
    yield None


def _runs_on(text: str, before: Line, after: Line, title_end: int, wrap: float) -> bool:
    """Whether the end of the line before is a mere wrap."""
    upper, lower = text[before.start : before.end], text[after.start : after.end]
    if MARKER.match(lower):
        return False
    if MARKER.fullmatch(upper):
        return True
    if upper.endswith(":") or _HEADED.match(lower):
        return False
    if _stands_alone(upper) or _stands_alone(lower):
        return False
    if before.start < title_end <= before.end and not text[title_end : before.end].strip(" \t:.-–—_=*"):
        return False
    # A line was wrapped if the next word had no room on it; a shorter one ends where its writer ended it.
    if before.column <= MAX_WRAP and before.column + 1 + len(lower.split(maxsplit=1)[0]) > wrap:
        return True
    if _LABEL.match(lower):
        return False
    return bool(_UNFINISHED.search(upper[-8:])) or (lower[0].islower() and before.column >= MIN_WRAP // 2)


def _stands_alone(line: str) -> bool:
    """Whether the line is a ruler or a row of a table."""
    return bool(_RULER.fullmatch(line)) or len(_COLUMN_GAP.findall(line)) > 1
