"""IOB2 tags out of scores, and mentions out of tags."""

from typing import List, NamedTuple, Sequence

import numpy as np
from spacy.tokens import Doc

from .wordpieces import has_text

OUTSIDE = 0
DECODINGS = ("viterbi", "argmax", "iob1")


class Mention(NamedTuple):
    """A mention in a sequence: its positions, its label's index, its probability, and whether it began with a B."""

    start: int
    end: int
    label: int
    score: float
    well_formed: bool


def tag_names(labels: Sequence[str]) -> List[str]:
    """The IOB2 tags of labels, in the order of the model's outputs: O, B-x, I-x, B-y, I-y, …"""
    return ["O", *(f"{prefix}-{label}" for label in labels for prefix in "BI")]


def begin_tag(label: int) -> int:
    """The index of a label's B tag; its I tag follows."""
    return 1 + 2 * label


def sequences(doc: Doc) -> List[np.ndarray]:
    """The sequences of tokens in which mentions are found.

    A sentence is a sequence of its own, as in the papers: no mention runs from one into the next. Tokens without
    wordpieces are passed over, so that a line end inside a mention does not cut it in two.

    doc (Doc): the document; without sentence starts it is one sequence.
    RETURNS (List[ndarray]): token indices of each sequence that has any.
    """
    places = np.array([token.i for token in doc if has_text(token.text)], dtype=np.int64)
    known = doc.has_annotation("SENT_START")
    starts = np.flatnonzero(doc.to_array("SENT_START") == 1) if known else np.empty(0, dtype=np.int64)
    parts = np.split(places, np.unique(np.searchsorted(places, starts)))
    return [part for part in parts if len(part)]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def decode(probabilities: np.ndarray, decoding: str) -> np.ndarray:
    """Choose one tag for each position.

    probabilities (ndarray): shape (length, 2 × labels + 1), in the order of `tag_names`.
    decoding (str): "viterbi" for the likeliest legal sequence, "argmax" for the likeliest tag of each position, legal
        or not; "iob1" for the same in a scheme in which an I may begin a mention, so that all sequences are legal.
    RETURNS (ndarray): tag indices, shape (length,).
    """
    tags = probabilities.argmax(axis=1)
    # A sequence of maxima that is legal is the likeliest legal one: most need no search.
    if decoding != "viterbi" or not is_inside_without_begin(tags).any():
        return tags
    return viterbi(np.log(np.maximum(probabilities, 1e-30)))


def is_inside_without_begin(tags: np.ndarray) -> np.ndarray:
    """Where an I tag does not follow a B or I of its own label: shape (length,)."""
    before = np.concatenate([[OUTSIDE], tags[:-1]])
    inside = (tags > 0) & (tags % 2 == 0)
    return inside & (before != tags) & (before != tags - 1)


def viterbi(scores: np.ndarray) -> np.ndarray:
    """The best sequence in which each I follows a B or I of its label.

    scores (ndarray): log probabilities, shape (length, 2 × labels + 1).
    RETURNS (ndarray): tag indices, shape (length,).
    """
    length, width = scores.shape
    inside = np.arange(2, width, 2)
    back = np.zeros((length, width), dtype=np.int64)
    best = scores[0].copy()
    best[inside] = -np.inf
    for i in range(1, length):
        # All tags may follow any, but for I: it follows the better of its own B and I.
        back[i] = best.argmax()
        back[i, inside] = np.where(best[inside - 1] >= best[inside], inside - 1, inside)
        best = best[back[i]] + scores[i]
    tags = np.empty(length, dtype=np.int64)
    tags[-1] = best.argmax()
    for i in range(length - 1, 0, -1):
        tags[i - 1] = back[i, tags[i]]
    return tags


def find_mentions(tags: np.ndarray, probabilities: np.ndarray) -> List[Mention]:
    """The mentions in a sequence of tags; an I that follows no B of its label begins one, as in the CoNLL score.

    tags (ndarray): tag indices, shape (length,).
    probabilities (ndarray): shape (length, tags).
    RETURNS (List[Mention]): in order. A mention's score is the probability of just this span with this label: that of
        its tags, times that of no further I behind it, positions taken as independent, as the layer does.
    """
    orphans = is_inside_without_begin(tags)
    is_begin = (tags % 2 == 1) | orphans
    mentions = []
    for start in np.flatnonzero(is_begin):
        label = (int(tags[start]) - 1) // 2
        inside = begin_tag(label) + 1
        end = int(start) + 1
        while end < len(tags) and tags[end] == inside:
            end += 1
        # In float64, since the product over a long mention can be less than the smallest float32.
        score = float(np.prod(probabilities[np.arange(start, end), tags[start:end]], dtype=np.float64))
        if end < len(tags):
            score *= 1.0 - float(probabilities[end, inside])
        mentions.append(Mention(int(start), end, label, score, not bool(orphans[start])))
    return mentions
