"""A mention looks around in its sentence: additive attention before and behind it, which finds cues at a distance."""

from typing import Any, Callable, Tuple

import numpy as np
from thinc.api import Linear, Model
from thinc.types import Floats2d, Ints1d

# Width of keys, queries and values: cues are few words, and so is what is to be told apart.
WIDTH = 64


def mention_attention(reach: int) -> Model[Tuple[Floats2d, Floats2d, Any], Floats2d]:
    """Build the layer: additive attention (Bahdanau et al. 2015) of a mention to the tokens before it and, apart, to
    those behind it; how far a token stands is known in powers of two.

    reach (int): the farthest token.
    RETURNS (Model[Tuple[Floats2d, Floats2d, Places], Floats2d]): from rows of all tokens, rows of the mentions and
        their `Places` to rows of shape (mentions, 2 × WIDTH); zeros for a side without tokens.
    """
    parts = {"key": Linear(WIDTH), "value": Linear(WIDTH), "query": Linear(WIDTH), "score": Linear(1, WIDTH)}
    model: Model[Tuple[Floats2d, Floats2d, Any], Floats2d] = Model(
        "mention_attention",
        _forward,
        init=_init,
        layers=list(parts.values()),
        params={"D": None},
        dims={"nI": None, "nO": 2 * WIDTH},
        attrs={"buckets": reach.bit_length()},
    )
    for name, part in parts.items():
        model.set_ref(name, part)
    return model


def buckets(distances: Ints1d, number: int, xp: Any = np) -> Ints1d:
    """Sort distances by powers of two: 1, 2–3, 4–7 and so on before a mention, then the same behind it.

    distances (Ints1d): positive before, negative behind.
    number (int): buckets of a side.
    RETURNS (Ints1d): indices of buckets.
    """
    return (xp.log2(xp.abs(distances)) + number * (distances < 0)).astype("int32")


def _init(model: Model, X: object = None, Y: object = None) -> None:
    for name in ("key", "value", "query"):
        model.get_ref(name).set_dim("nI", model.get_dim("nI"))
    for layer in model.layers:
        layer.initialize()
    if not model.has_param("D"):
        model.set_param("D", model.ops.alloc2f(2 * model.attrs["buckets"], WIDTH))


def _forward(model: Model, inputs: Tuple[Floats2d, Floats2d, Any], is_train: bool) -> Tuple[Floats2d, Callable]:
    ops = model.ops
    tokens, mentions, places = inputs
    if not len(places.around):
        nothing = ops.alloc2f(len(mentions), 2 * WIDTH)
        return nothing, lambda d_output: (ops.alloc2f(*tokens.shape), ops.alloc2f(*mentions.shape))
    keys, backprop_keys = model.get_ref("key")(tokens, is_train)
    values, backprop_values = model.get_ref("value")(tokens, is_train)
    queries, backprop_queries = model.get_ref("query")(mentions, is_train)
    both_sides = ops.asarray1i(places.sides.reshape(-1, 2).sum(axis=1), dtype="int32")
    bucket = buckets(places.distances, model.attrs["buckets"], ops.xp)
    asked = ops.backprop_reduce_sum(queries, both_sides)
    hidden = ops.xp.tanh(keys[places.around] + asked + model.get_param("D")[bucket])
    scores, backprop_scores = model.get_ref("score")(hidden, is_train)
    weights = ops.softmax_sequences(scores, places.sides)
    seen = values[places.around]
    output = ops.reshape2f(ops.reduce_sum(weights * seen, places.sides), -1, 2 * WIDTH)

    def backprop(d_output: Floats2d) -> Tuple[Floats2d, Floats2d]:
        d_seen = ops.backprop_reduce_sum(ops.reshape2f(d_output, -1, WIDTH), places.sides)
        d_weights = (d_seen * seen).sum(axis=1, keepdims=True)
        d_hidden = backprop_scores(ops.backprop_softmax_sequences(d_weights, weights, places.sides))
        d_hidden = d_hidden * (1 - hidden * hidden)
        d_values, d_keys = ops.alloc2f(*values.shape), ops.alloc2f(*keys.shape)
        d_distances = ops.alloc2f(*model.get_param("D").shape)
        ops.scatter_add(d_values, places.around, weights * d_seen)
        ops.scatter_add(d_keys, places.around, d_hidden)
        ops.scatter_add(d_distances, bucket, d_hidden)
        model.inc_grad("D", d_distances)
        d_tokens = backprop_keys(d_keys) + backprop_values(d_values)
        return d_tokens, backprop_queries(ops.reduce_sum(d_hidden, both_sides))

    return output, backprop
