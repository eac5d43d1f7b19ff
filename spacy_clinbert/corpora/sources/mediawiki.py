"""A MediaWiki dump (`…-pages-articles.xml.bz2`): the articles of given categories as plain text.

MedBERT's corpus has a Wikipedia part (Vasantharajan et al. 2022). An article is of the categories that its own wikitext
names: those that a template adds are not seen, and a category does not take in its subcategories. Redirects and pages
that are no articles (talk, users, files) are no notes. The form: https://www.mediawiki.org/wiki/Help:Export.
"""

import bz2
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, List, Tuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from ...errors import ClinbertError
from ..notes import Note, Rejected
from .forms import Form, Request, normal

SUFFIXES = (".xml", ".xml.bz2")
# Namespaces are numbered alike in all languages (https://www.mediawiki.org/wiki/Manual:Namespace_constants).
ARTICLE, FILE, CATEGORY = "0", "6", "14"
# Names that hold beside those of the dump's language.
NAMES = {FILE: ("file", "image"), CATEGORY: ("category",)}
# What strip_code would run into the sentences around it.
NO_PROSE = ("ref", "table")
_LINK = re.compile(r"\[\[[^:|\[\]]+:([^|\[\]]+)")


def _recognises(source: str) -> bool:
    if not source.lower().endswith(SUFFIXES) or not Path(source).is_file():
        return False
    try:
        with _open(source) as dump:
            return b"<mediawiki" in dump.read(1000)
    except (OSError, EOFError):
        # Reading it will say what is wrong.
        return True


def _open(source: str) -> Any:
    return bz2.open(source) if source.lower().endswith(".bz2") else open(source, "rb")


def _read(request: Request) -> Iterator[Note]:
    plain_text = _converter()
    namespaces = {FILE: set(NAMES[FILE]), CATEGORY: set(NAMES[CATEGORY])}
    for kind, element in _elements(request.source):
        if kind == "namespace":
            namespaces.get(element.get("key", ""), set()).add(normal(element.text or ""))
            continue
        if element.findtext("{*}ns", ARTICLE) != ARTICLE or element.find("{*}redirect") is not None:
            continue
        page_id, wikitext = element.findtext("{*}id", ""), element.findtext("{*}revision/{*}text", "")
        # Parsing takes long, and most pages are of no category that was asked for.
        if request.categories and not any(normal(link) in request.categories for link in _LINK.findall(wikitext)):
            continue
        text, categories = plain_text(wikitext, namespaces[FILE], namespaces[CATEGORY])
        of = [category for category in categories if normal(category) in request.categories]
        if of or not request.categories:
            if text:
                yield Note(page_id, text, category="".join(of[:1]))
            else:
                request.on_reject(Rejected(page_id, "it has no text"))


def _elements(source: str) -> Iterator[Tuple[str, Element]]:
    """The namespaces and pages of a dump, none of which is kept."""
    try:
        with _open(source) as dump:
            events = iterparse(dump, ("start", "end"))
            _, root = next(events)
            if _local(root) != "mediawiki":
                raise ClinbertError(f"{source} is no MediaWiki dump: give a file …-pages-articles.xml.bz2")
            for event, element in events:
                if event == "end" and _local(element) in ("namespace", "page"):
                    yield _local(element), element
                    if _local(element) == "page":
                        root.clear()
    except DefusedXmlException:
        raise ClinbertError(
            f"{source} defines or fetches entities, which can exhaust memory: take it as released"
        ) from None
    except EOFError:
        raise ClinbertError(f"{source} is cut off before its end: copy it again, whole") from None
    except ParseError as error:
        line = error.position[0]
        raise ClinbertError(f"{source}, line {line}: it is broken or cut off there: copy it again, whole") from None
    except (OSError, LookupError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged or of another format"
        raise ClinbertError(f"{source} cannot be read ({reason}): check it or copy it again") from None


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _converter() -> Callable[[str, set[str], set[str]], Tuple[str, List[str]]]:
    """What makes plain text of wikitext, and names its categories."""
    try:
        import mwparserfromhell
    except ImportError:
        raise ClinbertError(
            "a MediaWiki dump is read with mwparserfromhell: pip install 'spacy-clinbert[wikipedia]'"
        ) from None

    def plain_text(wikitext: str, files: set[str], categories: set[str]) -> Tuple[str, List[str]]:
        code = mwparserfromhell.parse(wikitext)
        named = []
        for link in code.filter_wikilinks():
            namespace, colon, title = str(link.title).partition(":")
            if colon and normal(namespace) in categories:
                named.append(title.strip())
            # A colon in front makes it a link like any other.
            if colon and normal(namespace) in files | categories:
                link.title, link.text = "", None
        for tag in code.filter_tags(matches=lambda tag: tag.tag in NO_PROSE):
            tag.contents = ""
        lines = code.strip_code(collapse=True).split("\n")
        return "\n".join(line.strip() for line in lines).strip(), named

    return plain_text


FORM = Form("mediawiki", "a MediaWiki dump .xml or .xml.bz2", _recognises, _read, has_columns=False)
