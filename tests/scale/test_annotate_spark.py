"""DataFrames of notes, and parts on Spark: the same rows as without it."""

import os
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pyarrow as pa
import pytest
from deadly_pipeline import install_deadly
from spark_sessions import TESTS, need_java, session
from tiny_models import write_ner

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.scale.annotate import annotate_batches
from spacy_clinbert.scale.annotate_folder import annotate_folder
from spacy_clinbert.scale.schemas import NOTES_SCHEMA
from spacy_clinbert.scale.spark import annotate_spark
from spacy_clinbert.synthetic.noteevents import make_note

need_java()
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def deadly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of an installed pipeline of rules whose notes may end the process."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        name = install_deadly(folder, patch)
        with session(
            "local[2,4]", PYTHONPATH=os.pathsep.join([str(folder), TESTS]), DEADLY_MARKS=str(folder / "marks")
        ):
            yield name


@pytest.fixture(scope="module")
def spark(deadly: str) -> Any:
    from pyspark.sql import SparkSession

    return SparkSession.getActiveSession()


@pytest.fixture(scope="module")
def model(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_ner(tmp_path_factory.mktemp("model"), tiny_bert)


@pytest.fixture(scope="module")
def notes() -> pa.Table:
    rows = [{"note_id": str(number), "text": make_note(number, 0)[1].text} for number in range(1, 41)]
    return pa.Table.from_pylist(rows, NOTES_SCHEMA)


def by_id(table: pa.Table) -> List[Dict[str, Any]]:
    return sorted(table.to_pylist(), key=lambda row: int(row["note_id"]))


def pop_scores(rows: List[Dict[str, Any]]) -> List[float]:
    return [entity.pop("score") for row in rows for entity in row["entities"]]


def test_a_dataframe_gets_the_rows_of_the_bare_function(spark: Any, model: str, notes: pa.Table) -> None:
    expected = by_id(pa.Table.from_batches(annotate_batches(notes.to_batches(), model, 16)))
    scores = pop_scores(expected)
    assert len({entity["label"] for row in expected for entity in row["entities"]}) == 2
    # As warehouses hold them: numbers for ids, a column more, names with dots.
    columns = {"ROW.ID": notes["note_id"].cast(pa.int64()), "TEXT": notes["text"], "extra": ["x"] * len(notes)}
    odd = annotate_spark(
        spark.createDataFrame(pa.table(columns)).repartition(5), model, 3, id_column="ROW.ID", text_column="TEXT"
    )
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", 7)
    for annotated in (annotate_spark(spark.createDataFrame(notes).coalesce(1), model), odd):
        assert annotated.schema.simpleString() == (
            "struct<note_id:string,"
            "sections:array<struct<start:int,end:int,title:string,category:string,level:int>>,"
            "sentences:array<struct<start:int,end:int>>,"
            "entities:array<struct<start:int,end:int,label:string,score:double,section:string>>,"
            "dropped:int,rejected:string>"
        )
        rows = by_id(annotated.toArrow())
        assert pop_scores(rows) == pytest.approx(scores, abs=1e-4)
        assert rows == expected


def test_killed_workers_and_failing_notes_cost_no_other_note(spark: Any, deadly: str, tmp_path: Path) -> None:
    texts = [f"Took aspirin. {'' if n % 10 else f'ONCE-{n}'}" for n in range(30)]
    texts[7] = "FAILS secret"
    notes = pa.table({"note_id": [str(n) for n in range(30)], "text": texts})
    # Spark gives up a partition that ends four processes.
    rows = by_id(annotate_spark(spark.createDataFrame(notes).repartition(2), deadly, 1).toArrow())
    assert len(list(Path(os.environ["DEADLY_MARKS"]).iterdir())) == 3
    assert [row["note_id"] for row in rows] == [str(n) for n in range(30)]
    assert rows[7]["rejected"].startswith("RuntimeError in deadly_pipeline.py, line ") and "secret" not in str(rows)
    assert rows == by_id(pa.Table.from_batches(annotate_batches(notes.to_batches(), deadly)))


def test_parts_are_the_same_bytes_as_without_spark(spark: Any, deadly: str, tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("note_id,text\n" + "".join(f'{n},"Took aspirin. No."\n' for n in range(60)))
    for engine in ("local", "spark"):
        annotate_folder(
            str(tmp_path / "notes.csv"), str(tmp_path / engine), deadly, part_size=200, engine=engine, workers=2
        )
    local, other = ({path.name: path.read_bytes() for path in (tmp_path / e).iterdir()} for e in ("local", "spark"))
    assert len(local) > 5 and local == other


def test_what_cannot_be_annotated_is_one_sentence(spark: Any, tmp_path: Path) -> None:
    numbers = spark.createDataFrame([(1, 2)], "note_id long, text int")
    for frame, names, message in [
        (numbers.drop("text"), {}, r"^the DataFrame has no column text: name one of note_id$"),
        (numbers, {}, r"^column text of the DataFrame is of type int: cast it to string$"),
        (numbers, {"text_column": "note"}, "no column note: name one of note_id, text"),
        (
            numbers.select("text", numbers["text"].cast("double").alias("note_id")),
            {},
            "note_id .* of type double: cast",
        ),
    ]:
        with pytest.raises(ClinbertError, match=message):
            annotate_spark(frame, "none", **names)
    frame = spark.createDataFrame([("1", "aspirin")], "note_id string, text string")
    with pytest.raises(ClinbertError, match=r"^pipeline \S+nothing cannot be loaded .*installed one$"):
        annotate_spark(frame, str(tmp_path / "nothing"))
