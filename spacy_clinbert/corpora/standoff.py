"""Reads notes in XML whose annotations stand beside the text: what i2b2 2012, 2014 and n2c2 2018 track 1 share.

A file is a note: `<TEXT><![CDATA[…]]></TEXT>`, then `<TAGS>` with an empty element for each annotation. Offsets are
characters of the CDATA text, its leading line feed included, end exclusive; most elements repeat the annotated text.
"""

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import partial
from pathlib import Path
from typing import Dict, List, Optional, Tuple
from xml.etree.ElementTree import Element

from ..errors import ClinbertError
from .folders import files, relative
from .markup import read_xml
from .records import Entry, Mention, Record, Rejection

# How far, in characters, an annotation's text is looked for when its offsets are off; in 2014's 180-03 they are by 4.
REACH = 50
# How much alike the text at the offsets and the annotation's must be, if the latter stands nowhere near: in 2014's
# 188-05 an annotation says "and" for the note's "&", which gives 0.88 (1 if equal, `difflib.SequenceMatcher`).
ALIKE = 0.8
_BARE_AMPERSAND = re.compile(rb"(<!\[CDATA\[.*?\]\]>)|&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[0-9A-Fa-f]+);)", re.DOTALL)


@dataclass
class Document:
    """A file that was read.

    path (Path): the file.
    file (str): its name, relative to the corpus.
    text (str): the CDATA text; as XML says, its line ends are line feeds.
    tags (List[Element]): the annotations.
    doubts (List[Rejection]): what had to be repaired or left out so far.
    """

    path: Path
    file: str
    text: str
    tags: List[Element]
    doubts: List[Rejection] = field(default_factory=list)

    def doubt(self, name: str, reason: str) -> None:
        """Report an annotation, by its id, or the whole file."""
        self.doubts.append(Rejection(self.file, name, reason))

    def mentions(self, tags: Sequence[Element], attribute: str) -> Iterator[Tuple[Element, Mention]]:
        """Place annotations on the text.

        An annotation whose text does not stand at its offsets is moved to the nearest place where it does; where there
        is none near, it is kept if the text at its offsets is much alike. Where more annotations fit if a line end
        counts as two characters, all are read so.

        tags (Sequence[Element]): the annotations.
        attribute (str): the attribute that holds the label.
        RETURNS (Iterator[Tuple[Element, Mention]]): those that could be placed; the others, and those without a label,
            become doubts.
        RAISES (ClinbertError): if offsets are no numbers.
        """
        spans = self._spans(tags)
        for tag, (start, end) in zip(tags, spans, strict=True):
            name, label = tag.get("id", tag.tag), tag.get(attribute, "")
            if not label.strip():
                self.doubt(name, f"left out: its {attribute} is empty")
                continue
            span, reason = _place(self.text, start, end, tag.get("text", ""))
            if reason:
                self.doubt(name, reason)
            if span is not None:
                yield tag, Mention((span,), label, name)

    def _spans(self, tags: Sequence[Element]) -> List[Tuple[int, int]]:
        try:
            spans = [(int(tag.get("start", "")), int(tag.get("end", ""))) for tag in tags]
        except ValueError:
            raise ClinbertError(
                f"{self.path}: an annotation has no numbers as start and end: correct the file, or take it as released"
            ) from None
        texts = [tag.get("text", "") for tag in tags]
        misfits = _misfits(self.text, spans, texts)
        if misfits:
            places = [at for at, character in enumerate(self.text) for _ in range(1 + (character == "\n"))]
            places.append(len(self.text))
            moved = [
                (places[start], places[end]) if 0 <= start <= end < len(places) else (start, end)
                for start, end in spans
            ]
            if _misfits(self.text, moved, texts) < misfits:
                self.doubt("", "offsets count a line end as two characters: read so")
                return moved
        return spans


def entries(
    source: Path, form: str, load: Callable[[Path, Path, str], Record], gold: Sequence[str] = ()
) -> Iterator[Entry]:
    """Find the documents of a corpus, in the order of their paths, each named by its file.

    Where two files have one name, each is named by its path.

    source (Path): folder of the corpus, as released or plain, or one file.
    form (str): name of the corpus, for the error.
    load (Callable[[Path, Path, str], Record]): reads a document, from its path, the source and its id.
    gold (Sequence[str]): released folders that hold the annotated test set, the best first. A test document that lies
        in several of them, or also elsewhere (another stage of the challenge), is taken from the best.
    RETURNS (Iterator[Entry]): the documents.
    RAISES (ClinbertError): if there is no such folder.
    """
    found = []
    best: Dict[str, int] = {}
    for path, split in files(source, ".xml", form):
        folders = relative(path, source).split("/")
        rank = next((rank for rank, folder in enumerate(gold) if folder in folders), len(gold))
        split = split if rank == len(gold) else "test"
        if split == "test":
            best[path.name] = min(rank, best.get(path.name, rank))
        found.append((path, split, rank))
    kept = [(path, split) for path, split, rank in found if split != "test" or rank == best[path.name]]
    times = Counter(path.name for path, _ in kept)
    for path, split in kept:
        name = relative(path, source).removesuffix(".xml") if times[path.name] > 1 else path.stem
        yield Entry(name, split, partial(load, path, source, name))


def read(path: Path, source: Path) -> Document:
    """Read a file.

    path (Path): the file.
    source (Path): the corpus.
    RETURNS (Document): its text and annotations. A bare `&` in an annotation is mended, and reported.
    RAISES (ClinbertError): if the file is missing, no XML, or has no text or no annotations.
    """
    document = Document(path, relative(path, source), "", [])
    try:
        root = read_xml(path)
    except ClinbertError:
        content = path.read_bytes() if path.is_file() else b""
        mended = _BARE_AMPERSAND.sub(lambda at: at[1] or b"&amp;", content)
        if mended == content:
            raise
        root = read_xml(path, mended)
        document.doubt("", "a bare & in an annotation: read as &amp;")
    text, tags = root.find("TEXT"), root.find("TAGS")
    if text is None or tags is None:
        raise ClinbertError(f"{path}: has no <TEXT> or no <TAGS>: give annotated files, as released")
    document.text, document.tags = text.text or "", list(tags)
    return document


def _place(text: str, start: int, end: int, annotated: str) -> Tuple[Optional[Tuple[int, int]], str]:
    inside = 0 <= start < end <= len(text)
    if inside and (not annotated or _plain(text[start:end]) == _plain(annotated)):
        return (start, end), ""
    words = map(re.escape, annotated.split())
    low = max(0, start - REACH)
    near = re.finditer(r"\s+".join(words), text[low : max(0, start + REACH + len(annotated))])
    spans = [(low + at.start(), low + at.end()) for at in near if at[0]]
    if spans:
        nearest = min(spans, key=lambda span: abs(span[0] - start))
        return nearest, f"placed by its text, {nearest[0] - start:+} characters from its offset"
    if inside and SequenceMatcher(None, _plain(text[start:end]), _plain(annotated)).ratio() >= ALIKE:
        return (start, end), "kept at its offsets, where the text differs a little from the annotation's"
    return None, "left out: its text stands neither at its offsets nor near them"


def _misfits(text: str, spans: Sequence[Tuple[int, int]], texts: Sequence[str]) -> int:
    return sum(_plain(text[start:end]) != _plain(one) for (start, end), one in zip(spans, texts, strict=True) if one)


def _plain(text: str) -> str:
    # The notes of 2012 hold XML escapes as text (`&apos;`), which their annotations spell as what they mean.
    return "".join(html.unescape(text).split())
