"""i2b2 2008 obesity: which of sixteen diseases does the patient of a discharge summary have? (Uzuner 2009, JAMIA
16:561)

As released, the texts and the judgements lie in files apart, several of each for training:

    obesity_patient_records_training.xml, …_training2.xml, …_test.xml
    obesity_standoff_annotations_training.xml, …_training_addendum.xml (…2, …3), …_test.xml

and the judgements also as one file for each source. They are joined within a split, by the document's id. In the
source `textual` a disease is present (Y), absent (N), questionable (Q) or unmentioned (U), by the text alone; in
`intuitive` it is Y, N or Q, as a physician would judge. Where the annotators did not agree, a judgement is missing.

A document's categories are `textual:Asthma=Y` and so on, 1.0 for the judgement and 0.0 for the source's others. Doubts
are: a judgement that is missing for a disease which the source judges elsewhere in the split; one that differs from an
earlier one (the later file's is kept: it is the addendum); one that the source does not have; and those on a document
that is not there. A document on which there is no judgement at all is left out.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Callable, Dict, List, Optional, Set, Tuple
from xml.etree.ElementTree import Element

from ..errors import ClinbertError
from .folders import files, relative
from .formats import I2B2, Format
from .judgements import Judgements, Question, judgement_cats, judgements_xml
from .markup import read_xml
from .paper_lines import whole_words
from .record_files import fail, xml_text
from .records import Entry, LeftOut, Record, Rejection

TEXTS, ANNOTATIONS = "obesity_patient_records_{}.xml", "obesity_standoff_annotations_{}.xml"
DISEASES = (
    *("Asthma", "CAD", "CHF", "Depression", "Diabetes", "Gallstones", "GERD", "Gout", "Hypercholesterolemia"),
    *("Hypertension", "Hypertriglyceridemia", "OA", "Obesity", "OSA", "PVD", "Venous Insufficiency"),
)
_CATEGORY = re.compile(r"(?P<source>textual|intuitive):(?P<disease>.+)=(?P<judgement>.)", re.DOTALL)


def entries(source: Path) -> Iterator[Entry]:
    """Find the documents of a corpus.

    source (Path): the folder as released; a file whose name has no word for a split is training data.
    RETURNS (Iterator[Entry]): the documents. Those of a split without readable judgements, and a file of texts that
        cannot be read, say so when loaded.
    RAISES (ClinbertError): if there is no such folder.
    """
    texts: Dict[str, List[Path]] = defaultdict(list)
    judged: Dict[str, List[Path]] = defaultdict(list)
    for path, split in files(source, ".xml", "i2b2 2008 obesity"):
        (judged if _root_tag(path) == b"diseaseset" else texts)[split].append(path)
    for split in sorted({*texts, *judged}):
        gold = _read_gold(source, split, judged[split])
        known: Set[str] = set()
        held: Optional[Entry] = None
        for entry in _documents(source, split, texts[split], gold, known):
            if held:
                yield held
            held = entry
        # Which judgements are on no document is known only now: the last document carries these doubts.
        strays = tuple(
            Rejection(gold.files[name], f"doc {name}", "left out: judgements on a document that is not there")
            for name in sorted(gold.files.keys() - known)
        )
        if held:
            yield held._replace(load=partial(_with_doubts, held.load, strays))
        else:
            what = f"{source}: has judgements for {split} but no texts: put {TEXTS.format('…')} beside them"
            yield Entry(relative(judged[split][0], source), split, partial(fail, ClinbertError(what)))


def write(records: Iterable[Record], folder: Path) -> None:
    """Write records as training data: one file of texts, one of judgements.

    records (Iterable[Record]): records with judgements for categories, and nothing else annotated.
    folder (Path): where the files go.
    RAISES (ClinbertError): if the form cannot hold a record.
    """
    judged: Dict[Question, List[Tuple[str, str]]] = defaultdict(list)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / TEXTS.format("training")).open("w", encoding="utf-8", newline="\n") as file:
        file.write("<root>\n<docs>\n")
        for record in records:
            file.write(text_xml(record))
            note_judgements(record, judged)
        file.write("</docs>\n</root>\n")
    with (folder / ANNOTATIONS.format("training")).open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(judgements_xml(judged))


def text_xml(record: Record) -> str:
    """Write the text of a record.

    record (Record): the record.
    RETURNS (str): its doc element.
    RAISES (ClinbertError): if the form cannot hold it.
    """
    name, text = (xml_text(one, record.id) for one in (record.id.rpartition("/")[2], record.text))
    return f'<doc id="{name}">\n<text>{text}</text>\n</doc>\n'


def note_judgements(record: Record, judged: Dict[Question, List[Tuple[str, str]]]) -> None:
    """Note the judgements of a record.

    record (Record): a record with judgements for categories, and nothing else annotated.
    judged (Dict[Question, List[Tuple[str, str]]]): document and judgement, by question; they are added to it.
    RAISES (ClinbertError): if the form cannot hold the record.
    """
    cats: Dict[str, float] = {}
    for label, value in record.cats.items():
        match = _CATEGORY.fullmatch(label)
        if match and value == 1.0:
            cats |= judgement_cats(match["source"], match["disease"], match["judgement"])
            judged[match["source"], match["disease"]].append((record.id.rpartition("/")[2], match["judgement"]))
    if not cats or cats != record.cats or record.mentions or record.relations or record.parts:
        raise ClinbertError(f"{record.id}: i2b2 2008 holds a text and one judgement for each source and disease alone")


def _read_gold(source: Path, split: str, paths: List[Path]) -> Judgements:
    gold = Judgements()
    try:
        for path in paths:
            gold.read(path, relative(path, source))
    except ClinbertError as error:
        gold.error = error
    if not paths:
        gold.error = ClinbertError(
            f"{source}: has texts for {split} but no judgements: put {ANNOTATIONS.format('…')} beside them"
        )
    return gold


def _documents(source: Path, split: str, paths: List[Path], gold: Judgements, known: Set[str]) -> Iterator[Entry]:
    for path in paths:
        file = relative(path, source)
        try:
            found = list(read_xml(path).iter("doc"))
            if not found:
                raise ClinbertError(
                    f"{path}: has no doc: remove it, or give the folder of the i2b2 2008 obesity corpus"
                )
        except ClinbertError as error:
            yield Entry(file, split, partial(fail, error))
            continue
        for number, element in enumerate(found, start=1):
            name = element.get("id", "")
            if not name or name in known:
                what = f"{path}, doc number {number}: its id is missing or used twice: give it an id of its own"
                yield Entry(f"{file}#{number}", split, partial(fail, ClinbertError(what)))
                continue
            known.add(name)
            yield Entry(f"{split}/{name}", split, partial(_load, path, file, split, element, gold))


def _load(path: Path, file: str, split: str, element: Element, gold: Judgements) -> Record:
    name, body = element.get("id", ""), element.find("text")
    if gold.error:
        raise gold.error
    if body is None:
        raise ClinbertError(f"{path}, doc {name}: has no text: remove the document or add its text")
    answers = gold.answers.get(name)
    if not answers:
        raise LeftOut(f"{path}, doc {name}: there is no judgement on it that can be used")
    cats: Dict[str, float] = {}
    doubts = list(gold.doubts.get(name, ()))
    for question in sorted(gold.questions):
        if question in answers:
            cats |= judgement_cats(*question, answers[question])
        else:
            doubts.append(Rejection(file, f"doc {name}", f"no {question[0]} judgement on {question[1]}"))
    text = "".join(body.itertext())
    return Record(f"{split}/{name}", text, annotations=gold.files[name], cats=cats, doubts=tuple(doubts))


def _with_doubts(load: Callable[[], Record], doubts: Tuple[Rejection, ...]) -> Record:
    record = load()
    return replace(record, doubts=record.doubts + doubts)


def _root_tag(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            match = re.search(rb"<(\w+)", file.read(4096))
    except OSError:
        # Said when its documents are read.
        return b""
    return match[1] if match else b""


FORMAT = Format(
    name="i2b2_2008",
    title="i2b2 2008: obesity and fifteen other diseases",
    entries=entries,
    write=write,
    terms=I2B2,
    paper_lines=whole_words,
)
