"""The same bytes on every engine: annotations and exports of the same notes."""

import json
from contextlib import nullcontext

import pytest
from spark_sessions import need_java, session
from tiny_models import write_ruler

from spacy_clinbert.pretraining.export import export
from spacy_clinbert.pretraining.export_settings import ExportSettings
from spacy_clinbert.scale.annotate_folder import annotate_folder
from spacy_clinbert.synthetic.noteevents import make_note

need_java()
pytest.importorskip("ray")


@pytest.fixture(scope="module")
def notes(tmp_path_factory):
    path = tmp_path_factory.mktemp("notes") / "notes.jsonl"
    rows = [{"note_id": str(number), "text": make_note(number, 0)[1].text} for number in range(1, 41)]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module", params=["spark", "ray"])
def engine(request):
    with session("local[2,4]") if request.param == "spark" else nullcontext():
        yield request.param


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_annotations_and_exports(engine, notes, tiny_bert, tmp_path):
    model = write_ruler(tmp_path / "model", "doc_cleaner")
    settings = ExportSettings(tokenizer=str(tiny_bert), length=64, dupe=2, chunk=7, pool=50)
    for name in ("local", engine):
        annotate_folder(notes, str(tmp_path / name / "annotated"), model, part_size=9000, engine=name, workers=2)
        export(notes, tmp_path / name / "exported", settings, engine=name, workers=2)
    expected = contents(tmp_path / "local")
    assert len(expected) > 12 and contents(tmp_path / engine) == expected
