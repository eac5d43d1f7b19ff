"""Assertions judged as the challenge of 2010 did: the concepts are given, and what is asserted of them is found."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Dict, Optional

from spacy.language import Language
from spacy.tokens import Doc
from spacy.util import filter_spans

from ..components.assertion import ClinbertAssertion
from .assertion_scorer import assertion_row, predicted_assertions
from .counts import Counts
from .gold import GoldDoc
from .predictions import BATCH, make_doc, run_pipeline


def find_assertion(nlp: Language) -> Optional[ClinbertAssertion]:
    """Find the component that asserts.

    nlp (Language): the pipeline.
    RETURNS (Optional[ClinbertAssertion]): its first `clinbert_assertion`, None where it has none.
    """
    return next((one for _, one in nlp.pipeline if isinstance(one, ClinbertAssertion)), None)


def assertion_rows(nlp: Language, docs: Iterable[GoldDoc], spans_key: str) -> Iterator[Dict[str, Counts]]:
    """Run a pipeline over documents whose gold mentions are given as entities, and count its assertions.

    nlp (Language): the pipeline.
    docs (Iterable[GoldDoc]): the documents.
    spans_key (str): the span group of the assertions.
    YIELDS (Dict[str, Counts]): counts by assertion for each document; see `assertion_scorer.assertion_row`.
    RAISES (ClinbertError): if the pipeline fails on a document.
    """
    remaining = iter(docs)
    while batch := list(islice(remaining, BATCH)):
        found = run_pipeline(nlp, lambda gold: [with_entities(nlp, gold)], batch, set())
        for gold, (doc,) in zip(batch, found):
            yield assertion_row(gold.assertions, predicted_assertions(doc, spans_key))


def with_entities(nlp: Language, gold: GoldDoc) -> Doc:
    """Make the Doc that a pipeline is given: the text and the gold mentions that can be entities.

    nlp (Language): the pipeline.
    gold (GoldDoc): the document.
    RETURNS (Doc): the Doc; of mentions that overlap it has the longest.
    """
    doc = make_doc(nlp, gold)
    spans = (doc.char_span(*one.fragments[0], label=one.label) for one in gold.mentions if len(one.fragments) == 1)
    doc.ents = filter_spans(span for span in spans if span is not None)
    return doc
