"""Output folders that are whole or absent."""

import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ClinbertError


@contextmanager
def whole_folder(folder: Path, contents: Collection[str]) -> Iterator[Path]:
    """Give a temporary folder to write in, which takes the place of `folder` if the block ends well and else vanishes.

    folder (Path): where the output shall lie; an earlier output there is replaced.
    contents (Collection[str]): names that such an output may hold; anything else is not ours to replace.
    YIELDS (Path): an empty folder on the same disk.
    RAISES (ClinbertError): if `folder` is a file or holds anything else, before anything is written.
    """
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise ClinbertError(f"output {folder} is a file: give a folder")
    others = {path.name for path in folder.iterdir()} - set(contents) if folder.is_dir() else set()
    if others:
        raise ClinbertError(f"output {folder} holds {min(others)}, which is no earlier output: give another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        fresh, old = Path(temporary) / "new", Path(temporary) / "old"
        fresh.mkdir()
        yield fresh
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
