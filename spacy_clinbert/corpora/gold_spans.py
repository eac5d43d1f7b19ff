"""The gold of a Doc whose mentions may overlap: in one span group, or in a group for each layer."""

from collections.abc import Mapping, Sequence
from typing import Dict, FrozenSet, List, Optional, Tuple

from spacy.tokens import Doc, Span

from .docs import GOLD
from .records import Mention


def gold_spans(doc: Doc, gold_key: Optional[str]) -> Optional[List[Span]]:
    """The gold mentions that fall on token bounds.

    doc (Doc): the gold Doc.
    gold_key (Optional[str]): the span group that holds mentions of all labels; None where each label has a group of
        its own, named as its label (SemClinBr's layers).
    RETURNS (Optional[List[Span]]): the mentions; None where the Doc is not annotated.
    """
    if gold_key is not None:
        return list(doc.spans[gold_key]) if gold_key in doc.spans else None
    layers = [list(group) for key, group in doc.spans.items() if all(span.label_ == key for span in group)]
    return [span for layer in layers for span in layer] if layers else None


def gold_mentions(doc: Doc, gold_key: Optional[str]) -> Optional[Tuple[Mention, ...]]:
    """All gold mentions, in characters, also those that no span can hold, where `clinbert convert` kept them.

    doc (Doc), gold_key (Optional[str]): see `gold_spans`.
    RETURNS (Optional[Tuple[Mention, ...]]): the mentions; None where the Doc is not annotated.
    """
    spans = gold_spans(doc, gold_key)
    if spans is None:
        return None
    if GOLD in doc.user_data and gold_key in (GOLD, None):
        # Not at the top: the catalogue imports every form of corpus.
        from .catalogue import find_format

        mentions = tuple(Mention(tuple(map(tuple, fragments)), label) for fragments, label in doc.user_data[GOLD])
        layers = find_format(doc.user_data["clinbert_format"]).layers
        return mentions if gold_key == GOLD else layered(mentions, layers)
    return tuple(Mention(((span.start_char, span.end_char),), span.label_) for span in spans)


def layered(mentions: Sequence[Mention], layers: Mapping[str, FrozenSet[str]]) -> Tuple[Mention, ...]:
    """Label mentions by layer; one whose label is in several layers stands in each.

    mentions (Sequence[Mention]): mentions; labelled by layers already, they stay as they are.
    layers (Mapping[str, FrozenSet[str]]): labels of each layer; a mention also belongs to the layer whose name is its
        label.
    RETURNS (Tuple[Mention, ...]): the mentions of each layer, of those in the same place one.
    """
    found: Dict[Tuple, Mention] = {}
    for name, labels in layers.items():
        for mention in mentions:
            if mention.label == name or mention.label in labels:
                found.setdefault((name, tuple(sorted(mention.fragments))), mention._replace(label=name))
    return tuple(found.values())
