"""`spacy_clinbert.MentionClassifier.v1`: one linear layer over a row per entity, on any tok2vec."""

from typing import List, Optional, cast

from spacy import registry
from spacy.tokens import Doc
from thinc.api import Dropout, Linear, Model, chain, with_array
from thinc.types import Floats2d

from ..errors import ClinbertError
from .mention_rows import POOLINGS, mention_rows
from .token_classifier import bert_init


@registry.architectures("spacy_clinbert.MentionClassifier.v1")
def MentionClassifier(
    tok2vec: Model[List[Doc], List[Floats2d]], pooling: str = "mean", context: int = 32, nO: Optional[int] = None
) -> Model[List[Doc], List[Floats2d]]:
    """Build a classifier of entities: each is pooled from its tokens, joined by what it attends to in its sentence,
    then dropout and one linear layer.

    tok2vec (Model[List[Doc], List[Floats2d]]): rows per token: our encoders, a listener, or any of spaCy's; or rows
        per entity (`spacy_clinbert.NoteMentions.v1`), which are taken as they are.
    pooling (str): "mean", "max" or "first" of the tokens of an entity.
    context (int): so many tokens before and as many behind, within the sentence, are attended to, by which a negation
        is found that an encoder of few layers does not carry to the entity; 0 for none.
    nO (Optional[int]): number of classes; inferred from the data.
    RETURNS (Model[List[Doc], List[Floats2d]]): logits of shape (len(doc.ents), nO) per Doc, in the order of
        `doc.ents`; the dropout is `training.dropout`.
    RAISES (ClinbertError): for a setting out of range, and for rows that are neither of tokens nor of entities.
    """
    if pooling not in POOLINGS:
        raise ClinbertError(f'MentionClassifier: pooling = "{pooling}" is unknown: give one of {", ".join(POOLINGS)}')
    if context < 0:
        raise ClinbertError(f"MentionClassifier: context = {context}: give at least 0")
    kind = tok2vec.attrs.get("rows", "token")
    if kind not in ("token", "mention"):
        raise ClinbertError(
            f"MentionClassifier: this tok2vec gives one row per {kind}, and entities are pooled from rows per token: "
            "give spacy_clinbert.NoteEncoder.v1, a listener or any tok2vec of spaCy's"
        )
    rows = tok2vec if kind == "mention" else mention_rows(tok2vec, pooling, context)
    output = Linear(nO, init_W=bert_init)
    head: Model[Floats2d, Floats2d] = chain(cast(Model[Floats2d, Floats2d], Dropout()), output)
    model: Model[List[Doc], List[Floats2d]] = chain(rows, with_array(head))
    model.set_ref("tok2vec", tok2vec)
    model.set_ref("output_layer", output)
    return model
