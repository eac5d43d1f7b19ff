"""A corpus in its native form becomes DocBins for training, development and test."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from spacy.language import Language
from spacy.tokens import DocBin
from tqdm import tqdm

from ..errors import ClinbertError
from ..output import whole_folder
from .catalogue import find_format
from .docs import make_doc
from .records import Entry, Rejection

SPLITS = ("train", "dev", "test")
DEV_SHARE = 0.1
LABELS, REPORT, REJECTED = "labels.json", "report.json", "convert.rejected.jsonl"
CONTENTS = (*(f"{split}.spacy" for split in SPLITS), LABELS, REPORT, REJECTED)


@dataclass
class SplitReport:
    """What a split holds: documents, sentences, mentions by label, and how many mentions are not in `doc.ents`."""

    documents: int = 0
    sentences: int = 0
    mentions: Dict[str, int] = field(default_factory=dict)
    not_placed: int = 0


@dataclass
class Report:
    """What a conversion did.

    format (str), seed (int): as given.
    dev (str): how the development split was drawn.
    splits (Dict[str, SplitReport]): by name; one that the corpus lacks is left out.
    rejected (Dict[str, int]): lines of `convert.rejected.jsonl` by kind: document (not read), mention (not in
        `doc.ents`), doubt (an annotation that disagrees with the text or points nowhere).
    warnings (List[str]): what a reader of results must know.
    """

    format: str
    seed: int
    dev: str = f"{DEV_SHARE:.0%} of train, by document"
    splits: Dict[str, SplitReport] = field(default_factory=dict)
    rejected: Dict[str, int] = field(default_factory=dict)
    warnings: List[str] = field(default_factory=list)


def convert(form: str, source: Path, out: Path, nlp: Language, seed: int = 0, keep_going: bool = False) -> Report:
    """Write `train.spacy`, `dev.spacy`, `test.spacy`, `labels.json`, `report.json` and `convert.rejected.jsonl`.

    form (str): name of the format, see `clinbert convert --help`.
    source (Path): the corpus.
    out (Path): output folder; an earlier conversion there is replaced.
    nlp (Language): pipeline whose tokenizer cuts the texts.
    seed (int): draws the development split.
    keep_going (bool): reject a document that cannot be read, and go on.
    RETURNS (Report): what was written.
    RAISES (ClinbertError): if the format is unknown, the corpus empty or a document unreadable; nothing is written.
    """
    splits = _split(list(find_format(form).entries(source)), seed)
    report = Report(form, seed)
    with whole_folder(out, CONTENTS) as folder, (folder / REJECTED).open("w", encoding="utf-8") as rejected:
        for split, members in splits.items():
            # Words and entity tags are all that is known; more columns would only cost memory.
            docs = DocBin(attrs=["ENT_IOB", "ENT_TYPE"], store_user_data=True)
            counts = SplitReport()
            for entry in tqdm(members, desc=split, unit=" documents", disable=None):
                for kind, rejection in _add(entry, nlp, docs, counts, keep_going):
                    report.rejected[kind] = report.rejected.get(kind, 0) + 1
                    rejected.write(json.dumps({"kind": kind, **rejection._asdict()}) + "\n")
            if counts.documents:
                report.splits[split] = counts
                docs.to_disk(folder / f"{split}.spacy")
        if not report.splits:
            raise ClinbertError(f"{source}: no documents: give the folder that holds a corpus in the form {form}")
        report.warnings = _warnings(report)
        _write_json(folder / LABELS, sorted(_labels(report, "train")))
        _write_json(folder / REPORT, asdict(report))
    return report


def _split(entries: Sequence[Entry], seed: int) -> Dict[str, List[Entry]]:
    # Drawn by a hash of the name, so that neither the order of files nor other documents' names matter to the drawing.
    train = [entry.id for entry in entries if entry.split == "train"]
    drawn = sorted(train, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    share = max(1, round(DEV_SHARE * len(train))) if len(train) > 1 else 0
    dev = set(drawn[:share])
    splits: Dict[str, List[Entry]] = {split: [] for split in SPLITS}
    for entry in entries:
        splits["dev" if entry.split == "train" and entry.id in dev else entry.split].append(entry)
    return splits


def _add(
    entry: Entry, nlp: Language, docs: DocBin, counts: SplitReport, keep_going: bool
) -> List[Tuple[str, Rejection]]:
    try:
        record = entry.load()
    except ClinbertError as error:
        if not keep_going:
            raise
        return [("document", Rejection("", entry.id, str(error)))]
    doc, not_placed = make_doc(record, nlp)
    docs.add(doc)
    counts.documents += 1
    counts.sentences += record.sentences
    for mention in record.mentions:
        counts.mentions[mention.label] = counts.mentions.get(mention.label, 0) + 1
    counts.not_placed += len(not_placed)
    return [("mention", one) for one in not_placed] + [("doubt", one) for one in record.doubts]


def _labels(report: Report, split: str) -> List[str]:
    return list(report.splits[split].mentions) if split in report.splits else []


def _warnings(report: Report) -> List[str]:
    warnings = [f"the corpus has no {split} documents" for split in SPLITS if split not in report.splits]
    for split in ("dev", "test"):
        unknown = sorted(set(_labels(report, split)) - set(_labels(report, "train")))
        warnings += [f"label {label!r} of {split} does not occur in train" for label in unknown]
    return warnings


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
