"""`clinbert_sentences`: sentence starts, by rules made for clinical layout."""

from typing import Literal

import numpy
from spacy.attrs import SENT_START
from spacy.language import Language
from spacy.tokens import Doc
from thinc.api import Config

from ..errors import ClinbertError
from ..rules import split_sentences
from .alignment import tokens_at
from .base import RulePipe
from .sections import read_sections

DEFAULT_CONFIG_STR = """
[clinbert_sentences]
backend = "pysbd"
sections_key = "sections"
"""
DEFAULT_CONFIG = Config().from_str(DEFAULT_CONFIG_STR)


@Language.factory(
    "clinbert_sentences",
    assigns=["token.is_sent_start", "doc.sents"],
    default_config=DEFAULT_CONFIG["clinbert_sentences"],
)
def make_sentences(
    nlp: Language, name: str, backend: Literal["pysbd", "fast", "parser", "original"], sections_key: str
) -> "SentenceSplitter":
    """Make a `clinbert_sentences` component.

    backend (str): "pysbd", "fast", "parser" or "original", see `spacy_clinbert.rules.split_sentences`.
    sections_key (str): The key of the sections in `doc.spans`, which no sentence crosses.
    RETURNS (SentenceSplitter): The component.
    """
    return SentenceSplitter(name, backend=backend, sections_key=sections_key)


class SentenceSplitter(RulePipe):
    """Set the sentence start of every token, over whatever stood there; no sentence crosses a section.

    A sentence starts at the token that holds its first character. A token of blanks starts one only at the head of a
    section: elsewhere, as in spaCy, it belongs to the sentence before it. A note without sections is one section.
    """

    fields = ("backend", "sections_key")

    def __init__(
        self, name: str = "clinbert_sentences", *, backend: str = "pysbd", sections_key: str = "sections"
    ) -> None:
        """Create the component.

        name (str): The component's name in the pipeline.
        backend (str): "pysbd", "fast", "parser" or "original", see `spacy_clinbert.rules.split_sentences`.
        sections_key (str): The key of the sections in `doc.spans`.
        """
        super().__init__(name)
        self.backend = backend
        self.sections_key = sections_key

    def __call__(self, doc: Doc) -> Doc:
        """Set the sentence starts of one note.

        doc (Doc): The note, changed in place.
        RETURNS (Doc): The same Doc.
        RAISES (ClinbertError): Where the Doc has a dependency parse, whose trees the new sentences could cut.
        """
        if not len(doc):
            return doc
        if doc.has_annotation("DEP"):
            raise ClinbertError(f"{self.name} cannot change the sentences of a parsed Doc: put it before the parser.")
        sections = read_sections(doc, self.sections_key)
        sentences = split_sentences(doc.text, sections, backend=self.backend)
        is_start = numpy.full(len(doc), -1, dtype="int64")
        is_start[tokens_at(doc, [start for start, _ in sentences])] = 1
        # Token by token, spaCy would look through the whole Doc for a parse each time.
        doc.from_array([SENT_START], is_start.astype("uint64"))  # type: ignore[arg-type]
        return doc
