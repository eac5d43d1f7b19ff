"""`spacy_clinbert.Retain.v1`: labels of patients by RETAIN, two attentions over their visits in reversed time."""

from functools import partial
from typing import Any, Callable, List, Optional, Tuple, cast

import numpy as np
from spacy import registry
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d, Ints1d

from .latest_codes import init, latest_codes
from .passes import check_range
from .sequence_rows import require_codes, sequence_classifier, torch_pool


@registry.architectures("spacy_clinbert.Retain.v1")
def Retain(
    tok2vec: Model[List[Doc], List[Floats2d]],
    hidden_width: int = 192,
    max_codes: Optional[int] = None,
    nO: Optional[int] = None,
) -> Model[List[Doc], List[Floats2d]]:
    """Build a classifier of patients: RETAIN (Choi et al. 2016, NeurIPS, arXiv:1608.05745), dropout, one linear layer.

    A visit is the sum of its codes' rows. A visit's weight is one number, and one for each dimension of its row, by
    which what a single code adds can be told: its row stands in the visit's sum. Both come from the visits read
    backwards, from the latest.

    tok2vec (Model[List[Doc], List[Floats2d]]): a row for each code: `spacy_clinbert.CodeEncoder.v1`,
        `spacy_clinbert.CodeVectors.v1`, or any of spaCy's.
    hidden_width (int): of the states of both recurrent layers.
    max_codes (Optional[int]): so many codes of a patient are read, the latest; None for all that the encoder reads.
    nO (Optional[int]): number of labels; inferred from the data.
    RETURNS (Model[List[Doc], List[Floats2d]]): logits, shape (1, nO) per Doc. The dropout is `training.dropout`.
    RAISES (ClinbertError): for a setting out of range, or a tok2vec whose rows are no codes'.
    """
    check_range("Retain", "hidden_width", hidden_width, 1)
    check_range("Retain", "max_codes", max_codes, 1)
    require_codes("Retain", tok2vec)
    pool = torch_pool("retain", partial(make_retain, hidden_width=hidden_width))
    return sequence_classifier(sum_visits(latest_codes(tok2vec, max_codes)), "retain", pool, nO)


def make_retain(width: int, hidden_width: int) -> Any:
    """Make the module; spaCy imports this file at every start, so that PyTorch is not imported above."""
    from .recurrent import Retain

    return Retain(width, hidden_width)


def sum_visits(tok2vec: Model[List[Doc], List[Floats2d]]) -> Model[List[Doc], List[Floats2d]]:
    """Sum the rows of each visit.

    tok2vec (Model[List[Doc], List[Floats2d]]): a row for each code, or for the latest ones.
    RETURNS (Model[List[Doc], List[Floats2d]]): a row for each visit that has any of them; a Doc without sentences is
        one visit.
    """
    return Model("sum_visits", forward, init=init, layers=[tok2vec])


def forward(
    model: Model, docs: List[Doc], is_train: bool
) -> Tuple[List[Floats2d], Callable[[List[Floats2d]], List[Doc]]]:
    """Sum the rows of each visit, and give each row the gradient of its visit."""
    rows, backprop_rows = model.layers[0](docs, is_train)
    sizes = [
        model.ops.asarray1i(cast(Any, visit_sizes(doc, len(doc) - len(of_doc)))) for doc, of_doc in zip(docs, rows)
    ]

    def backprop(d_visits: List[Floats2d]) -> List[Doc]:
        return cast(List[Doc], backprop_rows([_spread(model, *one) for one in zip(d_visits, sizes)]))

    return [model.ops.reduce_sum(*one) if len(one[1]) else one[0] for one in zip(rows, sizes)], backprop


def visit_sizes(doc: Doc, first: int) -> np.ndarray:
    """How many codes each visit has, from the code `first` on: int32, shape (visits,)."""
    if not len(doc):
        return np.empty(0, dtype=np.int32)
    starts = doc.to_array("SENT_START")[first:] == 1
    starts[0] = True
    return np.diff(np.flatnonzero(starts), append=len(starts)).astype(np.int32)


def _spread(model: Model, d_visits: Floats2d, sizes: Ints1d) -> Floats2d:
    return model.ops.backprop_reduce_sum(d_visits, sizes) if len(sizes) else d_visits
