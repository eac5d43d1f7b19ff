"""Masks over the codes of patients, a function of seed and patient alone, drawn for a whole batch at once."""

from typing import Optional

import numpy as np

from ..models.code_vocabulary import CodeVocabulary
from ..pretraining.chance import mix, uniform
from ..pretraining.dataset import IGNORED

# Of the codes to predict, [MASK] stands in the place of 80 %, a random code in that of 10 % (Devlin et al. 2019; Rasmy
# et al. 2021; `create_BERTpretrain_EHRfeatures.py`).
MASKED, RANDOM = 0.8, 0.9

# Which output of a patient's random numbers is for what.
_CHOICE, _KIND, _CODE = range(3)


class CodeMasking:
    """Draws masks; neither batches, padding, processes nor a stop and resumption change them.

    vocabulary (CodeVocabulary): ids that are no codes, and unknown codes, are never masked or drawn.
    probability (float | None): share of the other codes to predict, one at least; None for one a patient.
    seed (int): of the masks.
    """

    def __init__(self, vocabulary: CodeVocabulary, probability: Optional[float], seed: int) -> None:
        self.probability, self.seed, self.mask_id = probability, seed, vocabulary.mask_id
        self.first, self.codes = vocabulary.first_code, len(vocabulary) - vocabulary.first_code

    def mask(self, ids: np.ndarray, keys: np.ndarray, cls: int) -> tuple[np.ndarray, np.ndarray]:
        """Mask a batch.

        ids (ndarray): padded codes, shape (n_patients, longest).
        keys (ndarray): a number for each patient; others give other masks.
        cls (int): places before the codes.
        RETURNS (tuple[ndarray, ndarray]): the codes with masks, and the labels: the codes to predict, else `IGNORED`.
        """
        ordinary = ids >= self.first
        amount = ordinary.sum(axis=1)
        wanted = np.minimum(amount, 1)
        if self.probability is not None:
            wanted = np.minimum(amount, np.maximum(1, np.rint(amount * self.probability)))
        streams = mix(np.array([self.seed], dtype=np.uint64), keys)
        columns = np.arange(ids.shape[1]) - cls
        # A place before the codes has a number too, which nothing uses.
        choice, kind, code = (uniform(mix(streams, s)[:, None], columns) for s in (_CHOICE, _KIND, _CODE))
        order = np.argsort(np.where(ordinary, choice, 2.0), axis=1, kind="stable")
        places = np.empty_like(order)
        np.put_along_axis(places, order, np.arange(ids.shape[1])[None], axis=1)
        chosen = places < wanted[:, None]
        drawn = self.first + (code * self.codes).astype(np.int64)
        replaced = np.where(kind < MASKED, self.mask_id, np.where(kind < RANDOM, drawn, ids))
        return np.where(chosen, replaced, ids), np.where(chosen, ids, IGNORED)
