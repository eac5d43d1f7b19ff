"""i2b2 2014: protected health information in longitudinal notes (Stubbs and Uzuner 2015, J Biomed Inform 58:S20).

As released, the archives of track 1 unpack side by side into one folder: `training-PHI-Gold-Set1`,
`training-PHI-Gold-Set2` and `testing-PHI-Gold-fixed`; where the test set lies there also without annotations, it is
passed over. A plain folder of .xml files is read as training data. `NNN-MM.xml` is note MM of patient NNN.

A file is a note and its annotations (`standoff.py`). An annotation is named by its category, and its TYPE is the label
of a mention: `<NAME id="P1" start="37" end="49" text="Quilley, Ada" TYPE="PATIENT" comment="" />`. In 180-03 the
offsets of the last annotations are off by 4, and in 188-05 an annotation writes "and" for the note's "&":
ClinicalBERT's converter corrects these two by hand; here whatever is off is placed by its text, and reported.
"""

import re
from pathlib import Path
from typing import Iterable, Iterator

from . import cdata, standoff
from .formats import I2B2, Format
from .records import Entry, Record

ROOT, TEST = "deIdi2b2", "testing-PHI-Gold-fixed"
TRAIN = ("training-PHI-Gold-Set1", "training-PHI-Gold-Set2")
# Stubbs and Uzuner 2015, table 1. A type of another corpus is written as OTHER.
CATEGORIES = {
    "NAME": "PATIENT DOCTOR USERNAME",
    "PROFESSION": "PROFESSION",
    "LOCATION": "ROOM DEPARTMENT HOSPITAL ORGANIZATION STREET CITY STATE COUNTRY ZIP LOCATION-OTHER",
    "AGE": "AGE",
    "DATE": "DATE",
    "CONTACT": "PHONE FAX EMAIL URL IPADDR",
    "ID": "SSN MEDICALRECORD HEALTHPLAN ACCOUNT LICENSE VEHICLE DEVICE BIOID IDNUM",
}
_CATEGORY_OF = {label: category for category, labels in CATEGORIES.items() for label in labels.split()}


def entries(source: Path) -> Iterator[Entry]:
    """Find the documents of a corpus with their patients, in the order of their paths.

    source (Path): folder of the corpus, as released or plain, or one file.
    RETURNS (Iterator[Entry]): the documents.
    RAISES (ClinbertError): if there is no such folder.
    """
    for entry in standoff.entries(source, "i2b2 2014", _load, (TEST,)):
        patient = re.match(r"(\d+)-\d+$", entry.id.rpartition("/")[2])
        yield entry._replace(patient=patient[1]) if patient else entry


def write(records: Iterable[Record], folder: Path) -> None:
    """Write records as .xml files, the native form.

    records (Iterable[Record]): records whose mentions are unbroken.
    folder (Path): where the files go.
    RAISES (ClinbertError): if the form cannot hold a record.
    """
    cdata.write(records, folder, ROOT, tags)


def tags(record: Record) -> Iterator[cdata.Tag]:
    """Give the annotations of a record.

    record (Record): a record whose mentions are unbroken.
    RETURNS (Iterator[cdata.Tag]): their names and attributes.
    RAISES (ClinbertError): if the form cannot hold the record.
    """
    cdata.refuse(record, "i2b2 2014", "relations", "cats", "parts")
    for number, mention in enumerate(record.mentions):
        category = _CATEGORY_OF.get(mention.label, "OTHER")
        yield category, {**cdata.placed(record, mention, f"P{number}"), "TYPE": mention.label, "comment": ""}


def _load(path: Path, source: Path, name: str) -> Record:
    document = standoff.read(path, source)
    mentions = tuple(mention for _, mention in document.mentions(document.tags, "TYPE"))
    return Record(name, document.text, mentions, annotations=document.file, doubts=tuple(document.doubts))


FORMAT = Format(
    name="i2b2_2014",
    title="i2b2 2014: de-identification",
    entries=entries,
    write=write,
    terms=I2B2,
    fine=True,
)
