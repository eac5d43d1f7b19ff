"""The CoNLL score: chunks of IOB tags as conlleval counts them (Tjong Kim Sang and Buchholz 2000, CoNLL)."""

from collections.abc import Iterable, Sequence
from typing import List, Optional, Tuple

from .counts import Rows
from .matching import key_row

TagPair = Tuple[Sequence[str], Sequence[str]]
Key = Tuple[str, object]


def conll_rows(docs: Iterable[Iterable[TagPair]]) -> Rows:
    """Count the chunks of lines of IOB tags, as conlleval does.

    A chunk begins with a B, with an I after an O or at the start of a line, and with an I of another type than the tag
    before; so nothing is ill-formed. It ends before the next chunk or O, and at the end of the line. It is right if
    start, end and type are.

    docs (Iterable[Iterable[TagPair]]): for each document its lines, each as gold and predicted tags of its tokens.
    RETURNS (Rows): counts by document and type.
    """
    rows = []
    for lines in docs:
        gold: List[Key] = []
        predicted: List[Key] = []
        for number, (gold_tags, predicted_tags) in enumerate(lines):
            gold += _chunks(number, gold_tags)
            predicted += _chunks(number, predicted_tags)
        rows.append(key_row(gold, predicted))
    return rows


def _chunks(line: int, tags: Sequence[str]) -> List[Key]:
    chunks: List[Key] = []
    kind: Optional[str] = None
    start = 0
    for i, tag in enumerate([*tags, "O"]):
        prefix, _, label = tag.partition("-")
        if kind is not None and (prefix != "I" or label != kind):
            chunks.append((kind, (line, start, i)))
            kind = None
        if prefix != "O" and kind is None:
            kind, start = label, i
    return chunks
