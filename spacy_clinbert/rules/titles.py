"""Section titles on a line: at its start, alone on it, or after another title's text."""

import re
from typing import Iterator, List, NamedTuple, Optional

from .lexicon import Entry, Lexicon, normalise
from .shapes import (
    BY_PROBLEM,
    LONGEST,
    Context,
    Judgement,
    Line,
    Shape,
    alone,
    before_colon,
    is_caps,
    is_prose,
    is_title_case,
    labels_row,
    names_study,
)

_LINE = re.compile(r"[^\n\r\v\f\x85\u2028\u2029]+")
_NUMBER_ALONE = re.compile(r"\(?\d{1,2}\s?[.)]")
_MARK = re.compile(
    r"(?:(?P<hash>\#{1,3}(?:\s?\d{1,2})?[.):]?)|(?P<number>\(?\d{1,2}\s?[.)]|[A-Z][.)](?=\s)|[IVX]{2,4}[.)](?=\s))"
    r"|(?P<bullet>[-–—•·*+>▪◦●○]{1,2})|(?P<ruler>[-=_~*]{3,80}))\s*(?=[^\W\d_])"
)
# A colon, or the number sign that Brazilian notes put in its place (`S # nega dor`).
_SEPARATOR = re.compile(r"[:#](?:(?<=:)|(?<=\s\#)(?=\s+[^\W\d_]))")
_GLUE = re.compile(r"\s?,(?=[^\W\d_])")
_INLINE = re.compile(
    r"(?:\s{2,}|\t|(?P<glue>,(?=\S))|(?P<sentence>(?<=[.;])\s)|(?<=\s)(?=\#))(?=(?P<mark>(?:[-•*]\s|\#)?\s*)[^\W\d_])"
)
_CAPITALS = re.compile(r"(?<![^\s,.;)])[A-ZÀ-ÖØ-Þ][A-ZÀ-ÖØ-Þ/&'-]+(?: (?:[A-ZÀ-ÖØ-Þ][A-ZÀ-ÖØ-Þ/&'-]*|&|/))*$")
_WORD = re.compile(r"(?<=\s)[A-ZÀ-ÖØ-Þ]")
_TAIL = re.compile(r"[\s,;_=*~–—-]+$")
_PROBLEM = re.compile(r"(?P<name>[^#:]{2,60}?)(?P<end>\s?:|\s[-–—]{1,2}\s|\.\s|\.?$)")

# Categories of the fields in the head of a note, which stand on one line with a single blank between.
HEAD = frozenset({"dates", "demographics", "service", "staff"})


class Title(NamedTuple):
    """A title in the text, before its level and category are known.

    start (int): offset of its list marker, or else of its first character.
    title_start (int): offset of its first character.
    title_end (int): offset after its last character.
    shape (Shape): the rule that found it.
    marked (bool): whether a list marker stands before it.
    entry (Entry or None): what the lexicon knows of it.
    """

    start: int
    title_start: int
    title_end: int
    shape: Shape
    marked: bool
    entry: Optional[Entry]


def split_lines(text: str) -> List[Line]:
    """Split a text into its lines that are not blank; a list number alone on its line joins the next one.

    text (str): the note.
    RETURNS (List[Line]): in order of place.
    """
    lines: List[Line] = []
    end = 0
    for match in _LINE.finditer(text):
        stripped = match[0].strip()
        if not stripped:
            continue
        start = match.end() - len(match[0].lstrip())
        after_blank = not lines or len(text[end : match.start()].splitlines()) > 1
        if lines and not after_blank and len(lines[-1].text) < 7 and _NUMBER_ALONE.fullmatch(lines[-1].text):
            number = lines.pop()
            start, after_blank = number.start, number.after_blank
            stripped = text[start : match.end()].rstrip()
        lines.append(Line(start, stripped, after_blank))
        end = match.end()
    return lines


def find_titles(line: Line, context: Context, lexicon: Lexicon) -> Iterator[Title]:
    """Find the titles of a line.

    line (Line): the line.
    context (Context): where it stands.
    lexicon (Lexicon): the titles of the note's language.
    RETURNS (Iterator[Title]): in order of place, disjoint.
    """
    mark = _MARK.match(line.text)
    reached = mark.end() if mark else 0
    title = None
    for title in _at_start(line, mark, context, lexicon):
        reached = title.title_end - line.start
        yield title
    for separator in _SEPARATOR.finditer(line.text, reached):
        if title and title.entry:
            context = context._replace(parent=title.entry.category)
        inside = _inside(line, reached, separator, title, context, lexicon)
        if inside:
            title = inside
            yield inside
        # A number sign that ends no title may mark the next one.
        reached = separator.end() if inside or separator[0] == ":" else separator.start() - 1


def _at_start(line: Line, mark: "Optional[re.Match[str]]", context: Context, lexicon: Lexicon) -> Iterator[Title]:
    text = line.text
    kind = mark.lastgroup if mark else None
    begin = mark.end() if mark else 0
    separator = _SEPARATOR.search(text, begin, begin + LONGEST + 3)
    judged: Judgement = None
    name = _TAIL.sub("", text[begin : separator.start() if separator else begin + LONGEST + 1])
    if kind == "hash":
        name, judged = _problem(text[begin : begin + LONGEST], context, lexicon)
    elif separator and _GLUE.search(text, begin, separator.start()):
        yield from _glued(line, begin, separator, lexicon)
    elif separator:
        rest = text[separator.end() : separator.end() + LONGEST].strip()
        if _ends(separator, text) and (separator[0] == ":" or _is_listed(name, lexicon)):
            judged = before_colon(name, rest, kind in ("number", "bullet"), line, context, lexicon)
    elif kind != "bullet":
        bare = name.rstrip(". ")
        judged = alone(bare, name != bare, kind == "number", line, context, lexicon)
        name = bare
    if judged:
        start = line.start + begin
        at = start if kind == "ruler" else line.start
        yield Title(at, start, start + len(name), judged[0], at < start, judged[1])


def _problem(body: str, context: Context, lexicon: Lexicon) -> "tuple[str, Judgement]":
    match = _PROBLEM.match(body)
    name = match["name"].rstrip() if match else ""
    if not match or len(name.split()) > 8 or lexicon.is_label(name):
        return name, None
    if _is_listed(name, lexicon):
        return name, ("hash", lexicon.find(name))
    headed = ":" in match["end"] or context.parent in BY_PROBLEM
    return name, ("hash", None) if headed and not is_prose(name, lexicon) else None


def _glued(line: Line, begin: int, separator: "re.Match[str]", lexicon: Lexicon) -> Iterator[Title]:
    """Titles that stand end to end where a line end was lost, as in `PHYSICAL EXAMINATION,VITAL SIGNS:`."""
    at = begin
    for glue in [*_GLUE.finditer(line.text, begin, separator.start()), separator]:
        name = _TAIL.sub("", line.text[at : glue.start()])
        if is_caps(name) and (_is_listed(name, lexicon) or (glue is separator and _is_heading(name, lexicon))):
            first = line.start + at
            start = first if at > begin else line.start
            yield Title(start, first, first + len(name), "glued", False, lexicon.find(name))
        at = glue.end()


def _inside(
    line: Line, reached: int, separator: "re.Match[str]", last: Optional[Title], context: Context, lexicon: Lexicon
) -> Optional[Title]:
    """A title that follows another title's text: after two blanks, a glued comma or a bullet, or in capitals."""
    since = max(reached, separator.start() - LONGEST)
    window = line.text[since : separator.start()].rstrip()
    if not window or not (window[-1].isalnum() or window[-1] == ")") or not _ends(separator, line.text):
        return None
    place = next(reversed(list(_INLINE.finditer(window))), None)
    if place and _follows(window[place.end("mark") :], place, last is not None, lexicon):
        start, first = place.start("mark"), place.end("mark")
    else:
        start = first = _after_one_blank(window, separator[0], last, lexicon)
    name, rest = window[first:], line.text[separator.end() : separator.end() + LONGEST].strip()
    if not first or labels_row(name, rest, context, lexicon):
        return None
    offset = line.start + since
    return Title(offset + start, offset + first, offset + len(window), "inline", start < first, lexicon.find(name))


def _follows(name: str, place: "re.Match[str]", titled: bool, lexicon: Lexicon) -> bool:
    entry = lexicon.find(name) if _is_listed(name, lexicon) else None
    if is_caps(name):
        return entry is not None or (place["glue"] is not None and _is_heading(name, lexicon))
    if not entry or not name[0].isupper() or names_study(name, lexicon):
        return False
    strong = titled or entry.part or normalise(name) not in lexicon.weak
    return strong and (len(name) > 3 or place["sentence"] is None or (titled and entry.part))


def _after_one_blank(window: str, separator: str, last: Optional[Title], lexicon: Lexicon) -> int:
    """Where a title in capitals starts, or one of the fields of a note's head, as in `Name: Ann Sex: F`; 0 for none."""
    if separator == "#" and len(window) > 1 and window[-2].isspace() and _is_listed(window[-1], lexicon):
        return len(window) - 1
    capitals = _CAPITALS.search(window)
    if capitals and capitals.start() and _is_listed(capitals[0], lexicon):
        return capitals.start()
    in_head = last is not None and last.entry is not None and last.entry.category in HEAD
    for word in _WORD.finditer(window) if last else ():
        name = window[word.start() :]
        entry = lexicon.find(name) if _is_listed(name, lexicon) and is_title_case(name) else None
        if entry and entry.category in HEAD and len(name) > 1 and (in_head or normalise(name) not in lexicon.weak):
            return word.start()
    return 0


def _is_listed(name: str, lexicon: Lexicon) -> bool:
    entry = lexicon.find(name) if name else None
    return bool(entry and entry.exact and not lexicon.is_label(name) and (len(normalise(name)) > 1 or len(name) == 1))


def _is_heading(name: str, lexicon: Lexicon) -> bool:
    """Whether capitals of which the lexicon may know nothing are long and plain enough to be a title."""
    if is_prose(name, lexicon) or lexicon.is_label(name) or lexicon.ends_in_label(name):
        return False
    return (len(name) > 5 or lexicon.find(name) is not None) and not any(map(str.isdigit, name))


def _ends(separator: "re.Match[str]", text: str) -> bool:
    """Whether a separator ends a name: not the colon of a time, a ratio, a web address or `Disp:*30*`."""
    after = text[separator.end() : separator.end() + 2]
    before = text[separator.start() - 1 : separator.start()]
    return after[:1] not in ("*", ":") and after != "//" and not (before.isdigit() and after[:1].isdigit())
