"""Tables at addresses: read as from a disk, and what cannot be opened is one sentence without a secret."""

import gzip
import traceback
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from spacy_clinbert.corpora.notes import Note, Rejected, read_notes
from spacy_clinbert.corpora.places import place, shown
from spacy_clinbert.corpora.sources import read_source, recognise
from spacy_clinbert.errors import ClinbertError

NOTES = [Note("1", 'Chest pain, "sharp"\n\n1. a,b\n', "7"), Note("2", "Febre há 3 dias 🙂", "8")]
JSON = '{"note_id": 1, "subject_id": 7, "text": "Chest pain, \\"sharp\\"\\n\\n1. a,b\\n"}\n'
JSON += '{"note_id": 2, "subject_id": 8, "text": "Febre há 3 dias 🙂"}\n{"note_id": 3}\n'
CSV = '\ufeffnote_id,subject_id,text\n1,7,"Chest pain, ""sharp""\n\n1. a,b\n"\n2,8,Febre há 3 dias 🙂\n3,,\n'
SECRET = "s3cret"


@pytest.fixture
def bucket() -> Iterator[UPath]:
    """A folder of a filesystem that is no disk."""
    folder = UPath("memory://clinbert-test")
    folder.mkdir(parents=True)
    yield folder
    folder.rmdir(recursive=True)


def put(folder: "UPath | Path", suffix: str) -> str:
    """Write the notes, and a row without text, into a file of this format, and give its address."""
    path = folder / f"notes.{suffix}"
    if suffix == "parquet":
        rows = [note._asdict() for note in NOTES] + [{"note_id": "3"}]
        with path.open("wb") as file:
            pq.write_table(pa.Table.from_pylist(rows), file)
    else:
        content = (CSV if "csv" in suffix else JSON).encode()
        path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    return str(path)


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet"])
def test_a_table_at_an_address_is_read_as_from_a_disk(tmp_path: Path, bucket: UPath, suffix: str) -> None:
    for address in (put(bucket, suffix), f"file://{put(tmp_path, suffix)}", put(tmp_path, suffix)):
        rejected: list[Rejected] = []
        assert recognise(address) == "table"
        assert list(read_source(address, on_reject=rejected.append)) == NOTES
        assert rejected == [Rejected("3", "it has no text")]
        assert [note[:2] for note in read_notes(address)] == [note[:2] for note in NOTES]


def test_special_forms_are_recognised_at_addresses(bucket: UPath) -> None:
    for name in ("discharge.csv", "radiology.csv", "discharge_detail.csv"):
        (bucket / "note" / name).parent.mkdir(parents=True, exist_ok=True)
        (bucket / "note" / name).write_text(f"note_id,subject_id,text\n{name[0]}-1,7,Well.\n")
    assert recognise(str(bucket)) == "mimic4"
    assert [note.category for note in read_source(str(bucket))] == ["discharge", "radiology"]
    (bucket / "omop.csv").write_text("note_id,person_id,note_text\n1,7,Well.\n")
    assert recognise(str(bucket / "omop.csv")) == "omop"


@pytest.mark.parametrize(
    ("suffix", "content", "message"),
    [
        (
            "csv.gz",
            gzip.compress(CSV.encode(), mtime=0)[:-12],
            "memory://clinbert-test/n.csv.gz is cut off before its end",
        ),
        ("csv.gz", b"note_id,text\n", r"n.csv.gz cannot be read \(it is damaged"),
        ("parquet", b"PAR1 and nothing", "memory://clinbert-test/n.parquet is damaged or not a Parquet file"),
        ("csv", b"key,text\n", "memory://clinbert-test/n.csv has no column ROW_ID or note_id"),
        ("csv", None, "memory://clinbert-test/n.csv is no file"),
        ("doc", b"Smith", "n.doc is of no known form of notes"),
        ("doc", None, "memory://clinbert-test/n.doc: no such file or folder"),
    ],
)
def test_a_broken_file_at_an_address_is_one_sentence(
    bucket: UPath, suffix: str, content: "bytes | None", message: str
) -> None:
    path = bucket / f"n.{suffix}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ClinbertError, match=message):
        list(read_source(str(path)))


class Refusing(fsspec.AbstractFileSystem):
    """Refuses everything as the packages of stores do, by an error of its own that quotes what it was given."""

    protocol = "refusing"

    def ls(self, path: str, detail: bool = True, **options: object) -> list:
        raise RuntimeError(f"Unable to locate credentials: {path} {SECRET}")

    def _open(self, path: str, mode: str = "rb", **options: object) -> object:
        raise RuntimeError(f"Unable to locate credentials: {path} {SECRET}")


class Unreachable(Refusing):
    """Fails when it is made, as one that has to be connected does."""

    protocol = "unreachable"

    def __init__(self, **options: object) -> None:
        raise OSError(f"no answer from {SECRET}")


@pytest.mark.filterwarnings("ignore:UPath .* not explicitly implemented")
@pytest.mark.parametrize("form", [None, "table", "folder"])
def test_what_a_filesystem_refuses_is_one_sentence_without_a_secret(
    form: "str | None", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    fsspec.register_implementation("unreachable", Unreachable, clobber=True)
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    cases = {
        f"refusing://{SECRET}/n.csv": r"refusing://… cannot be read \(RuntimeError\).* credentials",
        f"unreachable://{SECRET}@host/n.csv": r"unreachable://… cannot be opened \(OSError\)",
        f"s3://key:{SECRET}@bucket/n.csv": r"s3://… cannot be opened, its package is missing \(Install s3fs .*\): inst",
        "s3://bucket/n.csv": r"s3://bucket/n.csv cannot be opened, its package is missing",
        f"mysql://reader:{SECRET}@host/n.csv": r"mysql://… cannot be opened \(ValueError\): give a path, or an addr",
    }
    for address, message in cases.items():
        with pytest.raises(ClinbertError, match=message) as raised:
            list(read_source(address, form))
        assert SECRET not in "".join(traceback.format_exception(raised.value)) + caplog.text
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("s3://bucket/year=2020/n.csv", "s3://bucket/year=2020/n.csv"),
        (f"s3://key:{SECRET}@bucket/n.csv", "s3://…"),
        (f"ftp://user:{SECRET}/x@host/n.csv", "ftp://…"),
        (f"https://host/n.csv?sig={SECRET}", "https://…"),
        (f"simplecache::ftp://user:{SECRET}@host/n.csv", "…"),
        ("hive/a@b/n.csv", "hive/a@b/n.csv"),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_secret(address: str, name: str) -> None:
    assert shown(address) == name


def test_what_lies_on_a_disk_is_a_path(tmp_path: Path) -> None:
    for address in (str(tmp_path), tmp_path, f"file://{tmp_path}"):
        path = place(address)
        assert (path, type(path)) == (tmp_path, type(tmp_path))
