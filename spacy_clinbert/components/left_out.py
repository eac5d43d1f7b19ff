"""What a classifier of texts left unread: a number on the Doc, and the totals of a corpus."""

import warnings
from typing import Iterable, Tuple

import numpy as np
from spacy.tokens import Doc


def count_outside(doc: Doc, bounds: Iterable[Tuple[int, int]]) -> int:
    """Count the tokens of a Doc, blanks left out, that stand in none of some stretches.

    doc (Doc): the Doc; bounds (Iterable[Tuple[int, int]]): first and end token of each stretch.
    RETURNS (int): the number of tokens.
    """
    outside = doc.to_array("IS_SPACE") == 0
    for start, end in bounds:
        outside[start:end] = False
    return int(np.count_nonzero(outside))


def report_left_out(name: str, left_out: Iterable[int]) -> None:
    """Warn of what is left out of the training data; silence would pass a part for the whole.

    name (str): the component.
    left_out (Iterable[int]): the number of tokens for each document.
    """
    n_docs = with_losses = tokens = 0
    for lost in left_out:
        n_docs, with_losses, tokens = n_docs + 1, with_losses + (lost > 0), tokens + lost
    if tokens:
        warnings.warn(
            f"{name}: {tokens} tokens of {with_losses} of the {n_docs} training documents are not read, because of "
            "sections, max_windows or pooling",
            stacklevel=3,
        )
