"""Output folders that are whole or absent."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ClinbertError


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Give a temporary folder that takes the place of `folder` when the block ends well, and else vanishes.

    folder (Path): where the output shall lie; an earlier output there is replaced.
    YIELDS (Path): an empty folder on the same disk.
    RAISES (ClinbertError): if `folder` holds something that is no earlier output, before anything is written.
    """
    replaceable = not folder.exists() or (folder / "tokenizer_config.json").is_file()
    if not replaceable and (folder.is_file() or any(folder.iterdir())):
        raise ClinbertError(f"output {folder} exists and is no model or vocabulary: give another folder, or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        fresh, old = Path(temporary) / "new", Path(temporary) / "old"
        fresh.mkdir()
        yield fresh
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
