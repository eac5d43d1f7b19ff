"""Generators that write synthetic corpora in their native formats."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Tuple

from . import i2b2_2010, noteevents


class Writer(NamedTuple):
    """A form of synthetic corpus.

    make (Callable): makes document number k (from 1) for a seed.
    write (Callable): writes documents into a folder as they come.
    contents (Tuple[str, ...]): names of the files and folders written.
    """

    make: Callable[[int, int], Any]
    write: Callable[[Path, Iterator[Any]], None]
    contents: Tuple[str, ...]


WRITERS: Dict[str, Writer] = {
    "notes": Writer(noteevents.make_note, noteevents.write_noteevents, noteevents.CONTENTS),
    "i2b2_2010": Writer(i2b2_2010.make_record, i2b2_2010.write_i2b2_2010, i2b2_2010.CONTENTS),
}
