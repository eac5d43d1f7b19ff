"""The codes of patients' Docs: words are codes, sentences are visits, and the rest stands in `doc.user_data`."""

import warnings
from datetime import date
from typing import Sequence

import numpy as np
from spacy.tokens import Doc

from ..errors import ClinbertError
from .code_sequences import UNKNOWN_AGE, Codes
from .code_vocabulary import CodeVocabulary
from .transformer_shim import TransformerShim

# Keys in `doc.user_data` of a patient, as `ehr/docs.py` writes them.
RANKS, DAYS, BIRTH, FIRST = "clinbert_ranks", "clinbert_days", "clinbert_birth", "clinbert_first_admit"


def read_patients(docs: Sequence[Doc], vocabulary: CodeVocabulary) -> Codes:
    """Read the codes of patients' Docs.

    docs (Sequence[Doc]): words are codes, sentences visits; ranks, days, birth and first admission stand in
        `doc.user_data`, and count as unknown where they do not.
    vocabulary (CodeVocabulary): the encoder's.
    RETURNS (Codes): the codes.
    RAISES (ClinbertError): if a Doc has not as many ranks or days as codes, or a date that is none.
    """
    lengths = [len(doc) for doc in docs]
    numbers = {RANKS: [np.empty(0, dtype=np.int64)], DAYS: [np.empty(0, dtype=np.int64)]}
    visits = [np.empty(0, dtype=np.int64)]
    for doc in docs:
        starts = doc.to_array("SENT_START") == 1 if len(doc) else np.empty(0, dtype=bool)
        starts[:1] = True
        visits.append(np.cumsum(starts))
        for key, columns in numbers.items():
            values = np.asarray(doc.user_data.get(key, [0] * len(doc)), dtype=np.int64)
            if len(values) != len(doc):
                raise ClinbertError(
                    f"patient {doc.user_data.get('clinbert_id', '')!r} has {len(doc)} codes and {len(values)} numbers "
                    f"in {key}: read patients with spacy_clinbert.Patients.v1"
                )
            columns.append(values)
    return Codes(
        vocabulary.encode([token.text for doc in docs for token in doc]),
        np.concatenate(visits).astype(np.int64),
        np.concatenate(numbers[RANKS]),
        np.concatenate(numbers[DAYS]),
        np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64),
        np.array([first_age(doc) for doc in docs], dtype=np.int64),
    )


def first_age(doc: Doc) -> int:
    """The days from a patient's birth to the first admission, `UNKNOWN_AGE` where either is unknown."""
    birth, first = (doc.user_data.get(key) for key in (BIRTH, FIRST))
    try:
        return (date.fromisoformat(first[:10]) - date.fromisoformat(birth)).days if birth and first else UNKNOWN_AGE
    except ValueError:
        raise ClinbertError(
            f"patient {doc.user_data.get('clinbert_id', '')!r} has a birth or first admission that is no ISO date: "
            "read patients with spacy_clinbert.Patients.v1"
        ) from None


def watch_visits(shim: TransformerShim, docs: Sequence[Doc]) -> None:
    """Warn once of a Doc that says nothing of visits: spaCy's own readers lose them."""
    bare = any(len(doc) > 1 and not doc.has_annotation("SENT_START") for doc in docs)
    if bare and not shim.warned:
        shim.warned = True
        warnings.warn(
            "a Doc without sentences is read as one visit: read patients with spacy_clinbert.Patients.v1, which keeps "
            "their visits",
            stacklevel=2,
        )
