"""n2c2 2018 track 1: which patients meet 13 criteria of clinical trials (Stubbs et al. 2019, JAMIA 26:1163).

As released, the archives unpack side by side into one folder: `train/` and `n2c2-t1_gold_standard_test_data/test/`;
where the test set lies there also without annotations, it is passed over. A plain folder of .xml files is read as
training data.

A file is a patient: two to five notes in one text, with rows of asterisks between, and for each criterion an element,
`<ABDOMINAL met="not met" />`. They become categories of the document: 1.0 if met, 0.0 if not. The patients are among
those of i2b2 2014: do not train on one corpus and test on the other.
"""

from pathlib import Path
from typing import Dict, Iterable, Iterator

from ..errors import ClinbertError
from . import cdata, standoff
from .formats import I2B2, Format
from .records import Entry, Record

ROOT, TRAIN, TEST = "PatientMatching", "train", "n2c2-t1_gold_standard_test_data"
CRITERIA = (
    "ABDOMINAL",
    "ADVANCED-CAD",
    "ALCOHOL-ABUSE",
    "ASP-FOR-MI",
    "CREATININE",
    "DIETSUPP-2MOS",
    "DRUG-ABUSE",
    "ENGLISH",
    "HBA1C",
    "KETO-1YR",
    "MAJOR-DIABETES",
    "MAKES-DECISIONS",
    "MI-6MOS",
)
VALUES = {"met": 1.0, "not met": 0.0}


def entries(source: Path) -> Iterator[Entry]:
    """Find the documents of a corpus, one a patient, in the order of their paths.

    source (Path): folder of the corpus, as released or plain, or one file.
    RETURNS (Iterator[Entry]): the documents.
    RAISES (ClinbertError): if there is no such folder.
    """
    return standoff.entries(source, "n2c2 2018 track 1", _load, (TEST,))


def write(records: Iterable[Record], folder: Path) -> None:
    """Write records as .xml files, the native form.

    records (Iterable[Record]): records whose categories are criteria, without mentions.
    folder (Path): where the files go.
    RAISES (ClinbertError): if the form cannot hold a record.
    """
    cdata.write(records, folder, ROOT, tags)


def tags(record: Record) -> Iterator[cdata.Tag]:
    """Give the criteria of a record.

    record (Record): a record whose categories are criteria, without mentions.
    RETURNS (Iterator[cdata.Tag]): their names and attributes.
    RAISES (ClinbertError): if the form cannot hold the record.
    """
    cdata.refuse(record, "n2c2 2018 track 1", "mentions", "relations", "parts")
    words = {value: word for word, value in VALUES.items()}
    for criterion, value in record.cats.items():
        if criterion not in CRITERIA or value not in words:
            raise ClinbertError(
                f"{record.id}, category {criterion!r}: n2c2 2018 track 1 holds its 13 criteria only, each 1.0 or 0.0"
            )
        yield criterion, {"met": words[value]}


def _load(path: Path, source: Path, name: str) -> Record:
    document = standoff.read(path, source)
    cats: Dict[str, float] = {}
    for tag in document.tags:
        value = VALUES.get(tag.get("met", ""))
        if tag.tag not in CRITERIA:
            document.doubt(tag.tag, "left out: none of the 13 criteria")
        elif value is None:
            document.doubt(tag.tag, "left out: neither met nor not met")
        elif cats.setdefault(tag.tag, value) != value:
            document.doubt(tag.tag, "said twice, in two ways: the first counts")
    for criterion in CRITERIA:
        if criterion not in {tag.tag for tag in document.tags}:
            document.doubt(criterion, "missing: the category is left open")
    return Record(name, document.text, annotations=document.file, doubts=tuple(document.doubts), cats=cats)


FORMAT = Format(
    name="n2c2_2018_track1",
    title="n2c2 2018 track 1: cohort selection by 13 criteria",
    entries=entries,
    write=write,
    terms=I2B2,
)
