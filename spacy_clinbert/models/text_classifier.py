"""`spacy_clinbert.TextClassifier.v1`: labels of whole texts from the rows of any tok2vec."""

from typing import List, Optional, cast

from spacy import registry
from spacy.tokens import Doc
from thinc.api import Dropout, Linear, Model, chain, deserialize_attr, with_array
from thinc.types import Floats2d

from ..errors import ClinbertError
from .row_pooling import POOLINGS, pool_rows
from .token_classifier import bert_init
from .window_probabilities import AGGREGATES


class FromConfig(str):
    """A setting that touches no weights: at load the config's counts, not what was saved."""


@deserialize_attr.register(FromConfig)
def keep_config(setting: FromConfig, saved: bytes, name: str, model: Model) -> FromConfig:
    """Keep what the config says; Thinc would take what was saved."""
    return setting


@registry.architectures("spacy_clinbert.TextClassifier.v1")
def TextClassifier(
    tok2vec: Model[List[Doc], List[Floats2d]], pooling: str = "cls", aggregate: str = "none", nO: Optional[int] = None
) -> Model[List[Doc], List[Floats2d]]:
    """Build a classifier of texts: rows, pooling, dropout, one linear layer.

    tok2vec (Model[List[Doc], List[Floats2d]]): rows per token (our encoders, a listener, or any of spaCy's) or per
        window (`spacy_clinbert.NoteWindows.v1`).
    pooling (str): "cls" for the `[CLS]` row of the first window, as in BERT: what comes behind that window is not read
        (`max_windows = 1` spares its computation); "mean", "max" or "attention" (learned weights) over all rows.
    aggregate (str): "none", or how the probabilities of the windows, each classified by itself, are put together:
        "mean", or "readmission", the rule of Huang et al. 2019. They classify and learn each window as a text of its
        own; here the loss is that of the whole text. See `window_probabilities.combine` for labels that exclude each
        other.
    nO (Optional[int]): number of labels; inferred from the data.
    RETURNS (Model[List[Doc], List[Floats2d]]): logits, shape (1, nO) per Doc; with `aggregate`, (windows, nO). The
        dropout is `training.dropout`.
    RAISES (ClinbertError): if a setting is unknown, or wants rows of windows where there are others.
    """
    for setting, value, choices in (("pooling", pooling, POOLINGS), ("aggregate", aggregate, AGGREGATES)):
        if value not in choices:
            raise ClinbertError(f'TextClassifier: {setting} = "{value}" is unknown: give one of {", ".join(choices)}')
    if aggregate != "none" and pooling != "cls":
        raise ClinbertError(
            f'TextClassifier: aggregate = "{aggregate}" classifies each window by its own [CLS] row, so nothing is '
            'pooled: set pooling = "cls", or aggregate = "none"'
        )
    if pooling == "cls" and tok2vec.attrs.get("rows") != "window":
        wanting = f'pooling = "{pooling}"' if aggregate == "none" else f'aggregate = "{aggregate}"'
        raise ClinbertError(
            f"TextClassifier: {wanting} needs rows of windows, which this tok2vec does not give: take "
            'spacy_clinbert.NoteWindows.v1, or aggregate = "none" and pooling = "mean", "max" or "attention"'
        )
    output = Linear(nO, init_W=bert_init)
    dropout = cast(Model[Floats2d, Floats2d], Dropout())
    classify: Model[List[Floats2d], List[Floats2d]] = with_array(chain(dropout, output))
    pool = pool_rows(pooling if aggregate == "none" else None)
    head: Model[List[Floats2d], List[Floats2d]] = chain(pool, classify)
    model: Model[List[Doc], List[Floats2d]] = chain(tok2vec, head)
    model.attrs["pooling"], model.attrs["aggregate"] = FromConfig(pooling), FromConfig(aggregate)
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("head", head)
    model.set_ref("pool", pool)
    model.set_ref("output_layer", output)
    return model
