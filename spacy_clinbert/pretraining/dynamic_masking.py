"""Masks drawn anew each time a sequence is seen (Liu et al. 2019, RoBERTa, arXiv:1907.11692)."""

from typing import Any

import numpy as np


class Masking:
    """Draws masks: each piece is predicted with one probability, and then is [MASK] in 80 % of the cases, a random
    piece in 10 % and itself in 10 % (Devlin et al. 2019).

    A mask is a function of seed and key alone: neither batches, processes nor a stop and resumption change it.

    tokenizer (PreTrainedTokenizerFast): its special pieces, placeholder tags included, are never masked or drawn.
    probability (float): share of the other pieces to predict.
    seed (int): of the masks.
    """

    def __init__(self, tokenizer: Any, probability: float, seed: int) -> None:
        self.probability, self.seed, self.mask_id = probability, seed, tokenizer.mask_token_id
        self._ordinary = np.ones(len(tokenizer), dtype=bool)
        self._ordinary[sorted(set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder))] = False
        self._drawn = np.flatnonzero(self._ordinary)

    def mask(self, ids: np.ndarray, key: int) -> tuple[np.ndarray, np.ndarray]:
        """Mask a sequence.

        ids (np.ndarray): its pieces, shape (n_pieces,).
        key (int): other keys give other masks.
        RETURNS (tuple[np.ndarray, np.ndarray]): the pieces with masks, and which ones are to be predicted.
        """
        rng = np.random.default_rng((self.seed, key))
        chosen, kind = rng.random((2, len(ids)))
        masked = (chosen < self.probability) & self._ordinary[ids]
        drawn = self._drawn[rng.integers(len(self._drawn), size=len(ids))]
        replaced = np.where(kind < 0.8, self.mask_id, np.where(kind < 0.9, drawn, ids))
        return np.where(masked, replaced, ids), masked
