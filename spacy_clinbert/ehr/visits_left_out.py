"""What a prediction for a patient would be without each visit, and how a head weighs codes: no gradients are needed.

All speak of the log-odds of a label, the logit of its probability in `doc.cats`.
"""

import math
from itertools import chain
from typing import List, NamedTuple, Optional, Tuple

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc

from ..components.extensions import READ_KEY
from ..errors import ClinbertError
from .docs import DAYS, RANKS

# Versions of a patient that go through the pipeline together.
TOGETHER = 16
# A probability nearer to 0 or 1 counts as this.
SMALLEST = 1e-12


class Reading(NamedTuple):
    """What any pipeline says of a patient.

    probability (float): of the label, as in `doc.cats`.
    without (List[float]): by visit, the log-odds less those without it: above 0 for a visit that speaks for the label.
    attention (Optional[ndarray]): by code, how a head weighs what it reads, NaN where it does not say it, shape
        (codes,); None where it says nothing. A description, and no explanation (Jain and Wallace 2019, NAACL).
    """

    probability: float
    without: List[float]
    attention: Optional[np.ndarray]


def read_patient(nlp: Language, doc: Doc, label: str) -> Reading:
    """Predict for a patient, and for the same patient without each visit.

    nlp (Language): any pipeline that writes the label to `doc.cats`; label (str): the label.
    doc (Doc): the patient, which is not changed.
    RETURNS (Reading): what it says.
    RAISES (ClinbertError): if the pipeline gives no such label.
    """
    versions = chain([without_codes(doc, 0, 0)], (without_codes(doc, *visit) for visit in find_visits(doc)))
    read = nlp.pipe(versions, batch_size=TOGETHER)
    whole = next(read)
    if label not in whole.cats:
        raise ClinbertError(f"the pipeline gives no label {label!r}: give one of {', '.join(whole.cats) or 'none'}")
    log_odds = _logit(whole.cats[label])
    return Reading(whole.cats[label], [log_odds - _logit(one.cats[label]) for one in read], _attention(whole))


def find_visits(doc: Doc) -> List[Tuple[int, int]]:
    """The first code of each visit, and the one behind its last."""
    starts = [i for i, token in enumerate(doc) if token.is_sent_start or not i]
    return list(zip(starts, [*starts[1:], len(doc)]))


def without_codes(doc: Doc, start: int, end: int) -> Doc:
    """Make a Doc of a patient without some of the codes; days go on counting from the first visit of the whole.

    doc (Doc): the patient; start (int), end (int): the first code to leave out, and the one behind the last.
    RETURNS (Doc): another Doc.
    """
    kept = [i for i in range(len(doc)) if not start <= i < end]
    firsts = {first for first, _ in find_visits(doc)}
    made = Doc(doc.vocab, words=[doc[i].text for i in kept], sent_starts=[i in firsts for i in kept])
    made.user_data.update({key: value for key, value in doc.user_data.items() if isinstance(key, str)})
    for key in (RANKS, DAYS):
        if key in made.user_data:
            made.user_data[key] = [made.user_data[key][i] for i in kept]
    return made


def _attention(doc: Doc) -> Optional[np.ndarray]:
    group = doc.spans.get(READ_KEY)
    # Of a row for the whole patient the weight is 1, which says nothing.
    if not group or "scores" not in group.attrs or any(len(span) > 1 for span in group):
        return None
    weights = np.full(len(doc), np.nan)
    for span, weight in zip(group, group.attrs["scores"]):
        weights[span.start] = weight
    return weights


def _logit(probability: float) -> float:
    bounded = min(max(probability, SMALLEST), 1 - SMALLEST)
    return math.log(bounded) - math.log1p(-bounded)
