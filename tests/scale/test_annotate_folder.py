"""Annotation in parts: the same annotations whatever runs it and whatever ends on the way."""

import json
import resource
import signal
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deadly_pipeline import install_deadly
from tiny_models import write_ruler
from upath import UPath

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.scale.annotate_file import annotate_file
from spacy_clinbert.scale.annotate_folder import annotate_folder
from spacy_clinbert.scale.annotations import MANIFEST, REJECTED

# The size of a part in these tests: a few of the notes below.
PART = 200


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
    with pytest.raises(ClinbertError, match=r"part-00002.parquet is missing or damaged"):
        annotate_folder(notes, str(out), ruler, part_size=PART)
    annotate_folder(notes, str(out), ruler, part_size=PART, replace=True)
    assert contents(out) == before


def test_other_notes_or_another_pipeline_are_not_mixed_with_the_earlier(ruler, notes, tmp_path):
    out = str(tmp_path / "out")
    annotate_folder(notes, out, ruler, part_size=PART)
    other = write_ruler(tmp_path / "model", "merge_entities")
    with pytest.raises(ClinbertError, match=r"differ \(the pipeline is another\)"):
        annotate_folder(notes, out, other, part_size=PART)
    with pytest.raises(ClinbertError, match="parts had 200 characters, not 300"):
        annotate_folder(notes, out, ruler, part_size=300)
    write_notes(tmp_path / "notes.jsonl", texts(41))
    with pytest.raises(ClinbertError, match="of other notes"):
        annotate_folder(notes, out, ruler, part_size=PART)


@pytest.mark.parametrize("workers", [1, 2])
def test_wrong_arguments_write_nothing(ruler, notes, tmp_path, workers):
    before = sorted(tmp_path.iterdir())
    for source, out, model, message in [
        (notes, "out", str(tmp_path / "none"), "none cannot be loaded"),
        (str(tmp_path / "none.csv"), "out", ruler, "none.csv: no such file"),
        (notes, "notes.jsonl", ruler, "notes.jsonl is a file"),
    ]:
        with pytest.raises(ClinbertError, match=message):
            annotate_folder(source, str(tmp_path / out), model, part_size=PART, workers=workers)
        assert sorted(tmp_path.iterdir()) == before
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("not ours")
    with pytest.raises(ClinbertError, match=r"holds letter.txt, which is no annotation"):
        annotate_folder(notes, str(tmp_path / "full"), ruler, replace=True)
