"""From character offsets to tokens."""

from typing import List, Sequence

import numpy
from spacy.attrs import IDX, LENGTH
from spacy.tokens import Doc


def tokens_at(doc: Doc, offsets: Sequence[int]) -> List[int]:
    """The index of the token that holds each character, or that follows it where it is a blank between tokens.

    doc (Doc): The Doc.
    offsets (Sequence[int]): Character offsets into `doc.text`.
    RETURNS (List[int]): One token index for each offset; `len(doc)` where no token follows.
    """
    bounds = doc.to_array([IDX, LENGTH]).astype("int64")
    return numpy.searchsorted(bounds.sum(axis=1), offsets, side="right").tolist()
