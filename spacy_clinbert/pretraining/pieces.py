"""What an export must know of a tokenizer: its special pieces and what continues a word."""

from typing import Any, NamedTuple

import numpy as np


class PieceIds(NamedTuple):
    """The ids of a BERT tokenizer.

    cls, sep, mask (int): the special pieces of an example.
    words (np.ndarray): int32, the pieces that a mask may be replaced by: all that are no special ones.
    fixed (np.ndarray): bool, by id: never masked, which are the special pieces except [UNK].
    continues (np.ndarray): bool, by id: pieces inside a word, written with ##.
    """

    cls: int
    sep: int
    mask: int
    words: np.ndarray
    fixed: np.ndarray
    continues: np.ndarray


def piece_ids(tokenizer: Any) -> PieceIds:
    """Read the ids off a tokenizer; the tags of placeholders are among its special pieces.

    tokenizer (PreTrainedTokenizerFast): a BERT tokenizer, as `load_tokenizer` gives it.
    RETURNS (PieceIds): its ids.
    """
    vocabulary, special = tokenizer.get_vocab(), set(tokenizer.all_special_ids)
    fixed, continues = np.zeros((2, max(vocabulary.values()) + 1), dtype=bool)
    fixed[list(special - {tokenizer.unk_token_id})] = True
    continues[[number for piece, number in vocabulary.items() if piece.startswith("##")]] = True
    words = np.array(sorted({*vocabulary.values()} - special), dtype=np.int32)
    ids = tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id
    return PieceIds(*ids, words, fixed, continues)
