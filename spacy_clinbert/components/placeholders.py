"""`clinbert_placeholders`: what de-identification put into the note, as spans."""

from spacy.language import Language
from spacy.tokens import Doc, Span
from thinc.api import Config

from ..rules import find_placeholders
from .alignment import tokens_at
from .base import RulePipe

DEFAULT_CONFIG_STR = """
[clinbert_placeholders]
spans_key = "placeholders"
"""
DEFAULT_CONFIG = Config().from_str(DEFAULT_CONFIG_STR)


@Language.factory(
    "clinbert_placeholders", assigns=["doc.spans"], default_config=DEFAULT_CONFIG["clinbert_placeholders"]
)
def make_placeholders(nlp: Language, name: str, spans_key: str) -> "PlaceholderFinder":
    """Make a `clinbert_placeholders` component.

    spans_key (str): The key of the placeholders in `doc.spans`.
    RETURNS (PlaceholderFinder): The component.
    """
    return PlaceholderFinder(name, spans_key=spans_key)


class PlaceholderFinder(RulePipe):
    """Write the placeholders of each note into `doc.spans`, labelled by what they hide (name, date, hospital …).

    With `spacy_clinbert.ClinicalTokenizer.v1` each placeholder is one token; with another tokenizer its span covers the
    tokens that hold any part of it.
    """

    fields = ("spans_key",)

    def __init__(self, name: str = "clinbert_placeholders", *, spans_key: str = "placeholders") -> None:
        """Create the component.

        name (str): The component's name in the pipeline.
        spans_key (str): The key of the placeholders in `doc.spans`.
        """
        super().__init__(name)
        self.spans_key = spans_key

    def __call__(self, doc: Doc) -> Doc:
        """Find the placeholders of one note.

        doc (Doc): The note, changed in place.
        RETURNS (Doc): The same Doc, with `doc.spans[spans_key]` in text order.
        """
        placeholders = find_placeholders(doc.text)
        starts = tokens_at(doc, [placeholder.start for placeholder in placeholders])
        lasts = tokens_at(doc, [placeholder.end - 1 for placeholder in placeholders])
        doc.spans[self.spans_key] = [
            Span(doc, start, last + 1, label=placeholder.kind)
            for placeholder, start, last in zip(placeholders, starts, lasts, strict=True)
        ]
        return doc
