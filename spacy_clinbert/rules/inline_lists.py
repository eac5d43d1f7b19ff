"""Lists inside a run of text: `1. rest 2. fluids`, `(a) rest (b) fluids`."""

import re
from collections.abc import Iterator
from typing import NamedTuple

# Items further apart than this are of no one list.
REACH = 1000

_ROMAN = {
    numeral: value for value, numeral in enumerate("i ii iii iv v vi vii viii ix x xi xii xiii xiv xv".split(), 1)
}
# Labels stand alone between blanks. Their ends are few, so the scan looks for these and from there to the left.
_ROMANS = [rf"{opening}[ivx]{{{length}}}" for opening in ("", r"\(") for length in (2, 3, 4)]
_LABELS = [r"[a-z\d]", r"\d\d", r"-\d", r"-\d\d", r"\([a-z]", *_ROMANS]
_BEHIND_LABEL = "|".join(rf"(?<=(?<!\S){label}.)" for label in _LABELS)
_END = re.compile(rf"[.)](?=\s)(?:{_BEHIND_LABEL})")
# A sign before a number belongs to its item.
_SIGN = re.compile(r"(?<=\s)[-–—*•#+>(]\s*\Z")


class Item(NamedTuple):
    """A label that may open an item of a list.

    start (int): offset of its first character.
    end (int): offset of its period or closing bracket.
    kind (str): that character, and whether it counts in numbers, letters or Roman numerals.
    value (int): its place in the list.
    """

    start: int
    end: int
    kind: str
    value: int


def find_items(text: str) -> list[Item]:
    """Find the items of lists in a run of text: labels of one kind that count up by one.

    text (str): text without line layout.
    RETURNS (list[Item]): in order of place; none for a label that has no neighbour in its list.
    """
    lists: list[list[Item]] = []
    # The list that waits for a label, by what that is: an item is none's for the second time (`2. Diabetes type 2.`).
    waiting: dict[tuple[str, int], list[Item]] = {}
    for match in _END.finditer(text):
        for item in _read(text, match.start()):
            found = waiting.pop((item.kind, item.value), [])
            if not _reaches(found, item):
                lists.append(found := [])
            found.append(item)
            if not _reaches(waiting.get((item.kind, item.value + 1), []), item):
                waiting[item.kind, item.value + 1] = found
    return sorted({item for items in lists if len(items) > 1 for item in items})


def _reaches(items: list[Item], item: Item) -> bool:
    return bool(items) and item.start - items[-1].end <= REACH


def _read(text: str, end: int) -> Iterator[Item]:
    """The label that ends there, in each way in which it counts."""
    word = text[max(0, end - 6) : end].split()[-1]
    start, name, mark = end - len(word), word.lstrip("(-"), text[end]
    if name.isdigit():
        sign = _SIGN.search(text, max(0, start - 5), start)
        yield Item(sign.start() if sign else start, end, f"1{mark}", int(name))
        return
    if len(name) == 1:
        yield Item(start, end, f"a{mark}", ord(name))
    if name in _ROMAN and mark == ")":
        yield Item(start, end, "i)", _ROMAN[name])
