"""How a CoNLL file is written: in which column the tags stand, in what scheme, and whether it marks documents."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Dict, List, NamedTuple

from ..errors import ClinbertError
from .iob import is_tag, steps
from .lines import numbered_lines

DOCSTART = "-DOCSTART-"
# So many lines tell in which column the tags stand.
SAMPLE = 1000


class Dialect(NamedTuple):
    """How a file is written.

    column (int): the column of the tags, from 0.
    iob1 (bool): whether a mention begins with I.
    documents (bool): whether it has lines of -DOCSTART-.
    """

    column: int
    iob1: bool
    documents: bool


def dialect_of(path: Path) -> Dialect:
    """Find out how a file is written.

    path (Path): the file.
    RETURNS (Dialect): its dialect. The tags stand in the last column of which most values are tags.
    RAISES (ClinbertError): if it cannot be read, or no column holds tags.
    """
    column = _column(path)
    ill_formed = not_iob1 = False
    for step in steps(_tags(path, column)):
        ill_formed |= step.ill_formed
        not_iob1 |= step.not_iob1
    documents = any(starts_document(line) for _, line in numbered_lines(path))
    return Dialect(column, ill_formed and not not_iob1, documents)


def columns_of(line: str) -> List[str]:
    """Cut a line into its columns, at tabs, or at blanks if it has no tab."""
    return line.split("\t") if "\t" in line else re.split(" +", line.strip(" "))


def starts_document(line: bytes) -> bool:
    """Whether a line begins a document."""
    return line.split(None, 1)[:1] == [DOCSTART.encode()]


def _column(path: Path) -> int:
    # For each column, how many more of its values are tags than are not.
    balance: Dict[int, int] = {}
    for _, line in islice(numbered_lines(path), SAMPLE):
        if line.strip() and not starts_document(line):
            balance.setdefault(0, 0)
            for column, value in enumerate(columns_of(line.decode("utf-8", "replace"))[1:], start=1):
                balance[column] = balance.get(column, 0) + (1 if is_tag(value) else -1)
    found = max((column for column, more in balance.items() if more > 0), default=0)
    if balance and not found:
        raise ClinbertError(f"{path}: has no column of IOB tags (O, B-…, I-…): correct or remove the file")
    return found


def _tags(path: Path, column: int) -> Iterator[str]:
    """The tags of a file; what is none, such as a line between sentences, counts as O."""
    for _, line in numbered_lines(path):
        columns = columns_of(line.decode("utf-8", "replace"))
        yield columns[column] if column < len(columns) else "O"
