"""Poolings: the rows of a Doc, whatever they stand for, into one."""

from functools import partial
from typing import Callable, Dict, List, Optional, Tuple, cast

from thinc.api import Model
from thinc.types import Floats1d, Floats2d

from ..errors import ClinbertError

Pooled = Tuple[Floats2d, Callable[[Floats2d], Floats2d]]


def pool_rows(pooling: Optional[str]) -> Model[List[Floats2d], List[Floats2d]]:
    """Build a pooling; of a Doc without rows it gives zeros. All have the same structure, so that a saved pipeline can
    be loaded with another one.

    pooling (Optional[str]): "cls" takes the first row, "mean" their mean, "max" the largest of each column, "attention"
        their mean weighted by the softmax of a learned linear score, which starts as the plain mean; None keeps all.
    RETURNS (Model[List[Floats2d], List[Floats2d]]): rows of shape (n, width) to one of shape (1, width), for each Doc.
    """
    return Model(
        "pool_rows",
        partial(forward, pool=_all if pooling is None else POOLINGS[pooling]),
        init=init,
        dims={"nI": None},
        params={"query": None} if pooling == "attention" else {},
    )


def forward(
    model: Model, docs: List[Floats2d], is_train: bool, *, pool: Callable[[Model, Floats2d], Pooled]
) -> Tuple[List[Floats2d], Callable[[List[Floats2d]], List[Floats2d]]]:
    """Pool the rows of each Doc."""
    pooled = [pool(model, rows) if len(rows) else _nothing(model, rows) for rows in docs]

    def backprop(d_pooled: List[Floats2d]) -> List[Floats2d]:
        return [back(d_row) for (_, back), d_row in zip(pooled, d_pooled)]

    return [row for row, _ in pooled], backprop


def init(model: Model, X: Optional[List[Floats2d]] = None, Y: object = None) -> None:
    """Take the rows' width; attention starts from zeros, where all rows weigh the same: the gradient of the scores is
    none the less not zero."""
    if X is not None and model.has_dim("nI") is None:
        # `spacy-transformers` gives a Doc without tokens rows of no width.
        model.set_dim("nI", max(rows.shape[1] for rows in X))
    if "query" in model.param_names:
        model.set_param("query", model.ops.alloc1f(model.get_dim("nI")))


def attention_weights(model: Model, rows: Floats2d) -> Floats1d:
    """Say how the pooling "attention" weighs the rows of a Doc.

    model (Model): the pooling.
    rows (Floats2d): the rows, shape (n, width).
    RETURNS (Floats1d): their weights, shape (n,), which sum to 1.
    RAISES (ClinbertError): if the pooling was loaded from a pipeline that was trained with another one.
    """
    if not len(rows):
        return model.ops.alloc1f(0)
    if not model.has_param("query"):
        raise ClinbertError(
            'pooling = "attention" has weights, which this pipeline was saved without: load it with the pooling '
            "that it was trained with"
        )
    scores = rows @ model.get_param("query")
    return cast(Floats1d, model.ops.softmax(scores[None])[0])


def _nothing(model: Model, rows: Floats2d) -> Pooled:
    return model.ops.alloc2f(1, model.get_dim("nI")), lambda d_row: model.ops.alloc2f(*rows.shape)


def _all(model: Model, rows: Floats2d) -> Pooled:
    return rows, lambda d_rows: d_rows


def _cls(model: Model, rows: Floats2d) -> Pooled:
    def backprop(d_row: Floats2d) -> Floats2d:
        d_rows = model.ops.alloc2f(*rows.shape)
        d_rows[:1] = d_row
        return d_rows

    return rows[:1], backprop


def _mean(model: Model, rows: Floats2d) -> Pooled:
    return rows.mean(axis=0, keepdims=True), lambda d_row: model.ops.xp.repeat(d_row / len(rows), len(rows), axis=0)


def _max(model: Model, rows: Floats2d) -> Pooled:
    places = rows.argmax(axis=0)
    columns = model.ops.xp.arange(rows.shape[1])

    def backprop(d_row: Floats2d) -> Floats2d:
        d_rows = model.ops.alloc2f(*rows.shape)
        d_rows[places, columns] = d_row[0]
        return d_rows

    return rows[places, columns][None], backprop


def _attention(model: Model, rows: Floats2d) -> Pooled:
    weights = attention_weights(model, rows)
    query = model.get_param("query")
    xp = model.ops.xp

    def backprop(d_row: Floats2d) -> Floats2d:
        d_weights = rows @ d_row[0]
        d_scores = weights * (d_weights - weights @ d_weights)
        model.inc_grad("query", d_scores @ rows)
        return cast(Floats2d, xp.outer(weights, d_row) + xp.outer(d_scores, query))

    return cast(Floats2d, (weights @ rows)[None]), backprop


POOLINGS: Dict[str, Callable[[Model, Floats2d], Pooled]] = {
    "cls": _cls,
    "mean": _mean,
    "max": _max,
    "attention": _attention,
}
