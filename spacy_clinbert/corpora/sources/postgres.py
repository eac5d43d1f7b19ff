"""A table of a PostgreSQL database, such as `mimiciii.noteevents` that mimic-code builds, read by a server-side cursor.

The address is libpq's with one more parameter, the table: `postgresql://user@host/mimic?table=mimiciii.noteevents`.
What it leaves out libpq takes from PGHOST, PGPASSWORD, ~/.pgpass and the like
(https://www.postgresql.org/docs/current/libpq-connect.html). It may hold a password, and anywhere if it is misspelt:
errors show nothing of it but the table, and do not quote the server, which quotes what it was given.
"""

import re
from typing import Any, Iterator, Tuple

from ...errors import ClinbertError
from ..notes import Note, notes_of
from ..tables import Row, find_columns
from .forms import ADDRESS, Form, Request, shown
from .table import COLUMNS

TABLE = "mimiciii.noteevents"
# Notes that come over at a time.
FETCHED = 256


def _recognises(source: str) -> bool:
    address = ADDRESS.match(source)
    return address is not None and address[1].lower() in ("postgresql", "postgres")


def _read(request: Request) -> Iterator[Note]:
    return notes_of(_rows(request), request.on_reject)


def _rows(request: Request) -> Iterator[Row]:
    try:
        import psycopg
    except ImportError:
        raise ClinbertError("PostgreSQL is read with psycopg: pip install 'spacy-clinbert[postgres]'") from None
    address, table = _divided(request.source)
    try:
        connection = psycopg.connect(address, client_encoding="UTF8", application_name="clinbert")
    except psycopg.Error:
        raise ClinbertError(
            "the PostgreSQL database cannot be reached: no server answers at this address, it refuses the user, "
            "password or database, or the address is misspelt (it writes @ and / of a password as %40 and %2F); "
            "try it with psql"
        ) from None
    try:
        # A reader of notes must not be able to change them.
        connection.read_only = True
        with connection:
            yield from _fetched(connection, table, request)
    except psycopg.Error as error:
        raise ClinbertError(
            f"PostgreSQL table {table} cannot be read to its end ({type(error).__name__}): check it with psql"
        ) from None


def _fetched(connection: Any, table: str, request: Request) -> Iterator[Row]:
    from psycopg import errors, sql

    relation = sql.Identifier(*table.split("."))
    try:
        header = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(relation)).description
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        raise ClinbertError(
            f"the PostgreSQL database has no table {table}: name it at the end of the address, as ?table={TABLE}"
        ) from None
    found = find_columns(f"PostgreSQL table {table}", [column.name for column in header], request.columns(COLUMNS))
    cells = [sql.SQL("NULL") if name is None else sql.Identifier(name) for name in found]
    # Without an order the server may begin a second scan where another one is.
    query = sql.SQL("SELECT {} FROM {} ORDER BY {}").format(sql.SQL(", ").join(cells), relation, cells[0])
    with connection.cursor(name="clinbert") as cursor:
        cursor.itersize = FETCHED
        yield from cursor.execute(query)


def _divided(source: str) -> Tuple[str, str]:
    """The address as libpq knows it, and the table."""
    if not _recognises(source):
        raise ClinbertError(
            f"{shown(source)} is no PostgreSQL address: give postgresql://user@host/database?table={TABLE}"
        )
    named = re.search(r"(?<=[?&])table=([^&]*)&?", source)
    if not named:
        return source, TABLE
    if not re.fullmatch(r"\w+(\.\w+)?", named[1]):
        raise ClinbertError(f"the PostgreSQL address names no table: end it with ?table=schema.name, as ?table={TABLE}")
    return (source[: named.start()] + source[named.end() :]).rstrip("?&"), named[1]


FORM = Form("postgres", "postgresql://user@host/database?table=schema.name", _recognises, _read)
