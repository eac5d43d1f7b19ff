"""Annotation in parts: the same annotations whatever runs it and whatever ends on the way."""

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from typing import ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deadly_pipeline import install_deadly
from fsspec.implementations.memory import MemoryFileSystem
from tiny_models import write_ruler
from upath import UPath

from spacy_clinbert.corpora.notes import Note
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.scale.annotate_file import annotate_file
from spacy_clinbert.scale.annotate_folder import annotate_folder
from spacy_clinbert.scale.annotate_part import AnnotatePart
from spacy_clinbert.scale.annotations import MANIFEST, REJECTED
from spacy_clinbert.scale.batches import to_batch
from spacy_clinbert.scale.parts import CarriedPart

# The size of a part in these tests: a few of the notes below.
PART = 200


class Objects(MemoryFileSystem):
    """A store of objects, where a folder is no more than the beginning of names."""

    protocol = "objects"
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list] = [""]

    @classmethod
    def _strip_protocol(cls, path):
        return MemoryFileSystem._strip_protocol(path.replace("objects://", "memory://"))

    def mkdir(self, path, create_parents=True, **options):
        pass

    def makedirs(self, path, exist_ok=False):
        pass

    def rmdir(self, path):
        pass


class Refusing(Objects):
    """A store that may be read only, and says so by an error of its own."""

    protocol = "refusing"

    @classmethod
    def _strip_protocol(cls, path):
        return MemoryFileSystem._strip_protocol(path.replace("refusing://", "memory://"))

    def _open(self, path, mode="rb", **options):
        if "w" in mode:
            raise RuntimeError(f"AccessDenied for secret at {path}")
        return super()._open(path, mode, **options)


def texts(count):
    return [f"Note {n}. Took aspirin.  {'No chest pain. ' * (n % 5)}" for n in range(count)]


def write_notes(path, notes):
    lines = [json.dumps({"note_id": f"n{number}", "text": text}) for number, text in enumerate(notes)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows(folder):
    parts = sorted(folder.glob("part-*.parquet"))
    return pa.concat_tables([pq.read_table(part) for part in parts]).to_pylist()


def rejected(folder):
    lines = (folder / REJECTED).read_text(encoding="utf-8").splitlines()
    return {row["note_id"]: row["reason"] for row in map(json.loads, lines)}


@pytest.fixture(scope="module")
def ruler(tmp_path_factory):
    return write_ruler(tmp_path_factory.mktemp("model"), "doc_cleaner")


@pytest.fixture
def notes(tmp_path):
    return write_notes(tmp_path / "notes.jsonl", [*texts(40), "", None])


def test_parts_hold_what_one_file_holds(ruler, notes, tmp_path):
    made = annotate_folder(notes, str(tmp_path / "out"), ruler, part_size=PART)
    annotate_file(notes, tmp_path / "one.parquet", ruler)
    assert rows(tmp_path / "out") == pq.read_table(tmp_path / "one.parquet").to_pylist()
    assert rows(tmp_path / "out")[7]["entities"][0]["label"] == "DRUG"
    assert rejected(tmp_path / "out") == {"n41": "it has no text"} and made.counts["notes"] == 41
    assert len(made.parts) == 9 and sorted(contents(tmp_path / "out")) == sorted(
        [MANIFEST, REJECTED, *(part.name for part in made.parts)]
    )
    # What else lies in the folder is hidden from readers of Parquet folders.
    assert pq.read_table(tmp_path / "out").num_rows == made.counts["notes"]


def test_bytes_depend_neither_on_workers_nor_on_batch_size_nor_on_where_they_lie(ruler, notes, tmp_path):
    annotate_folder(notes, str(tmp_path / "one"), ruler, part_size=PART)
    annotate_folder(notes, str(tmp_path / "two"), ruler, part_size=PART, workers=2, batch_size=3)
    annotate_folder(notes, "memory://annotated/three", ruler, part_size=PART)
    three = UPath("memory://annotated/three")
    assert contents(tmp_path / "one") == contents(tmp_path / "two") == contents(three)


def test_a_long_note_is_a_part_of_its_own(ruler, tmp_path):
    notes = write_notes(tmp_path / "notes.jsonl", ["aspirin. " * 400, *texts(3)])
    made = annotate_folder(notes, str(tmp_path / "out"), ruler, part_size=PART)
    assert [part.rows for part in made.parts] == [1, 3]


@pytest.mark.slow
def test_workers_killed_in_the_middle_lose_nothing(tmp_path, monkeypatch):
    model = install_deadly(tmp_path / "site", monkeypatch)
    deadly = texts(40)
    for number in range(3):
        deadly[13 * number] += f" ONCE-{number} "
    notes = write_notes(tmp_path / "deadly.jsonl", deadly)
    made = annotate_folder(notes, str(tmp_path / "out"), model, part_size=2 * PART, workers=2)
    assert len(list((tmp_path / "site" / "marks").iterdir())) == 3
    # Every mark is there now, so that nothing ends again.
    annotate_folder(notes, str(tmp_path / "undisturbed"), model, part_size=2 * PART)
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")
    assert made.counts["notes"] == 40 and made.counts["rejected"] == 0


@pytest.mark.slow
def test_poison_notes_are_rejected_by_id_and_the_others_annotated(tmp_path, monkeypatch):
    model = install_deadly(tmp_path / "site", monkeypatch)
    poisoned = texts(12)
    poisoned[3] += "POISON with secret"
    poisoned[8] += "FAILS with secret"
    notes = write_notes(tmp_path / "notes.jsonl", poisoned)
    made = annotate_folder(notes, str(tmp_path / "out"), model, part_size=PART, workers=2)
    found = rejected(tmp_path / "out")
    assert found["n3"].startswith("the system ended 3 processes that worked at it")
    assert found["n8"].startswith("RuntimeError in deadly_pipeline.py") and len(found) == 2
    assert [row["note_id"] for row in rows(tmp_path / "out")] == [f"n{n}" for n in range(12) if n not in (3, 8)]
    assert made.counts["rejected"] == 2
    assert not any(b"secret" in content for content in contents(tmp_path / "out").values())


SCRIPT = """
import sys
from spacy_clinbert.scale.annotate_folder import annotate_folder
if __name__ == "__main__":
    annotate_folder(sys.argv[1], sys.argv[2], sys.argv[3], part_size=200, workers=int(sys.argv[4]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_driver_goes_on_where_it_was(ruler, notes, tmp_path, workers):
    annotate_folder(notes, str(tmp_path / "undisturbed"), ruler, part_size=PART)
    (tmp_path / "run.py").write_text(SCRIPT)
    out = tmp_path / "out"
    command = [sys.executable, str(tmp_path / "run.py"), notes, str(out), ruler, str(workers)]
    for parts in (1, 4):
        run = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while run.poll() is None and len(list(out.glob("_work/part-*.parquet.json"))) < parts:
            time.sleep(0.005)
        run.send_signal(signal.SIGKILL)
        run.wait()
    times = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*.parquet")}
    annotate_folder(notes, str(out), ruler, part_size=PART)
    assert contents(out) == contents(tmp_path / "undisturbed")
    kept = sum(path.stat().st_mtime_ns == times.get(path.name) for path in out.glob("part-*.parquet"))
    assert kept >= 1, "what was finished is not made again"


def test_a_full_disk_is_one_sentence_and_room_lets_it_go_on(ruler, notes, tmp_path):
    annotate_folder(notes, str(tmp_path / "undisturbed"), ruler, part_size=PART)
    largest = max(path.stat().st_size for path in (tmp_path / "undisturbed").glob("part-*"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        # A file that does not fit is refused in the middle, as by a disk without room.
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 10, limits[1]))
        with pytest.raises(ClinbertError, match=r"cannot be written .*make room") as raised:
            annotate_folder(notes, str(tmp_path / "out"), ruler, part_size=PART)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(raised.value) and not (tmp_path / "out" / MANIFEST).exists()
    annotate_folder(notes, str(tmp_path / "out"), ruler, part_size=PART)
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_a_source_that_breaks_off_leaves_what_is_finished(ruler, tmp_path):
    path = tmp_path / "notes.csv"
    path.write_text("note_id,text\n" + "".join(f'{n},"Took aspirin. {"x" * 99}"\n' for n in range(9)) + '9,"a"b"\n')
    with pytest.raises(ClinbertError, match="row 10: its quotes are not those of a CSV file"):
        annotate_folder(str(path), str(tmp_path / "out"), ruler, part_size=PART)
    assert not (tmp_path / "out" / MANIFEST).exists()
    finished = sorted((tmp_path / "out").glob("part-*.parquet"))
    assert len(finished) >= 3
    path.write_text(path.read_text().replace('"a"b"', '"a b"'))
    assert annotate_folder(str(path), str(tmp_path / "out"), ruler, part_size=PART).counts["notes"] == 10


def test_a_whole_folder_is_checked_and_kept(ruler, notes, tmp_path):
    out = tmp_path / "out"
    made = annotate_folder(notes, str(out), ruler, part_size=PART)
    before = contents(out)
    assert annotate_folder(notes, str(out), ruler, part_size=PART) == made and contents(out) == before
    (out / made.parts[2].name).write_bytes(b"spoilt")
    with pytest.raises(ClinbertError, match=r"part-0000002.parquet is missing or damaged"):
        annotate_folder(notes, str(out), ruler, part_size=PART)
    annotate_folder(notes, str(out), ruler, part_size=PART, replace=True)
    assert contents(out) == before


def test_other_notes_or_another_pipeline_are_not_mixed_with_the_earlier(ruler, notes, tmp_path):
    out = str(tmp_path / "out")
    annotate_folder(notes, out, ruler, part_size=PART)
    before = contents(tmp_path / "out")
    other = write_ruler(tmp_path / "model", "merge_entities")
    with pytest.raises(ClinbertError, match=r"differ \(the pipeline is another\)"):
        annotate_folder(notes, out, other, part_size=PART)
    with pytest.raises(ClinbertError, match="parts had 200 characters, not 300"):
        annotate_folder(notes, out, ruler, part_size=300)
    write_notes(tmp_path / "notes.jsonl", texts(41))
    with pytest.raises(ClinbertError, match="of other notes"):
        annotate_folder(notes, out, ruler, part_size=PART)
    assert contents(tmp_path / "out") == before


def write_table(path, first, end):
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({"note_id": range(first, end), "text": ["Took aspirin."] * (end - first)}), path)


@pytest.mark.parametrize("out", [".", "out", "..", "year=2020"])
def test_what_is_read_is_not_written_to(ruler, tmp_path, out):
    for number in range(2):
        write_table(tmp_path / "notes" / f"part-000000{number}.parquet", 5 * number, 5 * number + 5)
    before = contents(tmp_path / "notes")
    with pytest.raises(ClinbertError, match="lie one in the other"):
        annotate_folder(str(tmp_path / "notes"), str(tmp_path / "notes" / out), ruler, replace=True)
    assert contents(tmp_path / "notes") == before
    with pytest.raises(ClinbertError, match=r"holds part-000000\d.parquet, which is no annotation"):
        annotate_folder(write_notes(tmp_path / "n.jsonl", texts(2)), str(tmp_path / "notes"), ruler, replace=True)
    assert contents(tmp_path / "notes") == before


def test_parts_of_notes_that_are_gone_are_not_left_among_the_others(ruler, tmp_path):
    for number in range(5):
        write_table(tmp_path / "notes" / f"{number}.parquet", 5 * number, 5 * number + 5)
    (tmp_path / "notes" / "5.csv").write_text('note_id,text\n1,a\n2,"a"b"\n')
    with pytest.raises(ClinbertError, match="row 2: its quotes"):
        annotate_folder(str(tmp_path / "notes"), str(tmp_path / "out"), ruler)
    for name in ("3.parquet", "4.parquet", "5.csv"):
        (tmp_path / "notes" / name).unlink()
    for _ in range(2):
        with pytest.raises(
            ClinbertError, match=r"also holds part-0000003.parquet, of notes that the source has no long"
        ):
            annotate_folder(str(tmp_path / "notes"), str(tmp_path / "out"), ruler)
    for number in (3, 4):
        (tmp_path / "out" / f"part-000000{number}.parquet").unlink()
    assert annotate_folder(str(tmp_path / "notes"), str(tmp_path / "out"), ruler).counts["notes"] == 15
    assert len(rows(tmp_path / "out")) == 15
    write_table(tmp_path / "out" / "part-0000007.parquet", 0, 5)
    with pytest.raises(ClinbertError, match=r"also holds part-0000007\.parquet"):
        annotate_folder(str(tmp_path / "notes"), str(tmp_path / "out"), ruler)


def test_a_wrong_column_replaces_nothing(ruler, notes, tmp_path):
    annotate_folder(notes, str(tmp_path / "out"), ruler)
    before = contents(tmp_path / "out")
    with pytest.raises(ClinbertError, match="has no column txt"):
        annotate_folder(notes, str(tmp_path / "out"), ruler, text_column="txt", replace=True)
    assert contents(tmp_path / "out") == before


def test_a_journal_of_notes_that_were_changed_blames_no_others(ruler, tmp_path):
    task = AnnotatePart(tmp_path, tmp_path / "_work", ruler, 64)
    task.work.mkdir()
    part = CarriedPart(0, "first", to_batch([Note("1", "Took aspirin.")]), [])
    task(part)
    (journal,) = task.work.glob("*.journal")
    for digest, rejected in (("first", 1), ("second", 0)):
        journal.write_text('{"ended": {"0": 3}, "at": [0, 0]}')
        (task.work / "part-0000000.parquet.json").unlink()
        assert task(part._replace(digest=digest))["counts"]["rejected"] == rejected


def test_no_notes_are_one_empty_part_and_other_rejected_rows_other_notes(ruler, tmp_path):
    path, out = tmp_path / "notes.jsonl", str(tmp_path / "out")
    row = '{"note_id": "1", "text": null}\n'
    for content, rejects in (("", 0), (row * 2, 2), (row, 1)):
        path.write_text(content)
        if rejects:
            with pytest.raises(ClinbertError, match="of other notes"):
                annotate_folder(str(path), out, ruler)
        made = annotate_folder(str(path), out, ruler, replace=True)
        assert (made.counts["notes"], made.counts["rejected"], len(made.parts)) == (0, rejects, 1)
        assert annotate_folder(str(path), out, ruler) == made


@pytest.mark.filterwarnings("ignore:UPath .* not explicitly implemented")
def test_a_store_that_refuses_is_one_sentence_without_a_secret(ruler, notes):
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    with pytest.raises(ClinbertError, match=r"^refusing://… cannot be written \(RuntimeError\): check") as raised:
        annotate_folder(notes, "refusing://bucket/out", ruler)
    assert "secret" not in str(raised.value) and raised.value.__suppress_context__


@pytest.mark.filterwarnings("ignore:UPath .* not explicitly implemented")
def test_a_store_without_folders(ruler, notes, tmp_path):
    fsspec.register_implementation("objects", Objects, clobber=True)
    broken = tmp_path / "broken"
    shutil.copytree(ruler, broken)
    (broken / "meta.json").write_text("[")
    with pytest.raises(ClinbertError, match="cannot be loaded"):
        annotate_folder(notes, "objects://bucket/out", str(broken), part_size=PART)
    assert not Objects.store
    for out in (str(tmp_path / "out"), "objects://bucket/out"):
        annotate_folder(notes, out, ruler, part_size=2 * PART)
        annotate_folder(notes, out, ruler, part_size=PART, replace=True)
    assert contents(tmp_path / "out") == contents(UPath("objects://bucket/out"))
    assert len(Objects.store) == len(contents(tmp_path / "out"))
    with pytest.raises(ClinbertError, match="lie one in the other"):
        annotate_folder("objects://bucket", "objects://bucket/again", ruler, form="folder")


@pytest.mark.parametrize("workers", [1, 2])
def test_wrong_arguments_write_nothing(ruler, notes, tmp_path, workers):
    (tmp_path / "other.jsonl").touch()
    before = sorted(tmp_path.iterdir())
    for source, out, model, message in [
        (notes, "out", str(tmp_path / "none"), "none cannot be loaded"),
        (str(tmp_path / "none.csv"), "out", ruler, "none.csv: no such file"),
        (notes, "notes.jsonl", ruler, "notes.jsonl lie one in the other"),
        (notes, "other.jsonl", ruler, "other.jsonl is a file"),
    ]:
        with pytest.raises(ClinbertError, match=message):
            annotate_folder(source, str(tmp_path / out), model, part_size=PART, workers=workers)
        assert sorted(tmp_path.iterdir()) == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("not ours")
    with pytest.raises(ClinbertError, match=r"holds letter.txt, which is no annotation"):
        annotate_folder(notes, str(tmp_path / "full"), ruler, replace=True)
