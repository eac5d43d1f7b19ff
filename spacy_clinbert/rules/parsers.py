"""Sentence starts by the dependency parser of a scispaCy model; spaCy is imported only when one is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from sys import maxsize
from typing import TYPE_CHECKING

from ..errors import ClinbertError
from .sections import Section

if TYPE_CHECKING:
    from spacy import Language
    from spacy.tokens import Doc

# Which models a backend runs, the first that is installed.
MODELS = {
    "parser": ("en_core_sci_sm", "en_core_sci_md", "en_core_sci_lg"),
    "original": ("en_core_sci_md",),
}
# The newest release of the models (scispaCy's README); it asks for a spaCy before 3.8, hence `--no-deps`.
_MODEL_URL = "https://s3-us-west-2.amazonaws.com/ai2-s2-scispacy/releases/v0.5.4/{name}-0.5.4.tar.gz"


def model_starts(text: str, sections: Sequence[Section], backend: str) -> Iterator[list[int]]:
    """Run a scispaCy model's parser on each section by itself.

    text (str): the note.
    sections (Sequence[Section]): sections that tile the text.
    backend (str): "parser" or "original".
    YIELDS (list[int]): for each section, where its sentences start, as ascending offsets into the text.
    RAISES (ClinbertError): if no model of the backend is installed.
    """
    nlp = _load(backend)
    for section in sections:
        doc = nlp.make_doc(text[section.start : section.end])
        if backend == "original":
            _mark_original_starts(doc)
        yield [section.start + token.idx for token in nlp(doc) if token.is_sent_start]


@lru_cache
def _load(backend: str) -> Language:
    import spacy

    name = next(filter(spacy.util.is_package, MODELS[backend]), None)
    if name is None:
        raise ClinbertError(
            f"The sentence backend {backend!r} needs the scispaCy model {' or '.join(MODELS[backend])}, "
            f"which is not installed: run `pip install --no-deps {_MODEL_URL.format(name=MODELS[backend][0])}`."
        )
    nlp = spacy.load(name, exclude=["tagger", "attribute_ruler", "lemmatizer", "ner"])
    # spaCy's limit guards memory; notes longer than it are real, and each section is parsed by itself.
    nlp.max_length = maxsize
    return nlp


def _mark_original_starts(doc: Doc) -> None:
    """Set the starts that ClinicalBERT set before the parser (`sbd_component` of its format_mimic_for_BERT.py).

    A sentence starts behind a period if the next token is in title case, and behind a hyphen if no other follows; the
    last two tokens are left to the parser, as there.
    """
    for i in range(len(doc) - 2):
        token, following = doc[i], doc[i + 1]
        if (token.text == "." and following.is_title) or (token.text == "-" and following.text != "-"):
            following.is_sent_start = True
