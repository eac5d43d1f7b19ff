"""Readers of annotated corpora, one module a format."""

from collections.abc import Iterator
from pathlib import Path
from typing import Callable, Dict

from . import i2b2_2010
from .records import Entry

READERS: Dict[str, Callable[[Path], Iterator[Entry]]] = {
    "i2b2_2010": i2b2_2010.entries,
}
