"""`spacy_clinbert.MappedTokenClassifier.v1`: a token classifier with classes of another scheme, read as IOB2."""

from functools import partial
from typing import Callable, Dict, List, Tuple, cast

import numpy
from spacy import registry
from spacy.tokens import Doc
from thinc.api import Dropout, Linear, Model, chain, with_array
from thinc.types import Floats2d

from .tag_decoding import tag_names
from .token_classifier import bert_init

# The logit of a tag that no class counts as.
NEVER = -1e4


@registry.architectures("spacy_clinbert.MappedTokenClassifier.v1")
def MappedTokenClassifier(
    tok2vec: Model[List[Doc], List[Floats2d]], tags: List[str]
) -> Model[List[Doc], List[Floats2d]]:
    """Build dropout, one linear layer over a checkpoint's own classes, and their reading as IOB2 tags.

    The logit of a tag is the largest among those of its classes, so that the likeliest tag is always that of the
    likeliest class.

    tok2vec (Model[List[Doc], List[Floats2d]]): rows per token.
    tags (List[str]): for each class the IOB2 tag as which it counts, such as B-problem for U-problem; some may count as
        the same tag, and some tags may have no class.
    RETURNS (Model[List[Doc], List[Floats2d]]): logits of shape (len(doc), 2 × labels + 1) per Doc, in the order of
        `tag_names` for the labels as they first occur.
    """
    output = Linear(len(tags), init_W=bert_init)
    head: Model[Floats2d, Floats2d] = chain(cast(Model[Floats2d, Floats2d], Dropout()), output, read_as(tags))
    model: Model[List[Doc], List[Floats2d]] = chain(tok2vec, with_array(head))
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("output_layer", output)
    return model


def read_as(tags: List[str]) -> Model[Floats2d, Floats2d]:
    """A layer that reads the logits of classes as those of IOB2 tags.

    tags (List[str]): for each class, the tag.
    RETURNS (Model[Floats2d, Floats2d]): from shape (n, classes) to (n, 2 × labels + 1).
    """
    names = tag_names(list(dict.fromkeys(tag[2:] for tag in tags if tag != "O")))
    classes: Dict[str, List[int]] = {name: [i for i, tag in enumerate(tags) if tag == name] for name in names}
    # What a tag without classes should have learned goes to its label's other tag: in IO, I-x stands for B-x too.
    other = {"B": "I", "I": "B"}
    learning = [classes[name] or classes.get(other.get(name[0], "") + name[1:], []) for name in names]
    sources = _table(list(classes.values()), len(tags))
    return Model(
        "read_as_iob2",
        partial(_forward, sources=sources, learning=_table(learning, len(tags))),
        dims={"nI": len(tags), "nO": len(names)},
    )


def _table(classes: List[List[int]], missing: int) -> numpy.ndarray:
    """The classes of each tag in rows of equal length, filled up with the number of the class that never is."""
    longest = max(map(len, classes)) or 1
    return numpy.array([[*each, *[missing] * (longest - len(each))] for each in classes])


def _forward(
    model: Model[Floats2d, Floats2d], X: Floats2d, is_train: bool, *, sources: numpy.ndarray, learning: numpy.ndarray
) -> Tuple[Floats2d, Callable[[Floats2d], Floats2d]]:
    xp = model.ops.xp
    table, targets = xp.asarray(sources), xp.asarray(learning)
    scores = xp.pad(X, ((0, 0), (0, 1)), constant_values=NEVER)

    def backprop(dY: Floats2d) -> Floats2d:
        # As through any maximum, the gradient goes to the class that gave the logit.
        best = scores[:, targets].argmax(axis=2)
        chosen = targets[xp.arange(len(targets)), best]
        dX = xp.zeros(scores.shape, dtype="float32")
        xp.add.at(dX, (xp.arange(len(dX))[:, None], chosen), dY)
        return cast(Floats2d, dX[:, :-1])

    return cast(Floats2d, scores[:, table].max(axis=2)), backprop
