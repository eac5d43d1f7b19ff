"""The rows of the codes that are read: the latest."""

from functools import partial
from typing import Any, Callable, List, Optional, Tuple, cast

from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d

from .code_shim import CodeShim


def latest_codes(
    tok2vec: Model[List[Doc], List[Floats2d]], max_codes: Optional[int]
) -> Model[List[Doc], List[Floats2d]]:
    """Leave out the rows of codes that are not read.

    An encoder of codes gives zeros for those that its length has no room for: in a sequence they would be padding.

    tok2vec (Model[List[Doc], List[Floats2d]]): a row for each code.
    max_codes (Optional[int]): so many codes of a patient are read, the latest; None for all that the encoder reads.
    RETURNS (Model[List[Doc], List[Floats2d]]): the rows of the last codes of each Doc.
    """
    return Model("latest_codes", partial(forward, max_codes=max_codes), init=init, layers=[tok2vec])


def init(model: Model, X: Optional[List[Doc]] = None, Y: object = None) -> None:
    """Initialize the encoder."""
    model.layers[0].initialize(X)


def forward(
    model: Model, docs: List[Doc], is_train: bool, *, max_codes: Optional[int]
) -> Tuple[List[Floats2d], Callable[[List[Floats2d]], List[Doc]]]:
    """Cut the first rows off, and give them no gradient."""
    rows, backprop_rows = model.layers[0](docs, is_train)
    limits = [max_codes, *(shim.most_codes for shim in model.layers[0].shims if isinstance(shim, CodeShim))]
    most = min((limit for limit in limits if limit is not None), default=None)
    firsts = [max(0, len(of_doc) - most) if most else 0 for of_doc in rows]

    def backprop(d_latest: List[Floats2d]) -> List[Doc]:
        d_rows = [model.ops.alloc2f(*of_doc.shape) for of_doc in rows]
        for gradient, first, d_doc in zip(d_rows, firsts, d_latest):
            gradient[first:] = d_doc
        return cast(List[Doc], backprop_rows(d_rows))

    return [cast(Any, of_doc)[first:] for of_doc, first in zip(rows, firsts)], backprop
