"""i2b2 2010: concepts, assertions and relations in pre-tokenised clinical notes (Uzuner et al. 2011, JAMIA 18:552).

As released, three archives unpack side by side into one folder:

    concept_assertion_relation_training_data/{beth,partners}/{txt,concept,ast,rel}/NAME.{txt,con,ast,rel}
    test_data/NAME.txt
    reference_standard_for_test_data/{concepts,ast,rel}/NAME.{con,ast,rel}

A plain folder with `txt/` and `concept/`, or with .txt and .con side by side, is read as training data.

A line of a .con file is `c="text" 4:13 4:14||t="treatment"`; .ast adds `||a="present"`; .rel joins two concepts by
`||r="TrAP"||`. Lines count from 1, tokens from 0, the end is inclusive. Tokens are what blanks separate: a run of
blanks is one separator, but blanks at the start of a line leave an empty first token. The quoted text is lower-cased;
it may hold quotes, and run over a line end.
"""

import os
import re
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Tuple

from ..errors import ClinbertError
from .folders import relative, visible
from .formats import I2B2, Format
from .paper_lines import whole_words
from .records import Entry, Mention, Record, Rejection, Relation, read_text

TRAIN, TEST, REFERENCE = "concept_assertion_relation_training_data", "test_data", "reference_standard_for_test_data"
_CONCEPT = r'c="(?P<text{0}>.*)" (?P<from{0}>\d{{1,9}}:\d{{1,9}}) (?P<to{0}>\d{{1,9}}:\d{{1,9}})'
# Greedy up to the last ` d:d d:d`, because the text may hold quotes and offsets of its own.
CON = re.compile(_CONCEPT.format("") + r'\|\|t="(?P<label>\w+)"')
AST = re.compile(_CONCEPT.format("") + r'\|\|t="(?P<label>\w+)"\|\|a="(?P<assertion>\w+)"')
REL = re.compile(_CONCEPT.format("") + r'\|\|r="(?P<label>\w+)"\|\|' + _CONCEPT.format("2"))


def entries(source: Path) -> Iterator[Entry]:
    """Find the documents of a corpus, in the order of their names.

    source (Path): folder of the corpus, as released or plain.
    RETURNS (Iterator[Entry]): the documents.
    RAISES (ClinbertError): if there is no such folder.
    """
    if not source.is_dir():
        raise ClinbertError(f"{source}: no such folder: give the folder of the i2b2 2010 corpus")
    if not any((source / name).is_dir() for name in (TRAIN, TEST)):
        yield from _folder(source, "train", source, "")
        return
    for site in visible(source / TRAIN):
        if site.is_dir():
            yield from _folder(source, "train", site, f"{site.name}/")
    if (source / TEST).is_dir():
        yield from _folder(source, "test", source / TEST, "test/", source / REFERENCE)


def write(records: Iterable[Record], folder: Path) -> None:
    """Write records as `txt/`, `concept/`, `ast/` and `rel/`, the native form.

    records (Iterable[Record]): records whose mentions begin and end at token bounds, without fragments.
    folder (Path): where the four folders go.
    RAISES (ClinbertError): if the form cannot hold a mention.
    """
    for record in records:
        write_record(record, folder / "txt", folder / "concept", folder)


def write_record(record: Record, texts: Path, concepts: Path, others: Path) -> None:
    """Write a record.

    record (Record): a record whose mentions begin and end at token bounds, without fragments.
    texts (Path), concepts (Path): folders of the .txt and .con files.
    others (Path): folder that gets `ast/` and `rel/`.
    RAISES (ClinbertError): if the form cannot hold a mention.
    """
    lines = _Lines(record.text)
    tags = [_tag(lines, mention, record.id) for mention in record.mentions]
    with_labels = [f'{tag}||t="{mention.label}"' for tag, mention in zip(tags, record.mentions, strict=True)]
    asserted = [
        f'{line}||a="{mention.assertion}"'
        for line, mention in zip(with_labels, record.mentions, strict=True)
        if mention.assertion
    ]
    related = [f'{tags[head]}||r="{label}"||{tags[tail]}' for head, tail, label in record.relations]
    name = record.id.rpartition("/")[2]
    _write_lines(texts / f"{name}.txt", record.text)
    _write_lines(concepts / f"{name}.con", "".join(f"{line}\n" for line in with_labels))
    _write_lines(others / "ast" / f"{name}.ast", "".join(f"{line}\n" for line in asserted))
    _write_lines(others / "rel" / f"{name}.rel", "".join(f"{line}\n" for line in related))


@dataclass(frozen=True)
class _Lines:
    """The tokens of a text, by line."""

    text: str

    @cached_property
    def tokens(self) -> List[List[Tuple[int, int]]]:
        """Start and end of each token, in characters of the text, for each line."""
        tokens, start = [], 0
        for line in self.text.split("\n"):
            blank = [(start, start)] if line[:1] in (" ", "\t") else []
            tokens.append(blank + [(start + at.start(), start + at.end()) for at in re.finditer(r"[^ \t\r]+", line)])
            start += len(line) + 1
        return tokens

    def span(self, first: str, last: str) -> Optional[Tuple[int, int]]:
        """The characters from token `line:token` to token `line:token`, or None if there are no such tokens."""
        bounds = []
        for address in (first, last):
            line, token = map(int, address.split(":"))
            if not (1 <= line <= len(self.tokens) and token < len(self.tokens[line - 1])):
                return None
            bounds.append(self.tokens[line - 1][token])
        start, end = bounds[0][0], bounds[1][1]
        # An empty first token stands for blanks, which no mention begins with.
        while start < end and self.text[start] in " \t\r\n":
            start += 1
        return (start, end) if start < end else None

    @cached_property
    def addresses(self) -> Tuple[Dict[int, str], Dict[int, str]]:
        """The address `line:token` of the token that starts, and of the one that ends, at a character."""
        starts, ends = {}, {}
        for number, line in enumerate(self.tokens, start=1):
            for index, (start, end) in enumerate(line):
                if start < end:
                    starts[start] = ends[end] = f"{number}:{index}"
        return starts, ends


def _folder(source: Path, split: str, folder: Path, prefix: str, gold: Optional[Path] = None) -> Iterator[Entry]:
    gold = gold or folder
    texts = folder / "txt" if (folder / "txt").is_dir() else folder
    concepts = next((gold / name for name in ("concept", "concepts") if (gold / name).is_dir()), gold)
    names = {path.stem for path in visible(texts) if path.suffix == ".txt"}
    names |= {path.stem for path in visible(concepts) if path.suffix == ".con"}
    for name in sorted(names):
        paths = [texts / f"{name}.txt", concepts / f"{name}.con"]
        paths += [(gold / kind if (gold / kind).is_dir() else gold) / f"{name}.{kind}" for kind in ("ast", "rel")]
        yield Entry(f"{prefix}{name}", split, partial(_load, source, f"{prefix}{name}", *paths))


def _load(source: Path, name: str, txt: Path, con: Path, ast: Path, rel: Path) -> Record:
    text = read_text(txt)
    lines = _Lines(text)
    mentions: List[Mention] = []
    doubts: List[Rejection] = []
    found: Dict[Tuple[int, int], int] = {}
    labelled: Dict[Tuple[Tuple[int, int], str], int] = {}
    for number, line in _rows(con, CON):
        span = _span(lines, con, number, line, "")
        if _words(line["text"]) != _words(text[slice(*span)]):
            reason = "kept at its offsets, where the text differs from the concept's"
            doubts.append(Rejection(relative(con, source), f"line {number}", reason))
        found.setdefault(span, len(mentions))
        labelled.setdefault((span, line["label"]), len(mentions))
        mentions.append(Mention((span,), line["label"], f"line {number}"))
    for number, line in _rows(ast, AST) if os.path.lexists(ast) else ():
        index = labelled.get((_span(lines, ast, number, line, ""), line["label"]))
        if index is None:
            doubts.append(Rejection(relative(ast, source), f"line {number}", "left out: its concept is not annotated"))
        else:
            mentions[index] = mentions[index]._replace(assertion=line["assertion"])
    relations: List[Relation] = []
    for number, line in _rows(rel, REL) if os.path.lexists(rel) else ():
        head, tail = (found.get(_span(lines, rel, number, line, which)) for which in ("", "2"))
        if head is None or tail is None:
            doubts.append(Rejection(relative(rel, source), f"line {number}", "left out: a concept is not annotated"))
        else:
            relations.append(Relation(head, tail, line["label"]))
    sentences = sum(bool(line.strip()) for line in text.split("\n"))
    file = relative(con, source)
    return Record(name, text, tuple(mentions), tuple(relations), sentences, file, tuple(doubts))


def _rows(path: Path, form: "re.Pattern[str]") -> Iterator[Tuple[int, "re.Match[str]"]]:
    for number, line in enumerate(read_text(path).removeprefix("\ufeff").split("\n"), start=1):
        line = line.rstrip(" \t\r")
        if not line:
            continue
        match = form.fullmatch(line)
        if match is None:
            raise ClinbertError(
                f'{path}, line {number}: not of the form c="…" line:token line:token||…: correct or remove it'
            )
        yield number, match


def _span(lines: _Lines, path: Path, number: int, line: "re.Match[str]", which: str) -> Tuple[int, int]:
    first, last = line[f"from{which}"], line[f"to{which}"]
    span = lines.span(first, last)
    if span is None:
        raise ClinbertError(
            f"{path}, line {number}: no tokens from {first} to {last} in the text: correct or remove the line"
        )
    return span


def _tag(lines: _Lines, mention: Mention, name: str) -> str:
    start, end = mention.fragments[0]
    starts, ends = lines.addresses
    first, last = starts.get(start), ends.get(end)
    if len(mention.fragments) > 1 or first is None or last is None:
        raise ClinbertError(f"{name}, mention {start}-{end}: i2b2 2010 holds only unbroken mentions of whole tokens")
    return f'c="{_words(lines.text[start:end])}" {first} {last}'


def _words(text: str) -> str:
    return " ".join(text.lower().split())


def _write_lines(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8"))


FORMAT = Format(
    name="i2b2_2010",
    title="i2b2 2010: concepts, assertions, relations",
    entries=entries,
    write=write,
    terms=I2B2,
    paper_lines=whole_words,
    texts=("MIMIC-III notes, all of NOTEEVENTS",),
    # Uzuner et al. 2011, JAMIA 18:552.
    reservation="only the notes of Beth Israel Deaconess Medical Center are in it",
)
