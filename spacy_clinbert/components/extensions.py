"""The `._.clinbert_…` attributes: getters over span groups, so that nothing but the groups is stored on the Doc."""

from bisect import bisect_left, bisect_right
from operator import attrgetter
from typing import Any, Optional

from spacy.tokens import Doc, Span, Token

SECTIONS_KEY = "sections"
SCORES_KEYS = ("clinbert_ner", "clinbert_spans")
ASSERTIONS_KEY = "clinbert_assertion"
# What `clinbert_textcat` read of a Doc; in the attrs of its group, the number of tokens that it left out.
READ_KEY = "clinbert_textcat"
LEFT_OUT = "left_out"


def register_extensions() -> None:
    """Register the `._.clinbert_…` attributes; a further call changes nothing.

    The getters read `doc.spans["sections"]`, `["clinbert_ner"]`, `["clinbert_spans"]`, `["clinbert_assertion"]` and
    `["clinbert_textcat"]`, each in text order: a component that writes under another key does not feed them. A Doc that
    lost a group (`as_doc`) or a group's attrs (`Doc.from_docs`) gives the values for "nothing known".
    """
    Doc.set_extension("clinbert_left_out", getter=get_left_out, force=True)
    Token.set_extension("clinbert_section", getter=get_token_section, force=True)
    Span.set_extension("clinbert_section", getter=get_span_section, force=True)
    Span.set_extension("clinbert_title", getter=get_title, force=True)
    Span.set_extension("clinbert_level", getter=get_level, force=True)
    Span.set_extension("clinbert_score", getter=get_score, force=True)
    Span.set_extension("clinbert_assertion", getter=get_assertion, force=True)
    Span.set_extension("clinbert_assertion_score", getter=get_assertion_score, force=True)


def get_token_section(token: Token) -> str:
    """The category of the section in which a token stands.

    token (Token): Any token.
    RETURNS (str): The category, "" where it is unknown.
    """
    return _category_at(token.doc, token.i)


def get_span_section(span: Span) -> str:
    """The category of the section in which a span begins.

    span (Span): Any span, an entity for instance.
    RETURNS (str): The category, "" where it is unknown.
    """
    return _category_at(span.doc, span.start)


def get_title(span: Span) -> str:
    """The title of a section, as it is written in the note.

    span (Span): A span of `doc.spans["sections"]`.
    RETURNS (str): The title, "" for a section without title and for any other span.
    """
    offsets = find_attr(span, SECTIONS_KEY, "titles")
    if offsets is None:
        return ""
    start, end = (offset - span.start_char for offset in offsets)
    return span.text[start:end]


def get_level(span: Span) -> Optional[int]:
    """The level of a section: 1 for a section of the note, 2 for a problem inside one.

    span (Span): A span of `doc.spans["sections"]`.
    RETURNS (Optional[int]): The level, None for any other span.
    """
    return find_attr(span, SECTIONS_KEY, "levels")


def get_score(span: Span) -> Optional[float]:
    """The probability of a mention that `clinbert_ner` or `clinbert_spans` found.

    span (Span): An entity, or a span with the bounds and label of one that was found.
    RETURNS (Optional[float]): The probability, from 0 to 1; None for any other span.
    """
    scores = (find_attr(span, key, "scores") for key in SCORES_KEYS)
    return next((score for score in scores if score is not None), None)


def get_assertion(span: Span) -> str:
    """What the note asserts of an entity, as `clinbert_assertion` found it: present, absent, …

    span (Span): An entity.
    RETURNS (str): The assertion, "" for any other span.
    """
    return find_attr(span, ASSERTIONS_KEY, "assertions") or ""


def get_assertion_score(span: Span) -> Optional[float]:
    """The probability of an entity's assertion.

    span (Span): An entity.
    RETURNS (Optional[float]): The probability, from 0 to 1; None for any other span.
    """
    return find_attr(span, ASSERTIONS_KEY, "scores")


def get_left_out(doc: Doc) -> Optional[int]:
    """How many tokens of a Doc its classifier did not read, because of `sections`, `max_windows` or the
    pooling "cls".

    doc (Doc): any Doc.
    RETURNS (Optional[int]): the number of tokens, blanks not counted; None where no `clinbert_textcat` said it.
    """
    group = doc.spans.get(READ_KEY)
    return None if group is None else group.attrs.get(LEFT_OUT)


def _category_at(doc: Doc, i: int) -> str:
    group = doc.spans.get(SECTIONS_KEY)
    if not group:
        return ""
    # A bisection, since a scan of the sections for each token would take the square of the note's length.
    k = bisect_right(group, i, key=attrgetter("start")) - 1
    return group[k].label_ if k >= 0 and i < group[k].end else ""


def find_attr(span: Span, key: str, name: str) -> Any:
    """What a span group's attrs hold for one of its spans.

    span (Span): Any span; the group's span with the same bounds and label counts.
    key (str): The key of the group in `doc.spans`, its spans in text order.
    name (str): The name in the group's attrs, of a list parallel to its spans.
    RETURNS (Any): The list's value, None where the group has no such span or no such list.
    """
    group = span.doc.spans.get(key)
    if not group or len(values := group.attrs.get(name, ())) != len(group):
        return None
    k = bisect_left(group, span.start, key=attrgetter("start"))
    while k < len(group) and (found := group[k]).start == span.start:
        if (found.end, found.label) == (span.end, span.label):
            return values[k]
        k += 1
    return None
