"""Mentions out of the scores of layers: O, B and I for every label, each layer decoded by itself, all at once."""

from typing import List

import numpy as np

from .tag_decoding import Mention

O, B, I = range(3)  # noqa: E741
WIDTH = 3


def decode_layers(logits: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Choose the likeliest legal sequence of each layer: I follows B or I, never a sequence's begin or O.

    logits (ndarray): shape (length, layers, 3).
    begins (ndarray): where a new sequence begins, shape (length,), of booleans, the first one true.
    RETURNS (ndarray): tags, shape (length, layers).
    """
    tags = logits.argmax(axis=2).astype("int8")
    # A sequence of maxima that is legal is the likeliest legal one: most layers need no search.
    before = np.concatenate([np.zeros_like(tags[:1]), tags[:-1]])
    illegal = ((tags == I) & ((before == O) | begins[:, None])).any(axis=0)
    if illegal.any():
        tags[:, illegal] = _viterbi(_log_softmax(logits[:, illegal]), begins)
    return tags


def find_layer_mentions(logits: np.ndarray, begins: np.ndarray) -> List[Mention]:
    """Find the mentions of all layers.

    logits (ndarray): shape (length, layers, 3).
    begins (ndarray): see `decode_layers`.
    RETURNS (List[Mention]): in order of start, then end, then label, all begun with a B. A score is the probability of
        just this span in its layer, as in `tag_decoding.find_mentions`.
    """
    # With many labels, most layers are empty in most texts, and the likeliest sequence of such a layer is no mention.
    used = np.flatnonzero((logits[:, :, 1:] > logits[:, :, :1]).any(axis=(0, 2)))
    tags = decode_layers(logits[:, used], begins)
    log_probabilities = _log_softmax(logits[:, used])
    goes_on = (tags == I) & ~begins[:, None]
    mentions = []
    for k, label in enumerate(used.tolist()):
        stops = np.append(np.flatnonzero(~goes_on[:, k]), len(tags))
        starts = np.flatnonzero(tags[:, k] == B)
        ends = stops[np.searchsorted(stops, starts, side="right")]
        of_tags = np.take_along_axis(log_probabilities[:, k], tags[:, k, None].astype("int64"), axis=1)[:, 0]
        for start, end in zip(starts.tolist(), ends.tolist()):
            score = float(np.exp(of_tags[start:end].sum()))
            if end < len(tags) and not begins[end]:
                score *= 1.0 - float(np.exp(log_probabilities[end, k, I]))
            mentions.append(Mention(start, end, label, score, True))
    return sorted(mentions)


def _viterbi(scores: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """The best legal tags of each layer out of log probabilities, shape (length, layers, 3): shape (length, layers)."""
    length, layers, _ = scores.shape
    # At O and B, the best tag before; at I, the better of B and I before.
    before_any, before_inside = (np.zeros((length, layers), dtype="int8") for _ in range(2))
    best = scores[0].copy()
    best[:, I] = -np.inf
    for i in range(1, length):
        before_any[i] = best.argmax(axis=1)
        before_inside[i] = np.where(best[:, B] >= best[:, I], B, I)
        highest = best.max(axis=1)
        inside = np.full(layers, -np.inf) if begins[i] else np.maximum(best[:, B], best[:, I])
        best = scores[i] + np.stack([highest, highest, inside], axis=1)
    tags = np.empty((length, layers), dtype="int8")
    tags[-1] = best.argmax(axis=1)
    for i in range(length - 1, 0, -1):
        tags[i - 1] = np.where(tags[i] == I, before_inside[i], before_any[i])
    return tags


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    # In float64: the logarithms of a long text are summed.
    logits = logits.astype("float64")
    shifted = logits - logits.max(axis=2, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
