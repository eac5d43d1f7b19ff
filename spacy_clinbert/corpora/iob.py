"""From tags to mentions: IOB1, IOB2, BIOES and BILOU, read in one way."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple, Tuple

NO_TYPE = "entity"
_TAG = re.compile(r"O|(?P<place>[BIESLU])(?:-(?P<label>.+))?")


class Step(NamedTuple):
    """What a tag says of its token.

    label (str): the type of its mention; empty for none.
    begins (bool): whether it is the first token of the mention.
    ill_formed (bool): whether it begins a mention though its tag says that it continues one, as is right in IOB1 only.
    not_iob1 (bool): whether its tag begins a mention where IOB1 would not say so.
    """

    label: str
    begins: bool
    ill_formed: bool
    not_iob1: bool


def is_tag(text: str) -> bool:
    """Whether a text is a tag of one of the schemes."""
    return _TAG.fullmatch(text) is not None


def steps(tags: Iterable[str]) -> Iterator[Step]:
    """Follow the tags of a sentence: a mention begins at B, S or U, and wherever a type begins or changes.

    tags (Iterable[str]): the tags; a bare one, without a type, is of type `entity`.
    RETURNS (Iterator[Step]): what each says.
    """
    open_label = ""
    for tag in tags:
        place, label = _parse(tag)
        continues = bool(label) and label == open_label
        first = place in ("B", "S", "U")
        begins = bool(label) and (first or not continues)
        not_iob1 = first and not (place == "B" and continues)
        yield Step(label, begins, begins and not first, not_iob1)
        open_label = "" if place in ("S", "U", "E", "L") else label


@lru_cache(maxsize=4096)
def _parse(tag: str) -> Tuple[str, str]:
    match = _TAG.fullmatch(tag)
    if match is None or not match["place"]:
        return "", ""
    return match["place"], match["label"] or NO_TYPE
