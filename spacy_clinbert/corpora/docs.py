"""From records to Docs: mentions placed on tokens, and kept beside them as they were."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Callable, Dict, FrozenSet, List, Tuple

from spacy.tokens import Doc, Span, SpanGroup
from spacy.util import filter_spans

from .formats import Format
from .records import Mention, Record, Rejection

# The span group of all gold mentions on token bounds, overlapping or not.
GOLD = "clinbert_gold"


def make_doc(record: Record, tokenizer: Callable[[str], Doc], form: Format) -> Tuple[Doc, List[Rejection]]:
    """Make the Doc of a record.

    `doc.ents` holds the mentions that are unbroken, fall on token bounds and overlap no longer one;
    `doc.spans["clinbert_gold"]` those that are unbroken and fall on token bounds. Where the form has layers, each layer
    is a span group of its own without overlaps, labelled by the layer; parts of the text (premise, hypothesis) are
    span groups too. `doc.user_data` holds all mentions, as annotated, in tuples (what a DocBin gives back):
    `clinbert_id`; `clinbert_format`; `clinbert_gold`, for each mention `(((start, end), …), label)` in characters of
    the text; where the corpus has them, `clinbert_assertions`, one for each mention, and `clinbert_relations`, each
    `(head, tail, label)` with indices into the mentions.

    record (Record): the record.
    tokenizer (Callable[[str], Doc]): cuts the text; a pipeline's own, since `nlp.make_doc` refuses more than a million
        characters, for the sake of components that do not run here.
    form (Format): the record's form.
    RETURNS (Tuple[Doc, List[Rejection]]): the Doc, and each mention that is not in `doc.ents`.
    """
    doc = tokenizer(record.text)
    placed: List[Tuple[Span, Mention]] = []
    rejected: List[Rejection] = []
    for mention in record.mentions:
        span, reason = _place(doc, mention)
        if span is None:
            rejected.append(Rejection(record.annotations, mention.id, reason))
        else:
            placed.append((span, mention))
    spans = [span for span, _ in placed]
    # A corpus of categories says nothing of entities: its Docs must not count as free of them.
    if record.mentions or not record.cats:
        doc.ents = filter_spans(spans)
        doc.spans[GOLD] = SpanGroup(doc, name=GOLD, spans=spans)
    free = {(span.start, span.end, span.label_) for span in doc.ents}
    for span, mention in placed:
        # Each entity stands for one mention only: a repeated one is reported.
        if (span.start, span.end, span.label_) in free:
            free.remove((span.start, span.end, span.label_))
        else:
            rejected.append(Rejection(record.annotations, mention.id, "overlaps another mention"))
    for name, labels in form.layers.items():
        doc.spans[name] = _layer(doc, name, labels, spans)
    for name, (start, end) in record.parts.items():
        part = doc.char_span(start, end, name, alignment_mode="expand")
        doc.spans[name] = SpanGroup(doc, name=name, spans=[part] if start < end and part is not None else [])
    doc.cats = dict(record.cats)
    doc.user_data.update(_kept(record, form))
    return doc, rejected


def layer_of(record: Record, name: str, labels: FrozenSet[str]) -> Record:
    """Keep one layer of a record: what a model of that layer alone is trained and judged on.

    record (Record): the record.
    name (str): the layer, which becomes the label of its mentions.
    labels (FrozenSet[str]): the labels of the layer. An annotation with several of them is one mention.
    RETURNS (Record): the record, with the layer's mentions and the relations between them.
    """
    places: Dict[int, int] = {}
    mentions: List[Mention] = []
    known: Dict[Tuple, int] = {}
    for number, mention in enumerate(record.mentions):
        if mention.label in labels:
            place = known.setdefault((mention.id, mention.fragments), len(mentions))
            if place == len(mentions):
                mentions.append(mention._replace(label=name))
            places[number] = place
    relations = tuple(
        one._replace(head=places[one.head], tail=places[one.tail])
        for one in record.relations
        if one.head in places and one.tail in places
    )
    return replace(record, mentions=tuple(mentions), relations=relations)


def _layer(doc: Doc, name: str, labels: FrozenSet[str], spans: Sequence[Span]) -> SpanGroup:
    # A corpus converted for one layer has that layer's name for a label.
    inside = [Span(doc, span.start, span.end, name) for span in spans if span.label_ == name or span.label_ in labels]
    return SpanGroup(doc, name=name, spans=filter_spans(inside))


def _kept(record: Record, form: Format) -> Dict[str, object]:
    kept: Dict[str, object] = {
        "clinbert_id": record.id,
        "clinbert_format": form.name,
        "clinbert_gold": tuple((one.fragments, one.label) for one in record.mentions),
    }
    if any(one.assertion for one in record.mentions):
        kept["clinbert_assertions"] = tuple(one.assertion for one in record.mentions)
    if record.relations:
        kept["clinbert_relations"] = tuple(map(tuple, record.relations))
    return kept


def _place(doc: Doc, mention: Mention) -> Tuple["Span | None", str]:
    if len(mention.fragments) > 1:
        return None, "consists of fragments"
    start, end = mention.fragments[0]
    span = doc.char_span(start, end, mention.label)
    if span is None:
        return None, "starts or ends inside a token"
    return span, ""
