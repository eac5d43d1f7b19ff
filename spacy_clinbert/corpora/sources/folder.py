"""A folder of tables, however deep, as Spark, Hive and pyarrow write data sets: `year=2020/part-0.parquet`.

All its tables are read, in the order of their paths, each with its own columns. Names that begin with `_` or `.` are
not of the data set (Spark's _SUCCESS, the .crc beside a file). What partition folders say (`year=2020`) is not read.
"""

import os
from pathlib import Path
from typing import Dict, Iterator, NoReturn

from ...errors import ClinbertError
from ..notes import Note, read_table
from ..places import AnyPath, place, readable, shown
from ..tables import SUFFIXES
from .forms import Form, Request
from .table import COLUMNS

# Beside a Delta table's files are those of its earlier versions.
DELTA = "_delta_log"


def tables(source: str) -> Dict[str, AnyPath]:
    """Find the tables of a folder.

    source (str): the folder, or its address.
    RETURNS (Dict[str, AnyPath]): the tables by their paths in the folder, in the order of these.
    RAISES (ClinbertError): if the folder cannot be listed, or is a Delta table.
    """
    folder = place(source)
    with readable(folder):
        names = list(_names(folder))
    parts = {name: name.split("/") for name in names}
    if any(DELTA in of for of in parts.values()):
        raise ClinbertError(
            f"{shown(folder)} is a Delta table, whose folder also holds notes of earlier versions: read it with Spark, "
            "or write it as plain Parquet"
        )
    taken = [name for name in names if name.lower().endswith(SUFFIXES)]
    return {name: folder / name for name in sorted(taken) if not any(part[0] in "._" for part in parts[name])}


def _names(folder: AnyPath) -> Iterator[str]:
    if isinstance(folder, Path):
        for place_of, _, files in os.walk(folder, onerror=_unlisted):
            yield from ((Path(place_of) / file).relative_to(folder).as_posix() for file in files)
    else:
        root = folder.path.rstrip("/") + "/"
        # A store of objects lists all of a folder at once.
        yield from (name.removeprefix(root) for name in folder.fs.find(folder.path) if name.startswith(root))


def _unlisted(error: OSError) -> NoReturn:
    raise error


def _recognises(source: str) -> bool:
    folder = place(source)
    return (not isinstance(folder, Path) or folder.is_dir()) and bool(tables(source))


def _read(request: Request) -> Iterator[Note]:
    found = tables(request.source)
    if not found:
        raise ClinbertError(f"{shown(request.source)} has no tables: give a folder of {', '.join(SUFFIXES)}")
    for name, path in found.items():
        yield from read_table(path, request.columns(COLUMNS), request.on_reject, name)


FORM = Form("folder", "a folder of tables", _recognises, _read)
