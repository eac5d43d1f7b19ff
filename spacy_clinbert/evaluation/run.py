"""The folder that `clinbert evaluate` writes and `clinbert compare` reads: scores, and counts for each document."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..corpora.records import Mention
from ..errors import ClinbertError
from .counts import Counts, Rows

METRICS, DOCUMENTS, REPORT = "metrics.json", "documents.jsonl", "report.html"
CONTENTS = (METRICS, DOCUMENTS, REPORT)


@dataclass(frozen=True)
class Run:
    """What one evaluation found.

    system (str): name of the system; runs of one system with other seeds share it.
    seed (Optional[int]): the seed of its training, where it is known.
    model (str): the pipeline, as given.
    corpus (str): name of the file of the corpus.
    format (str): name of the corpus' form.
    checksum (str): of the ids and the gold; runs with different ones cannot be compared.
    test_evaluations (Optional[Dict[str, int]]): how often this test set was opened until now, this time included:
        "by_this_model" and "by_all"; None if it is no test set.
    ids (Tuple[str, ...]): the documents, in the order of the corpus.
    rows (Mapping[str, Rows]): counts for each document by metric: "document" (exact, by characters), "paper" (exact, in
        the papers' lines), "assertions" (of given mentions), "cats" (labels of whole documents), and the challenge's
        own, by their names.
    scores (Mapping[str, Any]): everything else in `metrics.json`.
    """

    system: str
    seed: Optional[int]
    model: str
    corpus: str
    format: str
    checksum: str
    test_evaluations: Optional[Dict[str, int]]
    ids: Tuple[str, ...]
    rows: Mapping[str, Rows]
    scores: Mapping[str, Any] = field(default_factory=dict)


HEAD = ("system", "seed", "model", "corpus", "format", "checksum", "test_evaluations")


def write_run(run: Run, folder: Path) -> None:
    """Write `metrics.json` and `documents.jsonl`: a line a document with its counts, and no text.

    run (Run): the run.
    folder (Path): an existing folder.
    """
    metrics = {name: getattr(run, name) for name in HEAD} | dict(run.scores)
    (folder / METRICS).write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    with (folder / DOCUMENTS).open("w", encoding="utf-8") as file:
        for place, name in enumerate(run.ids):
            counts = {
                metric: {label: one._asdict() for label, one in rows[place].items()}
                for metric, rows in run.rows.items()
            }
            file.write(json.dumps({"id": name, "counts": counts}) + "\n")


def read_run(folder: Path) -> Run:
    """Read what `write_run` wrote.

    folder (Path): the run's folder.
    RETURNS (Run): the run.
    RAISES (ClinbertError): if the folder holds no run.
    """
    try:
        metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        lines = [json.loads(line) for line in (folder / DOCUMENTS).read_text(encoding="utf-8").splitlines()]
        head = {name: metrics.pop(name) for name in HEAD}
        rows: Dict[str, List[Dict[str, Counts]]] = {}
        for line in lines:
            for metric, labels in line["counts"].items():
                rows.setdefault(metric, []).append({label: Counts(**one) for label, one in labels.items()})
        return Run(**head, ids=tuple(line["id"] for line in lines), rows=rows, scores=metrics)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ClinbertError(
            f"{folder} holds no {METRICS} and {DOCUMENTS} of one evaluation: write them with `clinbert evaluate`"
        ) from None


def checksum(gold: Iterable[Tuple[str, Iterable[Mention], Mapping[str, float]]]) -> str:
    """Name a test set: the same for the same documents with the same gold, however they are ordered or tokenized.

    gold (Iterable[Tuple[str, Iterable[Mention], Mapping[str, float]]]): id, mentions and labels of each document.
    RETURNS (str): SHA-256 in hexadecimal.
    """
    lines = sorted(
        json.dumps([name, sorted([one.fragments, one.label] for one in mentions), sorted(cats.items())])
        for name, mentions, cats in gold
    )
    return hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()
