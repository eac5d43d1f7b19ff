"""i2b2 2006 smoking: is the patient of a discharge summary a smoker? (Uzuner et al. 2008, JAMIA 15:14)

As released, one XML file a split:

    smokers_surrogate_train_all_version2.xml
    smokers_surrogate_test_all_groundtruth_version2.xml

A RECORD has an ID, a `<SMOKING STATUS="PAST SMOKER"/>` and a TEXT, pre-tokenised, a sentence a line. A SMOKER is a past
or current one of whom the text does not say which. The test file for participants has no status; its records are left
out, and counted.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import ClinbertError
from .formats import I2B2, Format
from .paper_lines import whole_words
from .record_files import RecordElement, record_entries, record_file, xml_text
from .records import Entry, LeftOut, Record

TRAIN, TEST = "smokers_surrogate_train_all_version2.xml", "smokers_surrogate_test_all_groundtruth_version2.xml"
STATUSES = ("PAST SMOKER", "CURRENT SMOKER", "SMOKER", "NON-SMOKER", "UNKNOWN")


def entries(source: Path) -> Iterator[Entry]:
    """Find the records of a corpus.

    source (Path): the folder as released, or one of its files; a name without a word for a split is training data.
    RETURNS (Iterator[Entry]): the records.
    RAISES (ClinbertError): if there is no such file or folder.
    """
    return record_entries(source, "i2b2 2006 smoking", _load)


def write(records: Iterable[Record], folder: Path) -> None:
    """Write records as the training file.

    records (Iterable[Record]): records with one status, and nothing else annotated.
    folder (Path): where the file goes.
    RAISES (ClinbertError): if the form cannot hold a record.
    """
    with record_file(folder / TRAIN) as add:
        for record in records:
            add(record_xml(record))


def record_xml(record: Record) -> str:
    """Write a record.

    record (Record): a record with one status, and nothing else annotated.
    RETURNS (str): its RECORD element.
    RAISES (ClinbertError): if the form cannot hold it.
    """
    status = [label for label, value in record.cats.items() if value]
    if set(record.cats) != set(STATUSES) or len(status) != 1 or record.mentions or record.relations or record.parts:
        raise ClinbertError(
            f"{record.id}: i2b2 2006 smoking holds a text and one of the statuses {', '.join(STATUSES)}"
        )
    name, text = (xml_text(one, record.id) for one in (record.id.rpartition("/")[2], record.text))
    return f'<RECORD ID="{name}">\n<SMOKING STATUS="{status[0]}"/>\n<TEXT>{text}</TEXT>\n</RECORD>\n'


def status_cats(status: str) -> "dict[str, float]":
    """Make the categories of a status.

    status (str): one of `STATUSES`.
    RETURNS (dict[str, float]): 1.0 for it, 0.0 for the others.
    """
    return {label: float(label == status) for label in STATUSES}


def _load(found: RecordElement) -> Record:
    smoking = found.element.find("SMOKING")
    status = "" if smoking is None else smoking.get("STATUS", "")
    place = f"{found.path}, RECORD {found.id}"
    if not status:
        raise LeftOut(f"{place}: has no smoking status")
    if status not in STATUSES:
        raise ClinbertError(f"{place}: its STATUS is none of {', '.join(STATUSES)}: correct it")
    text = "".join(found.body.itertext())
    sentences = sum(bool(line.strip()) for line in text.split("\n"))
    return Record(found.name, text, sentences=sentences, annotations=found.file, cats=status_cats(status))


FORMAT = Format(
    name="i2b2_2006_smoking",
    title="i2b2 2006: smoking status",
    entries=entries,
    write=write,
    terms=I2B2,
    paper_lines=whole_words,
)
