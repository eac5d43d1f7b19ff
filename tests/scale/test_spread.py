"""Work spread over processes: results in order, whatever ends."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from multiprocessing import active_children
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.scale.engines import choose
from spacy_clinbert.scale.local import AHEAD, Local
from spacy_clinbert.scale.spread import Lost, spread


def square(number: int) -> int:
    return number * number


def slow_at_first(number: int) -> int:
    time.sleep(0.3 if number == 0 else 0)
    return number


def ends_once(marks: Path, number: int) -> int:
    mark = marks / str(number)
    if number % 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def ends_always(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def fails(number: int) -> int:
    raise ClinbertError(f"item {number} is bad")


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers):
    assert list(spread(slow_at_first, range(7), Local(workers))) == list(range(7))
    assert list(spread(square, [], Local(workers))) == []


def test_items_are_drawn_only_as_fast_as_they_are_worked_on():
    drawn, finished, under_way = [], [], []

    def items():
        for number in range(50):
            drawn.append(number)
            yield number

    def run(task, numbered):
        for number, result in Local(2)(task, numbered):
            finished.append(number)
            under_way.append(len(drawn) - len(finished))
            yield number, result

    assert list(spread(square, items(), run)) == [number**2 for number in range(50)]
    assert max(under_way) < 2 * AHEAD


def test_ten_ended_processes_lose_nothing(tmp_path):
    assert list(spread(partial(ends_once, tmp_path), range(20), Local(2), tries=20)) == list(range(20))
    assert len(list(tmp_path.iterdir())) == 10


def test_a_process_that_ends_while_it_has_nothing_to_do_is_made_good():
    def items():
        yield from range(4)
        time.sleep(1)
        for child in active_children():
            child.kill()
            child.join()
        # By then the pools know.
        time.sleep(0.5)
        yield from range(4, 8)

    assert list(spread(square, items(), Local(2), tries=10)) == [number**2 for number in range(8)]


class Unloadable:
    """A task that ends the process which loads it."""

    def __call__(self, item):
        return item

    def __reduce__(self):
        return os._exit, (1,)


def test_processes_that_end_before_they_begin_are_not_started_for_ever():
    with pytest.raises(ClinbertError, match="3 worker processes ended before they began to work"):
        list(spread(Unloadable(), range(4), Local(2), tries=100))


INTERRUPTED = """
import os, pathlib, sys, time
from spacy_clinbert.scale.local import Local
from spacy_clinbert.scale.spread import spread
def work(folder):
    (pathlib.Path(folder) / str(time.time_ns())).touch()
    time.sleep(60)
if __name__ == "__main__":
    list(spread(work, [sys.argv[1]] * 9, Local(2)))
"""


def test_an_interrupt_ends_the_work_and_nothing_is_begun_after_it(tmp_path):
    (tmp_path / "marks").mkdir()
    (tmp_path / "run.py").write_text(INTERRUPTED)
    command = [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "marks")]
    # As a terminal does, to the driver and to its workers.
    run = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)
    while len(list((tmp_path / "marks").iterdir())) < 2:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(timeout=20) and len(list((tmp_path / "marks").iterdir())) == 2


def visible_gpu(number: int) -> str:
    time.sleep(0.2)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def test_each_worker_sees_one_of_the_gpus_that_were_given(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert set(spread(visible_gpu, range(8), Local(2, gpus=True))) == {"5", "7"}
    with pytest.raises(ClinbertError, match="2 GPUs for 3 workers: ask for fewer"):
        Local(3, gpus=True)


def test_processes_that_end_again_and_again_are_one_sentence():
    with pytest.raises(ClinbertError, match="ended worker processes 3 times without a result"):
        list(spread(ends_always, range(4), Local(2)))


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_of_the_task_come_as_they_are(workers):
    with pytest.raises(ClinbertError, match=r"item \d is bad"):
        list(spread(fails, range(3), Local(workers)))


def test_errors_of_the_items_come_as_they_are():
    def items():
        yield 1
        raise ClinbertError("the source is cut off")

    with pytest.raises(ClinbertError, match="the source is cut off"):
        list(spread(square, items(), Local(2)))


@given(st.lists(st.sampled_from(["done", "lost", "all lost"]), max_size=40), st.integers(0, 12), st.randoms())
def test_each_item_gives_one_result_whatever_is_lost(fates, count, random):
    """An engine that works on a few items at a time, in any order, and loses some or all of them."""
    fates = iter(fates)

    def run(task, items):
        given = {}
        while True:
            for number, item in items:
                given[number] = item
                if len(given) > 2:
                    break
            if not given:
                return
            number = random.choice(sorted(given))
            fate = next(fates, "done")
            if fate == "all lost":
                raise Lost
            item = given.pop(number)
            yield number, Lost() if fate == "lost" else task(item)

    assert list(spread(square, range(count), run, tries=1000)) == [number**2 for number in range(count)]


def test_an_unknown_engine_is_one_sentence():
    with pytest.raises(ClinbertError, match="no engine dask: give one of local, spark, ray"):
        choose("dask", 1)
