"""What a pipeline finds in the texts of a corpus, nothing cut: the predictions of the score `document`."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from spacy.language import Language
from spacy.tokens import Doc, Span

from ..components.sections import read_sections
from ..components.spans import ClinbertSpans
from ..corpora.formats import Format
from ..corpora.records import Mention
from ..errors import ClinbertError
from ..rules import load_lexicon, split_sections
from ..scale.failures import failure
from .gold import GoldDoc
from .scheme import inexpressible, inexpressible_by_label

BATCH = 32
SECTIONS_KEY = "sections"


class Predicted(NamedTuple):
    """What was found in a document.

    mentions (Tuple[Mention, ...]): the mentions, in characters of the text.
    ill_formed (FrozenSet[int]): indices of those that begin with an I, which strict IOB2 does not count.
    cats (Mapping[str, float]): scores of the labels of the whole document.
    sections (Tuple[Tuple[int, ...], Tuple[str, ...]]): where each section starts, and its category.
    inexpressible (Mapping[int, str]): by index, the gold mentions that the pipeline cannot express, and why.
    """

    mentions: Tuple[Mention, ...]
    ill_formed: "frozenset[int]"
    cats: Mapping[str, float]
    sections: Tuple[Tuple[int, ...], Tuple[str, ...]]
    inexpressible: Mapping[int, str]

    def category(self, at: int) -> str:
        """The category of the section in which a character stands; empty where it is unknown."""
        starts, categories = self.sections
        place = bisect_right(starts, at) - 1
        return categories[place] if place >= 0 else ""


def predict_documents(
    nlp: Language, form: Format, docs: Iterable[GoldDoc], spans_key: Optional[str]
) -> Iterator[Predicted]:
    """Run a pipeline over whole documents.

    nlp (Language): the pipeline; its own tokenizer cuts the texts.
    form (Format): the form of the corpus, for the language of sections where the pipeline finds none.
    docs (Iterable[GoldDoc]): the documents, of which it sees the text and its parts.
    spans_key (Optional[str]): key in `doc.spans` of the mentions; None to take `doc.ents`.
    YIELDS (Predicted): what it finds in each.
    RAISES (ClinbertError): if it fails on a document, changes its text, or writes no spans under the key in any.
    """
    lexicon = load_lexicon(form.lang)
    keys: Set[str] = set()
    by_label = tags_by_label(nlp, spans_key)
    remaining = iter(docs)
    while batch := list(islice(remaining, BATCH)):
        found = run_pipeline(nlp, lambda gold: [make_doc(nlp, gold)], batch, set())
        for gold, (doc,) in zip(batch, found):
            keys.update(doc.spans)
            spans = mention_spans(doc, spans_key)
            flags = ill_formed(doc, spans_key)
            sections = (
                read_sections(doc, SECTIONS_KEY) if SECTIONS_KEY in doc.spans else split_sections(doc.text, lexicon)
            )
            yield Predicted(
                tuple(Mention(((span.start_char, span.end_char),), span.label_) for span in spans),
                frozenset(number for number, span in enumerate(spans) if place(span) in flags),
                dict(doc.cats),
                (tuple(one.start for one in sections), tuple(one.category for one in sections)),
                inexpressible_by_label(doc, gold.mentions)
                if by_label
                else inexpressible(doc, gold.mentions, may_overlap=spans_key is not None),
            )
    # Some components write a group only where they find something.
    if spans_key is not None and spans_key not in keys:
        others = ", ".join(sorted(keys)) or "none"
        raise ClinbertError(f"the pipeline writes no spans under {spans_key!r}; those it writes: {others}")


def make_doc(nlp: Language, gold: GoldDoc) -> Doc:
    """Make the Doc that a pipeline is given: text and parts, no gold.

    nlp (Language): the pipeline.
    gold (GoldDoc): the document.
    RETURNS (Doc): the Doc.
    RAISES (ClinbertError): if the pipeline's tokenizer changes the text.
    """
    doc = nlp.make_doc(gold.text)
    if doc.text != gold.text:
        raise ClinbertError(
            f"the pipeline's tokenizer changes the text of document {gold.id}, so its offsets mean other places:"
            " give a pipeline whose tokenizer keeps the text"
        )
    for name, bounds in gold.parts.items():
        parts = (doc.char_span(start, end, name, alignment_mode="expand") for start, end in bounds)
        doc.spans[name] = [part for part in parts if part is not None]
    return doc


def run_pipeline(
    nlp: Language, make: Callable[[GoldDoc], List[Doc]], golds: Sequence[GoldDoc], disable: Set[str]
) -> List[List[Doc]]:
    """Run a pipeline over the Docs that are made of documents.

    nlp (Language): the pipeline.
    make (Callable[[GoldDoc], List[Doc]]): makes the Docs of one document.
    golds (Sequence[GoldDoc]): the documents, whose Docs go through together.
    disable (Set[str]): components that do not run.
    RETURNS (List[List[Doc]]): the annotated Docs of each document.
    RAISES (ClinbertError): if it fails, with the document.
    """
    try:
        made = [make(gold) for gold in golds]
        given = [doc for docs in made for doc in docs]
        annotated = list(nlp.pipe(given, disable=list(disable)))
        if len(annotated) != len(given):
            raise ValueError("a component leaves Docs out")
    except ClinbertError:
        raise
    except Exception as error:
        if len(golds) > 1:
            # One by one, to find the document on which it fails.
            return [run_pipeline(nlp, make, [gold], disable)[0] for gold in golds]
        # Not chained: the message may quote the text.
        raise ClinbertError(f"the pipeline fails on document {golds[0].id}: {failure(error)}") from None
    remaining = iter(annotated)
    return [[next(remaining) for _ in docs] for docs in made]


def mention_spans(doc: Doc, spans_key: Optional[str]) -> List[Span]:
    """The mentions that a pipeline found.

    doc (Doc): the annotated Doc.
    spans_key (Optional[str]): key in `doc.spans`; None to take `doc.ents`.
    RETURNS (List[Span]): the mentions.
    """
    return list(doc.ents if spans_key is None else doc.spans.get(spans_key, ()))


def ill_formed(doc: Doc, spans_key: Optional[str]) -> Set[Tuple[int, int, str]]:
    """The mentions of which `clinbert_ner` says that they begin with an I (`decoding = "argmax"`).

    doc (Doc): the annotated Doc.
    spans_key (Optional[str]): key in `doc.spans` of the mentions; None for `doc.ents`, of which any group may tell.
    RETURNS (Set[Tuple[int, int, str]]): first token, end token and label of each.
    """
    return {
        place(span)
        for key, group in doc.spans.items()
        if spans_key in (None, key)
        for span, well_formed in zip(group, group.attrs.get("well_formed", ()))
        if not well_formed
    }


def place(span: Span) -> Tuple[int, int, str]:
    """First token, end token and label of a span."""
    return span.start, span.end, span.label_


def known_labels(nlp: Language, target: str, spans_key: Optional[str] = None) -> Set[str]:
    """The labels that the components of a pipeline can give.

    nlp (Language): the pipeline.
    target (str): what they write: "doc.ents", "doc.spans" or "doc.cats".
    spans_key (Optional[str]): of those that write spans under a key of theirs, only those with this one.
    RETURNS (Set[str]): the labels; none where the components do not say.
    """
    labels: Dict[str, None] = {}
    for name, component in nlp.pipeline:
        same = spans_key is None or getattr(component, "spans_key", spans_key) == spans_key
        if target in nlp.get_pipe_meta(name).assigns and same:
            labels |= dict.fromkeys(getattr(component, "labels", ()))
    return set(labels)


def mention_labels(nlp: Language, spans_key: Optional[str]) -> Set[str]:
    """The labels that a pipeline can give to mentions.

    nlp (Language): the pipeline.
    spans_key (Optional[str]): key in `doc.spans` of the mentions; None for `doc.ents`.
    RETURNS (Set[str]): the labels; none where the components do not say.
    """
    return known_labels(nlp, "doc.ents" if spans_key is None else "doc.spans", spans_key)


def find_spans_key(nlp: Language) -> Optional[str]:
    """Find where a pipeline writes its mentions.

    nlp (Language): the pipeline.
    RETURNS (Optional[str]): the key of its `clinbert_spans` in `doc.spans`, where nothing writes `doc.ents`; else None,
        for `doc.ents`.
    """
    return None if writes_ents(nlp) else next(iter(_layered_keys(nlp)), None)


def writes_ents(nlp: Language) -> bool:
    """Whether a component of the pipeline says that it writes `doc.ents`."""
    return any("doc.ents" in nlp.get_pipe_meta(name).assigns for name in nlp.pipe_names)


def tags_by_label(nlp: Language, spans_key: Optional[str]) -> bool:
    """Whether mentions come from `clinbert_spans`: those of one label never overlap.

    nlp (Language): the pipeline.
    spans_key (Optional[str]): key in `doc.spans` of the mentions; None for `doc.ents`.
    """
    return spans_key in _layered_keys(nlp)


def _layered_keys(nlp: Language) -> List[str]:
    return [one.spans_key for _, one in nlp.pipeline if isinstance(one, ClinbertSpans)]
