"""MedNLI: pairs of sentences from clinical notes, and whether one follows (Romanov & Shivade 2018, EMNLP, 1586-1596).

`mli_train_v1.jsonl`, `mli_dev_v1.jsonl` and `mli_test_v1.jsonl` have a JSON object a line: `sentence1` (the premise, a
sentence of MIMIC-III), `sentence2` (the hypothesis, written by a clinician), `gold_label`, `pairID`, and parses, which
are not read. The form is SNLI's (Bowman et al. 2015), where a label `-` says that the annotators did not agree:
such a pair is left out. A pair becomes a text of two lines; as a sentence may hold a line feed of its own,
`Record.parts` says where each begins and ends. A premise stands in several pairs, which stay in one split.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Dict, Set

from ..errors import ClinbertError
from .folders import files, relative
from .formats import Format
from .lines import decoded, failing, numbered_lines, unique
from .records import Entry, LeftOut, Record

LABELS = ("entailment", "contradiction", "neutral")
NO_LABEL = "-"
KEYS = ("sentence1", "sentence2", "gold_label")


def entries(source: Path) -> Iterator[Entry]:
    """Find the pairs of a corpus, in the order of files and lines.

    source (Path): folder of the .jsonl files, or one of them.
    RETURNS (Iterator[Entry]): the pairs.
    RAISES (ClinbertError): if there is no such folder.
    """
    seen: Set[str] = set()
    for path, split in files(source, ".jsonl", "MedNLI"):
        file = relative(path, source)
        try:
            for number, line in numbered_lines(path):
                if line.strip():
                    yield _entry(path, file, split, number, line, seen)
        except ClinbertError as error:
            yield failing(file, split, error)


def write(records: Iterable[Record], folder: Path) -> None:
    """Write records as `mli_train_v1.jsonl`, the native form.

    records (Iterable[Record]): records of a premise and a hypothesis, of one of the three labels or of none.
    folder (Path): where the file goes.
    RAISES (ClinbertError): if the form cannot hold a record.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "mli_train_v1.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(native_line(record) for record in records)


def native_line(record: Record) -> str:
    """Write a record as a line.

    record (Record): a premise and a hypothesis; one without categories gets the label `-`.
    RETURNS (str): the line, with its line feed.
    RAISES (ClinbertError): if the form cannot hold the record.
    """
    true = [label for label, value in record.cats.items() if value]
    if record.cats and (set(record.cats) != set(LABELS) or len(true) != 1):
        raise ClinbertError(f"{record.id}: MedNLI holds one of the labels {', '.join(LABELS)}, and no others")
    premise, hypothesis = (record.text[slice(*record.parts.get(part, (0, 0)))] for part in ("premise", "hypothesis"))
    if f"{premise}\n{hypothesis}" != record.text:
        raise ClinbertError(f"{record.id}: MedNLI holds a premise, a line feed and a hypothesis, named as parts")
    label = true[0] if true else NO_LABEL
    return json.dumps(dict(zip((*KEYS, "pairID"), (premise, hypothesis, label, record.id), strict=True))) + "\n"


def _entry(path: Path, file: str, split: str, number: int, line: bytes, seen: Set[str]) -> Entry:
    try:
        pair = _pair(path, number, line)
    except ClinbertError as error:
        return failing(f"{file}, line {number}", split, error)
    name = unique(pair["pairID"] or f"{file}, line {number}", file, number, seen)
    # The corpus names no patients: the premise stands for one, unreadable, since its pairs must not be torn apart.
    patient = hashlib.sha256(pair["sentence1"].encode()).hexdigest()[:16]
    return Entry(name, split, partial(_load, name, path, file, number, pair), patient)


def _pair(path: Path, number: int, line: bytes) -> Dict[str, str]:
    where = f"{path}, line {number}"
    text = decoded(path, number, line)
    try:
        row = json.loads(text)
    except (ValueError, RecursionError) as error:
        column = getattr(error, "colno", 1)
        raise ClinbertError(f"{where}, column {column}: no JSON: correct or remove the line") from None
    if not isinstance(row, dict):
        raise ClinbertError(f"{where}: no JSON object: correct or remove the line")
    pair = {"pairID": str(row.get("pairID") or "")}
    for key in KEYS:
        if not isinstance(row.get(key), str):
            raise ClinbertError(f"{where}: has no text for {key!r}: correct or remove the line")
        pair[key] = row[key]
    try:
        " ".join(pair.values()).encode()
    except UnicodeEncodeError:
        raise ClinbertError(f"{where}: holds half a surrogate pair: correct or remove the line") from None
    return pair


def _load(name: str, path: Path, file: str, number: int, pair: Dict[str, str]) -> Record:
    premise, hypothesis, label = pair["sentence1"], pair["sentence2"], pair["gold_label"]
    if label == NO_LABEL:
        raise LeftOut(f"{file}, line {number}: no gold label")
    if label not in LABELS:
        raise ClinbertError(f"{path}, line {number}: 'gold_label' is none of {', '.join(LABELS)}: correct it")
    text = f"{premise}\n{hypothesis}"
    bounds = {"premise": (0, len(premise)), "hypothesis": (len(premise) + 1, len(text))}
    cats = {one: float(one == label) for one in LABELS}
    return Record(name, text, sentences=2, annotations=file, cats=cats, parts=bounds)


FORMAT = Format(
    name="mednli",
    title="MedNLI: natural language inference in the clinical domain",
    entries=entries,
    write=write,
    terms="PhysioNet credentialed health data use agreement (derived from MIMIC-III); not to be passed on",
    texts=("MIMIC-III notes, all of NOTEEVENTS",),
)
