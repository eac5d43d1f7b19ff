"""Tables: the same bytes however their rows are batched."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.scale.files import ROWS_IN_GROUP, check_table_path, table_writer

SCHEMA = pa.schema([("note_id", pa.string()), ("spans", pa.list_(pa.struct([("start", pa.int32())])))])
ROWS = [{"note_id": f"é{number}", "spans": [{"start": number}] * (number % 3)} for number in range(ROWS_IN_GROUP + 100)]


def write(path: Path, batch_size: int) -> bytes:
    with table_writer(path, SCHEMA) as writer:
        for start in range(0, len(ROWS), batch_size):
            writer.write(pa.RecordBatch.from_pylist(ROWS[start : start + batch_size], SCHEMA))
    return path.read_bytes()


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "jsonl.gz"])
def test_rows_come_back_and_batches_leave_no_trace(tmp_path: Path, suffix: str) -> None:
    content = write(tmp_path / f"a.{suffix}", 64)
    assert content == write(tmp_path / f"b.{suffix}", 999)
    if suffix == "parquet":
        table = pq.ParquetFile(tmp_path / "a.parquet")
        assert table.read().to_pylist() == ROWS
        assert table.metadata.num_row_groups == 2
    else:
        text = (gzip.decompress(content) if suffix.endswith("gz") else content).decode()
        assert [json.loads(line) for line in text.splitlines()] == ROWS


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    with table_writer(tmp_path / "a.parquet", SCHEMA):
        pass
    assert pq.read_schema(tmp_path / "a.parquet") == SCHEMA


def test_a_place_that_cannot_hold_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=r"notes\.csv is none of \.parquet"):
        check_table_path(tmp_path / "notes.csv")
    (tmp_path / "notes.jsonl").mkdir()
    with pytest.raises(ClinbertError, match="is a folder"):
        check_table_path(tmp_path / "notes.jsonl")
