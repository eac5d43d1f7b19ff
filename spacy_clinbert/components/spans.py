"""`clinbert_spans`: mentions that overlap and nest, one layer of tags for each label."""

import warnings
from collections import Counter
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple, cast

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example, validate_get_examples
from spacy.util import filter_spans
from spacy.vocab import Vocab
from thinc.api import Config, Model
from thinc.types import Floats2d

from ..corpora.gold_spans import gold_mentions, gold_spans
from ..evaluation.scheme import inexpressible_by_label
from ..models.layer_decoding import WIDTH, B, I, O, find_layer_mentions
from ..models.tag_decoding import Mention, sequences, softmax
from ..models.wordpieces import has_text
from .head import Head

DEFAULT_CONFIG_STR = """
[model]
@architectures = "spacy_clinbert.LayerClassifier.v1"

[model.tok2vec]
@architectures = "spacy_clinbert.NoteEncoder.v1"
name = "bio-clinicalbert"

[scorer]
@scorers = "spacy_clinbert.spans_scorer.v1"
"""
DEFAULTS = Config().from_str(DEFAULT_CONFIG_STR)
UNKNOWN = -1


@Language.factory(
    "clinbert_spans",
    assigns=["doc.spans"],
    default_config={
        "model": DEFAULTS["model"],
        "spans_key": "clinbert_spans",
        "gold_key": "clinbert_gold",
        "scorer": DEFAULTS["scorer"],
    },
    default_score_weights={
        "spans_f": 1.0,
        "spans_p": 0.0,
        "spans_r": 0.0,
        "spans_macro_f": 0.0,
        "spans_per_type": None,
    },
)
def make_spans(
    nlp: Language,
    name: str,
    model: Model[List[Doc], List[Floats2d]],
    spans_key: str,
    gold_key: Optional[str],
    scorer: Optional[Callable],
) -> "ClinbertSpans":
    """Make the component.

    model (Model[List[Doc], List[Floats2d]]): logits per token, `spacy_clinbert.LayerClassifier.v1`.
    spans_key (str): the span group for mentions and scores.
    gold_key (Optional[str]): the span group that holds the gold mentions of all labels; None where each label has a
        group of its own, named as its label, such as SemClinBr's 13 layers.
    scorer (Optional[Callable]): the scoring method.
    RETURNS (ClinbertSpans): the component.
    """
    return ClinbertSpans(nlp.vocab, model, name, spans_key=spans_key, gold_key=gold_key, scorer=scorer)


class ClinbertSpans(Head):
    """Tag tokens with IOB2 once for each label, and write the mentions of all labels to one span group.

    Mentions of different labels may overlap in any way; those of one label cannot, and of gold ones that do, the
    longest is learned.

    vocab (Vocab): the pipeline's vocabulary.
    model (Model[List[Doc], List[Floats2d]]): logits per token.
    name (str): the component's name.
    spans_key (str): the span group for mentions and scores.
    gold_key (Optional[str]): the span group of the gold, see `make_spans`.
    scorer (Optional[Callable]): the scoring method.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model[List[Doc], List[Floats2d]],
        name: str = "clinbert_spans",
        *,
        spans_key: str = "clinbert_spans",
        gold_key: Optional[str] = "clinbert_gold",
        scorer: Optional[Callable] = None,
    ) -> None:
        super().__init__(vocab, model, name, scorer)
        self.spans_key = spans_key
        self.gold_key = gold_key

    def predict(self, docs: Iterable[Doc]) -> List[List[Mention]]:
        """Find the mentions of Docs without changing them; positions are token indices.

        docs (Iterable[Doc]): the documents.
        RETURNS (List[List[Mention]]): the mentions of each, in text order.
        """
        docs = list(docs)
        if not any(len(doc) for doc in docs):
            return [[] for _ in docs]
        logits = self.model.predict(docs)
        return [self._find(doc, self.model.ops.to_numpy(rows)) for doc, rows in zip(docs, logits)]

    def _find(self, doc: Doc, logits: np.ndarray) -> List[Mention]:
        parts = sequences(doc)
        if not parts:
            return []
        places = np.concatenate(parts)
        begins = np.zeros(len(places), dtype=bool)
        begins[np.cumsum([0, *map(len, parts)])[:-1]] = True
        mentions = find_layer_mentions(logits[places].reshape(len(places), -1, WIDTH), begins)
        return [m._replace(start=int(places[m.start]), end=int(places[m.end - 1]) + 1) for m in mentions]

    def set_annotations(self, docs: Iterable[Doc], scores: Sequence[List[Mention]]) -> None:
        """Write mentions to Docs.

        docs (Iterable[Doc]): the documents.
        scores (Sequence[List[Mention]]): what `predict` found.
        """
        for doc, mentions in zip(docs, scores):
            spans = [Span(doc, m.start, m.end, label=self.labels[m.label]) for m in mentions]
            attrs = {"scores": [m.score for m in mentions]}
            doc.spans[self.spans_key] = SpanGroup(doc, name=self.spans_key, attrs=attrs, spans=spans)

    def get_loss(self, examples: Iterable[Example], scores: List[Floats2d]) -> Tuple[float, List[Floats2d]]:
        """Cross-entropy summed over the layers, as of one model for each added up, the mean over all tokens of the
        batch that have text and gold.

        examples (Iterable[Example]): predicted and gold Docs.
        scores (List[Floats2d]): logits, shape (len(doc), 3 × labels) per Doc.
        RETURNS (Tuple[float, List[Floats2d]]): the loss and its gradient.
        """
        gold = [self._gold_tags(example) for example in examples]
        known = [np.flatnonzero((tags != UNKNOWN).any(axis=1)) for tags in gold]
        total = sum(map(len, known))
        loss = 0.0
        gradients: List[Floats2d] = []
        for tags, places, logits in zip(gold, known, scores):
            gradient = np.zeros(logits.shape, dtype="float32")
            if len(places):
                probabilities = softmax(self.model.ops.to_numpy(logits)[places].reshape(len(places), -1, WIDTH))
                chosen = tags[places, :, None].astype("int64")
                right = np.take_along_axis(probabilities, chosen, axis=2)
                loss -= float(np.log(np.maximum(right, 1e-30)).sum()) / total
                np.put_along_axis(probabilities, chosen, right - 1.0, axis=2)
                gradient[places] = probabilities.reshape(len(places), -1) / total
            gradients.append(self.model.ops.asarray2f(cast(Floats2d, gradient)))
        return loss, gradients

    def _gold_tags(self, example: Example) -> np.ndarray:
        """The gold tags of each predicted token, -1 where there is none to learn: shape (len(predicted), labels)."""
        doc = example.predicted
        tags = np.full((len(doc), len(self.labels)), UNKNOWN, dtype="int8")
        spans = gold_spans(example.reference, self.gold_key)
        if spans is None:
            return tags
        with_text = np.array([has_text(token.text) for token in doc], dtype=bool)
        tags[with_text] = O
        index = {label: k for k, label in enumerate(self.labels)}
        for label, placed in by_label(example.get_aligned_spans_y2x(spans, allow_overlap=True)).items():
            # A label that was not asked for has no layer.
            for span in filter_spans(placed) if label in index else ():
                inside = np.flatnonzero(with_text[span.start : span.end]) + span.start
                tags[inside, index[label]] = I
                tags[inside[:1], index[label]] = B
        return tags

    def score(self, examples: Iterable[Example], **kwargs: Any) -> Dict[str, Any]:
        """Score by the scorer, which learns where gold and predictions stand.

        examples (Iterable[Example]): predicted and gold Docs.
        RETURNS (Dict[str, Any]): the scores.
        """
        return super().score(examples, spans_key=self.spans_key, gold_key=self.gold_key, **kwargs)

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Optional[Language] = None,
        labels: Optional[Sequence[str]] = None,
    ) -> None:
        """Collect the labels, say which gold mentions cannot be learned, and shape the model.

        get_examples (Callable[[], Iterable[Example]]): gives the training data.
        nlp (Optional[Language]): the pipeline.
        labels (Optional[Sequence[str]]): the labels, from `spacy init labels`; None to take those of the data.
        RAISES (ClinbertError): if there are no labels.
        """
        validate_get_examples(get_examples, "ClinbertSpans.initialize")
        found: Counter = Counter()
        lost: Counter = Counter()
        for example in get_examples():
            mentions = gold_mentions(example.reference, self.gold_key) or ()
            found.update(one.label for one in mentions)
            lost.update(inexpressible_by_label(example.predicted, mentions).values())
        key = "named as their labels" if self.gold_key is None else f"under {self.gold_key!r}"
        self.take_labels(found, labels, f"spans {key}")
        report_lost(self.name, found, lost, self.labels)
        output = self.model.get_ref("output_layer")
        if output.has_dim("nO") is None:
            output.set_dim("nO", WIDTH * len(self.labels))
        self.model.initialize(X=self.sample(get_examples) or None)


def by_label(spans: Iterable[Span]) -> Dict[str, List[Span]]:
    """The spans of each label."""
    found: Dict[str, List[Span]] = {}
    for span in spans:
        found.setdefault(span.label_, []).append(span)
    return found


def report_lost(name: str, found: Counter, lost: Counter, labels: Sequence[str]) -> None:
    """Warn of gold mentions that cannot be learned; silence would hide them in the score."""
    if lost:
        counts = ", ".join(f"{reason}: {number}" for reason, number in sorted(lost.items()))
        warnings.warn(
            f"{name}: {lost.total()} of {found.total()} gold mentions do not fit the scheme; they are not learned and"
            f" count as missed ({counts})",
            stacklevel=3,
        )
    others = {label: number for label, number in found.items() if label not in labels}
    if others:
        counts = ", ".join(f"{number} {label}" for label, number in sorted(others.items()))
        warnings.warn(
            f"{name}: gold mentions of labels that were not asked for are not learned: {counts}", stacklevel=3
        )
