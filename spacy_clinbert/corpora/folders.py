"""Released folders: which split they are, and what lies in them."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import List, Tuple

from ..errors import ClinbertError

# What `clinbert synth` puts into a folder: its notes are invented.
SYNTHETIC_MARK = "synthetic.json"
SPLIT_WORDS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
SPLIT_WORDS |= dict.fromkeys(("dev", "devel", "develop", "development", "val", "valid", "validation"), "dev")
# Words as capitals set them off (CDR_TrainingSet), and words glued to capitals (NCBItrainset).
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])"), re.compile(r"[A-Z][a-z]+|[a-z]+|[A-Z]+")
# What lies beside a corpus and is none of it.
_ABOUT = ("readme", "license", "licence")
# Every output of `clinbert convert` holds it: a folder with it, inside a corpus, is no part of the corpus.
REJECTED = "convert.rejected.jsonl"


def splits_in(name: str) -> List[str]:
    """Say which splits the words of a name speak of.

    name (str): such as `training-PHI-Gold-Set1`, `mli_test_v1.jsonl`, `CDR_TrainingSet.PubTator.txt` or
        `NCBItestset_corpus.txt`.
    RETURNS (List[str]): "train", "dev" and "test", each at most once, in the order of the words.
    """
    words = [word.lower().removesuffix("set") for pattern in _WORDS for word in pattern.findall(name)]
    return list(dict.fromkeys(SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS))


def split_of(name: str) -> str:
    """Say which split a file or folder holds, by the words of its name.

    name (str): such as `training-PHI-Gold-Set1` or `mli_test_v1.jsonl`.
    RETURNS (str): "train", "dev" or "test", by the first word that says; "train" where none does.
    """
    return next(iter(splits_in(name)), "train")


def split_by(names: Sequence[str]) -> str:
    """Say which split a document is in, by names of folders and file.

    names (Sequence[str]): the names, from the corpus down.
    RETURNS (str): "train", "dev" or "test", by the innermost name that says; "train" where none does.
    """
    return next((split_of(name) for name in reversed(names) if splits_in(name)), "train")


def visible(folder: Path) -> List[Path]:
    """The files and folders in a folder, by name, without hidden ones.

    folder (Path): a folder, or nothing.
    RETURNS (List[Path]): what it holds; empty where there is no such folder.
    RAISES (ClinbertError): if the folder cannot be read, or a name in it is not UTF-8.
    """
    if not folder.is_dir():
        return []
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise ClinbertError(f"{folder}: {error.strerror or 'cannot be read'}: make it readable or remove it") from None
    for path in found:
        name = os.fsencode(path.name)
        if name.decode("utf-8", "ignore") != path.name:
            raise ClinbertError(f"{folder}: holds {name!r}, a name that is not UTF-8: rename the file")
    return found


def files(source: Path, suffix: str | Tuple[str, ...], form: str) -> Iterator[Tuple[Path, str]]:
    """Find the files of a corpus with their split, in the order of their paths; links to folders are followed.

    source (Path): one file, or a folder whose files lie in it or in folders named by split, however deep.
    suffix (str | Tuple[str, ...]): how their names may end, such as ".xml".
    form (str): name of the corpus, for the error.
    RETURNS (Iterator[Tuple[Path, str]]): path and split, by the names from the source down: the innermost that says.
        Hidden files, and those named README or LICENSE, are no part of a corpus.
    RAISES (ClinbertError): if there is no such file or folder, or a folder in it cannot be read.
    """
    if source.is_file():
        yield source, split_of(source.name)
        return
    if not source.is_dir():
        raise ClinbertError(f"{source}: no such file or folder: give the folder of the {form} corpus")
    for path in _below(source):
        if path.name.endswith(suffix) and not path.name.lower().startswith(_ABOUT):
            yield path, split_by(path.relative_to(source).parts)


def relative(path: Path, source: Path) -> str:
    """Name a file of a corpus, relative to its folder.

    path (Path): the file.
    source (Path): the corpus: its folder, or the file itself.
    RETURNS (str): the name, with slashes.
    """
    return path.name if path == source else path.relative_to(source).as_posix()


def _below(folder: Path, above: Sequence[Path] = ()) -> Iterator[Path]:
    """All in a folder that is no folder of files itself: a link to nowhere must not pass for nothing."""
    place = folder.resolve()
    if place in above or (above and (folder / REJECTED).is_file()):
        return
    for path in visible(folder):
        if path.is_dir() and any(visible(path)):
            yield from _below(path, (*above, place))
        else:
            yield path
