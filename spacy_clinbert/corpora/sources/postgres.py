"""A table of a PostgreSQL database, such as `mimiciii.noteevents` that mimic-code builds, read by a server-side cursor.

The address is libpq's with one more parameter, the table: `postgresql://user@host/mimic?table=mimiciii.noteevents`.
What it leaves out libpq takes from PGHOST, PGPASSWORD, ~/.pgpass and the like
(https://www.postgresql.org/docs/current/libpq-connect.html). It may hold a password, and anywhere if it is misspelt:
errors show nothing of it but the table, and do not quote the server, which quotes what it was given.
"""

import re
from contextlib import contextmanager
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

from ...errors import ClinbertError
from ..columns import Columns, Row, find_columns
from ..notes import Note, notes_of
from ..places import ADDRESS, shown
from .forms import Form, Request
from .table import COLUMNS

TABLE = "mimiciii.noteevents"
# Notes that come over at a time.
FETCHED = 256
# The first id of each range. The length of a long text stands beside its address, so it is not fetched to be counted.
_RANGES = """
    WITH ids AS (
        SELECT {note_id} AS id, count(*) AS rows, coalesce(sum(octet_length({text}::text)), 0) AS size
        FROM {relation} GROUP BY {note_id}
    ), placed AS (
        SELECT ids.*, floor((sum(size) OVER (ORDER BY id) - size) / {size}) AS part FROM ids
    )
    SELECT id IS NULL, (array_agg(id::text ORDER BY id))[1], sum(rows)::bigint, sum(size)::bigint
    FROM placed GROUP BY id IS NULL, part ORDER BY id IS NULL, part
"""


class Range(NamedTuple):
    """Rows of a table whose ids follow each other.

    low (Optional[str]), high (Optional[str]): the first id, and the one that is too high, as the server writes them;
        None where there is no bound.
    null (bool): whether these are instead the rows without id, which come last.
    before (int): rows with lower ids; rows (int), bytes (int): those of the range, and their text together.
    """

    low: Optional[str] = None
    high: Optional[str] = None
    null: bool = False
    before: int = 0
    rows: int = 0
    bytes: int = 0


def table_of(source: str) -> str:
    """Give the name of the table in an address; ClinbertError if it is none of a table."""
    return _divided(source)[1]


def range_rows(source: str, columns: Columns, of: Optional[Range] = None) -> Iterator[Row]:
    """Read the rows of a table in the order of their ids.

    source (str): the address; columns (Columns): the columns to look for.
    of (Optional[Range]): the rows to read; by default all.
    RETURNS (Iterator[Row]): the rows.
    RAISES (ClinbertError): if the database cannot be reached, or the table cannot be read.
    """
    with _relation(source, columns) as (connection, relation, cells):
        from psycopg import sql

        bounds = [(">=", of.low), ("<", of.high)] if of else []
        given = [(sign, bound) for sign, bound in bounds if bound is not None]
        # A bound goes over without a type, so the server reads it as one of the column's own.
        where = [sql.SQL("{} " + sign + " %s").format(cells[0]) for sign, _ in given]
        where += [sql.SQL("{} IS NULL").format(cells[0])] if of and of.null else []
        # Without an order the server may begin a second scan where another one is; rows may share an id.
        query = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {}, {}::text").format(
            sql.SQL(", ").join(cells), relation, sql.SQL(" AND ").join([sql.SQL("TRUE"), *where]), *cells[:2]
        )
        with connection.cursor(name="clinbert") as cursor:
            cursor.itersize = FETCHED
            yield from cursor.execute(query, [bound for _, bound in given])


def ranges(source: str, columns: Columns, size: int) -> List[Range]:
    """Cut a table by its ids; the same table is cut the same way.

    source (str): the address; columns (Columns): the columns to look for.
    size (int): bytes of text that a range has, about.
    RETURNS (List[Range]): ranges in the order of the ids; each row, also one written later, has an id of one of them.
    RAISES (ClinbertError): as `range_rows`.
    """
    with _relation(source, columns) as (connection, relation, cells):
        from psycopg import sql

        names = {"note_id": cells[0], "text": cells[1], "relation": relation, "size": sql.Literal(size)}
        found = connection.execute(sql.SQL(_RANGES).format(**names)).fetchall()
    cut: List[Range] = []
    for number, (null, low, rows, length) in enumerate(found):
        before = cut[-1].before + cut[-1].rows if cut else 0
        # Without a bound the first range takes what is added before it, and the last what is added behind it.
        following = found[number + 1] if number + 1 < len(found) else None
        high = following[1] if following and not following[0] else None
        cut.append(Range(low if number else None, high, null, before, rows, length))
    if sum(not of.null for of in cut) < 2:
        # No bound parts the rows with ids from those without.
        return [Range(rows=sum(of.rows for of in cut), bytes=sum(of.bytes for of in cut))]
    return cut


@contextmanager
def _relation(source: str, columns: Columns) -> Iterator[Tuple[Any, Any, List[Any]]]:
    """A connection, the table, and its columns; one sentence for whatever makes it unreadable."""
    try:
        import psycopg
    except ImportError:
        raise ClinbertError("PostgreSQL is read with psycopg: pip install 'spacy-clinbert[postgres]'") from None
    from psycopg import errors, sql

    address, table = _divided(source)
    try:
        connection = psycopg.connect(address, client_encoding="UTF8", application_name="clinbert")
    except psycopg.Error:
        raise ClinbertError(
            "the PostgreSQL database cannot be reached: no server answers at this address, it refuses the user, "
            "password or database, or the address is misspelt (it writes @ and / of a password as %40 and %2F); "
            "try it with psql"
        ) from None
    relation = sql.Identifier(*table.split("."))
    try:
        # A reader of notes must not be able to change them.
        connection.read_only = True
        with connection:
            try:
                header = connection.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(relation)).description
            except (errors.UndefinedTable, errors.InvalidSchemaName):
                raise ClinbertError(
                    f"the PostgreSQL database has no table {table}: name it at the end of the address, as "
                    f"?table={TABLE}"
                ) from None
            found = find_columns(f"PostgreSQL table {table}", [column.name for column in header or []], columns)
            yield connection, relation, [sql.SQL("NULL") if name is None else sql.Identifier(name) for name in found]
    except psycopg.Error as error:
        raise ClinbertError(
            f"PostgreSQL table {table} cannot be read to its end ({type(error).__name__}): check it with psql"
        ) from None


def _recognises(source: str) -> bool:
    address = ADDRESS.match(source)
    return address is not None and address[1].lower() in ("postgresql", "postgres")


def _read(request: Request) -> Iterator[Note]:
    return notes_of(range_rows(request.source, request.columns(COLUMNS)), request.on_reject)


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
