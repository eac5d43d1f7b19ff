"""Corpora that ship as one file for each split."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Dict, TextIO


def shipped_split(number: int) -> str:
    """Say for which split a document is made: of eight, two are for test and one is for development.

    number (int): number of the document, from 1.
    RETURNS (str): "train", "dev" or "test".
    """
    return {0: "test", 2: "dev", 4: "test"}.get(number % 8, "train")


@contextmanager
def split_files(folder: Path, names: Mapping[str, str]) -> Iterator[Dict[str, TextIO]]:
    """Open the file of each split.

    folder (Path): an existing folder.
    names (Mapping[str, str]): the file's name, for each split.
    YIELDS (Dict[str, TextIO]): the files, by split.
    """
    with ExitStack() as stack:
        yield {
            split: stack.enter_context((folder / name).open("w", encoding="utf-8", newline="\n"))
            for split, name in names.items()
        }
