"""What a reader of scores must know, in sentences."""

from collections import Counter
from typing import Any, List, Mapping, Set

from spacy.language import Language

from .counts import Rows, by_label, total
from .gold import GoldCorpus
from .predictions import known_labels


def mention_notes(
    known: Set[str], corpus: GoldCorpus, document: Mapping[str, Any], paper: Mapping[str, Any]
) -> List[str]:
    """Say what stands behind the scores of mentions.

    known (Set[str]): the labels that the pipeline can give; none where its components do not say.
    corpus (GoldCorpus): the corpus.
    document (Mapping[str, Any]), paper (Mapping[str, Any]): the two scores, as in `metrics.json`.
    RETURNS (List[str]): sentences.
    """
    gold = Counter(mention.label for doc in corpus.docs for mention in doc.mentions)
    notes = _unknown(gold, known, "mentions")
    if document["inexpressible"]:
        notes.append(
            "Gold mentions that the pipeline's scheme cannot express (overlapping, discontinuous or off tokens), which"
            f" count as missed in the score “document”: {len(document['inexpressible'])}; the report lists them."
        )
    if document["ill_formed"]:
        notes.append(
            "Predicted mentions that begin with an I, which strict IOB2 does not count and the CoNLL score does:"
            f" {document['ill_formed']}."
        )
    if paper["cut_at"] is None:
        notes.append("The pipeline has no NoteEncoder, so the lines of the score “paper” are not cut.")
    elif paper["cut_lines"]:
        notes.append(
            f"Lines longer than {paper['cut_at']} wordpieces: {paper['cut_lines']} of {paper['lines']}; gold mentions"
            f" that begin behind the cut and count as missed in the score “paper”: {paper['mentions_beyond']}."
        )
    return notes


def cats_notes(nlp: Language, corpus: GoldCorpus) -> List[str]:
    """Say which labels of documents the pipeline cannot give.

    nlp (Language): the pipeline.
    corpus (GoldCorpus): the corpus.
    RETURNS (List[str]): sentences.
    """
    gold = Counter(label for doc in corpus.docs for label, value in doc.cats.items() if value)
    return _unknown(gold, known_labels(nlp, "doc.cats"), "documents")


def undefined(name: str, rows: Rows) -> List[str]:
    """Say which score is undefined.

    name (str): name of the score.
    rows (Rows): its counts.
    RETURNS (List[str]): sentences.
    """
    counts = total(by_label(rows).values())
    notes = []
    if not counts.predicted:
        notes.append(f"In the score “{name}”, nothing was predicted: precision is undefined and shown as “–”.")
    if not counts.gold:
        notes.append(f"In the score “{name}”, nothing is annotated: recall is undefined and shown as “–”.")
    return notes


def _unknown(gold: "Counter[str]", known: Set[str], what: str) -> List[str]:
    missing = sorted(gold.keys() - known) if known else []
    counts = "; ".join(f"{label} ({gold[label]})" for label in missing)
    return [f"Gold labels that the pipeline does not know and cannot find, with {what}: {counts}."] if missing else []
