"""Scores of a corpus whose labels form layers that overlap, each with a model of its own (SemClinBr's 13 groups)."""

from collections.abc import Collection, Mapping, Sequence
from typing import Dict, FrozenSet, Set

from ..corpora.gold_spans import layered
from .counts import Rows
from .gold import GoldCorpus
from .matching import exact_rows, token_rows
from .run import checksum
from .scored import ScoredDoc

Layers = Mapping[str, FrozenSet[str]]


def layer_rows(docs: Sequence[ScoredDoc], layers: Layers, known: Collection[str] = ()) -> Dict[str, Rows]:
    """Count layer by layer, strictly by entity and by token: BioBERTpt's table (Schneider et al. 2020, ClinicalNLP)
    does not say which of the two it is.

    docs (Sequence[ScoredDoc]): documents with tokens.
    layers (Mapping[str, FrozenSet[str]]): labels of each layer; a mention also belongs to the layer whose name is its
        label. Within a layer, mentions in the same place count once, as its tags hold no more.
    known (Collection[str]): the labels that the pipeline can give. A layer that it knows by name is judged by its
        predictions of that name alone: what it calls a Finding is no Disorder unless it says so.
    RETURNS (Dict[str, Rows]): "entity" and "token", counts by document and layer; of both the `weighted` average is
        reported beside `micro`.
    """
    layers = _annotated({mention.label for doc in docs for mention in doc.gold}, layers)
    predicted = {name: frozenset((name,)) if name in known else labels for name, labels in layers.items()}
    docs = [doc._replace(gold=layered(doc.gold, layers), predicted=layered(doc.predicted, predicted)) for doc in docs]
    return {"entity": exact_rows(docs), "token": token_rows(docs)}


def judge_by_layer(corpus: GoldCorpus, known: Collection[str]) -> GoldCorpus:
    """Label the gold by layers, for a pipeline that gives layers and not their labels.

    corpus (GoldCorpus): the corpus.
    known (Collection[str]): the labels that the pipeline can give; it gives layers if one of them is the name of a
        layer and none of its labels.
    RETURNS (GoldCorpus): each mention once for every layer of its label; the corpus as it is for any other pipeline.
    """
    layers = corpus.form.layers
    if not any(name in known and name not in labels for name, labels in layers.items()):
        return corpus
    layers = _annotated({mention.label for doc in corpus.docs for mention in doc.mentions}, layers)
    docs = [doc._replace(mentions=layered(doc.mentions, layers)) for doc in corpus.docs]
    return corpus._replace(docs=docs, checksum=checksum((doc.id, doc.mentions, doc.cats) for doc in docs))


def _annotated(labels: Set[str], layers: Layers) -> Layers:
    # A corpus converted for one layer: its mentions tell nothing of the wider layers that hold its label.
    return {name: layers[name] for name in labels} if len(labels) == 1 and labels <= layers.keys() else layers
