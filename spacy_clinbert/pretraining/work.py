"""The folder of an export while it is made: files that are whole or absent, each with a record of what it holds."""

import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import ClinbertError
from .manifest import MANIFEST, Shard, describe, read_manifest

WORK = ".segments"
TOKENIZER = "tokenizer"
REJECTED = "export.rejected.jsonl"
_SHARD = re.compile(r"(?:instances|blocks)-\d{5,}\.(?:parquet|tfrecord)")
_TEXT = ".txt"


def make(work: Path, target: Path, write: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Make a file if it is not there yet: under another name, then in its place, then the record of it.

    work (Path): the folder of unfinished files and of records, on the disk of the target.
    target (Path): the file.
    write (Callable): writes it to the path that it is given, and says what is to be recorded, its `rows` among it.
    RETURNS (dict): the record, also of a file that was there, with the description of the file as `file`.
    RAISES (ClinbertError): if the system refuses to write, for example because the disk is full.
    """
    if is_made(work, target):
        return read_record(work, target)
    record = _record(work, target)
    # A process that outlived a killed run may still write: each writes a file of its own.
    part, record_part = (work / f"{os.getpid()}.{path.name}" for path in (target, record))
    try:
        with refusals(target):
            found = write(part)
            found["file"] = {**describe(part, found["rows"]).model_dump(), "name": target.name}
            record_part.write_text(json.dumps(found), encoding="utf-8")
            part.replace(target)
            record_part.replace(record)
    finally:
        part.unlink(missing_ok=True)
        record_part.unlink(missing_ok=True)
    return found


@contextmanager
def refusals(target: Path) -> Iterator[None]:
    """Say in one sentence that the system refuses to write, and that nothing finished is lost."""
    try:
        yield
    except OSError as error:
        raise ClinbertError(
            f"{target} cannot be written ({error.strerror or error}): make room, and the same command goes on from here"
        ) from None


def is_made(work: Path, target: Path) -> bool:
    """Whether `make` has made a file, and it is still what was made: what a fault of the disk spoilt is made again."""
    try:
        made = Shard(**read_record(work, target)["file"])
        return describe(target, made.rows) == made
    except (OSError, ValueError, LookupError, TypeError):
        return False


def read_record(work: Path, target: Path) -> dict[str, Any]:
    """Read what `make` recorded of a file."""
    return json.loads(_record(work, target).read_text(encoding="utf-8"))


def _record(work: Path, target: Path) -> Path:
    return work / f"{target.name}.json"


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
