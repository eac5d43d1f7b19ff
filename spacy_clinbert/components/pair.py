"""`clinbert_pair`: whether one text follows from another (MedNLI), and other classes of pairs of texts."""

import warnings
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Config, Model
from thinc.types import Floats2d

from ..errors import ClinbertError
from ..models.note_pairs import count_left_out
from ..models.tag_decoding import softmax
from ..models.window_probabilities import LabelGroup
from .head import Head

DEFAULT_CONFIG_STR = """
[model]
@architectures = "spacy_clinbert.PairClassifier.v1"

[model.tok2vec]
@architectures = "spacy_clinbert.NotePairs.v1"
name = "bio-clinicalbert"

[scorer]
@scorers = "spacy_clinbert.cats_scorer.v1"
"""
DEFAULTS = Config().from_str(DEFAULT_CONFIG_STR)
# Between the two texts, as `clinbert convert` writes MedNLI.
BETWEEN = "\n"


@Language.factory(
    "clinbert_pair",
    assigns=["doc.cats"],
    requires=["doc.spans"],
    default_config={"model": DEFAULTS["model"], "scorer": DEFAULTS["scorer"]},
    # Of classes that exclude each other, the micro average is the accuracy.
    default_score_weights={"cats_micro_f": 1.0, "cats_macro_f": 0.0, "cats_score": None},
)
def create_pair(
    nlp: Language, name: str, model: Model[List[Doc], List[Floats2d]], scorer: Optional[Callable]
) -> "ClinbertPair":
    """Make the component.

    model (Model[List[Doc], List[Floats2d]]): logits per pair, such as `spacy_clinbert.PairClassifier.v1`.
    scorer (Optional[Callable]): the scoring method.
    RETURNS (ClinbertPair): the component.
    """
    return ClinbertPair(nlp.vocab, model, name, scorer=scorer)


def make_pair(nlp: Language, premise: str, hypothesis: str) -> Doc:
    """Make the Doc of a pair, which `nlp` and `nlp.pipe` take like a text.

    nlp (Language): the pipeline, for its tokenizer.
    premise, hypothesis (str): the two texts; either may be empty.
    RETURNS (Doc): both texts, a line each, with the tokens of each in `doc.spans["premise"]` and
        `doc.spans["hypothesis"]`.
    """
    # Cut on their own, so that no token holds parts of both.
    sides = [[(t.text, t.whitespace_) for t in nlp.make_doc(text)] for text in (premise, hypothesis)]
    pieces = [*sides[0], (BETWEEN, ""), *sides[1]]
    doc = Doc(nlp.vocab, words=[word for word, _ in pieces], spaces=[bool(blank) for _, blank in pieces])
    first = len(sides[0])
    for key, start, end in (("premise", 0, first), ("hypothesis", first + 1, len(doc))):
        doc.spans[key] = SpanGroup(doc, name=key, spans=[Span(doc, start, end, key)] if start < end else [])
    return doc


class ClinbertPair(Head):
    """Give each class of a pair its probability, in `doc.cats`; the classes exclude each other.

    vocab (Vocab): the pipeline's vocabulary.
    model (Model[List[Doc], List[Floats2d]]): logits per pair.
    name (str): the component's name.
    scorer (Optional[Callable]): the scoring method.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model[List[Doc], List[Floats2d]],
        name: str = "clinbert_pair",
        *,
        scorer: Optional[Callable] = None,
    ) -> None:
        super().__init__(vocab, model, name, scorer)

    def predict(self, docs: Iterable[Doc]) -> np.ndarray:
        """Find the probability of each class without changing the Docs.

        docs (Iterable[Doc]): the pairs.
        RETURNS (ndarray): probabilities, shape (n_docs, n_labels).
        """
        docs = list(docs)
        if not docs:
            return np.zeros((0, len(self.labels)), dtype="float32")
        return softmax(np.concatenate([self.model.ops.to_numpy(rows) for rows in self.model.predict(docs)]))

    def set_annotations(self, docs: Iterable[Doc], scores: np.ndarray) -> None:
        """Write the probabilities to `doc.cats`.

        docs (Iterable[Doc]): the pairs.
        scores (ndarray): what `predict` found.
        """
        for doc, row in zip(docs, scores):
            doc.cats.update(zip(self.labels, map(float, row)))

    def get_loss(self, examples: Iterable[Example], scores: List[Floats2d]) -> Tuple[float, List[Floats2d]]:
        """Cross-entropy, the mean over the pairs of the batch that have a gold class.

        examples (Iterable[Example]): predicted and gold Docs.
        scores (List[Floats2d]): logits, shape (1, n_labels) per pair.
        RETURNS (Tuple[float, List[Floats2d]]): the loss and its gradient.
        """
        gold = [self._gold_class(example.reference.cats) for example in examples]
        return self.cross_entropy([np.array([-1 if place is None else place]) for place in gold], scores)

    def _gold_class(self, cats: Dict[str, float]) -> Optional[int]:
        """The place of the class that a pair has; None where it has none that can be learned."""
        true = [label for label, value in cats.items() if value >= 0.5]
        return self.labels.index(true[0]) if len(true) == 1 and true[0] in self.labels else None

    def score(self, examples: Iterable[Example], **kwargs: Any) -> Dict[str, Any]:
        """Score examples; the scorer is told that the classes exclude each other."""
        classes = LabelGroup("", list(range(len(self.labels))), True)
        return super().score(examples, **{"groups": [classes], **kwargs})

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Optional[Language] = None,
        labels: Optional[Sequence[str]] = None,
    ) -> None:
        """Collect the classes, shape the model, and say which pairs cannot be learned or are shortened.

        get_examples (Callable[[], Iterable[Example]]): gives the training data.
        nlp (Optional[Language]): the pipeline.
        labels (Optional[Sequence[str]]): the classes, from `spacy init labels`; None to take those of the data.
        RAISES (ClinbertError): if there are fewer than two classes.
        """
        validate_get_examples(get_examples, "ClinbertPair.initialize")
        found = {label for example in get_examples() for label in example.reference.cats}
        self.take_labels(found, labels, "categories")
        if len(self.labels) < 2:
            raise ClinbertError(
                f"{self.name}: only the class {self.labels[0]!r} is there, and classes are at least two: check the "
                "corpus, or give labels to initialize"
            )
        docs = self.sample(get_examples)
        sample = [self.model.ops.alloc2f(1, len(self.labels)) for _ in docs]
        self.model.initialize(X=docs or None, Y=sample or None)
        self._report(get_examples())

    def _report(self, examples: Iterable[Example]) -> None:
        """Warn of pairs without a class and of wordpieces that are not read; silence would hide them in the score."""
        n_pairs = unlabelled = shortened = pieces = 0
        for example in examples:
            n_pairs += 1
            unlabelled += self._gold_class(example.reference.cats) is None
            lost = count_left_out(self.model.get_ref("tok2vec"), example.predicted)
            shortened, pieces = shortened + (lost > 0), pieces + lost
        if unlabelled:
            warnings.warn(
                f"{self.name}: {unlabelled} of {n_pairs} pairs have no class, several, or one that was not asked for, "
                "and are not learned",
                stacklevel=3,
            )
        if shortened:
            warnings.warn(
                f"{self.name}: {shortened} of {n_pairs} pairs are too long and lose {pieces} wordpieces: max_pieces of "
                "NotePairs says how long they may be",
                stacklevel=3,
            )
