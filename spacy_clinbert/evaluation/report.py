"""The report of an evaluation: one HTML page that needs nothing else, without text of the notes unless asked for."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..corpora.records import Mention
from .errors import KINDS, Error
from .evaluate import Evaluation
from .figures import error_figure, f1_figure
from .meanings import meaning
from .published import PUBLISHED

TEMPLATE = Path(__file__).with_name("report.html")
# Characters of context on either side of an error.
AROUND = 60
MEAN = "mean"
AVERAGES = {
    "macro": "mean of the labels' F1, each weighing the same, where what is undefined counts 0",
    "weighted": "mean of the labels' F1, each weighing by its annotated mentions",
    "macro by document": "from the means of the documents' precision and recall, where they are defined",
}


class Row(NamedTuple):
    """A line of a table of scores.

    name (str): what is scored.
    meaning (str): what the score means.
    score (Mapping[str, Optional[float]]): p, r and f.
    interval (Optional[Tuple[float, float]]): 95 % interval of F1.
    averages (Mapping[str, Optional[float]]): F1 of the other averages, by name.
    """

    name: str
    meaning: str
    score: Mapping[str, Optional[float]]
    interval: Optional[Tuple[float, float]]
    averages: Mapping[str, Optional[float]]


class Piece(NamedTuple):
    """A stretch of an error's context.

    text (str): the text; kind (str): "", "gold", "predicted" or "gold predicted".
    """

    text: str
    kind: str


def render(evaluation: Evaluation, with_text: bool) -> str:
    """Render the report.

    evaluation (Evaluation): what to report.
    with_text (bool): show each error in its context: the page then holds text of the notes.
    RETURNS (str): the page.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    run, scores = evaluation.run, evaluation.run.scores
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": percent, "interval": interval}
    figures: Dict[str, Markup] = {}
    if "document" in scores:
        series = {name: scores[name]["strict"] for name in ("document", "paper")}
        figures["mentions"] = Markup(f1_figure(series))
        for name in ("labels", "sections"):
            if evaluation.errors:
                figures[name] = Markup(error_figure(scores["document"]["errors"][name]))
    for name in ("assertions", "cats"):
        if name in scores:
            figures[name] = Markup(f1_figure({name: scores[name]}))
    rows = list(headline(run.format, scores))
    texts = {doc.id: doc.text for doc in evaluation.corpus.docs}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        run=run,
        scores=scores,
        form=evaluation.corpus.form,
        headline=rows,
        averages=averages(rows),
        explained=AVERAGES,
        by_label=list(by_label(scores)),
        layers=layer_table(evaluation),
        published=PUBLISHED.get(run.format),
        figures=figures,
        kinds=KINDS,
        errors=[
            {
                "error": error,
                "section": evaluation.predicted[error.doc].category(error.mention.fragments[0][0]),
                "gold": where(error.gold),
                "predicted": where(error.predicted),
                "context": context(texts[error.doc], error) if with_text else None,
            }
            for error in evaluation.errors
        ],
        with_text=with_text,
        fragments=lambda one: where(Mention(one["fragments"], one["label"])),
    )


def headline(form: str, scores: Mapping[str, Any]) -> Iterator[Row]:
    """The table of all scores over all labels.

    form (str): name of the form of the corpus.
    scores (Mapping[str, Any]): the scores of a run.
    YIELDS (Row): a line a score.
    """
    for name, summary in summaries(scores):
        others = {average: summary[average]["f"] for average in AVERAGES if average in summary}
        yield Row(name, meaning(form, name), summary["micro"], summary["intervals"]["f"], others)


def averages(rows: Sequence[Row]) -> List[str]:
    """The averages beside micro F1 that a table of scores has columns for.

    rows (Sequence[Row]): its lines.
    RETURNS (List[str]): their names.
    """
    return [name for name in AVERAGES if any(name in row.averages for row in rows)]


def by_label(scores: Mapping[str, Any]) -> Iterator[Tuple[str, Mapping[str, Any]]]:
    """The tables by label, those left out that only repeat another.

    scores (Mapping[str, Any]): the scores of a run.
    YIELDS (Tuple[str, Mapping[str, Any]]): name of the score, and score and counts by label.
    """
    shown: List[Any] = []
    for name, summary in summaries(scores):
        if summary["labels"] not in shown:
            shown.append(summary["labels"])
            yield name, summary["labels"]


def summaries(scores: Mapping[str, Any]) -> Iterator[Tuple[str, Mapping[str, Any]]]:
    """All scores of a run under the names that are shown.

    scores (Mapping[str, Any]): the scores of a run.
    YIELDS (Tuple[str, Mapping[str, Any]]): name, and what `summary.summarise` made.
    """
    for view in ("document", "paper"):
        if view in scores:
            yield f"{view}: strict IOB2", scores[view]["strict"]
            yield f"{view}: CoNLL", scores[view]["conll"]
    for name, summary in scores.get("challenge", {}).items():
        yield f"challenge: {name}", summary
    for name in ("assertions", "cats"):
        if name in scores:
            yield name, scores[name]


def layer_table(evaluation: Evaluation) -> List[Tuple[str, Mapping[str, Optional[float]]]]:
    """F1 by layer of a corpus with layers, beside the row of the paper.

    evaluation (Evaluation): the evaluation.
    RETURNS (List[Tuple[str, Mapping[str, Optional[float]]]]): name, and F1 by layer and, under "mean", their mean over
        the layers that are annotated or predicted; empty for a corpus without layers.
    """
    form, scores = evaluation.corpus.form, evaluation.run.scores
    if not form.layers or "challenge" not in scores:
        return []
    rows: List[Tuple[str, Mapping[str, Optional[float]]]] = [
        (
            name,
            {layer: summary["labels"].get(layer, {}).get("f") for layer in form.layers} | {MEAN: summary["macro"]["f"]},
        )
        for name, summary in scores["challenge"].items()
    ]
    if form.name in PUBLISHED:
        published = PUBLISHED[form.name]
        rows.append((published.name, {**published.f, MEAN: fmean(published.f.values())}))
    return rows


def context(text: str, error: Error) -> List[Piece]:
    """Cut the text around an error at the edges of the gold and the predicted mention.

    text (str): the text of the document.
    error (Error): the error.
    RETURNS (List[Piece]): pieces in order.
    """
    marks = {"gold": error.gold, "predicted": error.predicted}
    bounds = {kind: mention.fragments for kind, mention in marks.items() if mention}
    edges = sorted({edge for fragments in bounds.values() for fragment in fragments for edge in fragment})
    cuts = [max(0, edges[0] - AROUND), *edges, min(len(text), edges[-1] + AROUND)]
    pieces = []
    for start, end in pairwise(cuts):
        inside = (kind for kind, ones in bounds.items() if any(a <= start and end <= b for a, b in ones))
        pieces.append(Piece(text[start:end], " ".join(inside)))
    return [piece for piece in pieces if piece.text]


def where(mention: Optional[Mention]) -> str:
    """Label and place of a mention, without its text; empty for none."""
    if mention is None:
        return ""
    return f"{mention.label} {', '.join(f'{start}–{end}' for start, end in mention.fragments)}"


def interval(bounds: Optional[Sequence[float]]) -> str:
    """A 95 % interval in per cent; a dash where there is none."""
    return f"{percent(bounds[0])} to {percent(bounds[1])}" if bounds else "–"


def percent(value: Optional[float]) -> str:
    """A share in per cent with two decimals; a dash for what is undefined."""
    return "–" if value is None else f"{100 * value:.2f}"
