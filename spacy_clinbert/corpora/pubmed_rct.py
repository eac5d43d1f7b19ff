"""PubMed RCT: sentences of abstracts of controlled trials, by their role (Dernoncourt & Lee 2017, IJCNLP, 308-313).

`train.txt`, `dev.txt` and `test.txt` hold abstracts: a line `###` with the PubMed id, a line `LABEL<tab>sentence` for
each sentence, and a blank line. Each sentence is a document of its own, named `id/number` with the number of the
sentence in its abstract, from 1. The abstract stands for the patient, so that a split never cuts one.
The larger corpus has 2.3 million sentences: files are read line by line.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Set

from ..errors import ClinbertError
from .folders import files, relative
from .formats import Format
from .lines import decoded, failing, numbered_lines, unique
from .records import Entry, Record

LABELS = ("BACKGROUND", "OBJECTIVE", "METHODS", "RESULTS", "CONCLUSIONS")


def entries(source: Path) -> Iterator[Entry]:
    """Find the sentences of a corpus, in the order of files and lines.

    source (Path): folder of train.txt, dev.txt and test.txt, or one of them.
    RETURNS (Iterator[Entry]): the sentences.
    RAISES (ClinbertError): if there is no such folder.
    """
    seen: Set[str] = set()
    for path, split in files(source, ".txt", "PubMed RCT"):
        file = relative(path, source)
        abstract = name = ""
        count = 0
        try:
            for number, line in numbered_lines(path):
                if line.startswith(b"###"):
                    abstract = line[3:].strip().decode("utf-8", "replace")
                    name, count = unique(abstract, file, number, seen), 0
                elif not line.strip():
                    abstract = name = ""
                elif not abstract:
                    error = ClinbertError(
                        f"{path}, line {number}: belongs to no abstract: put a line `###id` before it"
                    )
                    yield failing(f"{file}, line {number}", split, error)
                else:
                    count += 1
                    sentence = f"{name}/{count}"
                    yield Entry(sentence, split, partial(_load, sentence, path, file, number, line), abstract)
        except ClinbertError as error:
            yield failing(file, split, error)


def write(records: Iterable[Record], folder: Path) -> None:
    """Write records as `train.txt`, the native form.

    records (Iterable[Record]): sentences of one label each, named `id/number`, those of an abstract in their order.
    folder (Path): where the file goes.
    RAISES (ClinbertError): if the form cannot hold a record.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "train.txt").open("w", encoding="utf-8", newline="\n") as file:
        name, count = "", 0
        for record in records:
            abstract, _, number = record.id.rpartition("/")
            if number == "1":
                file.write("\n" * bool(count) + f"###{abstract}\n")
                name, count = abstract, 0
            count += 1
            if (abstract, number) != (name, str(count)) or abstract.split() != [abstract]:
                raise ClinbertError(f"{record.id}: PubMed RCT needs ids id/1, id/2, … in order for each abstract")
            file.write(native_line(record))


def native_line(record: Record) -> str:
    """Write a sentence as a line.

    record (Record): a sentence of one label.
    RETURNS (str): the line, with its line feed.
    RAISES (ClinbertError): if the form cannot hold the record.
    """
    true = [label for label, value in record.cats.items() if value]
    if set(record.cats) != set(LABELS) or len(true) != 1:
        raise ClinbertError(f"{record.id}: PubMed RCT holds one of the labels {', '.join(LABELS)}, and no others")
    if "\n" in record.text or record.text.endswith("\r"):
        raise ClinbertError(f"{record.id}: PubMed RCT holds sentences without line ends")
    return f"{true[0]}\t{record.text}\n"


def _load(name: str, path: Path, file: str, number: int, line: bytes) -> Record:
    label, tab, text = decoded(path, number, line).partition("\t")
    if not tab:
        raise ClinbertError(f"{path}, line {number}: not of the form LABEL<tab>sentence: correct or remove it")
    if label not in LABELS:
        raise ClinbertError(f"{path}, line {number}: its label is none of {', '.join(LABELS)}: correct it")
    cats = {one: float(one == label) for one in LABELS}
    return Record(name, text, sentences=1, annotations=file, cats=cats)


FORMAT = Format(
    name="pubmed_rct",
    title="PubMed RCT: roles of the sentences of abstracts of controlled trials",
    entries=entries,
    write=write,
    gated=False,
    terms="open, as released by its authors; the abstracts are PubMed's, and may be under their publishers' copyright",
    texts=("PubMed abstracts",),
)
