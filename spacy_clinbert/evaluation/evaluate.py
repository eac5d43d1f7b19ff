"""A pipeline judged on a corpus: what `clinbert evaluate` computes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, TypeVar

from spacy.language import Language
from tqdm import tqdm

from .assertions import assertion_rows, find_assertion
from .cats import score_cats, score_values
from .challenges import challenge_rows
from .challenges_layers import judge_by_layer
from .conll import conll_rows
from .counts import Rows
from .errors import KINDS, Error, count_errors, find_errors
from .gold import GoldCorpus
from .matching import exact_rows
from .notes import cats_notes, mention_notes, undefined
from .opened import count_opening
from .paper import MAX_PIECES, find_wordpieces, predict_lines, repaired
from .predictions import Predicted, find_spans_key, mention_labels, predict_documents, writes_ents
from .run import Run
from .scored import ScoredDoc
from .seen import what_was_seen
from .summary import AVERAGES, summarise

T = TypeVar("T")
# The scores of whose undefined values a sentence is said.
PRINCIPAL = ("document", "paper", "assertions", "cats")


@dataclass(frozen=True)
class Evaluation:
    """A run, and what its report shows beside the scores.

    run (Run): the run.
    corpus (GoldCorpus): the corpus.
    predicted (Dict[str, Predicted]): what was found in each document, by its name.
    errors (List[Error]): every mention that is not right.
    """

    run: Run
    corpus: GoldCorpus
    predicted: Dict[str, Predicted]
    errors: List[Error]


def evaluate(
    nlp: Language, corpus: GoldCorpus, *, model: str, system: Optional[str] = None, spans_key: Optional[str] = None
) -> Evaluation:
    """Judge a pipeline on a corpus; the count of evaluations of a test set goes up by one.

    nlp (Language): the pipeline.
    corpus (GoldCorpus): the corpus.
    model (str): the pipeline, as given.
    system (Optional[str]): name of the system, which its runs with other seeds share; None for the pipeline as given.
    spans_key (Optional[str]): key in `doc.spans` of the mentions; None for `doc.ents`, or, where nothing writes those,
        for the key of `clinbert_spans`.
    RETURNS (Evaluation): scores and errors.
    RAISES (ClinbertError): if the pipeline fails on a document.
    """
    spans_key = find_spans_key(nlp) if spans_key is None else spans_key
    known = mention_labels(nlp, spans_key)
    annotated, corpus = corpus, judge_by_layer(corpus, known)
    scores: Dict[str, Any] = {
        "documents": len(corpus.docs),
        "mentions": sum(len(doc.mentions) for doc in corpus.docs),
        "spans_key": spans_key,
        "encoder": what_was_seen(nlp, corpus.form)._asdict(),
        "notes": [],
    }
    found = list(_progress("document", corpus, predict_documents(nlp, corpus.form, corpus.docs, spans_key)))
    predicted = dict(zip((doc.id for doc in corpus.docs), found))
    rows: Dict[str, Rows] = {}
    errors: List[Error] = []
    assertion = find_assertion(nlp) if corpus.has_assertions else None
    if assertion:
        found_rows = assertion_rows(nlp, corpus.docs, assertion.spans_key)
        rows["assertions"] = list(_progress("assertions", corpus, found_rows))
        scores["assertions"] = summarise(rows["assertions"])
    # A pipeline may classify entities without finding any itself.
    if corpus.has_mentions and (not assertion or spans_key is not None or writes_ents(nlp)):
        docs = [ScoredDoc(one.id, one.mentions, predicted[one.id].mentions, one.tokens) for one in corpus.docs]
        errors = find_errors(docs)
        rows["document"] = exact_rows([_well_formed(doc, predicted[doc.id]) for doc in docs])
        scores["document"] = {
            "strict": summarise(rows["document"]),
            "conll": summarise(exact_rows(docs)),
            "ill_formed": sum(len(one.ill_formed) for one in found),
            "inexpressible": list(_inexpressible(corpus, errors, predicted)),
            "errors": {
                "kinds": {kind: sum(error.kind == kind for error in errors) for kind in KINDS},
                **count_errors(errors, lambda name, at: predicted[name].category(at)),
            },
        }
        rows["paper"], scores["paper"] = _paper(nlp, corpus, spans_key)
        challenge = challenge_rows(corpus.form, docs, known)
        rows |= {f"{corpus.form.name} {name}": one for name, one in challenge.items()}
        average = AVERAGES.get(corpus.form.name)
        scores["challenge"] = {name: summarise(one, average) for name, one in challenge.items()}
        scores["notes"] += mention_notes(known, corpus, scores["document"], scores["paper"])
        if corpus is not annotated:
            scores["notes"].append(
                "The pipeline gives layers of labels: a gold mention counts once in every layer that holds its label;"
                f" as annotated, there are {sum(len(doc.mentions) for doc in annotated.docs)}."
            )
    if corpus.has_cats:
        cats = [doc.cats for doc in corpus.docs], [one.cats for one in found]
        judged = score_cats(*cats)
        rows["cats"] = judged.rows
        scores["cats"] = summarise(judged.rows) | {"accuracy": judged.accuracy, "exclusive": judged.exclusive}
        of_sources = score_values(*cats)
        rows |= of_sources
        scores["values"] = {source: summarise(judged_values) for source, judged_values in of_sources.items()}
        scores["notes"] += cats_notes(nlp, corpus)
    scores["notes"] += [note for name in PRINCIPAL if name in rows for note in undefined(name, rows[name])]
    run = Run(
        system=system or model,
        seed=_seed(nlp),
        model=model,
        corpus=corpus.path.name,
        format=corpus.form.name,
        checksum=corpus.checksum,
        test_evaluations=count_opening(corpus.path, annotated.checksum, model),
        ids=tuple(predicted),
        rows=rows,
        scores=scores,
    )
    return Evaluation(run, corpus, predicted, errors)


def _paper(nlp: Language, corpus: GoldCorpus, spans_key: Optional[str]) -> "tuple[Rows, Dict[str, Any]]":
    docs = list(_progress("paper", corpus, predict_lines(nlp, corpus.form, corpus.docs, spans_key)))
    rows = conll_rows(map(repaired, docs))
    return rows, {
        "strict": summarise(rows),
        "conll": summarise(conll_rows(doc.lines for doc in docs)),
        "cut_at": MAX_PIECES if find_wordpieces(nlp) else None,
        "lines": sum(doc.number for doc in docs),
        "cut_lines": sum(doc.cut for doc in docs),
        "mentions_beyond": sum(doc.beyond for doc in docs),
    }


def _progress(name: str, corpus: GoldCorpus, found: Iterable[T]) -> Iterator[T]:
    yield from tqdm(found, desc=name, total=len(corpus.docs), unit=" documents", disable=None)


def _well_formed(doc: ScoredDoc, found: Predicted) -> ScoredDoc:
    kept = (mention for number, mention in enumerate(found.mentions) if number not in found.ill_formed)
    return doc._replace(predicted=tuple(kept))


def _inexpressible(
    corpus: GoldCorpus, errors: Sequence[Error], predicted: Mapping[str, Predicted]
) -> Iterator[Dict[str, Any]]:
    """The false negatives that the pipeline's scheme could not have expressed."""
    missed = Counter((error.doc, error.gold.fragments, error.gold.label) for error in errors if error.gold)
    for doc in corpus.docs:
        for number, reason in predicted[doc.id].inexpressible.items():
            fragments, label = doc.mentions[number].fragments, doc.mentions[number].label
            if missed[doc.id, fragments, label]:
                missed[doc.id, fragments, label] -= 1
                yield {"id": doc.id, "fragments": fragments, "label": label, "reason": reason}


def _seed(nlp: Language) -> Optional[int]:
    # Every config has a seed; only `spacy train`, which used it, leaves a performance.
    return nlp.config.interpolate()["training"]["seed"] if nlp.meta.get("performance") else None
