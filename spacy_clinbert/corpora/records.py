"""What every corpus format comes down to: records with text, mentions and relations."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Mapping, NamedTuple, Tuple

from ..errors import ClinbertError


class LeftOut(ClinbertError):
    """A document that the corpus itself marks as not to be used: counted and listed, never an error."""


class Mention(NamedTuple):
    """An annotated mention.

    fragments (Tuple[Tuple[int, int], ...]): start and end of each piece, in characters of the text, end exclusive.
    label (str): its type. An annotation of several types is as many mentions.
    id (str): what finds it in its file: a line number or the corpus' own id.
    assertion (str): present, absent, …; empty where the corpus says nothing.
    """

    fragments: Tuple[Tuple[int, int], ...]
    label: str
    id: str = ""
    assertion: str = ""


class Relation(NamedTuple):
    """A relation between two mentions, named by their index in the record.

    head (int), tail (int): index of the mentions; label (str): its type.
    """

    head: int
    tail: int
    label: str


class Rejection(NamedTuple):
    """Something that could not be used, or only with a doubt: never text, only where it stands and why.

    file (str): the file, relative to the corpus.
    id (str): the record, or the mention in its file.
    reason (str): why.
    """

    file: str
    id: str
    reason: str


@dataclass(frozen=True)
class Record:
    """A document of a corpus.

    id (str): unique in the corpus.
    text (str): the text, exactly as in the file.
    mentions (Tuple[Mention, ...]): its mentions, in the order of the file.
    relations (Tuple[Relation, ...]): its relations.
    sentences (int): number of sentences, as the corpus cuts them; 0 where it cuts none.
    annotations (str): the file that holds the mentions, relative to the corpus.
    doubts (Tuple[Rejection, ...]): annotations that disagree with the text, were repaired or point nowhere.
    cats (Mapping[str, float]): labels of the whole document, 1.0 or 0.0 each, as in `doc.cats`.
    parts (Mapping[str, Tuple[int, int]]): named stretches of the text, in characters, such as premise and hypothesis.
    heading (str): what stands in the file before the document and belongs to no text; only ClinicalBERT's converter
        of i2b2 2006 reads it.
    """

    id: str
    text: str
    mentions: Tuple[Mention, ...] = ()
    relations: Tuple[Relation, ...] = ()
    sentences: int = 0
    annotations: str = ""
    doubts: Tuple[Rejection, ...] = ()
    cats: Mapping[str, float] = field(default_factory=dict)
    parts: Mapping[str, Tuple[int, int]] = field(default_factory=dict)
    heading: str = ""


class Entry(NamedTuple):
    """A document that is there to be read.

    id (str): unique in the corpus.
    split (str): "train", "dev" or "test", as shipped.
    load (Callable[[], Record]): reads it; raises a `ClinbertError` that names file and line if it cannot.
    patient (str): who it is about, where the corpus says so: documents of one patient stay in one split.
    """

    id: str
    split: str
    load: Callable[[], Record]
    patient: str = ""


def read_text(path: Path) -> str:
    """Read a UTF-8 file exactly, line ends included.

    path (Path): the file.
    RETURNS (str): its text.
    RAISES (ClinbertError): if it is missing or not UTF-8, with the line and what to do.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ClinbertError(f"{path}: {error.strerror or 'cannot be read'}; every document needs this file") from None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ClinbertError(
            f"{path}, line {line}: byte 0x{content[error.start]:02X} is not UTF-8:"
            f" convert the file, for instance with `iconv -f latin1 -t utf-8`"
        ) from None
