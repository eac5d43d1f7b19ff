"""A corpus in its native form becomes DocBins, or token/tag files, for training, development and test."""

import json
import shutil
from collections.abc import Container, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Callable, Dict, List, Tuple

from spacy.tokens import Doc
from tqdm import tqdm

from ..errors import ClinbertError
from ..output import whole_folder
from ..rules import split_sections, split_sentences
from .docs import layer_of
from .duplicates import Duplicates
from .folders import REJECTED, SYNTHETIC_MARK
from .formats import Format
from .records import LeftOut, Record, Rejection
from .sinks import DocBins, TagFiles
from .splits import SPLITS, Division, divide, paper_dev

LABELS, REPORT = "labels.json", "report.json"
# What `clinbert evaluate` keeps beside a test set: how often it was opened, which no new conversion may forget.
OPENED = "test.spacy.evaluations.json"
CONTENTS = (*(f"{split}.{end}" for split in SPLITS for end in ("spacy", "iob")), LABELS, REPORT, REJECTED, OPENED)


@dataclass(frozen=True)
class Conversion:
    """What to convert, and how.

    form (Format): the form of the corpus.
    source (Path): the corpus.
    seed (int): draws the development split.
    split (str): "document" draws the development split by patient or document; "shipped" takes what the corpus ships;
        "paper" cuts as ClinicalBERT's code did, and each sentence becomes a document.
    layer (str): a layer of the form, or one of its labels, to which the mentions are restricted; empty for all.
    keep_going (bool): reject a document that cannot be read, and go on.
    tokens (str): "pipeline" or "paper" to write token/tag files; empty to write DocBins.
    """

    form: Format
    source: Path
    seed: int = 0
    split: str = "document"
    layer: str = ""
    keep_going: bool = False
    tokens: str = ""


@dataclass
class SplitReport:
    """What a split holds.

    documents (int), sentences (int): how many; sentences as the corpus cuts them, by rules where it cuts none.
    mentions (Dict[str, int]): by label.
    not_placed (int): mentions that the output's scheme cannot hold.
    cats (Dict[str, int]): documents by category.
    """

    documents: int = 0
    sentences: int = 0
    mentions: Dict[str, int] = field(default_factory=dict)
    not_placed: int = 0
    cats: Dict[str, int] = field(default_factory=dict)


@dataclass
class Report:
    """What a conversion did.

    format (str), layer (str), seed (int): as given.
    source (str): name of the corpus' folder or file.
    synthetic (bool): whether `clinbert synth` wrote the corpus.
    terms (str): who may use the corpus.
    dev (str): how the development split came about.
    splits (Dict[str, SplitReport]): by name; one that the corpus lacks is left out.
    rejected (Dict[str, int]): lines of `convert.rejected.jsonl` by kind: document (not read), left out (by the corpus'
        own word), mention (that the output cannot hold), doubt (an annotation that disagrees with the text, was
        repaired or points nowhere), near-duplicate (a document that an earlier split holds nearly as well).
    near_duplicates (Dict[str, int]): documents of the later split with a near-duplicate in the earlier, by
        "train/dev", "train/test" and "dev/test".
    warnings (List[str]): what a reader of results must know.
    """

    format: str
    layer: str
    seed: int
    source: str
    synthetic: bool
    terms: str
    dev: str
    splits: Dict[str, SplitReport] = field(default_factory=dict)
    rejected: Dict[str, int] = field(default_factory=dict)
    near_duplicates: Dict[str, int] = field(default_factory=dict)
    warnings: List[str] = field(default_factory=list)


def convert(job: Conversion, out: Path, tokenizer: Callable[[str], Doc]) -> Report:
    """Write one file a split, `labels.json`, `report.json` and `convert.rejected.jsonl`; memory stays bounded.

    job (Conversion): what to convert.
    out (Path): output folder; an earlier conversion there is replaced.
    tokenizer (Callable[[str], Doc]): cuts the texts.
    RETURNS (Report): what was written.
    RAISES (ClinbertError): if the corpus is empty, a document unreadable or no mention of the layer; nothing is
        written.
    """
    division = divide(job.form.entries(job.source), job.split, job.seed)
    synthetic = (job.source / SYNTHETIC_MARK).is_file()
    report = Report(job.form.name, job.layer, job.seed, job.source.name, synthetic, job.form.terms, division.rule)
    duplicates = Duplicates()
    with whole_folder(out, CONTENTS) as folder, (folder / REJECTED).open("w", encoding="utf-8") as rejected:

        def reject(kind: str, rejection: Rejection) -> None:
            report.rejected[kind] = report.rejected.get(kind, 0) + 1
            rejected.write(json.dumps({"kind": kind, **rejection._asdict()}) + "\n")

        common = (folder, job.form, tokenizer)
        with TagFiles(*common, job.tokens) if job.tokens else DocBins(*common) as sink:
            for item in read(job, division):
                if isinstance(item, Rejected):
                    reject(item.kind, item.rejection)
                    continue
                split, record = item
                # Of single sentences nothing can be said: the papers' split is known to leak.
                if job.split != "paper":
                    duplicates.add(split, record.id, record.text)
                not_placed = sink.add(split, record)
                _count(report.splits.setdefault(split, SplitReport()), record, len(not_placed))
                for doubt in record.doubts:
                    reject("doubt", doubt)
                for mention in not_placed:
                    reject("mention", mention)
        if not report.splits:
            raise ClinbertError(f"{job.source}: no documents: give the folder of a corpus in the form {job.form.name}")
        if job.layer and not any(counts.mentions for counts in report.splits.values()):
            choice = ", ".join(job.form.layers) or "a label of the corpus"
            raise ClinbertError(f"{job.source}: no mention is of the layer {job.layer!r}: choose {choice}")
        for pair in duplicates.pairs(SPLITS):
            key = "/".join(pair.splits)
            report.near_duplicates[key] = report.near_duplicates.get(key, 0) + 1
            reject("near-duplicate", Rejection("", pair.later, f"more than half of it stands in {pair.earlier}, {key}"))
        report.splits = {split: report.splits[split] for split in SPLITS if split in report.splits}
        report.warnings = _warnings(report)
        if (out / OPENED).is_file():
            shutil.copyfile(out / OPENED, folder / OPENED)
        _write_json(folder / LABELS, sorted(_labels(report, "train")))
        _write_json(folder / REPORT, asdict(report))
    return report


@dataclass(frozen=True)
class Rejected:
    """A document that is not in the output.

    kind (str): "document" or "left out", as in `Report.rejected`; rejection (Rejection): where it stands and why.
    """

    kind: str
    rejection: Rejection


def read(
    job: Conversion, division: Division, splits: Container[str] = SPLITS
) -> Iterator[Tuple[str, Record] | Rejected]:
    """Read the records of a corpus, each with its split.

    job (Conversion): what to read.
    division (Division): how its documents are divided.
    splits (Container[str]): the splits to read.
    YIELDS (Tuple[str, Record] | Rejected): split and record, or what was not read and why.
    RAISES (ClinbertError): if a document cannot be read, unless `job.keep_going`.
    """
    dev = paper_dev(_sentence_counts(job)) if job.split == "paper" else {}
    entries = job.form.entries(job.source)
    for entry in tqdm(entries, desc=job.form.name, total=division.documents, unit=" documents", disable=None):
        split = division.split(entry)
        if split not in splits:
            continue
        try:
            record = entry.load()
        except LeftOut as error:
            yield Rejected("left out", Rejection("", entry.id, str(error)))
            continue
        except ClinbertError as error:
            if not job.keep_going:
                raise
            yield Rejected("document", Rejection("", entry.id, str(error)))
            continue
        if job.layer:
            labels = job.form.layers.get(job.layer, frozenset([job.layer]))
            record = layer_of(record, job.layer, labels)
        if entry.id in dev:
            for number, sentence in enumerate(sentences_of(record, job.form)):
                yield ("dev" if number in dev[entry.id] else "train"), sentence
        else:
            yield split, record


def sentences_of(record: Record, form: Format) -> Iterator[Record]:
    """Cut a record into the sentences of the papers: lines.

    record (Record): the record; form (Format): its form.
    YIELDS (Record): one record a line that has words. A mention that runs over a line end becomes one in each line,
        and a doubt says so; relations are dropped.
    """
    doubts = list(record.doubts)
    for number, line in enumerate(form.paper_lines(record.text, record.mentions)):
        start, end = line[0][0], line[-1][1]
        mentions = []
        for mention in record.mentions:
            inside = [(max(a, start), min(b, end)) for a, b in mention.fragments if a < end and b > start]
            if inside:
                mentions.append(mention._replace(fragments=tuple((a - start, b - start) for a, b in inside)))
                if mention.fragments[0][0] < start:
                    doubts.append(Rejection(record.annotations, mention.id, "cut in two where its line ends"))
        name = f"{record.id}#{number + 1}"
        yield replace(
            record,
            id=name,
            text=record.text[start:end],
            mentions=tuple(mentions),
            relations=(),
            sentences=1,
            doubts=tuple(doubts),
            heading=record.heading if number == 0 else "",
        )
        doubts = []


def _sentence_counts(job: Conversion) -> Dict[str, int]:
    counts: Dict[str, int] = {}
    for entry in job.form.entries(job.source):
        if entry.split != "test":
            try:
                record = entry.load()
            except ClinbertError:
                # Said when the documents are converted.
                continue
            counts[entry.id] = sum(1 for _ in job.form.paper_lines(record.text, record.mentions))
    return counts


def _count(counts: SplitReport, record: Record, not_placed: int) -> None:
    counts.documents += 1
    counts.sentences += record.sentences or len(split_sentences(record.text, split_sections(record.text)))
    for mention in record.mentions:
        counts.mentions[mention.label] = counts.mentions.get(mention.label, 0) + 1
    counts.not_placed += not_placed
    for label, value in record.cats.items():
        counts.cats[label] = counts.cats.get(label, 0) + (value > 0)


def _labels(report: Report, split: str) -> List[str]:
    counts = report.splits.get(split, SplitReport())
    return list(counts.mentions or counts.cats)


def _warnings(report: Report) -> List[str]:
    warnings = [f"the corpus has no {split} documents" for split in SPLITS if split not in report.splits]
    for split in ("dev", "test"):
        unknown = sorted(set(_labels(report, split)) - set(_labels(report, "train")))
        warnings += [f"label {label!r} of {split} does not occur in train" for label in unknown]
    for pair, count in report.near_duplicates.items():
        earlier, later = pair.split("/")
        warnings.append(f"{count} of the {later} documents nearly stand in {earlier} too (8-gram overlap above half)")
    if "leaks" in report.dev:
        warnings.append("dev leaks across documents")
    return warnings


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
