"""What the trained heads share: labels that are fixed before the model, and a backward pass that always runs."""

from itertools import islice
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Tuple, cast

import numpy as np
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example, validate_examples
from spacy.vocab import Vocab
from thinc.api import Model, Optimizer, set_dropout_rate
from thinc.types import Floats2d

from ..errors import ClinbertError
from ..models.joint_clipping import finish_together
from ..models.tag_decoding import softmax
from .extensions import register_extensions

# How many Docs the model sees to infer its shapes.
SAMPLE = 10


class Head(TrainablePipe):
    """A component that trains a model on any tok2vec. Its own are `predict`, `set_annotations`, `get_loss` and
    `initialize`.

    vocab (Vocab): the pipeline's vocabulary.
    model (Model): the model, with a ref `output_layer` that holds its weights once it is initialized.
    name (str): the component's name.
    scorer (Optional[Callable]): the scoring method.
    """

    def __init__(self, vocab: Vocab, model: Model, name: str, scorer: Optional[Callable]) -> None:
        register_extensions()
        self.vocab = vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        self.cfg: Dict[str, Any] = {"labels": []}

    @property
    def labels(self) -> Tuple[str, ...]:
        """The labels, in the order of the model's outputs."""
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> List[str]:
        """What `spacy init labels` writes and `initialize` takes."""
        return list(self.cfg["labels"])

    def add_label(self, label: str) -> int:
        """Add a label before the model is initialized.

        label (str): the label.
        RETURNS (int): 0 if it was present, else 1.
        RAISES (ClinbertError): if the model has its outputs already.
        """
        if label in self.labels:
            return 0
        if self.model.get_ref("output_layer").has_param("W"):
            raise ClinbertError(
                f"{self.name}: label {label!r} comes after the model was initialized: give all labels to initialize"
            )
        self.cfg["labels"].append(label)
        return 1

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optional[Optimizer] = None,
        losses: Optional[Dict[str, float]] = None,
    ) -> Dict[str, float]:
        """Learn from a batch; the backward pass always runs, since a shared encoder waits for its last listener's.

        examples (Iterable[Example]): predicted and gold Docs.
        drop (float): dropout of the head.
        sgd (Optional[Optimizer]): the optimizer, or None to accumulate gradients.
        losses (Optional[Dict[str, float]]): losses by component, added to.
        RETURNS (Dict[str, float]): the losses.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, f"{type(self).__name__}.update")
        # Layers of spaCy's and Thinc's cannot go back through no rows at all.
        if not any(len(example.predicted) for example in examples):
            return losses
        set_dropout_rate(self.model, drop)
        scores, backprop = self.model.begin_update([example.predicted for example in examples])
        loss, gradient = self.get_loss(examples, scores)
        backprop(gradient)
        if sgd is not None:
            self.finish_update(sgd)
        losses[self.name] += loss
        return losses

    def finish_update(self, sgd: Optimizer) -> None:
        """Update the weights of head and encoder, whose gradients are clipped together.

        sgd (Optimizer): the optimizer; its `grad_clip` is the largest norm of all gradients.
        """
        finish_together(self.model, sgd)

    def cross_entropy(self, gold: Sequence[np.ndarray], scores: Sequence[Floats2d]) -> Tuple[float, List[Floats2d]]:
        """The mean cross-entropy over all rows of the batch that have gold, and its gradient.

        gold (Sequence[np.ndarray]): the class of each row of each Doc, -1 where there is none to learn.
        scores (Sequence[Floats2d]): logits, shape (rows, classes) per Doc.
        RETURNS (Tuple[float, List[Floats2d]]): the loss and its gradient, zeros for rows without gold.
        """
        total = sum(int((classes >= 0).sum()) for classes in gold)
        loss = 0.0
        gradients: List[Floats2d] = []
        for classes, logits in zip(gold, scores):
            known = np.flatnonzero(classes >= 0)
            gradient = np.zeros(logits.shape, dtype="float32")
            if len(known):
                probabilities = softmax(self.model.ops.to_numpy(logits)[known])
                places = np.arange(len(known)), classes[known]
                loss -= float(np.log(np.maximum(probabilities[places], 1e-30)).sum()) / total
                probabilities[places] -= 1.0
                gradient[known] = probabilities / total
            gradients.append(self.model.ops.asarray2f(cast(Floats2d, gradient)))
        return loss, gradients

    def take_labels(self, found: Iterable[str], labels: Optional[Sequence[str]], what: str) -> None:
        """Take the labels over at `initialize`.

        found (Iterable[str]): those of the training data; labels (Optional[Sequence[str]]): those asked for, if any.
        what (str): what carries labels, for the error: "entities".
        RAISES (ClinbertError): if there are none.
        """
        for label in sorted(found) if labels is None else labels:
            self.add_label(label)
        if not self.labels:
            raise ClinbertError(
                f"{self.name}: the training data holds no {what}: check the corpus, or give labels to initialize"
            )

    def sample(self, get_examples: Callable[[], Iterable[Example]]) -> List[Doc]:
        """The first Docs of the training data, from which the model infers its shapes."""
        return [example.predicted for example in islice(get_examples(), SAMPLE)]
