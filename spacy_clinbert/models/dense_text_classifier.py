"""`spacy_clinbert.DenseTextClassifier.v1`: a text classifier with a layer of its own before the last one."""

from functools import partial
from typing import Callable, List, Optional, Tuple, cast

from spacy import registry
from spacy.tokens import Doc
from thinc.api import Dropout, Linear, Model, chain, with_array
from thinc.types import Floats2d

from ..errors import ClinbertError
from .row_pooling import pool_rows
from .text_classifier import FromConfig
from .token_classifier import bert_init
from .window_probabilities import AGGREGATES

# Those of RoBERTa, DistilBERT, and of ELECTRA and DeBERTa.
ACTIVATIONS = ("tanh", "relu", "gelu")


@registry.architectures("spacy_clinbert.DenseTextClassifier.v1")
def DenseTextClassifier(
    tok2vec: Model[List[Doc], List[Floats2d]],
    width: int,
    activation: str,
    aggregate: str = "none",
    nO: Optional[int] = None,
) -> Model[List[Doc], List[Floats2d]]:
    """Build the head of encoders without BERT's pooler: `[CLS]`, dropout, linear, activation, dropout, linear.

    tok2vec (Model[List[Doc], List[Floats2d]]): rows per window, `spacy_clinbert.NoteWindows.v1` with `pooler = false`.
    width (int): width of the layer.
    activation (str): "tanh", "relu" or "gelu".
    aggregate (str), nO (Optional[int]): as for `spacy_clinbert.TextClassifier.v1`.
    RETURNS (Model[List[Doc], List[Floats2d]]): logits, as that gives them.
    RAISES (ClinbertError): if a setting is unknown, or the rows are not those of windows.
    """
    for setting, value, choices in (("activation", activation, ACTIVATIONS), ("aggregate", aggregate, AGGREGATES)):
        if value not in choices:
            raise ClinbertError(
                f'DenseTextClassifier: {setting} = "{value}" is unknown: give one of {", ".join(choices)}'
            )
    if tok2vec.attrs.get("rows") != "window":
        raise ClinbertError(
            "DenseTextClassifier needs rows of windows, and this tok2vec gives others: set [model.tok2vec] "
            '@architectures = "spacy_clinbert.NoteWindows.v1"'
        )
    dense, output = Linear(width, init_W=bert_init), Linear(nO, width, init_W=bert_init)
    before, between = (cast(Model[Floats2d, Floats2d], Dropout()) for _ in range(2))
    classify: Model[List[Floats2d], List[Floats2d]] = with_array(
        chain(before, dense, activate(activation), between, output)
    )
    pool = pool_rows("cls" if aggregate == "none" else None)
    head: Model[List[Floats2d], List[Floats2d]] = chain(pool, classify)
    model: Model[List[Doc], List[Floats2d]] = chain(tok2vec, head)
    model.attrs.update(pooling=FromConfig("cls"), aggregate=FromConfig(aggregate))
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("head", head)
    model.set_ref("dense_layer", dense)
    model.set_ref("output_layer", output)
    return model


def activate(name: str) -> Model[Floats2d, Floats2d]:
    """A layer without weights: one of `ACTIVATIONS`, applied to each number."""
    return Model(name, partial(_forward, name=name))


def _forward(
    model: Model[Floats2d, Floats2d], X: Floats2d, is_train: bool, *, name: str
) -> Tuple[Floats2d, Callable[[Floats2d], Floats2d]]:
    ops = model.ops
    if name == "tanh":
        Y = ops.xp.tanh(X)
        return Y, lambda dY: dY * (1 - Y * Y)
    if name == "relu":
        Y = ops.relu(X)
        return Y, lambda dY: ops.backprop_relu(dY, Y)
    return ops.gelu(X), lambda dY: ops.backprop_gelu(dY, X)
