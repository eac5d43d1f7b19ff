"""Tables of labelled texts: a row a text, with one column of ids, one of texts and one of labels.

Such are MTSamples (`note_id`, `specialty`, `text`) and MTS-Dialog (`ID`, `section_header`, `section_text`; Ben Abacha
et al. 2023, EACL, 2291-2302). Columns are found by their names, in any case. Each text has one label, all labels of the
table exclude each other, and each becomes a category of the document.

Files whose names have a word for a split are that split. Where no file has one, as for MTSamples, which ships as one
table, every fifth text is for test, drawn by a hash of its id. Ids that stand twice are told apart by file and row;
rows without id, text or label are rejected. A label keeps its blanks inside and loses those around it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Dict, FrozenSet, List, Set

from ..errors import ClinbertError
from .folders import files, relative, splits_in
from .formats import Format
from .lines import failing, unique
from .notes import Rejected, notes_of
from .records import Entry, Record
from .tables import SUFFIXES, Columns, table_rows

COLUMNS = Columns(
    ("note_id", "ROW_ID", "ID"),
    ("section_text", "TEXT", "note_text"),
    category=("label", "specialty", "section_header", "CATEGORY"),
)
FOLDS = 5


def entries(source: Path) -> Iterator[Entry]:
    """Find the texts of a corpus, in the order of files and rows.

    source (Path): a table, or a folder of such.
    RETURNS (Iterator[Entry]): the texts. A table that cannot be read, and a row that gives no text, say so when loaded.
    RAISES (ClinbertError): if there is no such file or folder.
    """
    found = list(files(source, SUFFIXES, "table of labelled texts"))
    shipped = any(splits_in(part) for path, _ in found for part in Path(relative(path, source)).parts)
    labels = frozenset(_labels(path for path, _ in found))
    seen: Set[str] = set()
    for path, split in found:
        file = relative(path, source)
        rejected: List[Rejected] = []
        try:
            for number, row in enumerate(table_rows(path, COLUMNS), start=1):
                notes = list(notes_of([row], rejected.append))
                if not notes or not notes[0].category:
                    reason = rejected.pop().reason if rejected else "it has no label"
                    error = ClinbertError(f"{path}, row {number}: {reason}: correct or remove it")
                    yield failing(f"{file}, row {number}", split, error)
                    continue
                note = notes[0]
                name = unique(note.note_id, file, number, seen)
                of = split if shipped else "test" if fold(note.note_id) == 0 else "train"
                yield Entry(name, of, partial(_load, name, note.text, note.category, labels, file))
        except ClinbertError as error:
            yield failing(file, split, error)


def write(records: Iterable[Record], folder: Path) -> None:
    """Write records as `train.jsonl`, the native form.

    records (Iterable[Record]): texts of one label each.
    folder (Path): where the file goes.
    RAISES (ClinbertError): if the form cannot hold a record.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "train.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(map(native_line, records))


def native_line(record: Record) -> str:
    """Write a text as a line.

    record (Record): a text of one label, and nothing else annotated.
    RETURNS (str): a JSON object, with its line feed.
    RAISES (ClinbertError): if the form cannot hold the record.
    """
    true = [label for label, value in record.cats.items() if value]
    if len(true) != 1 or true[0] != true[0].strip() or record.mentions or record.relations or record.parts:
        raise ClinbertError(f"{record.id}: a table of labelled texts holds a text and one label each, and nothing else")
    return json.dumps({"note_id": record.id, "label": true[0], "text": record.text}, ensure_ascii=False) + "\n"


def fold(name: str) -> int:
    """Draw one of five folds for a text, by its id alone.

    name (str): its id.
    RETURNS (int): from 0 to 4.
    """
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % FOLDS


def _labels(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        try:
            yield from (note.category for note in notes_of(table_rows(path, COLUMNS), lambda _: None) if note.category)
        except ClinbertError:
            # Said when its texts are read.
            continue


def _load(name: str, text: str, label: str, labels: FrozenSet[str], file: str) -> Record:
    cats: Dict[str, float] = {one: float(one == label) for one in sorted(labels)}
    return Record(name, text, annotations=file, cats=cats)


FORMAT = Format(
    name="labelled",
    title="a table of labelled texts, such as MTSamples or MTS-Dialog",
    entries=entries,
    write=write,
    gated=None,
    terms="as the table's source says: MTSamples is CC0, MTS-Dialog CC BY 4.0",
)
