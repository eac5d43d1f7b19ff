"""From blocks to the text of a note as MIMIC-III prints it, with character offsets of all that is known about it."""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import List, NamedTuple, Optional, Sequence, Tuple

from ..rules import Section
from .grammar import Phrase
from .outline import Block

WIDTH = 75


class Stretch(NamedTuple):
    """A labelled stretch of the note, in characters."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class GoldNote:
    """A note and its gold; sections tile the text, sentences tile the sections."""

    text: str
    sections: List[Section]
    sentences: List[Tuple[int, int]]
    placeholders: List[Stretch]
    concepts: List[Stretch]


def lay_out(blocks: Sequence[Block]) -> GoldNote:
    """Print blocks as a note: titles, lists, indents, and lines broken at about 75 characters wherever they are full.

    blocks (Sequence[Block]): the note's blocks.
    RETURNS (GoldNote): the text and its gold.
    """
    page = _Page()
    for block in blocks:
        page.print(block)
    return page.finish()


@dataclass
class _Page:
    text: str = ""
    titles: List[Tuple[int, int, int, Block]] = field(default_factory=list)
    sentences: List[int] = field(default_factory=list)
    stretches: List[Stretch] = field(default_factory=list)

    def print(self, block: Block) -> None:
        indent = " " * block.indent
        self.text += indent
        if block.title is not None:
            self._title(block, block.title)
        inline = block.title is not None and not block.after.endswith("\n")
        if block.items and not inline and block.title is not None:
            self.text += indent
        starts: List[int] = []
        paragraph = ""
        phrases: List[Tuple[int, Phrase]] = []
        for number, (mark, phrase) in enumerate(block.items):
            if number and not block.flow:
                self._paragraph(paragraph, phrases, starts, indent)
                self.text += "\n" + indent
                paragraph, phrases, starts = "", [], []
            elif number:
                paragraph += " "
            if number or not inline:
                starts.append(len(paragraph))
            phrases.append((len(paragraph) + len(mark), phrase))
            paragraph += mark + phrase.text
        self._paragraph(paragraph, phrases, starts, indent)
        self.text += block.gap

    def finish(self) -> GoldNote:
        end = len(self.text)
        if not self.titles or self.text[: self.titles[0][0]].strip():
            heads: List[Tuple[int, int, int, Optional[Block]]] = [(0, 0, 0, None), *self.titles]
        else:
            heads = [(0, *self.titles[0][1:]), *self.titles[1:]]
        ends = [start for start, *_ in heads[1:]] + [end]
        sections = [
            Section(
                start,
                stop,
                title_start,
                title_end,
                self.text[title_start:title_end],
                block.category if block else "",
                block.level if block else 1,
            )
            for (start, title_start, title_end, block), stop in zip(heads, ends, strict=True)
        ]
        # The blanks before the first sentence belong to it.
        starts = [0, *self.sentences[1:]]
        sentences = list(zip(starts, [*starts[1:], end], strict=True))
        placeholders = [stretch for stretch in self.stretches if stretch.label == "placeholder"]
        concepts = [stretch for stretch in self.stretches if stretch.label != "placeholder"]
        return GoldNote(self.text, sections, sentences, placeholders, concepts)

    def _title(self, block: Block, title: Phrase) -> None:
        start = len(self.text)
        at = start + len(block.mark)
        words = title.text.removesuffix(":")
        self.sentences.append(start)
        self.titles.append((start, at, at + len(words), block))
        self.stretches += [Stretch(at + span.start, at + span.end, span.label) for span in title.spans]
        self.text += block.mark + title.text + block.after

    def _paragraph(self, text: str, phrases: Sequence[Tuple[int, Phrase]], starts: Sequence[int], indent: str) -> None:
        base = len(self.text)
        column = base - (self.text.rfind("\n") + 1)
        breaks = _breaks(text, column, len(indent))

        def place(offset: int) -> int:
            return base + offset + len(indent) * bisect_left(breaks, offset)

        self.sentences += map(place, starts)
        for at, phrase in phrases:
            # A stretch's end is counted from its last character: a break right behind it is not part of it.
            self.stretches += [
                Stretch(place(at + span.start), place(at + span.end - 1) + 1, span.label) for span in phrase.spans
            ]
        lines = [text[left + 1 : right] for left, right in zip([-1, *breaks], [*breaks, len(text)], strict=True)]
        self.text += ("\n" + indent).join(lines)


def _breaks(text: str, column: int, indent: int) -> List[int]:
    """The blanks at which a text that starts at a column breaks its lines."""
    breaks: List[int] = []
    first, room = 0, WIDTH - column
    while len(text) - first > room:
        at = text.rfind(" ", first + 1, first + max(room, 0) + 1)
        at = at if at >= 0 else text.find(" ", first + 1)
        if at < 0:
            break
        breaks.append(at)
        first, room = at + 1, WIDTH - indent
    return breaks
