"""`spacy_clinbert.PairClassifier.v1`: one linear layer over the row of a pair."""

from typing import List, Optional, cast

from spacy import registry
from spacy.tokens import Doc
from thinc.api import Dropout, Linear, Model, chain, with_array
from thinc.types import Floats2d

from ..errors import ClinbertError
from .token_classifier import bert_init


@registry.architectures("spacy_clinbert.PairClassifier.v1")
def PairClassifier(
    tok2vec: Model[List[Doc], List[Floats2d]], nO: Optional[int] = None
) -> Model[List[Doc], List[Floats2d]]:
    """Build the head of BERT's sentence pair tasks: dropout and one linear layer, giving one logit per pair and label.

    tok2vec (Model[List[Doc], List[Floats2d]]): one row per pair: `spacy_clinbert.NotePairs.v1`.
    nO (Optional[int]): number of labels; inferred from the data.
    RETURNS (Model[List[Doc], List[Floats2d]]): logits of shape (1, nO) per Doc; the dropout is `training.dropout`.
    RAISES (ClinbertError): for an encoder of anything but pairs.
    """
    if tok2vec.attrs.get("rows") != "pair":
        raise ClinbertError(
            "PairClassifier: it needs one row per pair, and this tok2vec gives others: set [model.tok2vec] "
            '@architectures = "spacy_clinbert.NotePairs.v1"'
        )
    output = Linear(nO, init_W=bert_init)
    head: Model[Floats2d, Floats2d] = chain(cast(Model[Floats2d, Floats2d], Dropout()), output)
    model: Model[List[Doc], List[Floats2d]] = chain(tok2vec, with_array(head))
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("output_layer", output)
    return model
