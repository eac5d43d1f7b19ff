"""What reads the rows of a patient in their order: PyTorch modules whose weights Thinc keeps, and their classifier.

Thinc's own wrapper of PyTorch wants to know all sizes when a config is read, and pickles weights. Here the sizes come
with the first rows, and weights are arrays like all others of Thinc's.
"""

import os
from functools import partial
from typing import Any, Callable, Dict, List, Optional, Tuple, cast

from spacy.tokens import Doc
from thinc.api import Dropout, Linear, Model, chain, torch2xp, with_array, xp2torch
from thinc.types import Floats2d

from ..errors import ClinbertError
from .token_classifier import bert_init

# Makes a module for rows of a width: from (patients, most rows, width), zeros behind each patient's last, and the
# numbers of rows, int64 of shape (patients,), to (patients, module.width).
MakeModule = Callable[[int], Any]
# Where torch may have started threads.
_PROCESS = os.getpid()


def sequence_classifier(
    tok2vec: Model[List[Doc], List[Floats2d]], kind: str, pool: Model[List[Floats2d], List[Floats2d]], nO: Optional[int]
) -> Model[List[Doc], List[Floats2d]]:
    """Build a classifier of patients: rows, a pooling that knows their order, dropout, one linear layer.

    tok2vec (Model[List[Doc], List[Floats2d]]): the rows.
    kind (str): name of the architecture.
    pool (Model[List[Floats2d], List[Floats2d]]): the rows of a Doc into one.
    nO (Optional[int]): number of labels.
    RETURNS (Model[List[Doc], List[Floats2d]]): logits, shape (1, nO) per Doc, as `clinbert_textcat` takes them.
    """
    output = Linear(nO, init_W=bert_init)
    dropout = cast(Model[Floats2d, Floats2d], Dropout())
    classify: Model[List[Floats2d], List[Floats2d]] = with_array(chain(dropout, output))
    head: Model[List[Floats2d], List[Floats2d]] = chain(pool, classify)
    model: Model[List[Doc], List[Floats2d]] = chain(tok2vec, head)
    model.attrs["pooling"], model.attrs["aggregate"] = kind, "none"
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("head", head)
    model.set_ref("output_layer", output)
    return model


def require_codes(kind: str, tok2vec: Model[List[Doc], List[Floats2d]]) -> None:
    """Raise the config error for an encoder whose rows are no codes'."""
    if "rows" in tok2vec.attrs:
        raise ClinbertError(
            f"{kind} reads a row for each code, and this tok2vec gives one for a {tok2vec.attrs['rows']}: take "
            "spacy_clinbert.CodeEncoder.v1 or spacy_clinbert.CodeVectors.v1"
        )


def torch_pool(kind: str, make: MakeModule) -> Model[List[Floats2d], List[Floats2d]]:
    """Build a pooling of rows in their order.

    kind (str): its name.
    make (MakeModule): makes the module.
    RETURNS (Model[List[Floats2d], List[Floats2d]]): rows of shape (n, width) to one, for each Doc; zeros for a Doc
        without rows.
    """
    return Model(kind, partial(forward, make=make), init=partial(init, make=make), dims={"nI": None})


def init(model: Model, X: Optional[List[Floats2d]] = None, Y: object = None, *, make: MakeModule) -> None:
    """Draw the weights as PyTorch does, once the width of the rows is known."""
    if X is not None and model.has_dim("nI") is None:
        # Layers of spaCy's give a Doc without tokens rows of no width.
        model.set_dim("nI", max(rows.shape[1] for rows in X))
    for name, weights in make(model.get_dim("nI")).named_parameters():
        model.set_param(name, cast(Floats2d, model.ops.asarray(weights.detach().numpy())))


def forward(
    model: Model, docs: List[Floats2d], is_train: bool, *, make: MakeModule
) -> Tuple[List[Floats2d], Callable[[List[Floats2d]], List[Floats2d]]]:
    """Pool the rows of all Docs together."""
    import torch
    from torch.func import functional_call
    from torch.nn.utils.rnn import pad_sequence

    if os.getpid() != _PROCESS:
        # In a forked worker the parent's threads are not there to wait for.
        torch.set_num_threads(1)
    with torch.device("meta"):
        module = make(model.get_dim("nI"))
    there = [number for number, rows in enumerate(docs) if len(rows)]
    pooled = [model.ops.alloc2f(1, module.width) for _ in docs]
    if not there:
        return pooled, lambda d_pooled: [model.ops.alloc2f(*rows.shape) for rows in docs]
    weights: Dict[str, Any] = {
        name: xp2torch(model.get_param(name), requires_grad=is_train) for name in model.param_names
    }
    lengths = [len(docs[number]) for number in there]
    with torch.set_grad_enabled(is_train):
        inputs = pad_sequence([xp2torch(model.ops.as_contig(docs[n])) for n in there], batch_first=True)
        inputs.requires_grad_(is_train)
        output = functional_call(module, weights, (inputs, torch.tensor(lengths)))
    for number, row in zip(there, cast(Any, torch2xp(output.detach()))):
        pooled[number] = row[None]

    def backprop(d_pooled: List[Floats2d]) -> List[Floats2d]:
        d_output = xp2torch(model.ops.xp.concatenate([d_pooled[number] for number in there]))
        d_inputs, *d_weights = torch.autograd.grad(output, [inputs, *weights.values()], d_output)
        for name, gradient in zip(weights, d_weights):
            model.inc_grad(name, cast(Floats2d, torch2xp(gradient)))
        d_docs = [model.ops.alloc2f(*rows.shape) for rows in docs]
        for number, length, d_rows in zip(there, lengths, cast(Any, torch2xp(d_inputs))):
            d_docs[number][:] = d_rows[:length]
        return d_docs

    return pooled, backprop
