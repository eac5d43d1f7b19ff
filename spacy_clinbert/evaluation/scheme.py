"""What a pipeline's scheme cannot express, however good the pipeline: such gold mentions are always missed."""

from collections.abc import Sequence
from typing import Dict, List

from spacy.tokens import Doc
from spacy.util import filter_spans

from ..corpora.records import Mention

DISCONTINUOUS, OFF_TOKEN, OVERLAPPING = "discontinuous", "starts or ends inside a token", "overlaps another mention"


def inexpressible(doc: Doc, mentions: Sequence[Mention], may_overlap: bool) -> Dict[int, str]:
    """Find the gold mentions that no prediction can equal.

    doc (Doc): the document in the pipeline's own tokens, which need not be those of the conversion.
    mentions (Sequence[Mention]): its gold mentions.
    may_overlap (bool): whether predictions may overlap, as in `doc.spans`; those in `doc.ents` may not, and of gold
        mentions that overlap the longest can be found.
    RETURNS (Dict[int, str]): reason by index of the mention.
    """
    spans = {
        number: doc.char_span(*one.fragments[0], label=one.label)
        for number, one in enumerate(mentions)
        if len(one.fragments) == 1
    }
    # Of equal spans the filter keeps the first: each entity stands for one mention only.
    free = filter_spans(span for span in spans.values() if span is not None)
    kept = {(span.start, span.end, span.label_) for span in free}
    reasons: Dict[int, str] = {}
    for number in range(len(mentions)):
        span = spans.get(number)
        if number not in spans:
            reasons[number] = DISCONTINUOUS
        elif span is None:
            reasons[number] = OFF_TOKEN
        elif not may_overlap:
            place = span.start, span.end, span.label_
            if place in kept:
                kept.remove(place)
            else:
                reasons[number] = OVERLAPPING
    return reasons


def inexpressible_by_label(doc: Doc, mentions: Sequence[Mention]) -> Dict[int, str]:
    """Find the gold mentions that no prediction of `clinbert_spans` can equal: in it, no two of a label overlap.

    doc (Doc), mentions (Sequence[Mention]): see `inexpressible`.
    RETURNS (Dict[int, str]): reason by index of the mention.
    """
    places: Dict[str, List[int]] = {}
    for number, mention in enumerate(mentions):
        places.setdefault(mention.label, []).append(number)
    reasons = {
        numbers[place]: reason
        for numbers in places.values()
        for place, reason in inexpressible(doc, [mentions[number] for number in numbers], may_overlap=False).items()
    }
    return dict(sorted(reasons.items()))
