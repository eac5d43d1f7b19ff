"""`spacy_clinbert.TokenClassifier.v1`: one linear layer over the rows of any tok2vec."""

from typing import List, Optional, Tuple, cast

import numpy
from spacy import registry
from spacy.tokens import Doc
from thinc.api import Dropout, Linear, Model, Ops, chain, with_array
from thinc.types import Floats2d

from ..errors import ClinbertError

# BERT's initializer_range (Devlin et al. 2019, `BertConfig`).
BERT_DEVIATION = 0.02


@registry.architectures("spacy_clinbert.TokenClassifier.v1")
def TokenClassifier(
    tok2vec: Model[List[Doc], List[Floats2d]], nO: Optional[int] = None
) -> Model[List[Doc], List[Floats2d]]:
    """Build the head of the BERT papers: dropout and one linear layer, giving one logit per token and tag.

    tok2vec (Model[List[Doc], List[Floats2d]]): rows per token: our encoders, a listener, or any of spaCy's.
    nO (Optional[int]): number of tags; inferred from the data.
    RETURNS (Model[List[Doc], List[Floats2d]]): logits of shape (len(doc), nO) per Doc; the dropout is
        `training.dropout`.
    RAISES (ClinbertError): if the rows are no tokens.
    """
    require_tokens("TokenClassifier", tok2vec)
    output = Linear(nO, init_W=bert_init)
    head: Model[Floats2d, Floats2d] = chain(cast(Model[Floats2d, Floats2d], Dropout()), output)
    model: Model[List[Doc], List[Floats2d]] = chain(tok2vec, with_array(head))
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("output_layer", output)
    return model


def require_tokens(kind: str, tok2vec: Model[List[Doc], List[Floats2d]]) -> None:
    """Raise the config error for an encoder whose rows are no tokens.

    kind (str): name of the architecture that tags tokens.
    tok2vec (Model[List[Doc], List[Floats2d]]): its encoder.
    RAISES (ClinbertError): if its rows are windows, pairs or mentions.
    """
    rows = tok2vec.attrs.get("rows", "token")
    if rows != "token":
        raise ClinbertError(
            f"{kind} tags tokens, but the rows of its tok2vec are of each {rows}:"
            ' give "spacy_clinbert.NoteEncoder.v1" or another encoder of tokens'
        )


def bert_init(ops: Ops, shape: Tuple[int, ...]) -> Floats2d:
    """Normal weights of BERT's deviation: from zeros, no gradient reaches the encoder in the first steps."""
    weights = numpy.random.normal(0.0, BERT_DEVIATION, size=shape).astype("float32")
    return ops.asarray2f(cast(Floats2d, weights))
