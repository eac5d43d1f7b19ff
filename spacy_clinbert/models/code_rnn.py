"""`spacy_clinbert.CodeRnn.v1`: labels of patients by a GRU, or one in each direction, over their codes."""

from functools import partial
from typing import Any, List, Optional

from spacy import registry
from spacy.tokens import Doc
from thinc.api import Model
from thinc.types import Floats2d

from .latest_codes import latest_codes
from .passes import check_range
from .sequence_rows import require_codes, sequence_classifier, torch_pool


@registry.architectures("spacy_clinbert.CodeRnn.v1")
def CodeRnn(
    tok2vec: Model[List[Doc], List[Floats2d]],
    hidden_width: int = 192,
    bidirectional: bool = False,
    max_codes: Optional[int] = None,
    nO: Optional[int] = None,
) -> Model[List[Doc], List[Floats2d]]:
    """Build a classifier of patients: a GRU over the codes (Cho et al. 2014, arXiv:1406.1078), its last state, dropout,
    one linear layer.

    Codes come in the order of the Doc; within a visit whose ranks are unknown, that order means nothing.

    tok2vec (Model[List[Doc], List[Floats2d]]): a row for each code: `spacy_clinbert.CodeEncoder.v1`,
        `spacy_clinbert.CodeVectors.v1`, or any of spaCy's.
    hidden_width (int): of the state, of each direction.
    bidirectional (bool): whether a second GRU reads backwards; the last states of both stand side by side.
    max_codes (Optional[int]): so many codes of a patient are read, the latest; None for all that the encoder reads.
    nO (Optional[int]): number of labels; inferred from the data.
    RETURNS (Model[List[Doc], List[Floats2d]]): logits, shape (1, nO) per Doc. The dropout is `training.dropout`.
    RAISES (ClinbertError): for a setting out of range, or a tok2vec whose rows are no codes'.
    """
    check_range("CodeRnn", "hidden_width", hidden_width, 1)
    check_range("CodeRnn", "max_codes", max_codes, 1)
    require_codes("CodeRnn", tok2vec)
    make = partial(make_gru, hidden_width=hidden_width, bidirectional=bidirectional)
    return sequence_classifier(latest_codes(tok2vec, max_codes), "gru", torch_pool("gru", make), nO)


def make_gru(width: int, hidden_width: int, bidirectional: bool) -> Any:
    """Make the module; spaCy imports this file at every start, so that PyTorch is not imported above."""
    from .recurrent import Gru

    return Gru(width, hidden_width, bidirectional)
