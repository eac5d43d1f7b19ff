"""Shares of a source: one after the other they are the whole, and what each holds is told by its digest."""

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from spacy_clinbert.corpora.notes import Note, Rejected
from spacy_clinbert.corpora.sources import read_source, recognise
from spacy_clinbert.corpora.sources.shares import Share, shares
from spacy_clinbert.errors import ClinbertError

SCHEMA = pa.schema([("note_id", pa.string()), ("text", pa.string()), ("subject_id", pa.int64())])
Found = tuple[list[Note], list[Rejected]]


def put(path: "Path | UPath", rows: list[tuple[Any, Any]], group: int = 4) -> None:
    """Write rows (id, text) as the name of the file says, in row groups of this size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [{"note_id": note_id, "text": text, "subject_id": 7} for note_id, text in rows]
    if path.name.endswith(".parquet"):
        table = pa.Table.from_pylist(records, SCHEMA)
        with path.open("wb") as file:
            pq.write_table(table, file, row_group_size=group, compression="none", use_dictionary=False)
    else:
        path.write_bytes("".join(json.dumps(record) + "\n" for record in records).encode())


def whole(source: Any, **options: Any) -> Found:
    rejected: list[Rejected] = []
    return list(read_source(source, on_reject=rejected.append, **options)), rejected


def together(cut: list[Share]) -> Found:
    """Read all shares, each as another process would: out of a pickle."""
    rejected: list[Rejected] = []
    return [note for share in cut for note in pickle.loads(pickle.dumps(share)).read(rejected.append)], rejected


IDS = st.one_of(st.none(), st.sampled_from(["", "two\nlines"]), st.integers(0, 99).map(str))
TEXTS = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40))
FILE = st.tuples(st.lists(st.tuples(IDS, TEXTS), max_size=12), st.integers(1, 6))
NAMES = st.sampled_from(["a.parquet", "year=1/b.parquet", "year=1/c.jsonl", "year=2/unit=x/d.parquet", "z.jsonl"])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, FILE, min_size=1), st.integers(1, 300), st.booleans())
def test_shares_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, tuple[list, int]], size: int, remote: bool
) -> None:
    folder = UPath("memory://clinbert-shares") if remote else tmp_path_factory.mktemp("shares")
    try:
        for name, (rows, group) in files.items():
            put(folder / name, rows, group)
        cut = shares(str(folder), size=size)
        assert together(cut) == whole(str(folder))
        assert len({share.digest for share in cut}) == len(cut)
        assert [share.digest for share in cut] == [share.digest for share in shares(str(folder), "folder", size=size)]
        for name in files:
            single = shares(str(folder / name), size=size)
            assert together(single) == whole(str(folder / name)) if name.endswith(".parquet") else single == []
    finally:
        if remote:
            folder.rmdir(recursive=True)


def test_a_share_has_about_the_size_of_text(tmp_path: Path) -> None:
    path = tmp_path / "n.parquet"
    put(path, [(str(number), "x" * 1000) for number in range(2000)], group=50)
    # A row group of 50,000 characters is a little longer in its file.
    for size, rows in {1: 50, 90_000: 50, 240_000: 200, 10**7: 2000}.items():
        assert [len(list(share.read(print))) for share in shares(path, size=size)] == [rows] * (2000 // rows)


def test_columns_are_those_of_the_form_or_named(tmp_path: Path) -> None:
    noteevents = {"ROW_ID": [1], "SUBJECT_ID": [7], "CATEGORY": ["ECG "], "ISERROR": ["1"], "TEXT": ["a"]}
    omop = {"note_id": [1], "person_id": [7], "note_class_concept_id": ["ECG"], "note_text": ["a"]}
    for form, columns in {"mimic3": noteevents, "omop": omop}.items():
        path = tmp_path / form / ("NOTEEVENTS.parquet" if form == "mimic3" else "note.parquet")
        path.parent.mkdir()
        pq.write_table(pa.table(columns), path)
        for source in (path, path.parent):
            assert recognise(source) == form
            assert together(shares(source, size=9)) == whole(source) == ([Note("1", "a", "7", "ECG")], [])
    named = {"id_column": "note_class_concept_id", "text_column": "NOTE_TEXT"}
    assert together(shares(tmp_path / "omop", size=9, **named))[0] == [Note("ECG", "a", "7", "ECG")]
    with pytest.raises(ClinbertError, match=r"note\.parquet has no column HADM_ID .*--id-column"):
        shares(tmp_path / "omop", size=9, id_column="HADM_ID")


def test_a_wrong_column_shows_before_any_table_is_read(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.csv").write_text("note_id,text\n1,a\n")
    # A first row without a field says nothing about the others.
    (tmp_path / "notes/b.jsonl").write_text('{"note_id": "1"}\nbroken\n{"note_id": "2", "text": "a"}\n')
    assert len(shares(tmp_path / "notes", size=9)) == 2
    (tmp_path / "notes/b.jsonl").write_text('{"note_id": "1"}\n{"note_id": "2", "txt": "a"}\n')
    with pytest.raises(ClinbertError, match=r"b\.jsonl has no column TEXT"):
        shares(tmp_path / "notes", size=9)
    (tmp_path / "notes/a.csv").write_text("note_id,txt\n1,a\n")
    with pytest.raises(ClinbertError, match=r"a\.csv has no column TEXT"):
        shares(tmp_path / "notes", size=9)


def test_a_digest_tells_of_a_changed_file_alone(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet", "c.jsonl"):
        put(tmp_path / "notes" / name, [("1", "a"), ("2", "b")], group=1)
    before = [share.digest for share in shares(tmp_path / "notes", size=1)]
    assert len(before) == 5
    shutil.move(tmp_path / "notes", tmp_path / "moved")
    assert [share.digest for share in shares(tmp_path / "moved", size=1)] == before
    os.utime(tmp_path / "moved/b.parquet", (1, 1))
    after = [share.digest for share in shares(tmp_path / "moved", size=1)]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, True, False, False, True]
    other = shares(tmp_path / "moved", size=1, id_column="subject_id")
    assert {share.digest for share in other}.isdisjoint(after)


def test_a_digest_tells_of_a_file_replaced_elsewhere() -> None:
    folder = UPath("memory://clinbert-shares")
    try:
        digests = set()
        for _ in range(3):
            put(folder / "a.parquet", [("1", "a")])
            digests |= {share.digest for share in shares(str(folder), size=1)}
        assert len(digests) == 3
    finally:
        folder.rmdir(recursive=True)


def test_what_has_to_be_read_in_one_go_has_no_shares(tmp_path: Path) -> None:
    files = {"n.csv": "note_id,text\n1,a\n", "n.jsonl": '{"note_id": "1", "text": "a"}\n', "t/a.txt": "a"}
    files |= {"m3/NOTEEVENTS.csv": "ROW_ID,TEXT\n1,a\n", "m4/discharge.csv": "note_id,text\n1,a\n"}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
        source = tmp_path / name if name.startswith("n.") else (tmp_path / name).parent
        assert shares(source, size=1) == []
    with pytest.raises(ClinbertError, match="no such file or folder"):
        shares(tmp_path / "absent.csv", size=1)


def test_a_corrupt_file_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    for name in "abc":
        put(tmp_path / f"{name}.parquet", [(name, f"Smith {name * 40}")])
    good = (tmp_path / "b.parquet").read_bytes()
    # Its footer is whole.
    (tmp_path / "b.parquet").write_bytes(good[:4] + bytes(40) + good[44:])
    first, second, third = shares(tmp_path, size=1)
    assert [note.note_id for share in (first, third) for note in share.read(print)] == ["a", "c"]
    with pytest.raises(ClinbertError, match=r"b\.parquet (is damaged|cannot be read)") as raised:
        list(second.read(print))
    assert "Smith" not in str(raised.value)
    (tmp_path / "b.parquet").write_bytes(good[:-20])
    with pytest.raises(ClinbertError, match=r"b\.parquet is damaged or not a Parquet file"):
        shares(tmp_path, size=1)
    os.unlink(tmp_path / "c.parquet")
    with pytest.raises(ClinbertError, match=r"c\.parquet is no file"):
        list(third.read(print))
