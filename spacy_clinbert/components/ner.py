"""`clinbert_ner`: named entities by token classification, as in the BERT papers."""

import warnings
from collections import Counter
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Config, Model
from thinc.types import Floats2d

from ..errors import ClinbertError
from ..models.tag_decoding import DECODINGS, Mention, decode, find_mentions, sequences, softmax, tag_names
from ..models.wordpieces import has_text
from .head import Head

DEFAULT_CONFIG_STR = """
[model]
@architectures = "spacy_clinbert.TokenClassifier.v1"

[model.tok2vec]
@architectures = "spacy_clinbert.NoteEncoder.v1"
name = "bio-clinicalbert"

[scorer]
@scorers = "spacy_clinbert.seqeval_scorer.v1"
"""
DEFAULTS = Config().from_str(DEFAULT_CONFIG_STR)


@Language.factory(
    "clinbert_ner",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type", "doc.spans"],
    default_config={
        "model": DEFAULTS["model"],
        "decoding": "viterbi",
        "spans_key": "clinbert_ner",
        "scorer": DEFAULTS["scorer"],
    },
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None, "ents_conll_f": 0.0},
)
def make_ner(
    nlp: Language,
    name: str,
    model: Model[List[Doc], List[Floats2d]],
    decoding: str,
    spans_key: str,
    scorer: Optional[Callable],
) -> "ClinbertNer":
    """Make the component.

    model (Model[List[Doc], List[Floats2d]]): logits per token, such as `spacy_clinbert.TokenClassifier.v1`.
    decoding (str): "viterbi" over legal IOB2 transitions, "argmax", as the papers, or "iob1": argmax where an I may
        begin a mention, for imported checkpoints of the schemes IOB1 and IO.
    spans_key (str): the span group for mentions and scores; `Span._.clinbert_score` reads that of the default key.
    scorer (Optional[Callable]): the scoring method.
    RETURNS (ClinbertNer): the component.
    """
    return ClinbertNer(nlp.vocab, model, name, decoding=decoding, spans_key=spans_key, scorer=scorer)


class ClinbertNer(Head):
    """Tag tokens with IOB2, write mentions to `doc.ents` and, with scores, to `doc.spans["clinbert_ner"]`.

    Entities that earlier components set stay; predictions that overlap them are left in the span group only.

    vocab (Vocab): the pipeline's vocabulary.
    model (Model[List[Doc], List[Floats2d]]): logits per token.
    name (str): the component's name.
    decoding (str): "viterbi", "argmax" or "iob1".
    spans_key (str): the span group for mentions and scores.
    scorer (Optional[Callable]): the scoring method.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model[List[Doc], List[Floats2d]],
        name: str = "clinbert_ner",
        *,
        decoding: str = "viterbi",
        spans_key: str = "clinbert_ner",
        scorer: Optional[Callable] = None,
    ) -> None:
        if decoding not in DECODINGS:
            raise ClinbertError(f'clinbert_ner: decoding = "{decoding}" is unknown: give one of {", ".join(DECODINGS)}')
        super().__init__(vocab, model, name, scorer)
        self.decoding = decoding
        self.spans_key = spans_key

    def predict(self, docs: Iterable[Doc]) -> List[List[Mention]]:
        """Find the mentions of Docs without changing them; positions are token indices.

        docs (Iterable[Doc]): the documents.
        RETURNS (List[List[Mention]]): the mentions of each.
        """
        docs = list(docs)
        if not any(len(doc) for doc in docs):
            return [[] for _ in docs]
        logits = self.model.predict(docs)
        return [self._find(doc, self.model.ops.to_numpy(rows)) for doc, rows in zip(docs, logits)]

    def _find(self, doc: Doc, logits: np.ndarray) -> List[Mention]:
        found = []
        every = softmax(logits)
        for places in sequences(doc):
            probabilities = every[places]
            found += [
                m._replace(
                    start=int(places[m.start]),
                    end=int(places[m.end - 1]) + 1,
                    well_formed=m.well_formed or self.decoding == "iob1",
                )
                for m in find_mentions(decode(probabilities, self.decoding), probabilities)
            ]
        return found

    def set_annotations(self, docs: Iterable[Doc], scores: Sequence[List[Mention]]) -> None:
        """Write mentions to Docs.

        docs (Iterable[Doc]): the documents.
        scores (Sequence[List[Mention]]): what `predict` found.
        """
        for doc, mentions in zip(docs, scores):
            spans = [Span(doc, m.start, m.end, label=self.labels[m.label]) for m in mentions]
            attrs = {"scores": [m.score for m in mentions], "well_formed": [m.well_formed for m in mentions]}
            doc.spans[self.spans_key] = SpanGroup(doc, name=self.spans_key, attrs=attrs, spans=spans)
            taken = {i for ent in doc.ents for i in range(ent.start, ent.end)}
            doc.set_ents([*doc.ents, *(s for s in spans if taken.isdisjoint(range(s.start, s.end)))], default="outside")

    def get_loss(self, examples: Iterable[Example], scores: List[Floats2d]) -> Tuple[float, List[Floats2d]]:
        """Cross-entropy, the mean over all tokens of the batch that have text and a gold tag.

        examples (Iterable[Example]): predicted and gold Docs.
        scores (List[Floats2d]): logits, shape (len(doc), tags) per Doc.
        RETURNS (Tuple[float, List[Floats2d]]): the loss and its gradient.
        """
        return self.cross_entropy([self._gold_tags(example) for example in examples], scores)

    def _gold_tags(self, example: Example) -> np.ndarray:
        """The gold tag of each predicted token, -1 where there is none to learn: shape (len(predicted),)."""
        index = {tag: i for i, tag in enumerate(tag_names(self.labels))}
        tags = np.full(len(example.predicted), -1, dtype=np.int64)
        for token, tag in zip(example.predicted, example.get_aligned_ner()):
            if tag is not None and has_text(token.text):
                # BILUO's last and unit tags are I and B here; a label that was not asked for is outside.
                tags[token.i] = index.get({"L": "I", "U": "B"}.get(tag[0], tag[0]) + tag[1:], 0)
        return tags

    def score(self, examples: Iterable[Example], **kwargs: Any) -> Dict[str, Any]:
        """Score by the scorer, which learns where mentions say whether they are well formed.

        examples (Iterable[Example]): predicted and gold Docs.
        RETURNS (Dict[str, Any]): the scores.
        """
        return super().score(examples, spans_key=self.spans_key, **kwargs)

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Optional[Language] = None,
        labels: Optional[Sequence[str]] = None,
    ) -> None:
        """Collect the labels, say which gold entities cannot be learned, and shape the model.

        get_examples (Callable[[], Iterable[Example]]): gives the training data.
        nlp (Optional[Language]): the pipeline.
        labels (Optional[Sequence[str]]): the labels, from `spacy init labels`; None to take those of the data.
        RAISES (ClinbertError): if there are no labels.
        """
        validate_get_examples(get_examples, "ClinbertNer.initialize")
        found, dropped, n_docs = survey(get_examples())
        self.take_labels(found, labels, "entities")
        report_dropped(self.name, dropped, n_docs, found, self.labels)
        docs = self.sample(get_examples)
        width = len(tag_names(self.labels))
        sample = [self.model.ops.alloc2f(len(doc), width) for doc in docs]
        self.model.initialize(X=docs or None, Y=sample or None)


def survey(examples: Iterable[Example]) -> Tuple[Counter, int, int]:
    """Count the entities of the data by label, those that do not fall on token bounds, and the Docs that hold such."""
    found: Counter = Counter()
    dropped = n_docs = 0
    for example in examples:
        ents = example.reference.ents
        found.update(ent.label_ for ent in ents)
        lost = len(ents) - len(example.get_aligned_spans_y2x(ents, allow_overlap=False))
        dropped += lost
        n_docs += lost > 0
    return found, dropped, n_docs


def report_dropped(name: str, dropped: int, n_docs: int, found: Counter, labels: Sequence[str]) -> None:
    """Warn of gold entities that cannot be learned; silence would hide them in the score."""
    if dropped:
        warnings.warn(
            f"{name}: {dropped} of {found.total()} gold entities in {n_docs} documents do not fall on token bounds and "
            "are not learned; convert the corpus with the tokenizer of the pipeline",
            stacklevel=3,
        )
    others = {label: number for label, number in found.items() if label not in labels}
    if others:
        counts = ", ".join(f"{number} {label}" for label, number in sorted(others.items()))
        warnings.warn(
            f"{name}: gold entities of labels that were not asked for count as outside: {counts}", stacklevel=3
        )
