"""Output files and folders that are whole or absent."""

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import ClinbertError


@contextmanager
def whole_files(*paths: Path) -> Iterator[list[Path]]:
    """Give temporary paths that take the place of `paths` when the block ends well, and else vanish.

    paths (Path): where the files shall lie, all in one folder, which is made where it is missing.
    YIELDS (list[Path]): as many paths with the same file names.
    RAISES (ClinbertError): where the system refuses to write, before the block or in it.
    """
    with _refusals(paths[0]), _folder_beside(paths[0]) as temporary:
        written = [temporary / path.name for path in paths]
        yield written
        for source, path in zip(written, paths, strict=True):
            source.replace(path)


@contextmanager
def whole_folder(folder: Path, contents: Collection[str]) -> Iterator[Path]:
    """Give a temporary folder to write in, which takes the place of `folder` if the block ends well and else vanishes.

    folder (Path): where the output shall lie; an earlier output there is replaced.
    contents (Collection[str]): names that such an output may hold; anything else is not ours to replace.
    YIELDS (Path): an empty folder on the same disk.
    RAISES (ClinbertError): if `folder` is a file or holds anything else, before anything is written; and where the
        system refuses to write, before the block or in it.
    """
    folder = folder.resolve()
    with _refusals(folder):
        check_replaceable(folder, contents)
        with _folder_beside(folder) as temporary:
            fresh = temporary / "new"
            fresh.mkdir()
            yield fresh
            if folder.exists():
                folder.rename(temporary / "old")
            fresh.rename(folder)


def check_replaceable(folder: Path, contents: Collection[str]) -> None:
    """Check, as `whole_folder` does, that a folder is not there or holds an earlier output.

    folder (Path): where the output shall lie.
    contents (Collection[str]): names that such an output may hold.
    RAISES (ClinbertError): if it is a file or holds anything else.
    """
    if folder.exists() and not folder.is_dir():
        raise ClinbertError(f"output {folder} is a file: give a folder")
    others = {path.name for path in folder.iterdir()} - set(contents) if folder.is_dir() else set()
    if others:
        raise ClinbertError(f"output {folder} holds {min(others)}, which is no earlier output: give another folder")


@contextmanager
def _folder_beside(place: Path) -> Iterator[Path]:
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, prefix=f".{place.name}.") as temporary:
        yield Path(temporary)


@contextmanager
def _refusals(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ClinbertError(f"{place} cannot be written ({error.strerror or error}): give another place") from error
