"""`spacy_clinbert.LayerClassifier.v1`: one linear layer over the rows of any tok2vec, with three outputs a label."""

from typing import List, Optional, cast

from spacy import registry
from spacy.tokens import Doc
from thinc.api import Dropout, Linear, Model, chain, with_array
from thinc.types import Floats2d

from .token_classifier import bert_init, require_tokens


@registry.architectures("spacy_clinbert.LayerClassifier.v1")
def LayerClassifier(
    tok2vec: Model[List[Doc], List[Floats2d]], nO: Optional[int] = None
) -> Model[List[Doc], List[Floats2d]]:
    """Build dropout and one linear layer that tags each token once for every label: O, B or I.

    tok2vec (Model[List[Doc], List[Floats2d]]): rows per token: our encoders, a listener, or any of spaCy's.
    nO (Optional[int]): three times the number of labels; inferred from the data.
    RETURNS (Model[List[Doc], List[Floats2d]]): logits of shape (len(doc), nO) per Doc: O, B and I of the first label,
        then of the next; the dropout is `training.dropout`.
    RAISES (ClinbertError): if the rows are no tokens.
    """
    require_tokens("LayerClassifier", tok2vec)
    output = Linear(nO, init_W=bert_init)
    head: Model[Floats2d, Floats2d] = chain(cast(Model[Floats2d, Floats2d], Dropout()), output)
    model: Model[List[Doc], List[Floats2d]] = chain(tok2vec, with_array(head))
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("output_layer", output)
    return model
