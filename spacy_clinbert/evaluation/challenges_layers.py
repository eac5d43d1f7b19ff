"""Scores of a corpus whose labels form layers that overlap, each with a model of its own (SemClinBr's 13 groups)."""

from collections.abc import Mapping, Sequence
from typing import Dict, FrozenSet, List

from ..corpora.records import Mention
from .counts import Rows
from .matching import exact_key, exact_rows, token_rows
from .scored import ScoredDoc


def layer_rows(docs: Sequence[ScoredDoc], layers: Mapping[str, FrozenSet[str]]) -> Dict[str, Rows]:
    """Count layer by layer, strictly by entity and by token: BioBERTpt's table (Schneider et al. 2020, ClinicalNLP)
    does not say which of the two it is.

    docs (Sequence[ScoredDoc]): documents with tokens.
    layers (Mapping[str, FrozenSet[str]]): labels of each layer; a mention also belongs to the layer whose name is its
        label. Within a layer, mentions in the same place count once, as its tags hold no more.
    RETURNS (Dict[str, Rows]): "entity" and "token", counts by document and layer; of both the `weighted` average is
        reported beside `micro`.
    """
    annotated = {mention.label for doc in docs for mention in doc.gold}
    if len(annotated) == 1 and annotated <= layers.keys():
        # The corpus holds this layer only: its mentions tell nothing of the wider layers that hold its label.
        layers = {name: layers[name] for name in annotated}
    layered = [doc._replace(gold=_layered(doc.gold, layers), predicted=_layered(doc.predicted, layers)) for doc in docs]
    return {"entity": exact_rows(layered), "token": token_rows(layered)}


def _layered(mentions: Sequence[Mention], layers: Mapping[str, FrozenSet[str]]) -> "tuple[Mention, ...]":
    found: List[Mention] = [
        mention._replace(label=name)
        for name, labels in layers.items()
        for mention in mentions
        if mention.label == name or mention.label in labels
    ]
    return tuple({exact_key(mention): mention for mention in found}.values())
