"""The folder of an export while it is made."""

import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ClinbertError
from .manifest import MANIFEST, read_manifest

WORK = ".segments"
TOKENIZER = "tokenizer"
REJECTED = "export.rejected.jsonl"
_SHARD = re.compile(r"(?:instances|blocks)-\d{5,}\.(?:parquet|tfrecord)")
_TEXT = ".txt"


@contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """Open the folder of an export.

    out (Path): the export.
    YIELDS (Path): its work folder. It goes when the block ends well, and with an error as long as nothing is made.
    RAISES (ClinbertError): if `out` is a file, holds what is no export, or cannot be written.
    """
    work = out / WORK
    try:
        _check(out)
        existed = out.exists()
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ClinbertError(f"{out} cannot be written ({error.strerror or error}): give another folder") from None
    try:
        yield work
    except ClinbertError:
        if not any(work.glob("*.json")):
            shutil.rmtree(work)
            if not existed:
                out.rmdir()
        raise
    shutil.rmtree(work)


def _check(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise ClinbertError(f"output {out} is a file: give a folder")
    names = {path.name for path in out.iterdir()}
    others = {name for name in names - {MANIFEST, WORK, TOKENIZER, REJECTED} if not _SHARD.fullmatch(name)}
    if MANIFEST in names:
        # A text may have any name: ours are those listed.
        others -= _listed(out)
    elif WORK in names:
        others = {name for name in others if not name.endswith(_TEXT)}
    else:
        others = others or names
    if others:
        raise ClinbertError(f"output {out} holds {min(others)}, which is no earlier export: give another folder")


def _listed(out: Path) -> set[str]:
    try:
        return {shard.name for shard in read_manifest(out).shards}
    except ClinbertError:
        return set()


def clear(out: Path, kept: Collection[str]) -> None:
    """Remove an earlier export, whole or not.

    out (Path): the export, with its work folder.
    kept (Collection[str]): names in the work folder that stay.
    """
    # The manifest first, since without it nothing is taken for whole.
    (out / MANIFEST).unlink(missing_ok=True)
    earlier = [path for path in out.iterdir() if path.name != WORK]
    for path in earlier + [path for path in (out / WORK).iterdir() if path.name not in kept]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
