"""Files of lines, with many documents each: read as bytes, so that a bad one costs only its own document."""

import gzip
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Callable, List, NoReturn, Set, Tuple, Type

from ..errors import ClinbertError
from .records import Entry

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Lines of a file with their numbers, from 1.
Lines = List[Tuple[int, bytes]]


def numbered_lines(path: Path) -> Iterator[Tuple[int, bytes]]:
    """Read a file line by line.

    path (Path): the file; one that ends in .gz is unpacked.
    RETURNS (Iterator[Tuple[int, bytes]]): number, from 1, and bytes of each line, without its line end (LF or CR LF).
    RAISES (ClinbertError): if the file cannot be read.
    """
    opened: Callable[..., IO[bytes]] = gzip.open if path.suffix == ".gz" else open  # type: ignore[assignment]
    try:
        with opened(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                line = line.removesuffix(b"\n").removesuffix(b"\r")
                yield number, line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise ClinbertError(f"{path}: is damaged and cannot be unpacked: fetch it again") from None
    except OSError as error:
        raise ClinbertError(f"{path}: {error.strerror or 'cannot be read'}: make it readable or remove it") from None


def decoded(path: Path, number: int, line: bytes) -> str:
    """Decode a line.

    path (Path), number (int): file and number, for the error.
    line (bytes): the line.
    RETURNS (str): its text.
    RAISES (ClinbertError): if it is not UTF-8.
    """
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ClinbertError(
            f"{path}, line {number}: byte 0x{line[error.start]:02X} is not UTF-8:"
            f" convert the file, for instance with `iconv -f latin1 -t utf-8`"
        ) from None


def failing(name: str, split: str, error: ClinbertError) -> Entry:
    """Stand for a document, or a whole file, that cannot be read.

    name (str), split (str): as in `Entry`; a file goes by its name.
    error (ClinbertError): why.
    RETURNS (Entry): an entry whose `load` raises the error.
    """
    return Entry(name, split, partial(_raise, type(error), str(error)))


def unique(name: str, file: str, number: int, seen: Set[str]) -> str:
    """Keep names unique in a corpus: one that stood before is told apart by its file and line.

    name (str): the name that the corpus gives.
    file (str), number (int): where it stands.
    seen (Set[str]): the names so far; it grows.
    RETURNS (str): the name, or `name (file, line number)`.
    """
    name = f"{name} ({file}, line {number})" if name in seen else name
    seen.add(name)
    return name


def _raise(kind: Type[ClinbertError], message: str) -> NoReturn:
    raise kind(message)
