"""The scores of the de-identification challenges, i2b2 2006 and 2014."""

from collections.abc import Sequence
from typing import Dict

from ..corpora.records import Mention
from .counts import Rows
from .matching import assigned_rows, bounds, exact_key, exact_rows, token_rows
from .scored import ScoredDoc

# The types that HIPAA names, as in the challenge's evaluation script (kotfic/i2b2_evaluation_scripts, HIPAA_regexes).
# There the expression for IDNUM ends in a blank and so never matches; we count IDNUM, as the overview's table does
# (Stubbs et al. 2015).
HIPAA = frozenset(
    "PATIENT STREET CITY ZIP ORGANIZATION DATE AGE PHONE FAX EMAIL"
    " SSN MEDICALRECORD HEALTHPLAN ACCOUNT LICENSE VEHICLE DEVICE BIOID IDNUM".split()
)


def i2b2_2006(docs: Sequence[ScoredDoc]) -> Dict[str, Rows]:
    """Count as i2b2 2006 (Uzuner, Luo and Szolovits 2007, JAMIA 14:550): by token, and by exact instance.

    The overview does not say how text was cut into tokens: the documents' tokens are taken, and a token that is PHI in
    part only (`</PHI>/2101`) is PHI.

    docs (Sequence[ScoredDoc]): documents with tokens.
    RETURNS (Dict[str, Rows]): "token" and "instance".
    """
    return {"token": token_rows(docs), "instance": exact_rows(docs)}


def i2b2_2014(docs: Sequence[ScoredDoc]) -> Dict[str, Rows]:
    """Count as i2b2 2014 (Stubbs, Kotfila and Uzuner 2015, JBI 58:S11): strict, and relaxed, where the start must be
    right and the end may be off by up to two characters; for all PHI and for the types that HIPAA names.

    As in the challenge's script, a mention that is repeated counts once.

    docs (Sequence[ScoredDoc]): documents whose labels are the types (PATIENT, DOCTOR, …).
    RETURNS (Dict[str, Rows]): "strict", "relaxed", "HIPAA strict" and "HIPAA relaxed"; the challenge reports `micro`
        and `macro_by_document` of each.
    """
    docs = [doc._replace(gold=_once(doc.gold), predicted=_once(doc.predicted)) for doc in docs]
    hipaa = [doc._replace(gold=_hipaa(doc.gold), predicted=_hipaa(doc.predicted)) for doc in docs]
    return {
        "strict": exact_rows(docs),
        "relaxed": assigned_rows(docs, _relaxed),
        "HIPAA strict": exact_rows(hipaa),
        "HIPAA relaxed": assigned_rows(hipaa, _relaxed),
    }


def _relaxed(gold: Mention, predicted: Mention) -> float:
    (start, end), (other_start, other_end) = bounds(gold), bounds(predicted)
    return float(gold.label == predicted.label and start == other_start and abs(end - other_end) <= 2)


def _once(mentions: Sequence[Mention]) -> "tuple[Mention, ...]":
    return tuple({exact_key(mention): mention for mention in mentions}.values())


def _hipaa(mentions: Sequence[Mention]) -> "tuple[Mention, ...]":
    return tuple(mention for mention in mentions if mention.label in HIPAA)
