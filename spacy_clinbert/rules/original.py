"""ClinicalBERT's section splitter, bug for bug, so that its published pretraining text can be made again.

Alsentzer et al. 2019, "Publicly Available Clinical BERT Embeddings" (https://aclanthology.org/W19-1909). It rewrites
the text, so offsets are gone: for every other use there is `split_sections`. Each step is linear in the length of the
note, which the original's are not.
"""

import re
from itertools import count
from typing import Iterator, List, Set

_DATES_LINE = re.compile(r"(Admission Date:) (.*) (Discharge Date:) (.*)")
_BIRTH_LINE = re.compile(r"(Date of Birth:) (.*) (Sex:) (.*)")
_HEADER = re.compile(r"^[A-Z][^\n:]+:", re.MULTILINE)
_INLINE_HEADER = re.compile(r"([A-Za-z ]+:) ")
_LIST_ITEM = re.compile(r"^[^\S\n]*(\d+)\.", re.MULTILINE)
_NUMBERED_LINE = re.compile(r"^[^\S\n]*([0-9]+)(.?)", re.MULTILINE)
_PARENTHESES = re.compile(r"\([^)]*\)")
_LOWER_CASE_WORDS = {"of", "on", "or"}


def original_segments(text: str, fixed: bool = False) -> List[str]:
    """Split a note into the strings that ClinicalBERT's splitter returns for it.

    text (str): the note.
    fixed (bool): apply the two published corrections: a list number ends in a period, and no one-line piece is lost.
    RETURNS (List[str]): the segments in order, line ends and the blanks around titles rewritten.
    RAISES (ValueError): where the original died, which left the note out of the pretraining text.
    """
    pieces: Iterator[str] = _cut_at_headers(text)
    pieces = (piece for segment in pieces for piece in _cut_list(segment, fixed))
    return _join_titles([piece for segment in pieces for piece in _cut_at_inline_headers(segment)], fixed)


def _cut_at_headers(text: str) -> Iterator[str]:
    # A ruler becomes a paragraph here, so the original's later cut at rulers inside a paragraph never finds one.
    text = re.sub(r"---+", "\n\n-----\n\n", text)
    text = re.sub(r"___+", "\n\n_____\n\n", text)
    paragraphs = re.sub(r"\n\n+", "\n\n", text).split("\n\n")
    for header_line in (_DATES_LINE, _BIRTH_LINE):
        if not paragraphs:
            raise ValueError("the original splitter dies: the note is nothing but its line of dates")
        match = header_line.match(paragraphs[0])
        if match:
            yield from (group.strip() for group in match.groups())
            del paragraphs[0]
    for paragraph in paragraphs:
        start = 0
        for header in filter(_is_title, _HEADER.findall(paragraph)):
            # Where its string first stands, which may be inside an earlier line: a manner of the original.
            found = paragraph.index(header, start)
            yield from _stripped(paragraph[start:found], header)
            start = found + len(header)
        yield from _stripped(paragraph[start:])


def _cut_list(segment: str, fixed: bool) -> Iterator[str]:
    items = list(_LIST_ITEM.finditer(segment))
    if not items:
        yield segment
        return
    first = int(items[0][1])
    numbers = _list_numbers(segment, fixed, longest=max(len(str(first)), len(str(len(segment)))) + 1)
    last = next(number for number in count(first) if str(number) not in numbers) - 1
    if last < max(first, 1):
        yield "\n" + segment
        return
    cuts = [item.start() for item in items[: last - first + 1]]
    if len(cuts) < last - first + 1:
        raise ValueError(f"the original splitter dies: it counts list items up to {last} and finds {len(cuts)}")
    for start, end in zip([0, *cuts], [*cuts, len(segment)], strict=True):
        yield from _stripped(segment[start:end])


def _list_numbers(segment: str, fixed: bool, longest: int) -> Set[str]:
    """Numbers at the heads of lines; uncorrected, `15 mg` also counts as a 1, followed by any character."""
    if fixed:
        return {digits for digits, after in _NUMBERED_LINE.findall(segment) if after == "."}
    return {
        digits[:end]
        for digits, after in _NUMBERED_LINE.findall(segment)
        for end in range(1, min(len(digits) - (not after), longest) + 1)
    }


def _cut_at_inline_headers(segment: str) -> Iterator[str]:
    lines: List[str] = []
    for line in segment.split("\n"):
        header = _INLINE_HEADER.match(line)
        if lines and header and _is_title(header[1]):
            yield "\n".join(lines)
            lines = []
        lines.append(line)
    yield "\n".join(lines)


def _join_titles(pieces: List[str], fixed: bool) -> List[str]:
    joined: List[str] = []
    follows_title = False
    for index, piece in enumerate(pieces):
        is_title = _is_title(piece)
        if follows_title and not is_title and "\n" not in piece:
            if index == len(pieces) - 1 or _is_title(pieces[index + 1]):
                joined[-1] += " " + piece
            elif fixed:
                joined.append(piece)
        else:
            joined.append(piece)
        follows_title = is_title
    return joined


def _is_title(piece: str) -> bool:
    if not piece.endswith(":"):
        return False
    head, closing, tail = piece[:-1].rpartition(")")
    title = _PARENTHESES.sub("", head + closing) + tail
    return title != "Disp" and all(word[0].isupper() for word in title.split() if word not in _LOWER_CASE_WORDS)


def _stripped(*pieces: str) -> Iterator[str]:
    return (piece.strip() for piece in pieces if piece.strip())
