"""`clinbert annotate` from the outside: files in, files out, one sentence where it cannot."""

import gzip
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import spacy
import typer
from spacy.language import Language
from spacy.tokenizer import Tokenizer
from spacy.tokens import Doc
from tiny_models import write_ruler
from typer.testing import CliRunner, Result

from spacy_clinbert.cli.annotate import annotate
from spacy_clinbert.errors import ClinbertError

TEXTS = {
    "11": "Chief Complaint:\nchest pain, sharp.\n\nPlan:\naspirin 81 mg.\r\n",
    "12": "Seen [**2101-3-4**]. No chest pain.",
    "13": "___F on aspirin. Café 🙂 aspirin",
    "14": "FAIL with secret aspirin",
}


@Language.component("test_cli_fails")
def fails(doc: Doc) -> Doc:
    """Raise on one of the notes."""
    if "FAIL" in doc.text:
        raise RuntimeError(doc.text)
    return doc


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_ruler(tmp_path_factory.mktemp("model"), "test_cli_fails")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    path = tmp_path / "NOTEEVENTS.csv.gz"
    rows = [f'{note_id},Nursing,"{text}"' for note_id, text in TEXTS.items()]
    path.write_bytes(gzip.compress("\n".join(["ROW_ID,CATEGORY,TEXT", *rows, "15,Nursing,", ""]).encode()))
    return path


def call(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(annotate)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def rows_of(path: Path) -> list:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    content = path.read_bytes()
    lines = (gzip.decompress(content) if path.suffix == ".gz" else content).decode().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("name", ["notes.parquet", "notes.jsonl", "notes.jsonl.gz"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_row_a_note_and_every_rejected_row_by_id(
    tmp_path: Path, model: str, notes: Path, name: str, batch_size: int
) -> None:
    output = tmp_path / "annotated" / name
    result = call(model, notes, output, "--batch-size", batch_size)
    assert result.exit_code == 0, result.exception
    rows = rows_of(output)
    assert [row["note_id"] for row in rows] == ["11", "12", "13"]
    assert set(rows[0]) == {"note_id", "sections", "sentences", "entities"}
    found = [[TEXTS[row["note_id"]][e["start"] : e["end"]] for e in row["entities"]] for row in rows]
    assert found == [["chest pain", "aspirin"], ["chest pain"], ["aspirin", "aspirin"]]
    assert [row["sentences"][0]["start"] for row in rows] == [0, 0, 0]
    rejected = {row["note_id"]: row["reason"] for row in rows_of(output.with_name(f"{name}.rejected.jsonl"))}
    assert rejected["15"] == "it has no text"
    assert rejected["14"].startswith("RuntimeError in test_annotate.py, line ")
    assert sorted(path.name for path in output.parent.iterdir()) == [name, f"{name}.rejected.jsonl"]


def test_the_summary_counts_and_shows_no_text(tmp_path: Path, model: str, notes: Path) -> None:
    result = call(model, notes, tmp_path / "out.jsonl")
    summary = dict(line.split()[:2] for line in result.stdout.splitlines())
    assert {name: summary[name] for name in ("notes", "entities", "rejected")} == {
        "notes": "3",
        "entities": "5",
        "rejected": "2",
    }
    assert summary["annotations"] == str(tmp_path / "out.jsonl")
    assert f"{tmp_path / 'out.jsonl'}.rejected.jsonl" in result.stdout
    assert "secret" not in result.output


def test_the_summary_counts_sections_without_a_token(tmp_path: Path) -> None:
    nlp = spacy.blank("en")
    nlp.tokenizer = Tokenizer(nlp.vocab)
    nlp.add_pipe("clinbert_sections")
    nlp.to_disk(tmp_path / "model")
    (tmp_path / "in.jsonl").write_text('{"note_id": 5, "text": "EXAM,GENERAL,VITALS: stable"}\n')
    result = call(tmp_path / "model", tmp_path / "in.jsonl", tmp_path / "out.parquet")
    assert [line.split()[-1] for line in result.stdout.splitlines() if line.startswith("dropped sections")] == ["2"]
    assert pq.read_table(tmp_path / "out.parquet").column_names == ["note_id", "sections", "sentences", "entities"]


def test_output_does_not_depend_on_batch_size(tmp_path: Path, model: str, notes: Path) -> None:
    for size in (1, 2, 64):
        assert call(model, notes, tmp_path / f"{size}.parquet", "--batch-size", size).exit_code == 0
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "64.parquet").read_bytes()
    assert (tmp_path / "2.parquet").read_bytes() == (tmp_path / "64.parquet").read_bytes()


def test_columns_by_option(tmp_path: Path, model: str) -> None:
    (tmp_path / "in.jsonl").write_text('{"doc": 5, "report": "aspirin"}\n')
    result = call(model, tmp_path / "in.jsonl", tmp_path / "out.jsonl", "--id-column", "doc", "--text-column", "Report")
    assert result.exit_code == 0, result.exception
    assert [(row["note_id"], len(row["entities"])) for row in rows_of(tmp_path / "out.jsonl")] == [("5", 1)]


def test_no_notes_give_an_empty_table(tmp_path: Path, model: str) -> None:
    (tmp_path / "in.csv").write_text("ROW_ID,TEXT\n")
    assert call(model, tmp_path / "in.csv", tmp_path / "out.parquet").exit_code == 0
    assert pq.read_table(tmp_path / "out.parquet").column_names == ["note_id", "sections", "sentences", "entities"]
    assert (tmp_path / "out.parquet.rejected.jsonl").read_text() == ""


def test_a_folder_in_parts(tmp_path: Path, model: str, notes: Path) -> None:
    result = call(model, notes, tmp_path / "out", "--part-size", 40)
    assert result.exit_code == 0, result.exception
    parts = sorted((tmp_path / "out").glob("part-*.parquet"))
    assert len(parts) > 1
    assert [row["note_id"] for part in parts for row in rows_of(part)] == ["11", "12", "13"]
    summary = dict(line.split()[:2] for line in result.stdout.splitlines())
    assert (summary["notes"], summary["entities"], summary["rejected"]) == ("3", "5", "2")
    rejected = rows_of(tmp_path / "out" / "_rejected.jsonl")
    assert f"{tmp_path / 'out' / '_rejected.jsonl'}" in result.stdout and len(rejected) == 2
    assert "secret" not in result.output + json.dumps(rejected)


def truncated(path: Path) -> None:
    content = gzip.decompress(path.read_bytes()) + b"".join(b'%d,N,"%d"\n' % (n, n * n) for n in range(20, 9000))
    path.write_bytes(gzip.compress(content)[:-2000])


def without_text_column(path: Path) -> None:
    path.write_bytes(gzip.compress(b"ROW_ID,CATEGORY,REPORT\n1,a,b\n"))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (truncated, "NOTEEVENTS.csv.gz is cut off before its end"),
        (without_text_column, r"NOTEEVENTS.csv.gz has no column TEXT \(its columns: ROW_ID, CATEGORY, REPORT\)"),
        (Path.unlink, "NOTEEVENTS.csv.gz: no such file"),
    ],
    ids=lambda fault: getattr(fault, "__name__", ""),
)
def test_a_broken_input_leaves_the_earlier_output(tmp_path: Path, model: str, notes: Path, fault, message: str) -> None:
    output = tmp_path / "annotated" / "out.parquet"
    assert call(model, notes, output).exit_code == 0
    before = {path.name: path.read_bytes() for path in output.parent.iterdir()}
    fault(notes)
    result = call(model, notes, output)
    assert isinstance(result.exception, ClinbertError)
    assert result.exit_code == 1
    with pytest.raises(ClinbertError, match=message):
        raise result.exception
    assert {path.name: path.read_bytes() for path in output.parent.iterdir()} == before


def test_wrong_arguments_write_nothing(tmp_path: Path, model: str, notes: Path) -> None:
    jsonl = tmp_path / "notes.jsonl"
    jsonl.write_text('{"note_id": "1", "text": "aspirin"}\n')
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "notes.jsonl").write_text(jsonl.read_text())
    before = sorted(tmp_path.iterdir())
    for arguments, message in [
        ((model, notes, tmp_path / "out.csv"), "out.csv is none of .parquet"),
        ((model, jsonl, jsonl), "give an output apart from it"),
        ((tmp_path / "no_model", notes, tmp_path / "out.jsonl"), "no_model cannot be loaded"),
        ((model, notes, tmp_path / "out.jsonl", "--workers", "2"), "is a file, which one process writes"),
        ((model, notes, tmp_path / "out", "--engine", "dask"), "no engine dask"),
        ((model, notes, "memory://out/notes.parquet"), "is a file, but on no disk"),
        ((model, tables, tables / "out.parquet"), "lie one in the other"),
        # The columns are looked at before the pipeline is loaded.
        ((tmp_path / "no_model", notes, tmp_path / "out.jsonl", "--text-column", "REPORT"), "no column REPORT"),
    ]:
        assert message in str(call(*arguments).exception)
        assert sorted(tmp_path.iterdir()) == before
