"""Tokens into wordpieces: each token is cut on its own, as the papers' word-level corpora are."""

from functools import cached_property, lru_cache
from typing import Any, NamedTuple
from unicodedata import category

import numpy as np
from spacy.tokens import Doc

# Clinical text has few word types, garbled text many: past this number the cache starts anew, so that memory stays
# bounded.
CACHED_TYPES = 200_000


class PairForm(NamedTuple):
    """How a tokenizer puts two texts together: for BERT `[CLS] a [SEP] b [SEP]`, for RoBERTa `<s> a </s></s> b </s>`.

    before, between, behind (List[int]): ids of the special pieces around the two.
    types (Tuple[List[int], ...]): token types of what stands before, of a piece of the first text, of what stands
        between, of a piece of the second text, and of what stands behind.
    """

    before: list[int]
    between: list[int]
    behind: list[int]
    types: tuple[list[int], ...]

    @property
    def n_specials(self) -> int:
        """The number of special pieces."""
        return len(self.before) + len(self.between) + len(self.behind)

    def frame(self, first: list[int], second: list[int]) -> tuple[list[int], list[int]]:
        """The ids of two texts with their special pieces, and the token type of each."""
        before, one, between, two, behind = self.types
        ids = [*self.before, *first, *self.between, *second, *self.behind]
        return ids, [*before, *one * len(first), *between, *two * len(second), *behind]


class Wordpieces:
    """Cuts the tokens of Docs into wordpieces and remembers the pieces of each word type.

    tokenizer (PreTrainedTokenizerFast): the Hugging Face tokenizer.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        # A tokenizer.json may carry truncation and padding of its own training; both would lose pieces here.
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
        self.prefix, self.suffix = find_specials(tokenizer)
        self.pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        self._cache: dict[str, list[int]] = {}

    @property
    def n_specials(self) -> int:
        """The number of special pieces around a window: `[CLS]` and `[SEP]` for BERT."""
        return len(self.prefix) + len(self.suffix)

    def frame(self, ids: list[int]) -> list[int]:
        """The special pieces put around wordpieces."""
        return [*self.prefix, *ids, *self.suffix]

    @cached_property
    def pair_form(self) -> PairForm:
        """How two texts are put together."""
        return find_pair_form(self.tokenizer)

    def encode(self, doc: Doc) -> tuple[np.ndarray, np.ndarray]:
        """Cut all tokens of a Doc.

        doc (Doc): the document.
        RETURNS (Tuple[ndarray, ndarray]): the ids of all pieces in order, shape (n_pieces,), and where the pieces of
            each token
            start, shape (n_tokens + 1,); a token without pieces (`"\\n"`, U+200B) starts where the next one does.
        """
        pieces = [self.cut(token.text) for token in doc]
        starts = np.zeros(len(pieces) + 1, dtype=np.int64)
        np.cumsum([len(ids) for ids in pieces], out=starts[1:])
        flat = np.fromiter((i for ids in pieces for i in ids), dtype=np.int64, count=int(starts[-1]))
        return flat, starts

    def cut(self, word: str) -> list[int]:
        """The wordpiece ids of one word, without special pieces."""
        ids = self._cache.get(word)
        if ids is None:
            if len(self._cache) >= CACHED_TYPES:
                self._cache.clear()
            ids = self.tokenizer.backend_tokenizer.encode(word, add_special_tokens=False).ids if word.strip() else []
            self._cache[word] = ids
        return ids


def find_specials(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special pieces that the tokenizer puts before and behind a text, found by encoding one letter.

    tokenizer (PreTrainedTokenizerFast): the Hugging Face tokenizer.
    RETURNS (Tuple[List[int], List[int]]): ids before and ids behind.
    """
    plain = tokenizer.backend_tokenizer.encode("a", add_special_tokens=False).ids
    framed = tokenizer.backend_tokenizer.encode("a", add_special_tokens=True).ids
    at = next(i for i in range(len(framed)) if framed[i : i + len(plain)] == plain)
    return framed[:at], framed[at + len(plain) :]


def find_pair_form(tokenizer: Any) -> PairForm:
    """How the tokenizer puts two texts together, found by encoding two letters.

    tokenizer (PreTrainedTokenizerFast): the Hugging Face tokenizer.
    RETURNS (PairForm): its special pieces and token types.
    """
    encoding = tokenizer.backend_tokenizer.encode("a", "a", add_special_tokens=True)
    ids, types, sides = encoding.ids, encoding.type_ids, encoding.sequence_ids
    one, two = sides.index(0), sides.index(1)
    one_end, two_end = (len(sides) - sides[::-1].index(side) for side in (0, 1))
    kinds = (types[:one], types[one : one + 1], types[one_end:two], types[two : two + 1], types[two_end:])
    return PairForm(ids[:one], ids[one_end:two], ids[two_end:], kinds)


@lru_cache(CACHED_TYPES)
def has_text(word: str) -> bool:
    """Whether a token can have wordpieces: it has a character that BERT's normaliser does not remove.

    Blanks, control and format characters, the replacement character and lone accents (when stripped) have none.
    """
    return any(c.isprintable() and not c.isspace() and c != "\ufffd" and category(c)[0] != "M" for c in word)
