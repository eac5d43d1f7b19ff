"""From records to Docs: mentions placed on tokens, and kept beside them as they were."""

from typing import List, Tuple

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import filter_spans

from .records import Mention, Record, Rejection


def make_doc(record: Record, nlp: Language) -> Tuple[Doc, List[Rejection]]:
    """Make the Doc of a record.

    `doc.ents` holds the mentions that are unbroken, fall on token bounds and overlap no longer one.
    `doc.user_data` holds all, as annotated, in tuples (what a DocBin gives back): `clinbert_id`; `clinbert_gold`, for
    each mention `(((start, end), …), label)` in characters of the text; where the corpus has them,
    `clinbert_assertions`, one for each mention, and `clinbert_relations`, each `(head, tail, label)` with indices into
    the mentions.

    record (Record): the record.
    nlp (Language): pipeline whose tokenizer cuts the text.
    RETURNS (Tuple[Doc, List[Rejection]]): the Doc, and each mention that is not in `doc.ents`.
    """
    doc = nlp.make_doc(record.text)
    placed: List[Tuple[Span, Mention]] = []
    rejected: List[Rejection] = []
    for mention in record.mentions:
        span, reason = _place(doc, mention)
        if span is None:
            rejected.append(Rejection(record.annotations, mention.id, reason))
        else:
            placed.append((span, mention))
    doc.ents = filter_spans([span for span, _ in placed])
    free = {(span.start, span.end, span.label_) for span in doc.ents}
    for span, mention in placed:
        # Each entity stands for one mention only: a repeated one is reported.
        if (span.start, span.end, span.label_) in free:
            free.remove((span.start, span.end, span.label_))
        else:
            rejected.append(Rejection(record.annotations, mention.id, "overlaps another mention"))
    doc.user_data["clinbert_id"] = record.id
    doc.user_data["clinbert_gold"] = tuple((one.fragments, one.label) for one in record.mentions)
    if any(one.assertion for one in record.mentions):
        doc.user_data["clinbert_assertions"] = tuple(one.assertion for one in record.mentions)
    if record.relations:
        doc.user_data["clinbert_relations"] = tuple(map(tuple, record.relations))
    return doc, rejected


def _place(doc: Doc, mention: Mention) -> Tuple["Span | None", str]:
    if len(mention.fragments) > 1:
        return None, "consists of fragments"
    start, end = mention.fragments[0]
    span = doc.char_span(start, end, mention.label)
    if span is None:
        return None, "starts or ends inside a token"
    return span, ""
