"""Masks of masked language modelling, as Google BERT's `create_pretraining_data` draws them."""

from typing import NamedTuple

import numpy as np

from .chance import mix, uniform
from .export_settings import ExportSettings
from .pieces import PieceIds

# What the key of an example is used for; pairs use the numbers below.
_ORDER, _ACTION, _WORD = 8, 9, 10


class Masked(NamedTuple):
    """Examples with masks.

    pieces (np.ndarray): int32, a row an example, masks applied.
    counts (np.ndarray): masked pieces of each example.
    positions (np.ndarray): their places in the row, ascending, those of all examples one after the other.
    originals (np.ndarray): the pieces that were there.
    """

    pieces: np.ndarray
    counts: np.ndarray
    positions: np.ndarray
    originals: np.ndarray


def mask(pieces: np.ndarray, lengths: np.ndarray, keys: np.ndarray, settings: ExportSettings, ids: PieceIds) -> Masked:
    """Mask min(max_predictions, max(1, round(mask_probability × length))) wordpieces of each example.

    80 % become [MASK], 10 % a random piece, 10 % stay. With whole words the number is the most: a word that would go
    over it is passed by (Google's `do_whole_word_mask`), and no word goes on behind a special piece. Fewer are masked
    where fewer can be. Unlike Google's, a random piece is no special one, so that no [UNK] or [SEP] comes into the
    text.

    pieces (np.ndarray): int32, a row an example, filled up with [CLS] behind its end.
    lengths (np.ndarray): wordpieces of each example, specials included.
    keys (np.ndarray): uint64 an example, what its masks are a function of.
    settings (ExportSettings): `max_predictions`, `mask_probability` and `whole_word` are looked at.
    ids (PieceIds): the pieces that have a part of their own.
    RETURNS (Masked): the masked examples.
    """
    wanted = np.clip(np.rint(lengths * settings.mask_probability), 1, settings.max_predictions).astype(np.int64)
    chosen = _choose(~ids.fixed[pieces], _begins(pieces, settings, ids), wanted, keys)
    rows, positions = np.nonzero(chosen)
    originals = pieces[rows, positions]
    action = uniform(mix(keys, _ACTION)[rows], positions)
    words = ids.words[(uniform(mix(keys, _WORD)[rows], positions) * len(ids.words)).astype(np.int64)]
    masked = pieces.copy()
    masked[rows, positions] = np.where(action < 0.8, ids.mask, np.where(action < 0.9, originals, words))
    return Masked(masked, chosen.sum(axis=1), positions, originals)


def _begins(pieces: np.ndarray, settings: ExportSettings, ids: PieceIds) -> np.ndarray:
    """Where what is masked together begins: at each piece that can be masked, or at each word."""
    free = ~ids.fixed[pieces]
    if not settings.whole_word:
        return free
    begins = free & ~ids.continues[pieces]
    # A fixed piece is in the first place, so there is one before every free one.
    begins[:, 1:] |= free[:, 1:] & ~free[:, :-1]
    return begins


def _choose(free: np.ndarray, begins: np.ndarray, wanted: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Take words in random order, each that still fits, until no piece is wanted; a word goes on over free pieces."""
    places = np.arange(free.shape[1])
    sizes = np.zeros(free.shape, dtype=np.int64)
    sizes[begins] = np.bincount(np.cumsum(begins)[free.ravel()] - 1, minlength=int(begins.sum()))
    order = np.argsort(np.where(begins, uniform(mix(keys, _ORDER)[:, None], places), 2.0), axis=1)
    sizes = np.take_along_axis(sizes, order, axis=1)
    taken = np.zeros(free.shape, dtype=bool)
    left = wanted.copy()
    for rank in range(free.shape[1]):
        if not left.any():
            break
        size = sizes[:, rank]
        fits = (size > 0) & (size <= left)
        taken[:, rank] = fits
        left = left - np.where(fits, size, 0)
    heads = np.zeros(free.shape, dtype=bool)
    np.put_along_axis(heads, order, taken, axis=1)
    word_head = np.maximum.accumulate(np.where(begins, places, 0), axis=1)
    return free & np.take_along_axis(heads, word_head, axis=1)
