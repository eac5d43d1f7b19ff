"""i2b2 2012: events and times in discharge summaries (Sun et al. 2013, JAMIA 20:806).

As released, the archives unpack side by side into one folder:

    2012-07-15.original-annotation.release/NNN.xml                       training
    ground_truth/merged_xml/NNN.xml                                      test (2012-08-23.test-data.groundtruth)
    2012-08-08.test-data.event-timex-groundtruth/xml/NNN.xml             test, without temporal relations

Where both test archives lie there, `merged_xml` counts. A plain folder of .xml files is read as training data.

A file is a note in pre-tokenised lines and its annotations (`standoff.py`): EVENT, whose type is the label of a
mention, and TLINK between two events, which is a relation. TIMEX3 and SECTIME (times) and the TLINKs with them are
passed over: the papers recognise events. Some events have no type; some files hold a bare `&` in an annotation, which
no XML may; some notes hold XML escapes (`&apos;`) as text, which count as they stand.
"""

from pathlib import Path
from typing import Dict, Iterable, Iterator, List

from . import cdata, standoff
from .formats import I2B2, Format
from .records import Entry, Mention, Record, Relation

ROOT, TRAIN, TEST = "ClinicalNarrativeTemporalAnnotation", "2012-07-15.original-annotation.release", "ground_truth"
MERGED = "merged_xml"
TIMES = ("TIMEX3", "SECTIME")


def entries(source: Path) -> Iterator[Entry]:
    """Find the documents of a corpus, in the order of their paths.

    source (Path): folder of the corpus, as released or plain, or one file.
    RETURNS (Iterator[Entry]): the documents.
    RAISES (ClinbertError): if there is no such folder.
    """
    return standoff.entries(source, "i2b2 2012", _load, (MERGED, TEST))


def write(records: Iterable[Record], folder: Path) -> None:
    """Write records as .xml files, the native form.

    records (Iterable[Record]): records whose mentions are unbroken.
    folder (Path): where the files go.
    RAISES (ClinbertError): if the form cannot hold a record.
    """
    cdata.write(records, folder, ROOT, tags)


def tags(record: Record) -> Iterator[cdata.Tag]:
    """Give the EVENTs and TLINKs of a record.

    record (Record): a record whose mentions are unbroken. An assertion is a polarity (POS, NEG) and a modality
        (FACTUAL, POSSIBLE, …), with a blank between.
    RETURNS (Iterator[cdata.Tag]): their names and attributes.
    RAISES (ClinbertError): if the form cannot hold the record.
    """
    cdata.refuse(record, "i2b2 2012", "cats", "parts")
    events: List[Dict[str, str]] = []
    for number, mention in enumerate(record.mentions):
        polarity, _, modality = mention.assertion.partition(" ")
        events.append(cdata.placed(record, mention, f"E{number}"))
        yield "EVENT", {**events[-1], "modality": modality, "polarity": polarity, "type": mention.label}
    for number, (head, tail, label) in enumerate(record.relations):
        ends = {"fromID": events[head]["id"], "fromText": events[head]["text"]}
        ends |= {"toID": events[tail]["id"], "toText": events[tail]["text"]}
        yield "TLINK", {"id": f"TL{number}", **ends, "type": label}


def _load(path: Path, source: Path, name: str) -> Record:
    document = standoff.read(path, source)
    mentions: List[Mention] = []
    indices: Dict[str, int] = {}
    for tag, mention in document.mentions([tag for tag in document.tags if tag.tag == "EVENT"], "type"):
        assertion = " ".join(filter(None, (tag.get("polarity"), tag.get("modality"))))
        indices.setdefault(mention.id, len(mentions))
        mentions.append(mention._replace(assertion=assertion))
    times = {tag.get("id") for tag in document.tags if tag.tag in TIMES}
    relations: List[Relation] = []
    for tag in document.tags:
        ends = tag.get("fromID", ""), tag.get("toID", "")
        label = tag.get("type", "")
        if tag.tag not in ("EVENT", "TLINK", *TIMES):
            document.doubt(tag.get("id", tag.tag), "left out: no annotation of i2b2 2012")
        elif tag.tag != "TLINK" or not times.isdisjoint(ends):
            continue
        elif not label.strip():
            document.doubt(tag.get("id", tag.tag), "left out: its type is empty")
        elif ends[0] in indices and ends[1] in indices:
            relations.append(Relation(indices[ends[0]], indices[ends[1]], label))
        else:
            document.doubt(tag.get("id", tag.tag), "left out: it joins an event that is not annotated or was left out")
    sentences = sum(bool(line.strip()) for line in document.text.split("\n"))
    return Record(
        name, document.text, tuple(mentions), tuple(relations), sentences, document.file, tuple(document.doubts)
    )


FORMAT = Format(
    name="i2b2_2012",
    title="i2b2 2012: events and temporal relations",
    entries=entries,
    write=write,
    terms=I2B2,
    texts=("MIMIC-III notes, all of NOTEEVENTS",),
    # Sun et al. 2013, JAMIA 20:806.
    reservation="only the notes of Beth Israel Deaconess Medical Center are in it",
)
