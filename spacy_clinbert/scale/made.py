"""Files that are whole or absent, each with a record of what it holds, on any disk or object store. No torch."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from ..corpora.places import shown
from ..errors import ClinbertError

READ = 1 << 20


class Shard(BaseModel):
    """A file of an output.

    name (str): its name in the folder; rows (int): its notes, instances, blocks or sentences.
    bytes (int), sha256 (str): its size and checksum.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    rows: int
    bytes: int
    sha256: str


def describe(path: Path, rows: int) -> Shard:
    """Describe a finished file.

    path (Path): the file; rows (int): what it holds.
    RETURNS (Shard): with its size and checksum.
    """
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while part := file.read(READ):
            digest.update(part)
            size += len(part)
    return Shard(name=path.name, rows=rows, bytes=size, sha256=digest.hexdigest())


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
    # A process that outlived a killed run may still write, here or on another machine: each writes a file of its own.
    part, record_part = (work / f"{uuid4().hex}.{path.name}" for path in (target, record))
    try:
        with refusals(target):
            found = write(part)
            found["file"] = {**describe(part, found["rows"]).model_dump(), "name": target.name}
            record_part.write_text(json.dumps(found), encoding="utf-8")
            put(part, target)
            put(record_part, record)
    finally:
        part.unlink(missing_ok=True)
        record_part.unlink(missing_ok=True)
    return found


def put(part: Path, target: Path) -> None:
    """Give a finished file its name, in the place of an earlier one.

    part (Path): the file; target (Path): its name. Paths of remote filesystems know `rename` only, which replaces.
    """
    (part.replace if isinstance(part, Path) else part.rename)(target)


@contextmanager
def refusals(target: Path) -> Iterator[None]:
    """Say in one sentence that the system refuses to write, and that nothing finished is lost."""
    try:
        yield
    except ClinbertError:
        raise
    except Exception as error:
        # The packages of other filesystems raise whatever they like, and may quote the address.
        if not isinstance(target, Path):
            raise ClinbertError(
                f"{shown(target)} cannot be written ({type(error).__name__}): check its address and the credentials of"
                " its filesystem, and the same command goes on from here"
            ) from None
        if not isinstance(error, OSError):
            raise
        raise ClinbertError(
            f"{target} cannot be written ({error.strerror or error}): make room, or permit it, and the same command"
            " goes on from here"
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
