"""`spacy_clinbert.DevHalf.v1`: one half of a development set, so that the other stays unseen by early stopping.

[corpora.dev]
@readers = "spacy_clinbert.DevHalf.v1"
path = ${paths.dev}
half = "early_stopping"
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Callable, Literal, Union

from spacy.language import Language
from spacy.training import Example
from spacy.util import registry

from ..errors import ClinbertError
from .corpus import make_corpus

NAME = "spacy_clinbert.DevHalf.v1"
EARLY_STOPPING, CALIBRATION = "early_stopping", "calibration"


@registry.readers(NAME)
def make_dev_half(
    path: Union[str, Path], half: Literal["early_stopping", "calibration"]
) -> Callable[[Language], Iterator[Example]]:
    """Make a reader of half the documents, drawn by a hash of each text: neither order nor other documents matter, and
    a text that stands twice is in one half.

    path (Union[str, Path]): a .spacy file of `clinbert convert`, or a folder of such.
    half (str): "early_stopping" for training, which chooses the best pipeline by it; "calibration" for what
        `clinbert calibrate` fits a temperature to.
    RETURNS (Callable): gives an Example for each document of the half: the bare Doc and the annotated one. It raises a
        ClinbertError if the file cannot be read or the half is empty.
    """

    def read_examples(nlp: Language) -> Iterator[Example]:
        empty = True
        for example in make_corpus(path, [])(nlp):
            if half_of(example.reference.text) == half:
                empty = False
                yield example
        if empty:
            raise ClinbertError(
                f"{path}: has no documents in its half for {half}, it is too small to be halved: give a larger one"
            )

    return read_examples


def half_of(text: str) -> str:
    """Say in which half a document is.

    text (str): its text.
    RETURNS (str): "early_stopping" or "calibration".
    """
    return (EARLY_STOPPING, CALIBRATION)[hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[0] % 2]
