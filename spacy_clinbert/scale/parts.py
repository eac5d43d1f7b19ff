"""Notes cut into parts, the units of work: carried by the driver, or read by the workers side by side."""

import hashlib
from functools import partial
from itertools import chain
from pathlib import Path, PurePath, PurePosixPath
from typing import Callable, Iterator, List, NamedTuple, Optional, Protocol

import pyarrow as pa

from ..corpora.notes import Note, Rejected
from ..corpora.places import AnyPath, place, plain, shown
from ..corpora.sources import folder, postgres, read_source
from ..corpora.sources.shares import Share, shares
from ..errors import ClinbertError
from .batches import note_batches, to_batch

# Notes that a worker reads at a time of a share.
READ = 256


class Part(Protocol):
    """Notes that one worker annotates into one file.

    number (int): its place among the parts.
    digest (str): changes when its notes change.
    """

    @property
    def number(self) -> int: ...

    @property
    def digest(self) -> str: ...

    def batches(self, on_reject: Callable[[Rejected], None]) -> Iterator[pa.RecordBatch]:
        """Read the notes, as batches of `NOTES_SCHEMA`, the rows that give none handed to `on_reject`."""


class CarriedPart(NamedTuple):
    """A part that holds its notes; rejected (List[Rejected]): the rows before its last note that gave none."""

    number: int
    digest: str
    notes: pa.RecordBatch
    rejected: List[Rejected]

    def batches(self, on_reject: Callable[[Rejected], None]) -> Iterator[pa.RecordBatch]:
        """Give the notes."""
        for rejected in self.rejected:
            on_reject(rejected)
        yield self.notes


class SharedPart(NamedTuple):
    """A part that its worker reads."""

    number: int
    share: Share

    @property
    def digest(self) -> str:
        """That of the share."""
        return self.share.digest

    def batches(self, on_reject: Callable[[Rejected], None]) -> Iterator[pa.RecordBatch]:
        """Read the notes."""
        return note_batches(self.share.read(on_reject), READ)


def parts_of(
    source: str, form: Optional[str], id_column: Optional[str], text_column: Optional[str], size: int
) -> Iterator[Part]:
    """Cut a source into parts, the same each time.

    source (str): what `read_source` reads; form, id_column, text_column (Optional[str]): as there.
    size (int): characters in a part; it ends behind the note that reaches them.
    RETURNS (Iterator[Part]): the parts in the order of the source; at least one, which may be empty.
    RAISES (ClinbertError): if the source cannot be read.
    """
    found = shares(source, form, id_column=id_column, text_column=text_column, size=size)
    if found:
        return (SharedPart(number, share) for number, share in enumerate(found))
    read = partial(read_source, source, form, id_column=id_column, text_column=text_column)
    # Read at once: a wrong column shows before anything is done for it.
    parts = _carried(read, size)
    return chain([next(parts)], parts)


def keep_apart(source: str, form: str, out: AnyPath) -> None:
    """Refuse to write where the notes are read: annotations would take their place, or be taken for notes.

    source (str), form (str): what is read, and as what; out (AnyPath): where annotations shall lie.
    RAISES (ClinbertError): if one lies in the other.
    """
    if form == postgres.FORM.name:
        return
    read, written = (_where(path) for path in (place(plain(source)), out))
    # Other forms read files of certain names only.
    inside = form == folder.FORM.name and written.is_relative_to(read)
    if inside or read.is_relative_to(written):
        raise ClinbertError(
            f"output {shown(out)} and the source {shown(source)} lie one in the other: give an output apart from it"
        )


def _where(path: AnyPath) -> PurePath:
    return path.resolve() if isinstance(path, Path) else PurePosixPath(f"{path.protocol}:", path.path.lstrip("/"))


def _carried(read: Callable[..., Iterator[Note]], size: int) -> Iterator[CarriedPart]:
    rejected: List[Rejected] = []
    notes: List[Note] = []
    number = held = 0
    for note in read(on_reject=rejected.append):
        notes.append(note)
        held += len(note.text)
        if held >= size:
            yield _carry(number, notes, rejected)
            number, held = number + 1, 0
            notes.clear()
            rejected.clear()
    if notes or rejected or not number:
        yield _carry(number, notes, rejected)


def _carry(number: int, notes: List[Note], rejected: List[Rejected]) -> CarriedPart:
    digest = hashlib.sha256()
    for note in notes:
        digest.update(f"{note.note_id}\0{note.text}\0".encode())
    for row in rejected:
        digest.update(f"{row.note_id}\0{row.reason}\0".encode())
    return CarriedPart(number, digest.hexdigest(), to_batch(notes), list(rejected))
