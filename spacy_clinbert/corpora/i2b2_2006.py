"""i2b2 2006 de-identification: names, dates and numbers marked in discharge summaries (Uzuner et al. 2007, JAMIA
14:550).

As released, one XML file a split:

    deid_surrogate_train_all_version2.xml
    deid_surrogate_test_all_groundtruth_version2.xml

A RECORD has an ID and a TEXT, in which `<PHI TYPE="DATE">03/04</PHI>` marks a mention. The text is pre-tokenised, a
sentence a line; yet a mention may be glued to what stands around it (`</PHI>/2101`: years are not marked). The types
are `TYPES`. The released training file is not well-formed: once, a mention is followed by an opening tag
(`<PHI TYPE="DATE">25th of July<PHI TYPE="DOCTOR">`) that should be its closing one. That is mended, and a doubt says
so; no other fault is.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import List

from ..errors import ClinbertError
from .formats import I2B2, Format
from .paper_lines import Bounds, whole_words
from .record_files import RecordElement, record_entries, record_file, xml_text
from .records import Entry, LeftOut, Mention, Record, Rejection

TRAIN, TEST = "deid_surrogate_train_all_version2.xml", "deid_surrogate_test_all_groundtruth_version2.xml"
TYPES = ("PATIENT", "DOCTOR", "HOSPITAL", "LOCATION", "DATE", "ID", "PHONE", "AGE")
# Behind the second opening tag comes no closing one: it stands where the first mention's closing tag should.
_MALFORMED = re.compile(rb"<PHI\b([^<>]*)(?<!/)>([^<]*)<PHI\b[^<>]*>(?=[^<]*<(?!/PHI\s*>))")
_DECLARATION = re.compile(rb"(?:\xef\xbb\xbf)?(<\?xml[^<>]*\?>)")


def entries(source: Path) -> Iterator[Entry]:
    """Find the records of a corpus.

    source (Path): the folder as released, or one of its files; a name without a word for a split is training data.
    RETURNS (Iterator[Entry]): the records.
    RAISES (ClinbertError): if there is no such file or folder.
    """
    return record_entries(source, "i2b2 2006 de-identification", _load, _mended)


def write(records: Iterable[Record], folder: Path) -> None:
    """Write records as the training file.

    records (Iterable[Record]): records whose mentions are unbroken and do not overlap.
    folder (Path): where the file goes.
    RAISES (ClinbertError): if the form cannot hold a record.
    """
    with record_file(folder / TRAIN) as add:
        for record in records:
            add(record_xml(record))


def record_xml(record: Record) -> str:
    """Write a record.

    record (Record): a record whose mentions are unbroken and do not overlap.
    RETURNS (str): its RECORD element.
    RAISES (ClinbertError): if the form cannot hold it.
    """
    if record.relations or record.cats or record.parts:
        raise ClinbertError(f"{record.id}: i2b2 2006 holds mentions alone: no relations, categories or parts")
    place, text = record.id, record.text
    marked, end = [], 0
    for mention in sorted(record.mentions):
        start, stop = mention.fragments[0]
        if len(mention.fragments) > 1 or start < end or not text[start:stop].strip() or mention.assertion:
            raise ClinbertError(
                f"{place}, mention {start}-{stop}: i2b2 2006 holds only unbroken mentions that do not overlap,"
                f" are not blank and have no assertion"
            )
        label, inside = xml_text(mention.label, place), xml_text(text[start:stop], place)
        marked.append(f'{xml_text(text[end:start], place)}<PHI TYPE="{label}">{inside}</PHI>')
        end = stop
    marked.append(xml_text(text[end:], place))
    name = xml_text(place.rpartition("/")[2], place)
    return f'<RECORD ID="{name}">\n<TEXT>{"".join(marked)}</TEXT>\n</RECORD>\n'


def paper_lines(text: str, mentions: Sequence[Mention]) -> Iterator[List[Bounds]]:
    """Cut lines as ClinicalBERT's converter of this corpus does: at blanks, and at mentions glued to a word.

    Of a glued mention only the first word is kept. What is glued behind it is a token of its own, without the `/` or
    `-` that it begins with. In a word with more than one mention, or glued on both sides, the converter printed a mark
    instead of the text and lost count: such a word is cut at the edges of its mentions, and nothing of it is dropped.

    text (str): the text.
    mentions (Sequence[Mention]): the gold mentions.
    RETURNS (Iterator[List[Bounds]]): the tokens of each line that has any.
    """
    spans = sorted(fragment for mention in mentions for fragment in mention.fragments)
    # With its blanks covered, a mention is a part of one word.
    covered, end = [], 0
    for start, stop in spans:
        covered += [text[end:start], re.sub(r"[^\S\n]", "_", text[max(start, end) : stop])]
        end = max(end, stop)
    covered.append(text[end:])
    for words in whole_words("".join(covered), mentions):
        tokens = []
        for start, stop in words:
            first = bisect_left(spans, (start, start))
            # A mention may have begun on an earlier line.
            first -= first > 0 and spans[first - 1][1] > start
            tokens += _tokens(text, start, stop, spans[first : bisect_left(spans, (stop, stop))])
        if tokens:
            yield tokens


def _tokens(text: str, start: int, stop: int, mentions: List[Bounds]) -> List[Bounds]:
    if len(mentions) == 1:
        first, last = mentions[0]
        glued_behind, glued_in_front = start == first < last < stop, start < first < last == stop
        if glued_behind or glued_in_front:
            head = _words(text, first, last)[:1]
            behind = last + (text[last : last + 1] in ("/", "-"))
            return [*_words(text, start, first), *head, *_words(text, min(behind, stop), stop)]
    edges = sorted({start, stop, *(edge for span in mentions for edge in span if start < edge < stop)})
    return [word for left, right in pairwise(edges) for word in _words(text, left, right)]


def _words(text: str, start: int, stop: int) -> List[Bounds]:
    return [(start + word.start(), start + word.end()) for word in re.finditer(r"\S+", text[start:stop])]


def _mended(content: bytes) -> bytes:
    return _MALFORMED.sub(rb'<PHI\1 MENDED="">\2</PHI>', content)


def _load(found: RecordElement) -> Record:
    if found.element.find("SMOKING") is not None:
        raise LeftOut(f"{found.path}, RECORD {found.id}: is of the smoking challenge, its mentions are not marked")
    text = found.body.text or ""
    mentions: List[Mention] = []
    doubts: List[Rejection] = []
    for number, phi in enumerate(found.body, start=1):
        where = f"RECORD {found.id}, PHI {number}"
        if phi.tag != "PHI" or len(phi):
            raise ClinbertError(
                f"{found.path}, {where}: an element that is no PHI, or a PHI inside another: correct its tags"
            )
        label, inside = phi.get("TYPE", ""), phi.text or ""
        if not label or not inside.strip():
            doubts.append(Rejection(found.file, where, "left out: it has no TYPE, or marks nothing but blanks"))
        else:
            mentions.append(Mention(((len(text), len(text) + len(inside)),), label, where))
        if "MENDED" in phi.attrib:
            doubts.append(Rejection(found.file, where, "mended: an opening tag stood for its closing one"))
        text += inside + (phi.tail or "")
    sentences = sum(bool(line.strip()) for line in text.split("\n"))
    heading = _declaration(found.path) if found.number == 1 else ""
    return Record(found.name, text, tuple(mentions), (), sentences, found.file, tuple(doubts), heading=heading)


def _declaration(path: Path) -> str:
    """The XML declaration of a file, which ClinicalBERT's converter took for a sentence; empty for none."""
    with path.open("rb") as file:
        match = _DECLARATION.match(file.readline())
    return match[1].decode("ascii", "replace") if match else ""


FORMAT = Format(
    name="i2b2_2006",
    title="i2b2 2006: de-identification",
    entries=entries,
    write=write,
    terms=I2B2,
    fine=True,
    paper_lines=paper_lines,
)
