"""`clinbert_assertion`: whether a problem is present, absent, possible, conditional, hypothetical or someone else's."""

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

from ..evaluation.assertion_scorer import gold_assertions
from ..models.tag_decoding import softmax
from .extensions import ASSERTIONS_KEY
from .head import Head

DEFAULT_CONFIG_STR = """
[model]
@architectures = "spacy_clinbert.MentionClassifier.v1"

[model.tok2vec]
@architectures = "spacy_clinbert.NoteEncoder.v1"
name = "bio-clinicalbert"

[scorer]
@scorers = "spacy_clinbert.assertion_scorer.v1"
"""
DEFAULTS = Config().from_str(DEFAULT_CONFIG_STR)


@Language.factory(
    "clinbert_assertion",
    assigns=["doc.spans", "span._.clinbert_assertion", "span._.clinbert_assertion_score"],
    requires=["doc.ents"],
    default_config={
        "model": DEFAULTS["model"],
        "ent_labels": None,
        "spans_key": ASSERTIONS_KEY,
        "scorer": DEFAULTS["scorer"],
    },
    default_score_weights={
        "assertion_f": 1.0,
        "assertion_p": 0.0,
        "assertion_r": 0.0,
        "assertion_macro_f": 0.0,
        "assertion_per_type": None,
    },
)
def make_assertion(
    nlp: Language,
    name: str,
    model: Model[List[Doc], List[Floats2d]],
    ent_labels: Optional[List[str]],
    spans_key: str,
    scorer: Optional[Callable],
) -> "ClinbertAssertion":
    """Make the component.

    model (Model[List[Doc], List[Floats2d]]): logits per entity, such as `spacy_clinbert.MentionClassifier.v1`.
    ent_labels (Optional[List[str]]): labels of the entities that are classified; None for all. i2b2 2010 asserts
        problems only.
    spans_key (str): the span group for entities and assertions; `Span._.clinbert_assertion` reads the default key.
    scorer (Optional[Callable]): the scoring method.
    RETURNS (ClinbertAssertion): the component.
    """
    return ClinbertAssertion(nlp.vocab, model, name, ent_labels=ent_labels, spans_key=spans_key, scorer=scorer)


class ClinbertAssertion(Head):
    """Classify the entities of `doc.ents`, whoever set them, and write them to `doc.spans["clinbert_assertion"]`, whose
    attrs hold `assertions` and `scores`. The entities stay as they are.

    Trains on the gold assertions of `clinbert convert`. spaCy trains on Docs without entities: the reader
    `spacy_clinbert.Corpus.v1` carries those of the gold over (`carry = ["ents"]`), or a component that finds entities
    stands in `annotating_components`. An entity without a gold assertion is not learned.

    vocab (Vocab): the pipeline's vocabulary.
    model (Model[List[Doc], List[Floats2d]]): logits per entity, in the order of `doc.ents`.
    name (str): the component's name.
    ent_labels (Optional[Sequence[str]]): labels of the entities that are classified; None for all.
    spans_key (str): the span group for entities and assertions.
    scorer (Optional[Callable]): the scoring method.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model[List[Doc], List[Floats2d]],
        name: str = "clinbert_assertion",
        *,
        ent_labels: Optional[Sequence[str]] = None,
        spans_key: str = ASSERTIONS_KEY,
        scorer: Optional[Callable] = None,
    ) -> None:
        super().__init__(vocab, model, name, scorer)
        self.ent_labels = None if ent_labels is None else frozenset(ent_labels)
        self.spans_key = spans_key
        self._warned = False

    def predict(self, docs: Iterable[Doc]) -> List[np.ndarray]:
        """Classify the entities of Docs without changing them.

        docs (Iterable[Doc]): the documents.
        RETURNS (List[np.ndarray]): for each, probabilities of shape (entities that are classified, labels).
        """
        docs = list(docs)
        asked = [[self._is_asked(ent.label_) for ent in doc.ents] for doc in docs]
        # A Doc without such entities need not go through the encoder.
        busy = [doc for doc, flags in zip(docs, asked) if any(flags)]
        logits = iter(self.model.predict(busy) if busy else [])
        return [
            softmax(self.model.ops.to_numpy(next(logits))[flags]) if any(flags) else np.empty((0, len(self.labels)))
            for flags in asked
        ]

    def _is_asked(self, label: str) -> bool:
        return self.ent_labels is None or label in self.ent_labels

    def set_annotations(self, docs: Iterable[Doc], scores: Sequence[np.ndarray]) -> None:
        """Write assertions to Docs.

        docs (Iterable[Doc]): the documents.
        scores (Sequence[np.ndarray]): what `predict` found.
        """
        for doc, probabilities in zip(docs, scores):
            ents = [ent for ent in doc.ents if self._is_asked(ent.label_)]
            attrs = {
                "assertions": [self.labels[best] for best in probabilities.argmax(axis=1)],
                "scores": probabilities.max(axis=1).tolist(),
            }
            doc.spans[self.spans_key] = SpanGroup(doc, name=self.spans_key, attrs=attrs, spans=ents)

    def get_loss(self, examples: Iterable[Example], scores: List[Floats2d]) -> Tuple[float, List[Floats2d]]:
        """Cross-entropy, the mean over all entities of the batch that have a gold assertion.

        examples (Iterable[Example]): predicted and gold Docs.
        scores (List[Floats2d]): logits, shape (len(doc.ents), labels) per Doc.
        RETURNS (Tuple[float, List[Floats2d]]): the loss and its gradient.
        """
        examples = list(examples)
        gold = [self._gold_classes(example) for example in examples]
        if not any((classes >= 0).any() for classes in gold):
            self._warn_of_lost_entities(examples)
        return self.cross_entropy(gold, scores)

    def _gold_classes(self, example: Example) -> np.ndarray:
        """The gold class of each predicted entity, -1 where there is none to learn: shape (len(predicted.ents),)."""
        index = {label: i for i, label in enumerate(self.labels)}
        gold = gold_assertions(example.reference)
        found = (
            gold.get((((ent.start_char, ent.end_char),), ent.label_)) if self._is_asked(ent.label_) else None
            for ent in example.predicted.ents
        )
        return np.array([-1 if assertion is None else index.get(assertion, -1) for assertion in found], dtype=np.int64)

    def _warn_of_lost_entities(self, examples: Sequence[Example]) -> None:
        """Warn once of gold assertions without any entity, from which nothing would be learned in silence."""
        asserted = sum(self._is_asked(label) for one in examples for _, label in gold_assertions(one.reference))
        if asserted and not self._warned and not any(example.predicted.ents for example in examples):
            self._warned = True
            warnings.warn(
                f"{self.name}: {asserted} gold assertions, but no Doc of the batch has entities, so nothing is "
                'learned: read the corpus with spacy_clinbert.Corpus.v1 and carry = ["ents"], or list a component that '
                "finds entities in [training] annotating_components",
                stacklevel=4,
            )

    def score(self, examples: Iterable[Example], **kwargs: Any) -> Dict[str, Any]:
        """Score by the scorer, which learns where the assertions stand.

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
        """Collect the labels, say which gold assertions cannot be learned, and shape the model.

        get_examples (Callable[[], Iterable[Example]]): gives the training data.
        nlp (Optional[Language]): the pipeline.
        labels (Optional[Sequence[str]]): the labels, from `spacy init labels`; None to take those of the data.
        RAISES (ClinbertError): if there are no labels.
        """
        validate_get_examples(get_examples, "ClinbertAssertion.initialize")
        found: Counter = Counter()
        lost = 0
        for example in get_examples():
            gold = {place: one for place, one in gold_assertions(example.reference).items() if self._is_asked(place[1])}
            found.update(gold.values())
            lost += len(gold.keys() - {_place(ent) for ent in example.reference.ents})
        self.take_labels(found, labels, "assertions")
        if lost:
            warnings.warn(
                f"{self.name}: {lost} of {found.total()} gold assertions are of mentions that are no entity "
                "(overlapping, in pieces or off token bounds) and are not learned",
                stacklevel=2,
            )
        others = {label: number for label, number in found.items() if label not in self.labels}
        if others:
            counts = ", ".join(f"{number} {label}" for label, number in sorted(others.items()))
            warnings.warn(
                f"{self.name}: gold assertions that were not asked for are not learned: {counts}", stacklevel=2
            )
        docs = self.sample(get_examples)
        shape = [self.model.ops.alloc2f(len(doc.ents), len(self.labels)) for doc in docs]
        self.model.initialize(X=docs or None, Y=shape or None)


def _place(ent: Span) -> Tuple[Tuple[Tuple[int, int], ...], str]:
    return ((ent.start_char, ent.end_char),), ent.label_
