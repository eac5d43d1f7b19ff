"""An export: the same bytes however it is made, and nothing half-made taken for whole."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from spacy_clinbert.corpora.sources import read_source
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.pretraining.export import export
from spacy_clinbert.pretraining.export_settings import ExportSettings
from spacy_clinbert.pretraining.manifest import read_manifest, verify_shards
from spacy_clinbert.pretraining.schemas import BLOCKS, INSTANCES

FORMS = ("instances", "tfrecord", "blocks", "text")
CATEGORIES = ("Discharge summary", "Nursing/other", "ECG", "")


def invent_notes(count: int) -> list[dict[str, str]]:
    rng = random.Random(7)
    signs = ("chest pain", "dyspnea", "fever", "nausea", "syncope [**2101-3-4**]")
    return [
        {
            "note_id": f"n{number}",
            "patient": f"p{number // 3}",
            "category": CATEGORIES[number % 4],
            "text": f"HISTORY:\nMr. [**Name**] has {rng.choice(signs)}. No {rng.choice(signs)}.\n"
            + "".join(f"{rng.choice(signs)} on day {rng.randint(1, 99)}. " for _ in range(rng.randint(1, 12)))
            + f"\n\nPLAN:\n1. aspirin {number} mg\n2. clinic\n",
        }
        for number in range(count)
    ]


def write_notes(path: Path, notes: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(note) + "\n" for note in notes), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_notes(tmp_path_factory.mktemp("notes") / "notes.jsonl", invent_notes(60))


@pytest.fixture(scope="module")
def chosen(tiny_bert):
    def choose(form: str = "instances", **changes: object) -> ExportSettings:
        values = {"tokenizer": str(tiny_bert), "length": 64, "dupe": 2, "chunk": 7, "pool": 50, "form": form}
        return ExportSettings(**{**values, **changes})

    return choose


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(source, chosen, tmp_path_factory):
    """What an export of each form holds that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    made = {form: export(source, folder / form, chosen(form)) for form in FORMS}
    return {form: (contents(folder / form), manifest) for form, manifest in made.items()}


@pytest.mark.parametrize(("form", "workers"), [("instances", 2), ("instances", 3), ("blocks", 2), ("text", 3)])
def test_the_bytes_do_not_depend_on_the_number_of_workers(source, chosen, undisturbed, tmp_path, form, workers):
    export(source, tmp_path / "out", chosen(form), workers=workers)
    assert contents(tmp_path / "out") == undisturbed[form][0]


class Stopped(BaseException):
    """As a signal would come: nothing of ours catches it."""


@pytest.mark.parametrize("form", FORMS)
def test_stopped_at_each_step_and_gone_on_with_it_is_the_same(source, chosen, undisturbed, tmp_path, monkeypatch, form):
    out, steps, replace = tmp_path / "out", 0, Path.replace

    def replace_or_stop(path: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            raise Stopped
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", replace_or_stop)
    while not (out / "manifest.json").exists():
        # Each call may do one step more than the one before; some are stopped between a file and the record of it.
        left, steps = steps, steps + 1
        try:
            export(source, out, chosen(form))
        except Stopped:
            assert not (out / "manifest.json").exists()
    assert steps > 4
    left = 1000
    export(source, out, chosen(form))
    assert contents(out) == undisturbed[form][0]


SCRIPT = """
import sys
from spacy_clinbert.pretraining.export import export
from spacy_clinbert.pretraining.export_settings import ExportSettings
if __name__ == "__main__":
    export(sys.argv[1], __import__("pathlib").Path(sys.argv[2]), ExportSettings.model_validate_json(sys.argv[3]),
           workers=int(sys.argv[4]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_random_moments_and_gone_on_with_it_is_the_same(source, chosen, undisturbed, tmp_path, workers):
    script, out, rng, killed = tmp_path / "run.py", tmp_path / "out", random.Random(workers), 0
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(source), str(out), chosen().model_dump_json(), str(workers)]
    while killed < 5:
        # Without torch, transformers is there in a second; an export needs its tokenizers alone.
        run = subprocess.Popen(command, env={**os.environ, "USE_TORCH": "0"}, stderr=subprocess.DEVNULL)
        while run.poll() is None and not (out / ".segments" / "export.json").exists():
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 1.2 if workers == 1 else 4))
        run.send_signal(signal.SIGKILL)
        killed += run.wait() == -signal.SIGKILL
        if (out / "manifest.json").exists():
            assert contents(out)["manifest.json"] == undisturbed["instances"][0]["manifest.json"]
            shutil.rmtree(out)
    export(source, out, chosen())
    assert contents(out) == undisturbed["instances"][0]


@pytest.mark.parametrize("form", FORMS)
def test_a_full_disk_is_one_sentence_and_room_lets_it_go_on(source, chosen, undisturbed, tmp_path, form):
    out, limits = tmp_path / "out", resource.getrlimit(resource.RLIMIT_FSIZE)
    expected = undisturbed[form][0]
    largest = max(len(content) for name, content in expected.items() if not name.startswith("tokenizer"))
    try:
        # A file that does not fit is refused in the middle, as by a disk without room.
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest - 100, limits[1]))
        with pytest.raises(ClinbertError, match="cannot be written") as raised:
            export(source, out, chosen(form))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "\n" not in str(raised.value) and not (out / "manifest.json").exists()
    export(source, out, chosen(form))
    assert contents(out) == expected


def test_the_counts_are_those_of_the_shards(source, undisturbed, tmp_path):
    made, manifest = undisturbed["instances"]
    assert sorted(name for name in made if name.startswith("instances")) == [shard.name for shard in manifest.shards]
    for name, content in made.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert read_manifest(tmp_path) == manifest
    verify_shards(tmp_path, manifest)
    tables = [pq.read_table(tmp_path / shard.name) for shard in manifest.shards]
    assert all(table.schema.equals(INSTANCES) for table in tables)
    assert [table.num_rows for table in tables] == [shard.rows for shard in manifest.shards]
    assert manifest.counts["instances"] == sum(table.num_rows for table in tables)
    assert manifest.counts["random next"] == sum(sum(table["next_sentence_label"].to_pylist()) for table in tables)
    assert manifest.counts["masked"] == sum(len(row) for table in tables for row in table["masked_lm_ids"].to_pylist())
    assert {name for table in tables for name in table["note_id"].to_pylist()} == {f"n{n}" for n in range(60)}
    words = sum(len(note["text"].split()) for note in invent_notes(60))
    assert manifest.counts["notes"] == 60 and manifest.counts["words"] == words


def test_text_is_a_sentence_a_line_and_a_file_a_category(source, undisturbed):
    made, manifest = undisturbed["text"]
    names = ["discharge summary.txt", "ecg.txt", "notes.txt", "nursing-other.txt"]
    assert [shard.name for shard in manifest.shards] == names
    documents = {name: made[name].decode().split("\n\n") for name in names}
    assert sum(shard.rows for shard in manifest.shards) == manifest.counts["sentences"]
    for name, category in zip(names, ("Discharge summary", "ECG", "", "Nursing/other"), strict=True):
        texts = [" ".join(note["text"].split()) for note in invent_notes(60) if note["category"] == category]
        assert [" ".join(document.split("\n")) for document in documents[name][:-1]] == texts
        assert documents[name][-1] == ""
    assert "tokenizer/tokenizer.json" not in made


def test_sections_can_be_the_documents(source, chosen, tmp_path):
    export(source, tmp_path / "out", chosen("text", document="section"))
    text = (tmp_path / "out" / "ecg.txt").read_text()
    assert text.count("\n\n") == 30 and "\n\nPLAN: 1. aspirin" in text.replace("PLAN:\n", "PLAN: ")


def test_blocks_hold_all_pieces_in_order_and_lose_the_last_part(source, chosen, undisturbed, tmp_path):
    export(source, tmp_path / "one", chosen("blocks", chunk=60))
    (shard,) = (tmp_path / "one").glob("blocks-*.parquet")
    rows = pq.read_table(shard)["input_ids"].to_pylist()
    export(source, tmp_path / "many", chosen("blocks", chunk=1))
    tables = [pq.read_table(path) for path in sorted((tmp_path / "many").glob("blocks-*.parquet"))]
    assert [row for table in tables for row in table["input_ids"].to_pylist()] == rows and len(tables) == 60
    assert tables[0].schema.equals(BLOCKS) and {len(row) for row in rows} == {64}
    manifest = undisturbed["blocks"][1]
    assert manifest.counts["blocks"] == len(rows) == manifest.counts["pieces"] // 62


@pytest.mark.parametrize("copies", ["keep", "count", "drop"])
def test_notes_copied_forward_are_kept_counted_or_dropped(chosen, tmp_path, copies):
    notes = invent_notes(20)
    # With other blanks it is still a copy; the first of its kind is none.
    again = [{**note, "note_id": f"again{note['note_id']}", "text": note["text"] + "\n"} for note in notes[:6]]
    path = write_notes(tmp_path / "notes.jsonl", [*notes[:10], *again, *notes[10:]])
    manifest = export(path, tmp_path / "out", chosen(copies=copies))
    assert manifest.counts.get("copies") == (None if copies == "keep" else 6)
    assert manifest.counts["notes"] == (20 if copies == "drop" else 26)
    lines = (tmp_path / "out" / "export.rejected.jsonl").read_text().splitlines()
    dropped = [note["note_id"] for note in again] if copies == "drop" else []
    assert [json.loads(line)["note_id"] for line in lines] == dropped
    assert manifest.counts["rejected"] == len(lines)


def test_what_is_left_out_is_listed_with_the_reason_and_never_its_text(chosen, tmp_path):
    notes = invent_notes(12)
    notes[3] = {"note_id": "", "text": "secret"}
    notes[5] = {"note_id": "blank", "text": " \n"}
    notes[8] = {"note_id": "lost", "text": "Admission Date: secret Discharge Date: secret"}
    path = write_notes(tmp_path / "notes.jsonl", notes)
    manifest = export(path, tmp_path / "out", chosen(sections="original"))
    listed = (tmp_path / "out" / "export.rejected.jsonl").read_text()
    assert [json.loads(line)["note_id"] for line in listed.splitlines()] == ["row 4", "blank", "lost"]
    assert "secret" not in listed and manifest.counts["rejected"] == 3 and manifest.counts["notes"] == 9


@pytest.mark.parametrize("change", ["settings", "notes", "tokenizer"])
@pytest.mark.parametrize("whole", [True, False])
def test_it_does_not_go_on_with_other_notes_or_settings(
    source, chosen, tiny_bert, tmp_path, monkeypatch, change, whole
):
    out, settings, notes = tmp_path / "out", chosen(), source
    if not whole:
        monkeypatch.setattr("spacy_clinbert.pretraining.export.write_manifest", stop_at_the_end)
    try:
        export(source, out, settings)
    except Stopped:
        monkeypatch.undo()
    before = contents(out)
    if change == "settings":
        settings = chosen(seed=1)
    elif change == "notes":
        notes = write_notes(tmp_path / "notes.jsonl", [*invent_notes(59), {"note_id": "n59", "text": "Other."}])
    else:
        folder = shutil.copytree(tiny_bert, tmp_path / "bert")
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.txt").write_text((folder / "vocab.txt").read_text() + "stent\n")
        settings = chosen(tokenizer=str(folder))
    with pytest.raises(ClinbertError, match="differs") as raised:
        export(notes, out, settings)
    assert "\n" not in str(raised.value)
    kept = contents(out)
    assert {name: kept[name] for name in before if "/tokenizer/" not in name} == {
        name: content for name, content in before.items() if "/tokenizer/" not in name
    }
    replaced = export(notes, out, settings, replace=True)
    assert replaced == read_manifest(out) and not (out / ".segments").exists()


def stop_at_the_end(manifest, path):
    if path.name == "manifest.json":
        raise Stopped
    path.write_text(manifest.model_dump_json())


def test_a_whole_export_is_checked_and_not_made_again(source, chosen, tmp_path):
    out = tmp_path / "out"
    manifest = export(source, out, chosen())
    times = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    assert export(source, out, chosen(), workers=2) == manifest
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == times
    shard = out / manifest.shards[1].name
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    with pytest.raises(ClinbertError, match=shard.name):
        export(source, out, chosen())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.csv", "ROW_ID,BODY\n1,secret\n", "TEXT"),
        ("notes.csv", "ROW_ID;TEXT\n1;secret\n", "commas"),
        ("notes.csv", "ROW_ID,TEXT\n", "no note"),
        ("notes.csv", 'ROW_ID,TEXT\n1,"secret\n', "quotes"),
        ("notes.jsonl", '{"note_id": "1", "text": "\\u0000"}\n', "no note of the source has a wordpiece"),
        ("notes.jsonl", '{"note_id": "1", "text": "One note. It is alone."}\n', "from another note"),
        ("notes.bin", "secret", "no known form"),
        ("", "", "no such file"),
    ],
)
def test_a_bad_source_is_one_sentence_and_leaves_no_manifest(chosen, tmp_path, name, content, message):
    if name:
        (tmp_path / name).write_text(content)
    with pytest.raises(ClinbertError, match=message) as raised:
        export(tmp_path / (name or "nowhere.csv"), tmp_path / "out", chosen())
    assert "\n" not in str(raised.value) and "secret" not in str(raised.value)
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("form", ["text", "blocks"])
def test_an_export_of_nothing_is_an_error(chosen, tmp_path, form):
    path = write_notes(tmp_path / "notes.jsonl", [{"note_id": "a", "text": " \n"}])
    with pytest.raises(ClinbertError, match="too few or too short"):
        export(path, tmp_path / "out", chosen(form))
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_what_is_read_is_exported_or_rejected_or_of_another_category(chosen, tmp_path):
    notes = invent_notes(24)
    notes[4]["text"] = notes[5]["text"] = ""
    path = write_notes(tmp_path / "notes.jsonl", notes)
    counts = export(path, tmp_path / "out", chosen(categories=(" discharge SUMMARY",))).counts
    assert (counts["notes"], counts["other categories"]) == (5, 17 + 1)
    # The other empty note is of another category.
    assert counts["notes"] + counts["rejected"] + counts["other categories"] == 24


def test_notes_that_vanish_between_the_two_readings_are_an_error(source, chosen, tmp_path, monkeypatch):
    from spacy_clinbert.pretraining import export as module

    readings = []

    def read(*arguments, **options):
        readings.append(arguments)
        notes = list(read_source(*arguments, **options))
        return iter(notes[: len(notes) - len(readings) + 1])

    monkeypatch.setattr(module, "read_source", read)
    with pytest.raises(ClinbertError, match="has lost notes"):
        export(source, tmp_path / "out", chosen(copies="drop"))
    assert not (tmp_path / "out" / "manifest.json").exists()


SPOILT = ["segments-00001.parquet", "segments-00001.parquet.json", "pool.arrow", "../instances-00001.parquet"]


@pytest.mark.parametrize("name", SPOILT)
@pytest.mark.parametrize("spoil", [lambda content: content[:-9], lambda content: content[:9] + b"?" + content[10:]])
def test_what_a_fault_of_the_disk_spoilt_is_made_again(source, chosen, undisturbed, tmp_path, monkeypatch, name, spoil):
    out = tmp_path / "out"
    monkeypatch.setattr("spacy_clinbert.pretraining.export.write_manifest", stop_at_the_end)
    with pytest.raises(Stopped):
        export(source, out, chosen())
    monkeypatch.undo()
    path = out / ".segments" / name
    path.write_bytes(spoil(path.read_bytes()))
    if name.startswith("segments"):
        # So that the spoilt file is read again.
        (out / "instances-00001.parquet").unlink()
    export(source, out, chosen())
    assert contents(out) == undisturbed["instances"][0]


def test_a_mistake_does_not_cost_the_export_that_was_to_be_replaced(source, chosen, tmp_path):
    out = tmp_path / "out"
    export(source, out, chosen("text"))
    before = contents(out)
    for notes, settings in ((tmp_path / "nowhere", chosen("text")), (source, chosen(tokenizer=str(tmp_path)))):
        with pytest.raises(ClinbertError):
            export(notes, out, settings, replace=True)
        assert contents(out) == before


def test_notes_are_not_written_where_they_are_read(source, chosen, tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text("One note.")
    (tmp_path / "link").symlink_to(folder)
    for out in (folder / "out", tmp_path / "link" / "out", folder):
        with pytest.raises(ClinbertError, match="lies in the source"):
            export(folder, out, chosen("text"), replace=True)
    assert sorted(contents(folder)) == ["a.txt", "b.txt"]
    # Beside a table nothing is mistaken for it.
    (tmp_path / "mimic").mkdir()
    (tmp_path / "mimic" / "NOTEEVENTS.csv").write_text("ROW_ID,TEXT\n1,One note.\n")
    assert export(tmp_path / "mimic", tmp_path / "mimic" / "out", chosen("text")).counts["notes"] == 1


def test_a_bad_tokenizer_leaves_nothing(source, chosen, tmp_path):
    with pytest.raises(ClinbertError, match="tokenizer"):
        export(source, tmp_path / "out", chosen(tokenizer=str(tmp_path)))
    assert not list(tmp_path.iterdir())


def test_a_folder_of_other_things_is_left_alone(source, chosen, tmp_path):
    for name in ("diary.txt", "instances-00001.parquet", "other.csv"):
        out = tmp_path / name.split(".")[0]
        out.mkdir()
        (out / name).write_text("mine")
        with pytest.raises(ClinbertError, match="no earlier export"):
            export(source, out, chosen("text"), replace=True)
        assert contents(out) == {name: b"mine"}
    with pytest.raises(ClinbertError, match="is a file"):
        export(source, out / name, chosen("text"))


@pytest.mark.parametrize("manifest", [None, '{"name": "of a web page"}'])
def test_texts_that_no_export_made_are_not_replaced(source, chosen, tmp_path, manifest):
    out = tmp_path / "out"
    if manifest:
        out.mkdir()
        (out / "manifest.json").write_text(manifest)
    else:
        export(source, out, chosen("text"))
    (out / "diary.txt").write_text("mine")
    before = contents(out)
    with pytest.raises(ClinbertError, match=r"holds diary\.txt, which is no earlier export"):
        export(source, out, chosen("text"), replace=True)
    assert contents(out) == before


def test_workers_load_neither_torch_nor_transformers_nor_spacy():
    check = "import sys, spacy_clinbert.pretraining.stages, spacy_clinbert.scale.local;"
    check += "print(sorted({'torch', 'transformers', 'spacy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True).stdout.strip() == "[]"
