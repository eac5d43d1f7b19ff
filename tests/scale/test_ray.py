"""Ray: the same rows as without it, and nothing lost or done twice whatever ends in the middle."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from spread_tasks import CountCalls, KillAlways, KillOnce, fail, square
from tiny_models import write_ner

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.scale.annotate import annotate_batches
from spacy_clinbert.scale.engines import choose
from spacy_clinbert.scale.local import Local
from spacy_clinbert.scale.ray import Ray, annotate_ray
from spacy_clinbert.scale.schemas import NOTES_SCHEMA, OUTPUT_SCHEMA
from spacy_clinbert.scale.spread import spread
from spacy_clinbert.synthetic.noteevents import make_note

ray = pytest.importorskip("ray")

# Workers find the tasks there.
TESTS = str(Path(__file__).parents[1])


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Ray on this machine, with room for two workers."""
    quiet: Dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("PYTHONPATH", TESTS)
        ray.init("local", num_cpus=2, object_store_memory=100_000_000, **quiet)
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def model(tiny_bert: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Sections, sentences, and a BERT of two layers that has learnt a little."""
    return write_ner(tmp_path_factory.mktemp("model"), tiny_bert)


@pytest.fixture(scope="module")
def notes() -> pa.Table:
    rows = [{"note_id": str(number), "text": make_note(number, 0)[1].text} for number in range(1, 41)]
    return pa.Table.from_pylist(rows, NOTES_SCHEMA)


@pytest.fixture(scope="module")
def expected(model: str, notes: pa.Table) -> List[Dict[str, Any]]:
    rows = pa.Table.from_batches(annotate_batches(notes.to_batches(), model, 16)).to_pylist()
    assert len({entity["label"] for row in rows for entity in row["entities"]}) == 2
    return rows


def test_a_dataset_gets_the_rows_of_the_bare_function(
    cluster: None, tmp_path: Path, model: str, notes: pa.Table, expected: List[Dict[str, Any]]
) -> None:
    # As warehouses hold them: in files of all sizes, as numbers and large strings, with a column more.
    columns = {"ROW_ID": notes["note_id"].cast(pa.int64()), "TEXT": notes["text"].cast(pa.large_string())}
    table = pa.table({"extra": ["x"] * len(notes), **columns})
    for start, length in ((0, 1), (1, 3), (4, 9), (13, 27)):
        pq.write_table(table.slice(start, length), tmp_path / f"{start}.parquet")
    dataset = ray.data.read_parquet(str(tmp_path))
    annotated = annotate_ray(dataset, model, 5, id_column="ROW_ID", text_column="TEXT", workers=2)
    found = pa.concat_tables(ray.get(annotated.to_arrow_refs()))
    assert found.schema == OUTPUT_SCHEMA
    rows = sorted(found.to_pylist(), key=lambda row: int(row["note_id"]))
    assert _pop_scores(rows) == pytest.approx(_pop_scores(expected), abs=1e-4)
    assert rows == expected


def _pop_scores(rows: List[Dict[str, Any]]) -> List[float]:
    return [entity.pop("score") for row in rows for entity in row["entities"]]


def test_a_pipeline_that_is_not_there_is_one_sentence(cluster: None, notes: pa.Table, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=r"^pipeline \S+nothing cannot be loaded .*installed one$"):
        annotate_ray(ray.data.from_arrow(notes), str(tmp_path / "nothing"))


def test_a_run_gives_what_a_local_one_does_and_draws_only_as_needed(cluster: None) -> None:
    drawn: List[int] = []
    items = (drawn.append(number) or number for number in range(200))
    results = spread(square, items, Ray(2))
    assert next(results) == 0
    assert len(drawn) <= 20
    assert [0, *results] == list(spread(square, range(200), Local(1)))


def test_a_worker_keeps_its_task(cluster: None) -> None:
    calls = list(spread(CountCalls(), range(30), Ray(2)))
    totals = Counter(process for process, _ in calls)
    assert len(totals) <= 2
    assert sorted(calls) == sorted((process, call + 1) for process in totals for call in range(totals[process]))


def test_more_workers_than_room(cluster: None) -> None:
    assert list(spread(square, range(20), Ray(8))) == [number**2 for number in range(20)]
    assert list(spread(square, [], Ray(2))) == []


def test_ten_killed_workers_cost_nothing(cluster: None, tmp_path: Path) -> None:
    results = list(spread(KillOnce(tmp_path), range(40), Ray(2)))
    assert results == [number**2 for number in range(40)]
    assert len(list(tmp_path.iterdir())) == 10


def test_an_item_that_ends_every_process_is_given_up(cluster: None, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="the system ended worker processes 3 times"):
        list(spread(KillAlways(tmp_path / "log"), range(6), Ray(2)))
    assert (tmp_path / "log").read_text().count("x") >= 3


def test_errors_of_the_task_are_one_sentence(cluster: None, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ClinbertError, match=r"^note 5 has no text: give one$"):
        list(spread(fail, range(6), Ray(2)))
    with pytest.raises(ClinbertError, match=r"^a worker failed \(KeyError in spread_tasks.py, line \d+\): ") as caught:
        list(spread(fail, range(6, 9), Ray(2)))
    shown = capfd.readouterr()
    assert "secret" not in f"{caught.value!r}{caught.value.__cause__!r}{shown.out}{shown.err}"


def test_errors_of_the_source_come_as_they_are(cluster: None) -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise LookupError("the source ends")

    with pytest.raises(LookupError, match="the source ends"):
        list(spread(square, items(), Ray(2)))
    assert list(spread(square, range(3), Ray(2))) == [0, 1, 4]


def test_without_ray_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ClinbertError, match=r"^Ray is not installed: pip install 'spacy-clinbert\[ray\]'$"):
        choose("ray", 2)


def test_a_cluster_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        # Bound, and nobody listens.
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{closed.getsockname()[1]}")
        monkeypatch.setattr(ray, "is_initialized", lambda: False)
        with pytest.raises(ClinbertError, match=r"^Ray cannot be reached or started \(ConnectionRefusedError\): "):
            list(spread(square, range(3), Ray(2)))


DRIVER = """
import sys
from pathlib import Path
from spread_tasks import MakeFile
from spacy_clinbert.scale.ray import Ray
from spacy_clinbert.scale.spread import spread
for record in spread(MakeFile(Path(sys.argv[1])), range(40), Ray(2)):
    print(record["file"]["name"], flush=True)
"""


def test_a_killed_driver_starts_again_where_it_stopped(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    environment["PYTHONPATH"] = TESTS
    command = [sys.executable, "-c", DRIVER, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as driver:
        while len(list(tmp_path.glob("part-*"))) < 5:
            assert driver.poll() is None
            time.sleep(0.05)
        driver.send_signal(signal.SIGKILL)
    # The records of the first run: their files are not made again.
    finished = {path.name for path in (tmp_path / "work").glob("part-*.json")}
    assert 0 < len(finished) < 40
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert again.stdout.split() == [f"part-{number:05}" for number in range(40)]
    assert {path.read_text() for path in tmp_path.glob("part-*")} == {f"{number}\n" * 1000 for number in range(40)}
    made = Counter((tmp_path / "log").read_text().split())
    assert all(made[str(int(name[5:10]))] == 1 for name in finished)
    assert sorted(path.suffix for path in (tmp_path / "work").iterdir()) == [".json"] * 40
