"""What every score of mentions is computed from."""

from typing import NamedTuple, Tuple

from ..corpora.records import Mention


class ScoredDoc(NamedTuple):
    """A document with what was annotated in it and what was found.

    id (str): its name.
    gold (Tuple[Mention, ...]): the gold mentions, in characters of the text.
    predicted (Tuple[Mention, ...]): the mentions found, likewise.
    tokens (Tuple[Tuple[int, int], ...]): start and end of each token, in characters, ascending; for scores by token.
    """

    id: str
    gold: Tuple[Mention, ...]
    predicted: Tuple[Mention, ...]
    tokens: Tuple[Tuple[int, int], ...] = ()
