"""CoNLL and IOB files: a token a line with its tag, a blank line between sentences (Tjong Kim Sang & De Meulder 2003).

Two or four columns, or any other number, separated by tabs or blanks: the token stands first, the tag in the last
column that holds tags (the chunks of CoNLL 2003 look like tags, and concept ids may follow). A line of `-DOCSTART-`
begins a document; in files without one, such as those of Crichton et al. (2017), each sentence is a document.
Files are named by split (train.tsv, devel.tsv, test.tsv); one such as train_dev.tsv, which holds two others again, is
left out. A document is named `train/17`, by its file and its number in it.

Tags are IOB2, IOB1 or BIOES (also with L and U). In IOB1 a mention begins with I, and with B only right behind another
of its type: a file in which no B stands elsewhere is IOB1. In all others, an I (E, L) that continues nothing is
ill-formed: it is read as a B, and reported. Bare tags, without a type, get the type `entity`.

The text is the tokens joined by one blank, sentences by a line feed. In tab-separated files a token may hold a blank.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Dict, List, Tuple

from ..errors import ClinbertError
from .conll_dialect import DOCSTART, Dialect, columns_of, dialect_of, starts_document
from .folders import files, relative, splits_in
from .formats import Format
from .iob import is_tag, steps
from .lines import Lines, decoded, failing, numbered_lines
from .paper_lines import Bounds
from .records import Entry, LeftOut, Mention, Record, Rejection

SUFFIXES = tuple(f".{kind}{packed}" for kind in ("tsv", "txt", "conll", "iob", "iob2", "bio") for packed in ("", ".gz"))


def entries(source: Path) -> Iterator[Entry]:
    """Find the documents of a corpus, in the order of files and lines.

    source (Path): folder of the files, or one of them.
    RETURNS (Iterator[Entry]): the documents.
    RAISES (ClinbertError): if there is no such folder, or two files have the same name but for their ending.
    """
    found = list(files(source, SUFFIXES, "CoNLL"))
    names: Dict[str, Path] = {}
    for path, split in found:
        file = relative(path, source)
        name = re.sub(r"\.\w+(?:\.gz)?$", "", file)
        if names.setdefault(name, path) != path:
            raise ClinbertError(f"{path}: {names[name].name} has the same name but for its ending: keep one of the two")
        if _repeats(path, [other for other, _ in found if other.parent == path.parent]):
            again = " and ".join(splits_in(path.name))
            yield failing(file, split, LeftOut(f"{file}: holds {again} again, which have files of their own"))
            continue
        try:
            dialect = dialect_of(path)
            for number, lines in enumerate(_documents(path, dialect.documents), start=1):
                one = f"{name}/{number}"
                yield Entry(one, split, partial(_load, one, path, file, dialect, lines))
        except ClinbertError as error:
            yield failing(file, split, error)


def write(records: Iterable[Record], folder: Path) -> None:
    """Write records as `train.tsv`: token and IOB2 tag, separated by a tab, with a line of -DOCSTART- for each record.

    records (Iterable[Record]): records whose mentions are unbroken, fall on token bounds of one line and do not
        overlap; tokens stand one blank apart, and no line is empty.
    folder (Path): where the file goes.
    RAISES (ClinbertError): if the form cannot hold a record.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "train.tsv").open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(f"{DOCSTART}\tO\n\n")
            for sentence in tagged(record):
                file.writelines(f"{token}\t{tag}\n" for token, tag in sentence)
                file.write("\n")


def tagged(record: Record) -> Iterator[List[Tuple[str, str]]]:
    """Give each token of a record its IOB2 tag.

    record (Record): a record that the form can hold, see `write`.
    RETURNS (Iterator[List[Tuple[str, str]]]): token and tag, for each line of the text.
    RAISES (ClinbertError): if the form cannot hold the record.
    """
    lines = list(single_blanks(record.text, ())) if record.text else []
    tokens = [token for line in lines for token in line]
    words = [record.text[start:end] for start, end in tokens]
    if any(not word or "\t" in word or re.match(rf"{DOCSTART}(\s|$)", word) for word in words):
        raise ClinbertError(f"{record.id}: CoNLL holds no empty lines, no tabs, and only single blanks between tokens")
    line_of = [number for number, line in enumerate(lines) for _ in line]
    starts = {start: index for index, (start, _) in enumerate(tokens)}
    ends = {end: index for index, (_, end) in enumerate(tokens)}
    tags = ["O"] * len(tokens)
    for mention in record.mentions:
        (start, end), *more = mention.fragments
        first, last = starts.get(start, -1), ends.get(end, -1)
        whole = 0 <= first <= last and line_of[first] == line_of[last] and not more
        if not whole or set(tags[first : last + 1]) != {"O"} or not re.fullmatch(r"\S([^\t\r\n]*\S)?", mention.label):
            raise ClinbertError(
                f"{record.id}, mention {start}-{end}: CoNLL holds mentions of whole tokens, each in one line"
            )
        tags[first : last + 1] = [f"B-{mention.label}"] + [f"I-{mention.label}"] * (last - first)
    rest = zip(words, tags, strict=True)
    for line in lines:
        yield list(islice(rest, len(line)))


def single_blanks(text: str, mentions: Sequence[Mention]) -> Iterator[List[Bounds]]:
    """Cut lines at each blank, as they were joined.

    text (str): the text.
    mentions (Sequence[Mention]): not looked at.
    RETURNS (Iterator[List[Bounds]]): the tokens of each line.
    """
    start = 0
    for line in text.split("\n"):
        tokens = []
        for token in line.split(" "):
            tokens.append((start, start + len(token)))
            start += len(token) + 1
        yield tokens


def _repeats(path: Path, beside: Sequence[Path]) -> bool:
    """Whether a file is named by two splits, and each of them has a file beside it."""
    splits = set(splits_in(path.name))
    alone = [set(splits_in(other.name)) for other in beside]
    return len(splits) > 1 and all({split} in alone for split in splits)


def _documents(path: Path, marked: bool) -> Iterator[Lines]:
    """The lines of each document; a document is what follows -DOCSTART-, or else a sentence."""
    lines: Lines = []
    begun = False
    for number, line in numbered_lines(path):
        starts = starts_document(line)
        if starts or not (marked or line.strip()):
            if begun or lines:
                yield lines
            lines, begun = [], starts
        elif line.strip() or lines:
            lines.append((number, line))
    if begun or lines:
        yield lines


def _load(name: str, path: Path, file: str, dialect: Dialect, lines: Lines) -> Record:
    sentences: List[str] = []
    mentions: List[Mention] = []
    doubts: List[Rejection] = []
    start = 0
    for blank, sentence in groupby(lines, key=lambda line: not line[1].strip()):
        rows = [] if blank else [_row(path, dialect.column, *line) for line in sentence]
        doubts += [Rejection(file, f"line {row[0]}", "left out: its token is empty") for row in rows if not row[1]]
        rows = [row for row in rows if row[1]]
        for (number, token, _), step in zip(rows, steps(tag for *_, tag in rows), strict=True):
            if step.begins:
                mentions.append(Mention(((start, start + len(token)),), step.label, f"line {number}"))
            elif step.label:
                mentions[-1] = mentions[-1]._replace(fragments=((mentions[-1].fragments[0][0], start + len(token)),))
            if step.ill_formed and not dialect.iob1:
                doubts.append(Rejection(file, f"line {number}", "its tag continues no mention: read as a B"))
            start += len(token) + 1
        if rows:
            sentences.append(" ".join(token for _, token, _ in rows))
    text = "\n".join(sentences)
    return Record(name, text, tuple(mentions), (), len(sentences), file, tuple(doubts))


def _row(path: Path, column: int, number: int, line: bytes) -> Tuple[int, str, str]:
    columns = columns_of(decoded(path, number, line))
    if len(columns) <= column or not is_tag(columns[column]):
        raise ClinbertError(f"{path}, line {number}: no tag in column {column + 1}: correct the line")
    return number, columns[0], columns[column]


FORMAT = Format(
    name="conll",
    title="CoNLL and IOB files: tokens with tags",
    entries=entries,
    write=write,
    gated=None,
    terms="as each corpus in this form states",
    paper_lines=single_blanks,
)
