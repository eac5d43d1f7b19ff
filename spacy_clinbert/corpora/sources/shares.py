"""Sources cut into shares, which workers read side by side: Parquet files, folders of tables, PostgreSQL tables."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator, List, NamedTuple, Optional, Tuple, Union

from ..columns import Columns
from ..notes import Note, Rejected, notes_of, read_table
from ..parquet_tables import Groups, cut_parquet
from ..places import AnyPath, plain, readable
from ..tables import PARQUET, check_columns
from . import folder, mimic3, omop, postgres, recognise, table

OnReject = Callable[[Rejected], None]
_TABLES = {module.FORM.name: module for module in (mimic3, omop, table, folder)}
# By which of these a filesystem tells that a file has changed: the first that it knows.
_MARKS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "modify", "created")


class Share(NamedTuple):
    """A share of a source: plain data, for any process; it holds the address, and so a password that is part of it.

    digest (str): changes when the notes of the share do, as far as can be told without reading them: by the size and
        date of a file; by the bounds of a range of ids, its number of rows and the length of their texts.
    read (Callable[[OnReject], Iterator[Note]]): reads its notes, as `read_source` does with the whole.
    """

    digest: str
    read: Callable[[OnReject], Iterator[Note]]


def shares(
    source: Union[str, Path],
    form: Optional[str] = None,
    *,
    id_column: Optional[str] = None,
    text_column: Optional[str] = None,
    size: int,
) -> List[Share]:
    """Cut a source, always in the same way; its shares one after the other give what `read_source` gives.

    source (Union[str, Path]), form (Optional[str]), id_column (Optional[str]), text_column (Optional[str]): as there.
    size (int): bytes of text in a share, about; a row group of a Parquet file, a file of another format, and the rows
        of one id are never cut.
    RETURNS (List[Share]): the shares in the order of the source; none where it has to be read in one go.
    RAISES (ClinbertError): if the source cannot be read.
    """
    address, name = plain(source), form or recognise(source)
    if name == postgres.FORM.name:
        columns = postgres.COLUMNS.named(id_column, text_column)._replace(error=())
        found = postgres.ranges(address, columns, size)
        of = postgres.table_of(address)
        return [Share(_digest(of, columns, part), partial(_read_range, address, columns, part)) for part in found]
    if name not in _TABLES:
        return []
    tables = _TABLES[name].tables(address)
    if [path for file, path in tables.items() if not file and not path.name.lower().endswith(PARQUET)]:
        return []
    columns = _TABLES[name].COLUMNS.named(id_column, text_column)._replace(error=())
    # On a store of objects each file costs a few answers to wait for.
    with ThreadPoolExecutor() as pool:
        return [
            Share(_digest(file, columns, mark, groups), partial(_read_table, path, columns, file, groups))
            for (file, path), (mark, cut) in zip(
                tables.items(), pool.map(partial(_cut, columns, size), tables.values()), strict=True
            )
            for groups in cut
        ]


def _cut(columns: Columns, size: int, path: AnyPath) -> Tuple[str, List[Any]]:
    """What tells that a table has changed, and its parts."""
    with readable(path):
        if path.name.lower().endswith(PARQUET):
            return _mark(path), cut_parquet(path, columns, size)
        check_columns(path, columns)
        return _mark(path), [None]


def _mark(path: AnyPath) -> str:
    if isinstance(path, Path):
        return f"{path.stat().st_size} {path.stat().st_mtime_ns}"
    info = path.fs.info(path.path)
    return f"{info['size']} {next((info[name] for name in _MARKS if info.get(name)), '')}"


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _read_table(
    path: AnyPath, columns: Columns, file: str, groups: Optional[Groups], on_reject: OnReject
) -> Iterator[Note]:
    return read_table(path, columns, on_reject, file, groups)


def _read_range(source: str, columns: Columns, part: postgres.Range, on_reject: OnReject) -> Iterator[Note]:
    return notes_of(postgres.range_rows(source, columns, part), on_reject, part.before)
