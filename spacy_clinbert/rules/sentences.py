"""Sentences of a note: offsets that tile its sections, by pySBD's rules on clinical layout or by a scispaCy parser."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

from ..errors import ClinbertError
from . import fast_segmenter, segmenter
from .layout import MARKER, split_rows, wrap_column
from .parsers import MODELS, model_starts
from .placeholders import find_placeholders
from .sections import Section

# The backends by rules: where sentences start in a run of text.
SEGMENTERS = {"pysbd": segmenter.sentence_starts, "fast": fast_segmenter.sentence_starts}

_WORD = re.compile(r"[^\W_]")
_BLANKS = re.compile(r"\s*")
_BEHIND_TITLE = re.compile(r"[\s:]*")


def split_sentences(text: str, sections: Sequence[Section], backend: str = "pysbd") -> list[tuple[int, int]]:
    """Split the sections of a note into sentences.

    text (str): the note.
    sections (Sequence[Section]): sections that tile the text, as `split_sections` returns them.
    backend (str): "pysbd", scispaCy's rule segmentation inside each row of each section; "fast", its decisions in a
        single scan; "parser", the parser of en_core_sci_sm, md or lg; "original", en_core_sci_md as ClinicalBERT ran it
        (Alsentzer et al. 2019).
    RETURNS (list[tuple[int, int]]): start and end of each sentence. They tile the sections: blanks before the first
        sentence of a section belong to it, all others to the sentence before them. No placeholder is cut.
    RAISES (ClinbertError): for an unknown backend, and where the model that the backend needs is not installed.
    """
    placeholders = find_placeholders(text)
    ends = [placeholder.end for placeholder in placeholders]

    def held(offset: int) -> bool:
        at = bisect_left(ends, offset + 1)
        return at < len(ends) and placeholders[at].start < offset

    starts: Iterable[Iterable[int]]
    if backend in SEGMENTERS:
        wrap, segment = wrap_column(text), SEGMENTERS[backend]
        starts = (_row_starts(text, section, wrap, segment) for section in sections)
    elif backend in MODELS:
        starts = model_starts(text, sections, backend)
    else:
        raise ClinbertError(
            f"There is no sentence backend {backend!r}: choose one of {', '.join([*SEGMENTERS, *MODELS])}."
        )
    return [
        sentence
        for section, found in zip(sections, starts, strict=True)
        for sentence in _tile(text, section.start, section.end, found, held)
    ]


def _row_starts(text: str, section: Section, wrap: float, segment: Callable[[str], list[int]]) -> Iterator[int]:
    """Where rows start, and the sentences inside them behind their title and list marker."""
    titled = section.title_end > section.title_start
    title_end = section.title_end if titled else section.start
    for row_start, row_end in split_rows(text, section.start, section.end, title_end, wrap):
        yield row_start
        content = row_start
        if titled and row_start < title_end <= row_end:
            content = _end(_BEHIND_TITLE, text, title_end, row_end)
        if marker := MARKER.match(text, content, row_end):
            content = _end(_BLANKS, text, marker.end(), row_end)
        yield from (content + start for start in segment(text[content:row_end]))


def _tile(
    text: str, start: int, end: int, starts: Iterable[int], held: Callable[[int], bool]
) -> Iterator[tuple[int, int]]:
    """Make a tiling of [start, end) from ascending offsets at which sentences start."""
    bounds = [_end(_BLANKS, text, start, end)]
    for offset in starts:
        offset = _end(_BLANKS, text, offset, end)
        if bounds[-1] < offset < end and not held(offset):
            bounds.append(offset)
    for offset, following in zip(bounds[1:], [*bounds[2:], end], strict=False):
        # A ruler or a stray comma is no sentence: it stays with the one before.
        if _WORD.search(text, offset, following):
            yield start, offset
            start = offset
    if start < end:
        yield start, end


def _end(pattern: re.Pattern[str], text: str, start: int, end: int) -> int:
    match = pattern.match(text, start, end)
    return match.end() if match else start
