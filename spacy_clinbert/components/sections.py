"""`clinbert_sections`: the sections of a note as spans that tile its tokens."""

from itertools import pairwise
from typing import Any, Dict, List, Optional

from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from thinc.api import Config

from ..errors import ClinbertError
from ..rules import Lexicon, Section, load_lexicon, split_sections
from ..rules.lexicon import LISTS, Category, Entry
from .alignment import tokens_at
from .base import RulePipe
from .extensions import find_attr

DEFAULT_CONFIG_STR = """
[clinbert_sections]
lexicon = "en"
extend = {}
spans_key = "sections"
"""
DEFAULT_CONFIG = Config().from_str(DEFAULT_CONFIG_STR)


@Language.factory(
    "clinbert_sections",
    assigns=[
        "doc.spans",
        "token._.clinbert_section",
        "span._.clinbert_section",
        "span._.clinbert_title",
        "span._.clinbert_level",
    ],
    default_config=DEFAULT_CONFIG["clinbert_sections"],
)
def make_sections(nlp: Language, name: str, lexicon: str, extend: Dict[str, str], spans_key: str) -> "SectionSplitter":
    """Make a `clinbert_sections` component.

    lexicon (str): A built-in language ("en", "pt") or the path of a JSON file that takes its place.
    extend (Dict[str, str]): Title → category, added to the lexicon.
    spans_key (str): The key of the sections in `doc.spans`; the extension attributes read "sections".
    RETURNS (SectionSplitter): The component.
    RAISES (ClinbertError): Where a title of `extend` cannot stand in a config file.
    """
    if Config().from_str(Config({"extend": extend}).to_str())["extend"] != extend:
        raise ClinbertError(
            f"The titles in 'extend' of {name} do not survive a config file: leave out colons, equals signs, and "
            "leading hashes and semicolons, which a lexicon does not need."
        )
    return SectionSplitter(name, lexicon=lexicon, extend=extend, spans_key=spans_key)


class SectionSplitter(RulePipe):
    """Write the sections of a note into `doc.spans`, labelled by category; the lexicon is saved with the component."""

    fields = ("spans_key",)

    def __init__(
        self,
        name: str = "clinbert_sections",
        *,
        lexicon: str = "en",
        extend: Optional[Dict[str, str]] = None,
        spans_key: str = "sections",
    ) -> None:
        """Create the component.

        name (str): The component's name in the pipeline.
        lexicon (str): A built-in language ("en", "pt") or the path of a JSON file that takes its place.
        extend (Optional[Dict[str, str]]): Title → category, added to the lexicon.
        spans_key (str): The key of the sections in `doc.spans`; the extension attributes read "sections".
        """
        super().__init__(name)
        self.spans_key = spans_key
        # Not read here: a saved pipeline is made from its config before it takes over the lexicon saved with it.
        self._source = (lexicon, extend)
        self._lexicon: Optional[Lexicon] = None

    @property
    def lexicon(self) -> Lexicon:
        """The section titles.

        RETURNS (Lexicon): The lexicon that was named, with its extension.
        RAISES (ClinbertError): Where the lexicon named at construction cannot be used.
        """
        if self._lexicon is None:
            self._lexicon = load_lexicon(*self._source)
        return self._lexicon

    def __call__(self, doc: Doc) -> Doc:
        """Find the sections of one note.

        doc (Doc): The note, changed in place.
        RETURNS (Doc): The same Doc, with `doc.spans[spans_key]` in text order.
        """
        write_sections(doc, self.spans_key, split_sections(doc.text, self.lexicon))
        return doc

    def _settings(self) -> Dict[str, Any]:
        lexicon = vars(self.lexicon)
        return {**super()._settings(), "lexicon": {**lexicon, **{field: sorted(lexicon[field]) for field in LISTS}}}

    def _restore(self, settings: Dict[str, Any]) -> None:
        super()._restore(settings)
        lexicon = settings["lexicon"]
        self._lexicon = Lexicon(
            language=lexicon["language"],
            categories={category: Category(*entry) for category, entry in lexicon["categories"].items()},
            titles={title: Entry(*entry) for title, entry in lexicon["titles"].items()},
            stems={stem: Entry(*entry) for stem, entry in lexicon["stems"].items()},
            **{field: frozenset(lexicon[field]) for field in LISTS},
        )


def write_sections(doc: Doc, key: str, sections: List[Section]) -> None:
    """Write the sections of a text as spans that tile the tokens of its Doc.

    A boundary moves to the start of the token that holds or follows it. A section that is left without a token (one
    blank, or a title glued to the next one in a single token) has no span: `attrs["dropped"]` counts these.
    `attrs["titles"]` holds the character offsets of each span's title, `attrs["levels"]` its level: they survive
    DocBin, bytes and copy.

    doc (Doc): The Doc, changed in place.
    key (str): The key in `doc.spans`.
    sections (List[Section]): The sections of `doc.text`, which they tile.
    """
    starts = [*tokens_at(doc, [section.start for section in sections]), len(doc)]
    kept = [
        (section, start, end) for section, (start, end) in zip(sections, pairwise(starts), strict=True) if start < end
    ]
    doc.spans[key] = SpanGroup(
        doc,
        name=key,
        spans=[Span(doc, start, end, label=section.category) for section, start, end in kept],
        attrs={
            "titles": [[section.title_start, section.title_end] for section, _, _ in kept],
            "levels": [section.level for section, _, _ in kept],
            "dropped": len(sections) - len(kept),
        },
    )


def read_sections(doc: Doc, key: str) -> List[Section]:
    """Read the sections of a Doc as the rules know them: they tile its text, and each begins where a token begins.

    doc (Doc): The Doc; what stands before its first section, or in a Doc without sections, is a section without title.
    key (str): The key in `doc.spans`; of spans that do not tile, each ends where the next one starts.
    RETURNS (List[Section]): The sections, in text order.
    """
    text = doc.text
    spans = {span.start_char: span for span in doc.spans.get(key, ())}
    bounds = [*sorted({0, *spans}), len(text)]
    return [_read_section(text, start, end, spans.get(start), key) for start, end in pairwise(bounds)]


def _read_section(text: str, start: int, end: int, span: Optional[Span], key: str) -> Section:
    if span is None:
        return Section(start, end, start, start, "", "", 1)
    title_start, title_end = find_attr(span, key, "titles") or (start, start)
    title_end = min(title_end, end)
    level = find_attr(span, key, "levels") or 1
    return Section(start, end, title_start, title_end, text[title_start:title_end], span.label_, level)
