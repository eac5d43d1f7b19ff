"""`clinbert_textcat`: labels of a whole note, of any length."""

import warnings
from itertools import islice
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, cast

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Config, Model, Optimizer
from thinc.types import Floats2d

from ..errors import ClinbertError
from ..models.note_windows import read_windows
from ..models.row_pooling import attention_weights
from ..models.window_probabilities import LabelGroup, read_probabilities
from .extensions import LEFT_OUT, READ_KEY
from .head import Head
from .label_groups import (
    THRESHOLD,
    GoldSurvey,
    cats_of,
    check_groups,
    count_decisions,
    gold_values,
    loss_and_gradient,
    make_groups,
    survey_gold,
)
from .left_out import count_outside, report_left_out

DEFAULT_CONFIG_STR = """
[model]
@architectures = "spacy_clinbert.TextClassifier.v1"
pooling = "cls"
aggregate = "none"

[model.tok2vec]
@architectures = "spacy_clinbert.NoteWindows.v1"
name = "bio-clinicalbert"

[scorer]
@scorers = "spacy_clinbert.cats_scorer.v1"
"""
DEFAULTS = Config().from_str(DEFAULT_CONFIG_STR)
# The label of the spans that hold attention weights, and what they are.
WEIGHT = "weight"
MEANING = "how the model weighs what it reads, and no explanation of its decision"


@Language.factory(
    "clinbert_textcat",
    assigns=["doc.cats", "doc.spans"],
    default_config={
        "model": DEFAULTS["model"],
        "exclusive": True,
        "groups": {},
        "threshold": THRESHOLD,
        "spans_key": READ_KEY,
        "scorer": DEFAULTS["scorer"],
    },
    default_score_weights={
        "cats_score": 1.0,
        "cats_score_desc": None,
        "cats_micro_f": 0.0,
        "cats_macro_f": 0.0,
        "cats_macro_auc": None,
        "cats_f_per_type": None,
        "cats_per_group": None,
    },
)
def make_textcat(
    nlp: Language,
    name: str,
    model: Model[List[Doc], List[Floats2d]],
    exclusive: bool,
    groups: Dict[str, List[str]],
    threshold: float,
    spans_key: str,
    scorer: Optional[Callable],
) -> "ClinbertTextcat":
    """Make the component.

    model (Model[List[Doc], List[Floats2d]]): logits per Doc, `spacy_clinbert.TextClassifier.v1`.
    exclusive (bool): whether just one label holds for a text; else each label stands for itself. Not read where there
        are groups.
    groups (Dict[str, List[str]]): groups of labels of which just one holds each, such as the judgements on sixteen
        diseases of i2b2 2008; empty for none.
    threshold (float): the score from which on a label that stands for itself is scored as given.
    spans_key (str): the span group for what was read; `Doc._.clinbert_left_out` reads that of the default key.
    scorer (Optional[Callable]): the scoring method.
    RETURNS (ClinbertTextcat): the component.
    """
    return ClinbertTextcat(
        nlp.vocab,
        model,
        name,
        exclusive=exclusive,
        groups=groups,
        threshold=threshold,
        spans_key=spans_key,
        scorer=scorer,
    )


class Reading(NamedTuple):
    """What was found in a Doc.

    probabilities (ndarray): shape (labels,).
    weights (Optional[ndarray]): with the pooling "attention", the weight of each row, shape (rows,).
    """

    probabilities: np.ndarray
    weights: Optional[np.ndarray]


class ClinbertTextcat(Head):
    """Classify texts, write probabilities to `doc.cats`, and say in `doc.spans["clinbert_textcat"]` what was left out.

    With the pooling "attention", the group holds a span for each window (or token) with its weight as score: how the
    model weighs what it reads, and no explanation. A Doc without text gets the probabilities of an empty text.

    vocab (Vocab): the pipeline's vocabulary.
    model (Model[List[Doc], List[Floats2d]]): logits per Doc.
    name (str): the component's name.
    exclusive (bool), groups (Dict[str, List[str]]), threshold (float), spans_key (str): see `make_textcat`.
    scorer (Optional[Callable]): the scoring method.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model[List[Doc], List[Floats2d]],
        name: str = "clinbert_textcat",
        *,
        exclusive: bool = True,
        groups: Optional[Dict[str, List[str]]] = None,
        threshold: float = THRESHOLD,
        spans_key: str = READ_KEY,
        scorer: Optional[Callable] = None,
    ) -> None:
        super().__init__(vocab, model, name, scorer)
        check_groups(name, groups or {})
        self.exclusive = exclusive
        self.threshold = threshold
        self.spans_key = spans_key
        self._asked = {group: list(labels) for group, labels in (groups or {}).items()}
        # Saved with the weights, whose outputs they name.
        self.cfg.update(groups=self._asked, temperatures={})

    @property
    def groups(self) -> List[LabelGroup]:
        """How the labels are read: groups that tile them."""
        if self._asked and self._asked != self.cfg["groups"]:
            raise ClinbertError(
                f"{self.name}: the groups of the config are not those that this pipeline was trained with: leave them "
                "as they were saved, or train anew"
            )
        return make_groups(self.labels, self.cfg["groups"], self.exclusive)

    @property
    def temperatures(self) -> Dict[str, float]:
        """By group, what its logits are divided by; empty before `clinbert calibrate`."""
        return self.cfg["temperatures"]

    def predict(self, docs: Iterable[Doc]) -> List[Reading]:
        """Classify Docs without changing them.

        docs (Iterable[Doc]): the documents.
        RETURNS (List[Reading]): what was found in each.
        """
        docs = list(docs)
        groups, aggregate = self.groups, self.model.attrs["aggregate"]
        readings = []
        for logits, weights in self._run(docs):
            probabilities, _ = read_probabilities(logits, groups, aggregate, self.temperatures)
            readings.append(Reading(probabilities, weights))
        return readings

    def predict_logits(self, docs: Iterable[Doc]) -> List[np.ndarray]:
        """Give what a temperature is fitted to.

        docs (Iterable[Doc]): the documents.
        RETURNS (List[ndarray]): the logits of each, shape (1, labels), or (windows, labels) where windows are
            aggregated.
        """
        return [logits for logits, _ in self._run(list(docs))]

    def _run(self, docs: List[Doc]) -> Iterator[Tuple[np.ndarray, Optional[np.ndarray]]]:
        """The logits of each Doc and, with the pooling "attention", its weights, from one pass of the encoder."""
        if not docs:
            return
        tok2vec = self.model.get_ref("tok2vec")
        if tok2vec.attrs.get("rows") == "window" or any(len(doc) for doc in docs):
            rows = tok2vec.predict(docs)
        else:
            # Layers of spaCy's and `spacy-transformers` cannot go through no tokens at all.
            rows = [self.model.ops.alloc2f(0, 0) for _ in docs]
        logits = self.model.get_ref("head").predict(rows)
        pool = self.model.get_ref("pool") if self.model.attrs["pooling"] == "attention" else None
        to_numpy = self.model.ops.to_numpy
        for found, of_doc in zip(logits, rows):
            yield to_numpy(found), None if pool is None else to_numpy(attention_weights(pool, of_doc))

    def set_annotations(self, docs: Iterable[Doc], scores: Sequence[Reading]) -> None:
        """Write probabilities, and what was read, to Docs.

        docs (Iterable[Doc]): the documents.
        scores (Sequence[Reading]): what `predict` found.
        """
        for doc, reading in zip(docs, scores):
            doc.cats.update(cats_of(reading.probabilities, self.labels))
            bounds = self._bounds(doc)
            attrs: Dict[str, Any] = {LEFT_OUT: count_outside(doc, bounds)}
            spans: List[Span] = []
            if reading.weights is not None:
                # An empty text has a window, and no token.
                weighed = [(b, float(w)) for b, w in zip(bounds, reading.weights) if b[0] < b[1]]
                spans = [Span(doc, start, end, label=WEIGHT) for (start, end), _ in weighed]
                attrs |= {"scores": [weight for _, weight in weighed], "meaning": MEANING}
            doc.spans[self.spans_key] = SpanGroup(doc, name=self.spans_key, attrs=attrs, spans=spans)

    def _bounds(self, doc: Doc) -> List[Tuple[int, int]]:
        """First and end token of what each row stands for that counts for the labels: a window or a token."""
        tok2vec = self.model.get_ref("tok2vec")
        if tok2vec.attrs.get("rows") != "window":
            return [(i, i + 1) for i in range(len(doc))]
        windows = read_windows(tok2vec, doc).windows
        first_only = self.model.attrs["pooling"] == "cls" and self.model.attrs["aggregate"] == "none"
        return windows[:1] if first_only else windows

    def get_loss(self, examples: Iterable[Example], scores: List[Floats2d]) -> Tuple[float, List[Floats2d]]:
        """Cross-entropy of exclusive labels, binary cross-entropy of others, the mean over what gold decides.

        examples (Iterable[Example]): predicted and gold Docs.
        scores (List[Floats2d]): logits, shape (rows, labels) per Doc.
        RETURNS (Tuple[float, List[Floats2d]]): the loss and its gradient: zeros where gold decides nothing.
        """
        groups, aggregate = self.groups, self.model.attrs["aggregate"]
        gold = [gold_values(example.reference.cats, self.labels, groups) for example in examples]
        total = max(sum(count_decisions(one, groups) for one in gold), 1)
        loss = 0.0
        gradients: List[Floats2d] = []
        for truth, rows in zip(gold, scores):
            probabilities, backprop = read_probabilities(self.model.ops.to_numpy(rows), groups, aggregate, {})
            of_doc, gradient = loss_and_gradient(probabilities, truth, groups)
            loss += of_doc / total
            d_rows = (backprop(gradient) / total).astype("float32")
            gradients.append(self.model.ops.asarray2f(cast(Floats2d, d_rows)))
        return loss, gradients

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optional[Optimizer] = None,
        losses: Optional[Dict[str, float]] = None,
    ) -> Dict[str, float]:
        """Learn from a batch, as `Head.update`; a temperature that was fitted to other weights is dropped."""
        self.cfg["temperatures"] = {}
        return super().update(examples, drop=drop, sgd=sgd, losses=losses)

    def score(self, examples: Iterable[Example], **kwargs: Any) -> Dict[str, Any]:
        """Score examples; the scorer is told which labels exclude each other."""
        settings = {"groups": self.groups, "threshold": self.threshold, **kwargs}
        return super().score(examples, **settings)

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Optional[Language] = None,
        labels: Optional[Sequence[str]] = None,
    ) -> None:
        """Collect the labels, say what cannot be learned or is not read, and shape the model.

        get_examples (Callable[[], Iterable[Example]]): gives the training data.
        nlp (Optional[Language]): the pipeline.
        labels (Optional[Sequence[str]]): the labels, from `spacy init labels`; None to take those of the groups, or of
            the data.
        RAISES (ClinbertError): if there are no labels, fewer than two that exclude each other, others than those of
            the groups, or documents with several labels that exclude each other.
        """
        validate_get_examples(get_examples, "ClinbertTextcat.initialize")
        of_groups = [label for members in self.cfg["groups"].values() for label in members]
        if of_groups and {*self.labels, *(labels or of_groups)} != set(of_groups):
            raise ClinbertError(f"{self.name}: the labels given are not those of its groups: give the same")
        survey = survey_gold((eg.reference for eg in get_examples()), self.cfg["groups"], self.exclusive)
        self.take_labels(survey.found, of_groups or labels, "categories")
        self._check(survey)
        self.cfg["temperatures"] = {}
        docs = self.sample(get_examples)
        sample = [self.model.ops.alloc2f(1, len(self.labels)) for _ in docs]
        self.model.initialize(X=docs or None, Y=sample or None)
        if nlp is not None and self.model.get_ref("tok2vec").attrs.get("rows") == "window":
            report_left_out(self.name, self._left_out(get_examples(), nlp))

    def _left_out(self, examples: Iterable[Example], nlp: Language) -> Iterator[int]:
        """How many tokens of each training document are not read, once the rules before the encoder ran."""
        annotating = nlp.config["training"]["annotating_components"]
        rules = [pipe for name, pipe in nlp.pipeline if name in annotating and not getattr(pipe, "is_trainable", False)]
        for example in examples:
            doc = example.predicted
            for pipe in rules:
                doc = pipe(doc)
            yield count_outside(doc, self._bounds(doc))

    def _check(self, survey: GoldSurvey) -> None:
        if survey.contradictions:
            first = ", ".join(survey.contradictions[:5])
            raise ClinbertError(
                f"{self.name}: in {len(survey.contradictions)} training documents several labels hold that exclude "
                f"each other (first: {first}): correct them, or set exclusive = false"
            )
        if any(group.exclusive and len(group.columns) < 2 for group in self.groups):
            raise ClinbertError(
                f"{self.name}: only the label {self.labels[0]!r} is there, and exclusive labels are at least two: "
                "check the corpus, or set exclusive = false"
            )
        others = {label: number for label, number in survey.found.items() if number and label not in self.labels}
        if others:
            shown = ", ".join(f"{number} {label}" for label, number in islice(sorted(others.items()), 10))
            more = ", …" if len(others) > 10 else ""
            warnings.warn(
                f"{self.name}: gold of {len(others)} labels that were not asked for is not learned: {shown}{more}",
                stacklevel=3,
            )
        if survey.unlabelled:
            warnings.warn(
                f"{self.name}: {survey.unlabelled} of {survey.documents} training documents have no category that "
                "can be learned",
                stacklevel=3,
            )
