"""One row per entity, pooled from the rows of its tokens, and what it attends to in its sentence."""

from bisect import bisect_left, bisect_right
from functools import partial
from typing import Callable, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
from spacy.tokens import Doc, Span
from thinc.api import Model, Ops
from thinc.types import Floats2d, Ints1d

from .mention_attention import mention_attention
from .wordpieces import has_text

POOLINGS = ("mean", "max", "first")


class Places(NamedTuple):
    """Where the entities of a batch stand among its tokens, all Docs one after another.

    inside (Ints1d): the tokens of each entity; lengths (Ints1d): how many each has.
    around (Ints1d): those before each entity, then those behind it; sides (Ints1d): how many, two numbers each.
    distances (Ints1d): for each token around, how far it stands: 1 for the nearest one before, -1 behind.
    """

    inside: Ints1d
    lengths: Ints1d
    around: Ints1d
    sides: Ints1d
    distances: Ints1d


def mention_rows(
    tok2vec: Model[List[Doc], List[Floats2d]], pooling: str, context: int
) -> Model[List[Doc], List[Floats2d]]:
    """Build the layer.

    tok2vec (Model[List[Doc], List[Floats2d]]): rows per token.
    pooling (str): "mean", "max" or "first" of the tokens of an entity.
    context (int): so many tokens before and as many behind, within the sentence, are attended to; 0 for none.
    RETURNS (Model[List[Doc], List[Floats2d]]): rows of shape (len(doc.ents), width) per Doc.
    """
    layers: List[Model] = [tok2vec, mention_attention(context)] if context else [tok2vec]
    return Model(
        "mention_rows",
        partial(_forward, pooling=pooling, context=context),
        init=_init,
        layers=layers,
        dims={"nO": None},
        attrs={"rows": "mention"},
    )


def find_places(ops: Ops, docs: List[Doc], context: int) -> Places:
    """Find the entities of Docs and what stands around them.

    ops (Ops): what makes the arrays.
    docs (List[Doc]): Docs with entities; one without sentence starts is one sentence.
    context (int): so many tokens at most before and behind.
    RETURNS (Places): where they stand.
    """
    inside: List[np.ndarray] = []
    around: List[np.ndarray] = []
    distances: List[np.ndarray] = []
    offset = 0
    for doc in docs:
        for ent, (low, high) in in_sentences(doc):
            # A line feed inside an entity has no wordpieces, and so no row to speak of.
            tokens = [token.i for token in ent if has_text(token.text)] or list(range(ent.start, ent.end))
            inside.append(np.array(tokens) + offset)
            before = np.arange(max(low, ent.start - context), ent.start)
            behind = np.arange(ent.end, min(high, ent.end + context))
            around += [before + offset, behind + offset]
            distances += [ent.start - before, ent.end - 1 - behind]
        offset += len(doc)

    def flat(parts: List[np.ndarray]) -> Ints1d:
        return ops.asarray1i(np.concatenate([np.empty(0, dtype="int32"), *parts]), dtype="int32")

    def lengths(parts: List[np.ndarray]) -> Ints1d:
        return ops.asarray1i([len(part) for part in parts], dtype="int32")

    return Places(flat(inside), lengths(inside), flat(around), lengths(around), flat(distances))


def in_sentences(doc: Doc) -> Iterator[Tuple[Span, Tuple[int, int]]]:
    """Find the sentences of entities.

    doc (Doc): the document; without sentence starts it is one sentence.
    YIELDS (Tuple[Span, Tuple[int, int]]): each entity with the first and last token, end exclusive, of its sentence; of
        all its sentences, where it runs from one into the next.
    """
    bounds = [0, len(doc)]
    if doc.ents and doc.has_annotation("SENT_START"):
        bounds = sorted({*bounds, *np.flatnonzero(doc.to_array("SENT_START") == 1).tolist()})
    for ent in doc.ents:
        yield ent, (bounds[bisect_right(bounds, ent.start) - 1], bounds[bisect_left(bounds, ent.end)])


def pool(ops: Ops, rows: Floats2d, lengths: Ints1d, pooling: str) -> Tuple[Floats2d, Callable[[Floats2d], Floats2d]]:
    """Pool the rows of each entity.

    ops (Ops): what makes the arrays.
    rows (Floats2d): the rows of the tokens of all entities.
    lengths (Ints1d): how many each has, at least one.
    pooling (str): "mean", "max" or "first".
    RETURNS (Tuple[Floats2d, Callable]): a row per entity, and the way back.
    """
    if pooling == "mean":
        return ops.reduce_mean(rows, lengths), lambda d: ops.backprop_reduce_mean(d, lengths)
    if pooling == "max":
        found, which = ops.reduce_max(rows, lengths)
        return found, lambda d: ops.backprop_reduce_max(d, which, lengths)
    found, starts_ends = ops.reduce_first(rows, lengths)
    return found, lambda d: ops.backprop_reduce_first(d, starts_ends)


def _init(model: Model, X: Optional[List[Doc]] = None, Y: object = None) -> None:
    tok2vec = model.layers[0]
    tok2vec.initialize(X=X)
    if tok2vec.has_dim("nO"):
        width = tok2vec.get_dim("nO")
    else:
        # Only its rows tell the width of `spacy-transformers`' listener.
        assert X is not None
        width = tok2vec.predict(X[:1])[0].shape[1]
    if len(model.layers) > 1:
        attention = model.layers[1]
        attention.set_dim("nI", width)
        attention.initialize()
        width += attention.get_dim("nO")
    model.set_dim("nO", width)


def _forward(
    model: Model, docs: List[Doc], is_train: bool, *, pooling: str, context: int
) -> Tuple[List[Floats2d], Callable]:
    ops = model.ops
    rows, backprop_rows = model.layers[0](docs, is_train)
    places = find_places(ops, docs, context)
    ends = np.cumsum([len(doc.ents) for doc in docs], dtype=int)
    starts = ends - [len(doc.ents) for doc in docs]
    if not len(places.lengths):
        empty = [ops.alloc2f(0, model.get_dim("nO")) for _ in docs]
        return empty, lambda d_output: backprop_rows([ops.alloc2f(*part.shape) for part in rows])
    tokens = ops.flatten(rows)
    mentions, backprop_pool = pool(ops, tokens[places.inside], places.lengths, pooling)
    width = mentions.shape[1]
    if context:
        attended, backprop_attention = model.layers[1]((tokens, mentions, places), is_train)
        output = ops.xp.hstack([mentions, attended])
    else:
        output = mentions

    def backprop(d_output: List[Floats2d]) -> List[Doc]:
        d_flat = ops.flatten(d_output)
        d_mentions = d_flat[:, :width]
        if context:
            d_tokens, d_query = backprop_attention(ops.as_contig(d_flat[:, width:]))
            d_mentions = d_mentions + d_query
        else:
            d_tokens = ops.alloc2f(*tokens.shape)
        ops.scatter_add(d_tokens, places.inside, backprop_pool(ops.as_contig(d_mentions)))
        return backprop_rows(ops.unflatten(d_tokens, ops.asarray1i([len(part) for part in rows])))

    return [output[start:end] for start, end in zip(starts, ends)], backprop
