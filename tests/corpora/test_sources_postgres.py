"""Notes out of a real PostgreSQL server: equal to the file, in order, as a stream, and no password in any error."""

import pickle
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from postgres_server import PASSWORD, postgres_server
from psycopg import sql

from spacy_clinbert.corpora.notes import Note, Rejected
from spacy_clinbert.corpora.sources import read_source, recognise, shown
from spacy_clinbert.corpora.sources.shares import shares
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.synthetic.noteevents import make_note, write_noteevents

# As mimic-code builds it.
COLUMNS = (
    "row_id INT PRIMARY KEY, subject_id INT NOT NULL, hadm_id INT, chartdate TIMESTAMP(0), charttime TIMESTAMP(0),"
    "storetime TIMESTAMP(0), category VARCHAR(50), description VARCHAR(300), cgid INT, iserror CHAR(1), text TEXT"
)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres_server() as address, psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA mimiciii")
        yield address


def fill(server: str, table: str, rows: list[tuple[Any, ...]]) -> str:
    """Make a table of NOTEEVENTS rows (row_id, subject_id, category, iserror, text) and give its address."""
    name = sql.Identifier(*table.split("."))
    with psycopg.connect(server) as connection, connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(name))
        cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(name, sql.SQL(COLUMNS)))
        copy = "COPY {} (row_id, subject_id, category, iserror, text) FROM STDIN"
        with cursor.copy(sql.SQL(copy).format(name)) as lines:
            for row in rows:
                lines.write_row(row)
    return f"{server}?table={table}"


def read(source: str, **options: Any) -> tuple[list[Note], list[Rejected]]:
    rejected: list[Rejected] = []
    return list(read_source(source, on_reject=rejected.append, **options)), rejected


def test_synthetic_notes_are_those_of_the_file(server: str, tmp_path: Path) -> None:
    made = [make_note(number, seed=5)[0] for number in range(1, 601)]
    write_noteevents(tmp_path, (make_note(number, seed=5) for number in range(1, 601)))
    # Not in the order of their ids.
    rows = [(row[0], row[1], row[6], row[9] or None, row[-1]) for row in reversed(made)]
    address = fill(server, "mimiciii.noteevents", rows)
    assert (recognise(address), recognise(tmp_path)) == ("postgres", "mimic3")
    assert read(address) == read(str(tmp_path))
    # mimic-code's table needs no name.
    assert read(server)[0] == read(address)[0]
    categories = ["nursing", " PHYSICIAN"]
    assert read(address, categories=categories) == read(str(tmp_path), categories=categories)


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            st.sampled_from(["1", None, " "]),
            st.sampled_from(["Physician ", "Nursing/other", None]),
        ),
        max_size=6,
    )
)
def test_any_text_comes_back(server: str, cells: list[tuple[str, str | None, str | None]]) -> None:
    rows = [(number, 7, category, error, text) for number, (text, error, category) in enumerate(cells, 1)]
    address = fill(server, "any_text", rows)
    notes = [Note(str(row[0]), row[4], "7", (row[2] or "").strip()) for row in rows]
    assert read(address) == (notes, [])
    wrong = [str(row[0]) for row in rows if row[3] == "1"]
    kept, rejected = read(address, keep_errors=False)
    assert kept == [note for note in notes if note.note_id not in wrong]
    assert rejected == [Rejected(note_id, "marked as an error (ISERROR)") for note_id in wrong]


def test_rows_without_text_and_other_columns(server: str) -> None:
    address = fill(server, "gaps", [(1, 7, None, None, None), (2, 7, None, None, "a")])
    assert read(address) == ([Note("2", "a", "7")], [Rejected("1", "it has no text")])
    assert read(address, id_column="SUBJECT_ID")[0] == [Note("7", "a", "7")]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute('CREATE TABLE "Other" ("Doc" TEXT, "Body" TEXT)')
        connection.execute("""INSERT INTO "Other" VALUES ('b', 'Smith'), ('a', 'c'), (NULL, 'd')""")
    no_id = "it has no note id of one line and at most 64 characters"
    notes, rejected = read(f"{server}?table=Other", id_column="doc", text_column="BODY")
    assert (notes, rejected) == ([Note("a", "c"), Note("b", "Smith")], [Rejected("row 3", no_id)])
    with pytest.raises(
        ClinbertError, match=r"PostgreSQL table Other has no column ROW_ID or note_id \(its columns: Doc, B"
    ):
        read(f"{server}?table=Other")


def ranged(source: str, size: int) -> tuple[list[Note], list[Rejected], list[str]]:
    """Read all ranges of ids, each as another process would: out of a pickle; with their digests."""
    rejected: list[Rejected] = []
    cut = pickle.loads(pickle.dumps(shares(source, size=size)))
    return [note for share in cut for note in share.read(rejected.append)], rejected, [share.digest for share in cut]


def fill_ids(server: str, kind: str, rows: list[tuple[Any, str | None]], index: bool = False) -> str:
    """Make a table of ids of a type and of texts, and give its address."""
    with psycopg.connect(server, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS ids")
        cursor.execute(f"CREATE TABLE ids (note_id {kind}, text TEXT)")
        with cursor.copy("COPY ids FROM STDIN") as lines:
            for row in rows:
                lines.write_row(row)
        if index:
            cursor.execute("CREATE INDEX ON ids (note_id)")
    return f"{server}?table=ids"


KINDS: dict[str, Any] = {
    "BIGINT": st.integers(-3, 12),
    "TEXT": st.sampled_from(["a", "B", "b", "é", "a b", "", "10", "9", "it's", "%s", "two\nlines", "x" * 70]),
    'TEXT COLLATE "en-x-icu"': st.sampled_from(["a", "B", "b", "é", "e", "10", "9"]),
    "CHAR(6)": st.sampled_from(["a", "a  ", "bcdefg"]),
    "NUMERIC": st.sampled_from(["1", "1.50", "-2e20", "NaN"]),
    "UUID": st.integers(0, 5).map(lambda n: f"{n:032x}"),
    "DATE": st.integers(1, 9).map(lambda n: f"2101-03-0{n}"),
}


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(list(KINDS)).flatmap(
        lambda kind: st.tuples(
            st.just(kind),
            st.lists(st.tuples(st.none() | KINDS[kind], st.none() | st.text("aé\n", max_size=30)), max_size=15),
        )
    ),
    st.integers(9, 99),
    st.booleans(),
)
@example(("BIGINT", []), 1, False)
@example(("TEXT", [(None, "a")]), 1, False)
@example(("BIGINT", [(None, None), (0, None)]), 1, False)
@example(("BIGINT", [(None, "a"), (1, "b"), (2, "c"), (2, "d"), (2, "e"), (3, "f"), (None, "g")]), 1, True)
def test_ranges_of_ids_are_the_whole(
    server: str, table: tuple[str, list[tuple[Any, str | None]]], size: int, index: bool
) -> None:
    address = fill_ids(server, *table, index=index)
    notes, rejected, digests = ranged(address, size)
    one_notes, one_rejected = read(address)
    assert (notes, rejected) == (one_notes, one_rejected)
    assert len(set(digests)) == len(digests) == len(shares(address, size=size))


def test_ranges_hold_about_their_size_and_tell_when_they_change(server: str) -> None:
    rows = [(number, f"{number} ".ljust(5000)) for number in range(100)]
    address = fill_ids(server, "INT", rows, index=True)
    cut = shares(address, size=50_000)
    assert [len(list(share.read(print))) for share in cut] == [10] * 10
    assert len(shares(address, size=10**9)) == 1
    digests = [share.digest for share in cut]
    assert [share.digest for share in shares(address, size=50_000)] == digests
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE ids")
        assert [share.digest for share in shares(address, size=50_000)] == digests
        connection.execute("INSERT INTO ids VALUES (100, 'behind'), (-1, '')")
        # What came after the cut is read too.
        assert [len(list(share.read(print))) for share in cut] == [11] + [10] * 8 + [11]
        assert together_ids(cut)[-1] == "100"
        now = [share.digest for share in shares(address, size=50_000)]
    assert now[0] != digests[0] and now[-1] != digests[-1]
    assert shares(f"{address}&sslmode=prefer", size=10**9)[0].digest == shares(address, size=10**9)[0].digest


def together_ids(cut: list[Any]) -> list[str]:
    return [note.note_id for share in cut for note in share.read(lambda _: None)]


def test_a_range_by_an_index_is_not_a_scan(server: str) -> None:
    address = fill_ids(server, "INT", [(number, "a" * 500) for number in range(20_000)], index=True)
    cut = shares(address, size=100_000)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("ANALYZE ids")
        scans = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'ids'"
        before = connection.execute(scans).fetchone()
        assert len(list(cut[50].read(print))) == 200
        time.sleep(0.1)
        assert connection.execute(scans).fetchone() == before


def test_no_error_of_a_range_shows_the_password(server: str) -> None:
    for address, said in faults(server).items():
        with pytest.raises(ClinbertError, match=said) as raised:
            shares(address, "postgres", size=9)
        assert not any(secret in str(raised.value) for secret in ("s3cret", "w0rd", "127.0.0.1"))


# Reads a short table, so that all is imported, then a long one, and tells by how many kilobytes its memory grew.
READER = """
import re, sys
from spacy_clinbert.corpora.sources import read_source
counts, peaks = [], []
for address in sys.argv[1:]:
    counts.append(sum(1 for _ in read_source(address)))
    peaks.append(int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]))
print(*counts, peaks[1] - peaks[0])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells the memory of a process there")
def test_notes_come_as_a_stream(server: str) -> None:
    """Fifty megabytes of notes pass through a few, since the server keeps what was not asked for yet."""
    rows = [(number, 7, "ECG", None, f"{number} " * 5000) for number in range(1000, 3000)]
    addresses = [fill(server, "short", rows[:1]), fill(server, "long", rows)]
    done = subprocess.run([sys.executable, "-c", READER, *addresses], capture_output=True, text=True, check=True)
    first, second, grown = map(int, done.stdout.split())
    assert (first, second) == (1, 2000)
    assert grown < 25_000


def test_the_server_stays_as_it_was(server: str) -> None:
    address = fill(server, "watched", [(number, 7, "ECG", None, "a") for number in range(1000)])
    query = "SELECT query FROM pg_stat_activity WHERE application_name = 'clinbert'"
    with psycopg.connect(server, autocommit=True) as connection:
        notes = read_source(address)
        assert next(notes).note_id == "0"
        assert "FETCH FORWARD" in connection.execute(query).fetchall()[0][0]
        notes.close()
        # The server takes a moment to end a session.
        until = time.monotonic() + 10
        while connection.execute(query).fetchall() and time.monotonic() < until:
            time.sleep(0.01)
        assert connection.execute(query).fetchall() == []


def test_a_lost_connection_is_one_error(server: str) -> None:
    address = fill(server, "lost", [(number, 7, "ECG", None, f"Smith {number} " * 500) for number in range(2000)])
    stop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'clinbert'"
    notes = read_source(address)
    next(notes)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(stop)
    with pytest.raises(ClinbertError, match=r"PostgreSQL table lost cannot be read to its end \(AdminShutdown\)"):
        list(notes)


def faults(server: str) -> dict[str, str]:
    """Addresses that cannot be read, with what is said of each."""
    spelt = PASSWORD.replace("@", "%40")
    return {
        server.replace(spelt, f"{spelt}er"): "cannot be reached",
        server.replace("/postgres", f"/{PASSWORD}"): "cannot be reached",
        server.replace(spelt, PASSWORD): "cannot be reached",
        server.replace(spelt, f"{PASSWORD}/x:y"): "cannot be reached",
        server.replace("postgresql://", "postgresql:/"): "cannot be reached",
        f"{server}?tabel=a": "cannot be reached",
        f"postgresql://reader:{spelt}@127.0.0.1:1/x?connect_timeout=2&table=a": "cannot be reached",
        f"{server}?table=mimiciv.noteevents": "has no table mimiciv.noteevents",
        f"{server}?table=notes": "has no table notes",
        f"{server}?table=": "names no table",
        f"{server}?table=a;DROP TABLE mimiciii.noteevents": "names no table",
    }


def test_no_error_shows_the_password(server: str, caplog: pytest.LogCaptureFixture) -> None:
    for address, said in faults(server).items():
        with pytest.raises(ClinbertError, match=said) as raised:
            read(address)
        told = "".join(traceback.format_exception(raised.value, chain=True)) + caplog.text
        assert "\n" not in str(raised.value)
        assert not any(secret in told for secret in ("s3cret", "w0rd", "127.0.0.1"))
    for source in ("mysql://reader:s3cret@host/db", f"host=127.0.0.1 password={PASSWORD}"):
        for form in (None, "postgres"):
            with pytest.raises(ClinbertError) as raised:
                list(read_source(source, form))
            assert "s3cret" not in str(raised.value)


def test_a_source_is_shown_without_its_password(server: str) -> None:
    assert shown(f"{server}?sslmode=disable&table=mimiciii.noteevents") == "postgresql://…?table=mimiciii.noteevents"
    assert shown(Path(server)) == "postgresql://…"
    assert shown("notes/NOTEEVENTS.csv") == "notes/NOTEEVENTS.csv"


def test_other_parameters_reach_the_server(server: str) -> None:
    fill(server, "mimiciii.few", [(1, 7, None, None, "a")])
    for query in ("table=few&options=-csearch_path%3Dmimiciii", "options=-csearch_path%3Dmimiciii&table=few"):
        assert read(f"{server}?{query}") == ([Note("1", "a", "7")], [])


def test_without_psycopg_it_is_said_what_to_install(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ClinbertError, match=r"pip install 'spacy-clinbert\[postgres\]'"):
        read(server)
