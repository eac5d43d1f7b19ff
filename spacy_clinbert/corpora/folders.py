"""Released folders: which split they are, and what lies in them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import List, Tuple

from ..errors import ClinbertError

SPLIT_WORDS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
SPLIT_WORDS |= dict.fromkeys(("dev", "devel", "development", "valid", "validation"), "dev")


def split_of(name: str) -> str:
    """Say which split a file or folder holds, by the words of its name.

    name (str): such as `training-PHI-Gold-Set1` or `mli_test_v1.jsonl`.
    RETURNS (str): "train", "dev" or "test"; "train" where no word says more.
    """
    words = re.split(r"[^a-z]+", name.lower())
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), "train")


def visible(folder: Path) -> List[Path]:
    """The files and folders in a folder, by name, without hidden ones.

    folder (Path): a folder, or nothing.
    RETURNS (List[Path]): what it holds; empty where there is no such folder.
    """
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def files(source: Path, suffix: str, form: str) -> Iterator[Tuple[Path, str]]:
    """Find the files of a corpus with their split, in the order of their paths.

    source (Path): one file, or a folder whose files lie in it or in folders named by split, however deep.
    suffix (str): how their names end, such as ".xml".
    form (str): name of the corpus, for the error.
    RETURNS (Iterator[Tuple[Path, str]]): path and split, by the names from the source down: the innermost that says.
    RAISES (ClinbertError): if there is no such file or folder.
    """
    if source.is_file():
        yield source, split_of(source.name)
        return
    if not source.is_dir():
        raise ClinbertError(f"{source}: no such file or folder: give the folder of the {form} corpus")
    for path in sorted(source.rglob(f"*{suffix}")):
        names = path.relative_to(source).parts
        if path.is_file() and not any(name.startswith(".") for name in names):
            said = [split_of(name) for name in reversed(names) if says_split(name)]
            yield path, said[0] if said else "train"


def says_split(name: str) -> bool:
    """Whether a name has a word for a split."""
    return not SPLIT_WORDS.keys().isdisjoint(re.split(r"[^a-z]+", name.lower()))


def relative(path: Path, source: Path) -> str:
    """Name a file of a corpus, relative to its folder.

    path (Path): the file.
    source (Path): the corpus: its folder, or the file itself.
    RETURNS (str): the name, with slashes.
    """
    return path.name if path == source else path.relative_to(source).as_posix()
