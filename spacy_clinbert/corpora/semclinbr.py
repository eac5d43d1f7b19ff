r"""SemClinBr: semantic types in Brazilian clinical notes (Oliveira et al. 2022, Journal of Biomedical Semantics 13:13).

One XML file a note, in one folder; there is no official split, so all is training data unless folders say otherwise:

    <ANNOTATIONS><TEXT>PACIENTE COM HAS</TEXT>
      <TAGS><annotation id="7" tag="Disease or Syndrome|Abbreviation" start="13" end="16" text="HAS" abbr="…"/></TAGS>
      <RELATIONS><rel annotation1="7" annotation2="9" reltype="associated_with"/></RELATIONS></ANNOTATIONS>

`tag` names several UMLS semantic types at once, and Abbreviation and Negation are tags too; each becomes a mention with
the annotation's id. What an abbreviation stands for (`abbr`) is not kept.

Offsets count a line end as two characters (`\r\n`) in most files and as one in others, whatever the file itself has:
the manner in which most annotations agree with their `text` is taken. That string is no copy: the annotation tool joins
its tokens by blanks ("35 , 7ºC") and now and then escapes it twice (`&amp;lt;`), so it is compared without blanks and
unescaped. Of what still disagrees, an edge off by one or two characters is moved; an annotation that begins and ends in
the words of its string stays; any other is left out. All of these are reported.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Dict, List, NamedTuple, Set, Tuple
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

from ..errors import ClinbertError
from .folders import files, relative
from .formats import Format
from .markup import NOT_XML, read_xml
from .paper_lines import Bounds
from .records import Entry, Mention, Record, Rejection, Relation
from .semclinbr_offsets import TOKEN, count_line_ends, mend, place
from .umls_groups import GROUPS

_TEXT = re.compile(rb"(<TEXT\b[^>]*>)(.*)(?=</TEXT)", re.DOTALL)
_RETURN = re.compile(rb"<!\[CDATA\[.*?\]\]>|\r", re.DOTALL)


class Annotation(NamedTuple):
    """An annotation as its file has it.

    id (str): unique in the file.
    types (Tuple[str, ...]): its semantic types.
    start (int), end (int): offsets, end exclusive, in the file's manner of counting line ends.
    text (str): the annotated string, roughly.
    abbr (str): what the abbreviation stands for; empty for none.
    """

    id: str
    types: Tuple[str, ...]
    start: int
    end: int
    text: str
    abbr: str = ""


def entries(source: Path) -> Iterator[Entry]:
    """Find the documents of a corpus.

    source (Path): folder of the XML files, or of folders named by split; or one file.
    RETURNS (Iterator[Entry]): the documents.
    RAISES (ClinbertError): if there is no such folder.
    """
    for path, split in files(source, ".xml", "SemClinBr"):
        name = relative(path, source).removesuffix(".xml")
        yield Entry(name, split, partial(_load, source, path, name))


def write(records: Iterable[Record], folder: Path) -> None:
    """Write records as one XML file each, named by the last part of their id; a `\\r\\n` counts as two characters.

    records (Iterable[Record]): records whose mentions are unbroken; mentions of one id are one annotation.
    folder (Path): where the files go.
    RAISES (ClinbertError): if the form cannot hold a record, or two records have one name.
    """
    names: Set[str] = set()
    for record in records:
        name = record.id.rpartition("/")[2]
        if name in names:
            raise ClinbertError(f"{record.id}: another record is named {name}: give each a name of its own")
        names.add(name)
        annotations, ids = _annotations(record)
        relations = [(ids[head], ids[tail], label) for head, tail, label in record.relations]
        write_document(folder / f"{name}.xml", record.text, annotations, relations)


def write_document(
    path: Path, text: str, annotations: Iterable[Annotation], relations: Iterable[Tuple[str, str, str]]
) -> None:
    """Write a document.

    path (Path): the file.
    text (str): its text; line ends stay as they are.
    annotations (Iterable[Annotation]): its annotations.
    relations (Iterable[Tuple[str, str, str]]): ids of two annotations, and the type of their relation.
    RAISES (ClinbertError): if XML cannot hold a character.
    """
    tags = [
        _tag(
            "annotation", id=one.id, tag="|".join(one.types), start=one.start, end=one.end, text=one.text, abbr=one.abbr
        )
        for one in annotations
    ]
    rels = [_tag("rel", annotation1=head, annotation2=tail, reltype=label) for head, tail, label in relations]
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<ANNOTATIONS>", f"  <TEXT>{escape(text)}</TEXT>"]
    lines += ["  <TAGS>", *tags, "  </TAGS>", "  <RELATIONS>", *rels, "  </RELATIONS>", "</ANNOTATIONS>"]
    content = "\n".join(lines) + "\n"
    if NOT_XML.search(content):
        raise ClinbertError(f"{path.name}: XML cannot hold control characters or half surrogates: remove them")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8"))


def tool_tokens(text: str, mentions: Sequence[Mention]) -> Iterator[List[Bounds]]:
    """Cut each line as the annotation tool cuts tokens; what BioBERTpt's authors cut is not known.

    text (str): the text.
    mentions (Sequence[Mention]): not looked at.
    RETURNS (Iterator[List[Bounds]]): the tokens of each line that has any.
    """
    for line in re.finditer("[^\n]+", text):
        tokens = [token.span() for token in TOKEN.finditer(text, line.start(), line.end())]
        if tokens:
            yield tokens


def _load(source: Path, path: Path, name: str) -> Record:
    root = _parse(path)
    text = _text(path, root)
    annotations = [_annotation(path, element) for element in root.iter("annotation")]
    places = count_line_ends(text, [(one.start, one.end, one.text) for one in annotations])
    file = relative(path, source)
    mentions: List[Mention] = []
    first: Dict[str, int] = {}
    doubts: List[Rejection] = []
    for one in annotations:
        span, doubt = mend(text, place(places, one.start), place(places, one.end), one.text)
        if not one.types:
            span, doubt = None, "left out: it names no type"
        if doubt:
            doubts.append(Rejection(file, f"annotation {one.id or 'without id'}", doubt))
        if span:
            first.setdefault(one.id, len(mentions))
            mentions += [Mention((span,), label, one.id) for label in one.types]
    relations: List[Relation] = []
    for number, element in enumerate(root.iter("rel"), start=1):
        ids = [element.get(key, "") for key in ("annotation1", "annotation2")]
        if all(one in first for one in ids):
            relations.append(Relation(first[ids[0]], first[ids[1]], element.get("reltype", "")))
        else:
            missing = " and ".join(one or "without id" for one in ids if one not in first)
            doubts.append(Rejection(file, f"relation {number}", f"left out: there is no annotation {missing}"))
    return Record(name, text, tuple(mentions), tuple(relations), annotations=file, doubts=tuple(doubts))


def _parse(path: Path) -> Element:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ClinbertError(f"{path}: {error.strerror or 'cannot be read'}; every document needs this file") from None
    # A parser turns `\r\n` into `\n`, unless the `\r` is written as a character reference, which CDATA cannot hold.
    return read_xml(path, _TEXT.sub(lambda found: found[1] + _RETURN.sub(_reference, found[2]), content))


def _reference(match: "re.Match[bytes]") -> bytes:
    return b"&#13;" if match[0] == b"\r" else match[0].replace(b"\r", b"]]>&#13;<![CDATA[")


def _text(path: Path, root: Element) -> str:
    element = root.find("TEXT")
    if element is None:
        raise ClinbertError(f"{path}: has no element TEXT, so it is no file of SemClinBr: take it as released")
    if len(element):
        raise ClinbertError(f"{path}: its TEXT holds other elements: write each < of the note as &lt;")
    return element.text or ""


def _annotation(path: Path, element: Element) -> Annotation:
    name = element.get("id", "")
    try:
        start, end = (int(element.get(key, "")) for key in ("start", "end"))
    except ValueError:
        raise ClinbertError(f"{path}, annotation {name}: start or end is no number: correct or remove it") from None
    return Annotation(name, _types(element.get("tag", "")), start, end, element.get("text", ""))


def _types(tag: str) -> Tuple[str, ...]:
    # The tool's own table has two of the types in quotes (Annotation_Tool/sql/tags.sql).
    names = (name.strip(' "') for name in tag.split("|"))
    return tuple(dict.fromkeys(name for name in names if name))


def _annotations(record: Record) -> Tuple[List[Annotation], List[str]]:
    """The annotations of a record, and for each mention the id by which a relation may name it, if any."""
    if record.cats or record.parts:
        raise ClinbertError(f"{record.id}: SemClinBr holds no labels of documents and no parts: choose another form")
    given = {mention.id for mention in record.mentions}
    free = (str(number) for number in count(1) if str(number) not in given)
    annotations: List[Annotation] = []
    ids: List[str] = []
    for mention in record.mentions:
        start, end = mention.fragments[0]
        where = f"{record.id}, mention {start}-{end}"
        whole = len(mention.fragments) == 1 and 0 <= start < end <= len(record.text)
        if not whole or _types(mention.label) != (mention.label,) or mention.assertion:
            raise ClinbertError(
                f"{where}: SemClinBr holds only unbroken mentions without assertion, and no label with | or quotes"
            )
        one = Annotation(mention.id or next(free), (mention.label,), start, end, record.text[start:end])
        last = annotations[-1] if annotations else None
        if last and last._replace(types=one.types) == one and mention.label not in last.types:
            annotations[-1] = last._replace(types=(*last.types, mention.label))
            ids.append("")
        elif one.id in ids:
            raise ClinbertError(f"{where}: SemClinBr holds an id once, with one place and each type once")
        else:
            annotations.append(one)
            ids.append(one.id)
    if not all(ids[index] for head, tail, _ in record.relations for index in (head, tail)):
        raise ClinbertError(f"{record.id}: SemClinBr relates annotations: name the first mention of each id")
    return annotations, ids


def _tag(name: str, **attributes: object) -> str:
    return f"    <{name} {' '.join(f'{key}={quoteattr(str(value))}' for key, value in attributes.items())} />"


FORMAT = Format(
    name="semclinbr",
    title="SemClinBr: UMLS semantic types in Brazilian clinical notes",
    entries=entries,
    write=write,
    terms="request form of HAILab, PUCPR (github.com/HAILab-PUCPR/SemClinBr), signed by the research team",
    paper_lines=tool_tokens,
    lang="pt",
    # SemClinBr was drawn from two million notes of Brazilian hospitals (2002 to 2018) by the group that pretrained
    # BioBERTpt on such notes.
    texts=("clinical narratives of Brazilian hospitals",),
    reservation="whether the annotated notes are among them is not published",
    layers=GROUPS,
)
