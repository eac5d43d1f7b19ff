"""Where files lie: on a disk, or on any filesystem that fsspec opens by an address, as s3://bucket/notes.csv.gz.

What a filesystem needs to know (keys, accounts, endpoints) it takes from the environment and from fsspec's own
configuration (https://filesystem-spec.readthedocs.io/en/latest/features.html#configuration).
"""

import codecs
import gzip
import io
import re
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Union

from ..errors import ClinbertError

if TYPE_CHECKING:
    from upath import UPath

AnyPath = Union[Path, "UPath"]
# An address, also one whose slashes a Path has joined; a letter before a colon is a drive.
ADDRESS = re.compile(r"([A-Za-z][\w+.-]+):/")
# Where a name and password, or a signature, may stand.
_SECRET = re.compile(r"[@?#]|password=")
READ = 1 << 20


def place(address: Union[str, AnyPath]) -> AnyPath:
    """Make a path of an address.

    address (Union[str, AnyPath]): a path, or an address as a `str`, since a `Path` would drop one of its slashes.
    RETURNS (AnyPath): a `Path` of what lies on a disk, else a `UPath`.
    RAISES (ClinbertError): if there is no such filesystem, its package is not installed, or it cannot be reached.
    """
    if not isinstance(address, str):
        return address
    if "://" not in address:
        return Path(address)
    from upath import UPath

    try:
        path = UPath(address)
        if path.protocol in ("file", "local"):
            return Path(path.path)
        # Listings that an earlier call left in this process may have grown old.
        path.fs.invalidate_cache()
        return path
    except ImportError as error:
        # fsspec says which package it is.
        raise ClinbertError(
            f"{shown(address)} cannot be opened, its package is missing ({error}): install it with pip"
        ) from None
    except Exception as error:
        raise ClinbertError(
            f"{shown(address)} cannot be opened ({type(error).__name__}): give a path, or an address of a filesystem "
            "that fsspec knows, and its credentials as that filesystem wants them"
        ) from None


def plain(source: Union[str, Path]) -> str:
    """Write a source as forms take it: file:///data/notes.csv is /data/notes.csv.

    source (Union[str, Path]): a file, a folder, or an address.
    RETURNS (str): its path if it lies on a disk, else its address.
    """
    text = str(source)
    return str(place(text)) if text.startswith(("file://", "local://")) else text


def shown(source: Union[str, AnyPath]) -> str:
    """Name a source in errors, logs and manifests: an address may hold a password.

    source (Union[str, AnyPath]): a file, a folder, or the address of a file, a folder or a database.
    RETURNS (str): the path or address; of one that may hold a secret, and of a database, its kind and table alone.
    """
    text = str(source)
    address = ADDRESS.match(text)
    if not address:
        # Of chained filesystems, as in simplecache::ftp://, any may have one.
        return "…" if "://" in text or "password=" in text else text
    from fsspec.registry import known_implementations

    if "://" in text and address[1] in known_implementations and not _SECRET.search(text):
        return text
    table = re.search(r"[?&]table=([\w.]+)", text)
    return f"{address[1]}://…" + (f"?table={table[1]}" if table else "")


@contextmanager
def readable(path: AnyPath) -> Iterator[None]:
    """Say in one sentence what makes a file or folder unreadable.

    path (AnyPath): what is read meanwhile.
    RAISES (ClinbertError): in the place of what the system, the filesystem or an unpacker raised.
    """
    remote = not isinstance(path, Path)
    try:
        yield
    except ClinbertError:
        raise
    except EOFError as error:
        raise ClinbertError(f"{shown(path)} is cut off before its end: copy it again, whole") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise _unreadable(path, "it is damaged or of another format") from error
    except OSError as error:
        if remote:
            raise _unreachable(path, error) from None
        raise _unreadable(path, error.strerror or "it is damaged or of another format") from error
    except Exception as error:
        # The packages of filesystems raise whatever they like, and may quote the address.
        if remote:
            raise _unreachable(path, error) from None
        raise


def _unreadable(path: AnyPath, reason: str) -> ClinbertError:
    return ClinbertError(f"{shown(path)} cannot be read ({reason}): check it or copy it again")


def _unreachable(path: AnyPath, error: Exception) -> ClinbertError:
    if isinstance(error, FileNotFoundError):
        return ClinbertError(f"{shown(path)} is no file: give a table of notes")
    return ClinbertError(
        f"{shown(path)} cannot be read ({type(error).__name__}): check it, its address and the credentials of its "
        "filesystem"
    )


def text_lines(path: AnyPath) -> Iterator[str]:
    """Read a text file line by line.

    path (AnyPath): the file; one that ends in .gz is unpacked.
    RETURNS (Iterator[str]): the lines with their ends, without a byte order mark. A bad byte becomes a lone surrogate,
        so that only its row is lost.
    """
    with path.open("rb") as file:
        # The files of fsspec would read megabytes for every line.
        buffered: Any = io.BufferedReader(file, READ)
        with gzip.open(buffered) if path.name.lower().endswith(".gz") else buffered as lines:
            for number, line in enumerate(lines):
                line = line.removeprefix(codecs.BOM_UTF8) if number == 0 else line
                yield line.decode("utf8", "surrogateescape")
