"""The XML files of the 2006 challenges: a ROOT of many RECORDs, each with an ID and a TEXT."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn, Set
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from ..errors import ClinbertError
from .folders import files, relative
from .markup import NOT_XML, read_xml
from .records import Entry, LeftOut, Record


@dataclass(frozen=True)
class RecordElement:
    """A RECORD and where it stands.

    path (Path): its file; file (str): the same, relative to the corpus.
    number (int): its number in the file, from 1; id (str): its ID.
    element (Element): the element.
    """

    path: Path
    file: str
    number: int
    id: str
    element: Element

    @property
    def name(self) -> str:
        """The record's name in the corpus: its file's, without the ending, and its ID."""
        return f"{self.file.removesuffix('.xml')}/{self.id}"

    @property
    def body(self) -> Element:
        """Its TEXT; RAISES (ClinbertError): if it has none."""
        body = self.element.find("TEXT")
        if body is None:
            raise ClinbertError(f"{self.path}, RECORD {self.id}: has no TEXT: remove the record or add its TEXT")
        return body


def record_entries(
    source: Path,
    form: str,
    load: Callable[[RecordElement], Record],
    mend: Callable[[bytes], bytes] = bytes,
) -> Iterator[Entry]:
    """Find the records of a corpus, file by file.

    source (Path): one file, or a folder of files whose names tell the split.
    form (str): name of the corpus, for the error.
    load (Callable[[RecordElement], Record]): reads a record.
    mend (Callable[[bytes], bytes]): repairs what is known to be wrong in a released file.
    RETURNS (Iterator[Entry]): the records. A file that cannot be read is one entry whose `load` says why; so is one
        that the release gives without annotations: the texts for participants, where the gold lies beside them.
    RAISES (ClinbertError): if there is no such file or folder.
    """
    for path, split in files(source, ".xml", form):
        file = relative(path, source)
        if _is_unannotated(path):
            error = LeftOut(f"{path}: holds texts without annotations")
            yield Entry(file, split, partial(fail, error))
            continue
        try:
            root = _root(path, mend)
        except ClinbertError as error:
            yield Entry(file, split, partial(fail, error))
            continue
        ids: Set[str] = set()
        number = 0
        for number, element in enumerate(root.iter("RECORD"), start=1):
            found = RecordElement(path, file, number, element.get("ID", ""), element)
            if not found.id or found.id in ids:
                what = f"{path}, RECORD number {number}: its ID is missing or used twice: give it an ID of its own"
                yield Entry(f"{file}#{number}", split, partial(fail, ClinbertError(what)))
                continue
            ids.add(found.id)
            yield Entry(found.name, split, partial(load, found))
        if not number:
            what = f"{path}: has no RECORD: remove it, or give the folder of the {form} corpus"
            yield Entry(file, split, partial(fail, ClinbertError(what)))


def fail(error: ClinbertError) -> NoReturn:
    """Raise an error: the `load` of an entry that is known to be unreadable."""
    raise error


@contextmanager
def record_file(path: Path) -> Iterator[Callable[[str], object]]:
    """Write a file of RECORDs.

    path (Path): the file; its folder is made where it is missing.
    YIELDS (Callable[[str], object]): writes the XML of a record.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n<ROOT>\n')
        yield file.write
        file.write("</ROOT>\n")


def xml_text(text: str, place: str) -> str:
    """Escape a text or an attribute so that a parser gives it back unchanged, line ends included.

    text (str): the text.
    place (str): what it is of, for the error.
    RETURNS (str): its XML.
    RAISES (ClinbertError): if it holds a character that XML cannot hold.
    """
    bad = NOT_XML.search(text)
    if bad:
        raise ClinbertError(f"{place}, character {bad.start()}: U+{ord(bad[0]):04X} cannot stand in XML: remove it")
    return escape(text, {"\r": "&#13;", '"': "&quot;"})


def _root(path: Path, mend: Callable[[bytes], bytes]) -> Element:
    try:
        content = path.read_bytes()
    except OSError:
        return read_xml(path)
    return read_xml(path, mend(content))


def _is_unannotated(path: Path) -> bool:
    gold = path.with_name(path.name.replace("_all_version", "_all_groundtruth_version"))
    return "unannotated" in path.name or (gold != path and gold.is_file())
