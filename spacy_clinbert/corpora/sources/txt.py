"""A folder of .txt files, however deep: one note a file, named by its path in the folder without `.txt`."""

import codecs
import os
from pathlib import Path
from typing import Iterator

from ...errors import ClinbertError
from ..notes import Note, Rejected
from .forms import Form, Request

SUFFIX = ".txt"


def _paths(source: str) -> Iterator[str]:
    # Only the names of one folder at a time are held.
    for folder, folders, names in os.walk(source):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            about = name.lower().startswith(("readme", "license", "licence"))
            if name.lower().endswith(SUFFIX) and not name.startswith(".") and not about:
                yield os.path.join(folder, name)


def _recognises(source: str) -> bool:
    return any(True for _ in _paths(source))


def _read(request: Request) -> Iterator[Note]:
    if not Path(request.source).is_dir():
        raise ClinbertError(f"{request.source} is no folder: give a folder of .txt files")
    for path in _paths(request.source):
        name = os.path.relpath(path, request.source).replace(os.sep, "/")[: -len(SUFFIX)]
        # No output could hold a name of broken bytes.
        legible = name.encode("utf8", "replace").decode()
        if legible != name:
            request.on_reject(Rejected(legible, "its file name is not valid UTF-8"))
            continue
        try:
            text = Path(path).read_bytes().removeprefix(codecs.BOM_UTF8).decode("utf8")
        except UnicodeDecodeError:
            request.on_reject(Rejected(name, "its text is not valid UTF-8"))
        except OSError as error:
            request.on_reject(Rejected(name, f"its file cannot be read ({error.strerror})"))
        else:
            yield Note(name, text)


FORM = Form("txt", "a folder of .txt files", _recognises, _read, has_columns=False)
