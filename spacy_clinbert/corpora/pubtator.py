"""PubTator: titles and abstracts with mentions and relations of concepts (Wei et al. 2013, Nucleic Acids Res 41:W518).

A document is `id|t|title`, `id|a|abstract`, then a line `id<tab>start<tab>end<tab>text<tab>type` for each mention, with
the concept's id behind it where there is one (several, joined by |, for a mention such as "renal and hepatic failure",
whose parts may follow in a last column), and a line `id<tab>type<tab>concept<tab>concept` for each relation, such as
CID in BC5CDR (Li et al. 2016). A blank line ends it. Files are named by split: CDR_TrainingSet.PubTator.txt,
NCBItestset_corpus.txt.

Offsets count the characters of title, one separator, and abstract; here the separator is a line feed. A mention whose
text stands elsewhere is placed at the nearest place that has it, and reported. A relation joins concepts of the whole
document: here it joins the first mention of each, and is reported where a concept has none.
"""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Dict, List, Sequence, Set, Tuple

from ..errors import ClinbertError
from .folders import files, relative
from .formats import Format
from .lines import Lines, decoded, failing, numbered_lines, unique
from .records import Entry, Mention, Record, Rejection, Relation

SUFFIXES = tuple(f".{kind}{packed}" for kind in ("txt", "pubtator", "PubTator") for packed in ("", ".gz"))
_TITLE = re.compile(rb"([^|\t]+)\|t\|")
_OFFSET = re.compile(r"\d{1,9}")
_BETWEEN_CONCEPTS = re.compile(r"[|;,]")


def entries(source: Path) -> Iterator[Entry]:
    """Find the documents of a corpus, in the order of files and lines.

    source (Path): folder of the files, or one of them.
    RETURNS (Iterator[Entry]): the documents.
    RAISES (ClinbertError): if there is no such folder.
    """
    seen: Set[str] = set()
    for path, split in files(source, SUFFIXES, "PubTator"):
        file = relative(path, source)
        try:
            for lines in _documents(path):
                number, first = lines[0]
                title = _TITLE.match(first)
                if title is None:
                    error = ClinbertError(f"{path}, line {number}: belongs to no title: put `id|t|title` before it")
                    yield failing(f"{file}, line {number}", split, error)
                else:
                    name = unique(title[1].decode("utf-8", "replace"), file, number, seen)
                    yield Entry(name, split, partial(_load, name, path, file, lines))
        except ClinbertError as error:
            yield failing(file, split, error)


def write(records: Iterable[Record], folder: Path) -> None:
    """Write records as `CDR_TrainingSet.PubTator.txt`, the native form; each mention gets a concept of its own.

    records (Iterable[Record]): records of two lines, title and abstract, whose mentions are unbroken, each in one line.
    folder (Path): where the file goes.
    RAISES (ClinbertError): if the form cannot hold a record.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "CDR_TrainingSet.PubTator.txt").open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.writelines(f"{line}\n" for line in (*native_lines(record), ""))


def native_lines(record: Record) -> List[str]:
    """Write a record as lines.

    record (Record): a record that the form can hold, see `write`.
    RETURNS (List[str]): title, abstract, mentions and relations, without line ends.
    RAISES (ClinbertError): if the form cannot hold the record.
    """
    name, parts = record.id, record.text.split("\n")
    if len(parts) != 2 or any(part.endswith("\r") for part in parts) or not re.fullmatch(r"[^|\t\r\n]+", name):
        raise ClinbertError(f"{name}: PubTator holds a title, a line feed and an abstract, and an id without | and tab")
    lines = [f"{name}|t|{parts[0]}", f"{name}|a|{parts[1]}"]
    for number, mention in enumerate(record.mentions):
        (start, end), *more = mention.fragments
        words = record.text[start:end]
        if more or not words or re.search(r"[\t\n]", words) or not re.fullmatch(r"[^\t\r\n]+", mention.label):
            raise ClinbertError(f"{name}, mention {start}-{end}: PubTator holds unbroken mentions, each in one line")
        lines.append(f"{name}\t{start}\t{end}\t{words}\t{mention.label}\tM{number}")
    return lines + [f"{name}\t{label}\tM{head}\tM{tail}" for head, tail, label in record.relations]


def _documents(path: Path) -> Iterator[Lines]:
    """The lines of each document: a title or a blank line begins a new one."""
    lines: Lines = []
    for number, line in numbered_lines(path):
        if lines and (not line.strip() or _TITLE.match(line)):
            yield lines
            lines = []
        if line.strip():
            lines.append((number, line))
    if lines:
        yield lines


def _load(name: str, path: Path, file: str, lines: Lines) -> Record:
    rows = [(number, decoded(path, number, line)) for number, line in lines]
    own, _, title = rows[0][1].partition("|t|")
    if len(rows) < 2 or not rows[1][1].startswith(f"{own}|a|"):
        raise ClinbertError(f"{path}, line {rows[0][0]}: no abstract follows: put `id|a|` and the abstract behind it")
    abstract = rows[1][1].removeprefix(f"{own}|a|")
    text = f"{title}\n{abstract}"
    mentions: List[Mention] = []
    relations: List[Relation] = []
    doubts: List[Rejection] = []
    first: Dict[str, int] = {}
    related: List[Tuple[int, List[str]]] = []
    for number, line in rows[2:]:
        columns = line.split("\t")
        if columns[0] != own:
            raise ClinbertError(f"{path}, line {number}: its id is not the title's: correct it, or leave a blank line")
        if len(columns) > 4 and _OFFSET.fullmatch(columns[1]) and _OFFSET.fullmatch(columns[2]):
            span = _place(text, columns)
            if not columns[4]:
                raise ClinbertError(f"{path}, line {number}: names no type: correct or remove it")
            if span is None:
                raise ClinbertError(
                    f"{path}, line {number}: its text is not in title or abstract: correct or remove it"
                )
            if span != (int(columns[1]), int(columns[2])):
                doubts.append(Rejection(file, f"line {number}", "placed where its text is, away from its offsets"))
            for concept in columns[5:6] + _BETWEEN_CONCEPTS.split("".join(columns[5:6])):
                first.setdefault(concept, len(mentions))
            mentions.append(Mention((span,), columns[4], f"line {number}"))
        elif len(columns) > 3 and all(columns[1:4]):
            related.append((number, columns))
        else:
            raise ClinbertError(f"{path}, line {number}: neither a mention nor a relation: correct or remove it")
    for number, (_, label, head, tail, *_) in related:
        if head in first and tail in first:
            relations.append(Relation(first[head], first[tail], label))
        else:
            doubts.append(Rejection(file, f"line {number}", "left out: one of its concepts has no mention"))
    parts = {"title": (0, len(title)), "abstract": (len(title) + 1, len(text))}
    return Record(name, text, tuple(mentions), tuple(relations), 0, file, tuple(doubts), parts=parts)


def _place(text: str, columns: Sequence[str]) -> Tuple[int, int] | None:
    """Where a mention stands: at its offsets if they hold its text, else at the nearest place that does."""
    start, end, words = int(columns[1]), int(columns[2]), columns[3]
    if not words:
        return None
    if text[start:end] == words:
        return start, end
    places = [text.rfind(words, 0, start + len(words)), text.find(words, start)]
    nearest = min((place for place in places if place >= 0), key=lambda place: abs(place - start), default=None)
    return None if nearest is None else (nearest, nearest + len(words))


FORMAT = Format(
    name="pubtator",
    title="PubTator: abstracts with mentions of concepts, and their relations",
    entries=entries,
    write=write,
    gated=None,
    terms="as each corpus in this form states",
    texts=("PubMed abstracts",),
)
