"""Spark as an engine: what a task gives on it, and no loss whatever ends in the middle."""

import os
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from spark_sessions import need_java, session
from spread_tasks import CountCalls, KillAlways, KillOnce, fail, square

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.scale.engines import choose
from spacy_clinbert.scale.local import Local
from spacy_clinbert.scale.spark import AHEAD, Spark
from spacy_clinbert.scale.spread import spread

need_java()
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """Spark on this machine with two workers, which tries four times what fails."""
    with session("local[2,4]") as spark:
        yield spark


def test_a_run_gives_what_a_local_one_does_and_draws_only_as_needed(spark: Any) -> None:
    drawn: List[int] = []
    results = Spark(2)(square, ((drawn.append(number) or number, number) for number in range(12)))
    first = next(results)
    assert len(drawn) == 2 * AHEAD
    assert sorted([first, *results]) == [(number, number**2) for number in range(12)]
    assert list(spread(square, range(5), Spark(2))) == list(spread(square, range(5), Local(1)))
    assert list(spread(square, [], Spark(2))) == []


def test_a_worker_keeps_its_task(spark: Any) -> None:
    calls: Dict[int, List[int]] = {}
    for process, number in spread(CountCalls(), range(8), Spark(2)):
        calls.setdefault(process, []).append(number)
    assert len(calls) <= 2
    assert all(sorted(numbers) == list(range(1, len(numbers) + 1)) for numbers in calls.values())


def test_ten_killed_workers_cost_nothing(spark: Any, tmp_path: Path) -> None:
    results = list(spread(KillOnce(tmp_path), range(30), Spark(2)))
    assert results == [number**2 for number in range(30)]
    assert len(list(tmp_path.iterdir())) == 10


def test_an_item_that_ends_every_process_is_given_up(spark: Any, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="the system ended worker processes 2 times"):
        list(spread(KillAlways(tmp_path / "log"), range(5, 7), Spark(2), tries=2))
    assert (tmp_path / "log").read_text().count("x") >= 8, "Spark tries four times"


def test_errors_of_the_task_are_one_sentence(spark: Any, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ClinbertError, match=r"^note 5 has no text: give one$"):
        list(spread(fail, range(5, 6), Spark(2)))
    with pytest.raises(
        ClinbertError, match=r"^a worker failed \(KeyError in spread_tasks.py, line \d+\): .*$"
    ) as caught:
        list(spread(fail, range(7, 9), Spark(2)))
    shown = capfd.readouterr()
    assert "secret" not in f"{caught.value!r}{caught.value.__context__!r}{shown.out}{shown.err}"


class NeedsNowhere:
    """Sent to a worker, it needs a module that is not there."""

    def __reduce__(self) -> Any:
        return __import__, ("nowhere",)


def test_a_worker_without_the_packages_is_one_sentence(spark: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ClinbertError, match=r"^a Spark worker cannot import nowhere: install the same packages .*them$"
    ):
        list(spread(square, [NeedsNowhere()], Spark(1)))
    monkeypatch.setattr(spark.sparkContext, "pythonExec", "/nowhere/python3")
    with pytest.raises(
        ClinbertError, match=r"^Spark could not do the work \(java.io.IOException: .*\): its log says more$"
    ):
        list(spread(square, range(1), Spark(1)))


def test_who_stops_early_does_not_wait_for_work_under_way(spark: Any) -> None:
    results = Spark(2)(time.sleep, enumerate([0] * 4 + [300] * 9))
    assert sorted(islice(results, 4)) == [(number, None) for number in range(4)]
    started = time.monotonic()
    results.close()
    assert time.monotonic() - started < 60
    assert list(spread(square, range(2), Spark(2))) == [0, 1]


@pytest.mark.parametrize(
    "settings", [{"JAVA_HOME": "/nowhere"}, {"PYSPARK_SUBMIT_ARGS": "--master nowhere pyspark-shell"}]
)
def test_spark_that_does_not_start_is_one_sentence(settings: Dict[str, str]) -> None:
    program = "from spacy_clinbert.scale.engines import choose; choose('spark', 2)"
    run = subprocess.run([sys.executable, "-c", program], env=os.environ | settings, capture_output=True, text=True)
    assert "ClinbertError: the Java process of Spark did not start: install Java 17 or later" in run.stderr


def test_without_spark_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spacy_clinbert.scale.spark.find_spec", lambda name: None)
    with pytest.raises(ClinbertError, match=r"^PySpark is not installed: pip install 'spacy-clinbert\[spark\]'$"):
        choose("spark", 2)
