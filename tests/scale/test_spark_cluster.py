"""Spark whose executors and drivers end: two executors on this machine, and Spark as it starts itself."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator, List

import psutil
import pytest
from spark_sessions import SUBMIT, TESTS, need_java, session
from spread_tasks import MakeFile

from spacy_clinbert.scale.spark import Spark
from spacy_clinbert.scale.spread import spread

need_java()
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two executors of one core, each with a GPU in name."""
    script = tmp_path_factory.mktemp("gpus") / "discover"
    script.write_text("""#!/bin/sh\necho '{"name": "gpu", "addresses": ["7"]}'\n""")
    script.chmod(0o755)
    gpus = {
        "spark.worker.resource.gpu.amount": "1",
        "spark.worker.resource.gpu.discoveryScript": str(script),
        "spark.executor.resource.gpu.amount": "1",
        "spark.executor.memory": "512m",
    }
    with session("local-cluster[2,1,512]", **gpus) as spark:
        yield spark


def executors() -> List[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.name() == "java" and any("ExecutorBackend" in word for word in process.cmdline()):
                found.append(process)
        except psutil.Error:
            # It has just ended.
            continue
    return found


def test_killed_executors_cost_nothing(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    names = []
    for record in spread(MakeFile(tmp_path), range(12), Spark(2)):
        names.append(record["file"]["name"])
        if len(names) in (2, 6):
            executors()[0].kill()
    assert names == [f"part-{number:05}" for number in range(12)]


def see_gpu(number: int) -> str:
    return os.environ.get("CUDA_VISIBLE_DEVICES", "")


def test_each_item_has_a_gpu_of_its_own(cluster: Any) -> None:
    from pyspark import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    assert list(spread(see_gpu, range(3), Spark(2, gpus=True))) == ["7"] * 3


DRIVER = """
import sys
from pathlib import Path
from spread_tasks import MakeFile
from spacy_clinbert.scale.spark import Spark
from spacy_clinbert.scale.spread import spread
for record in spread(MakeFile(Path(sys.argv[1])), range(20), Spark(2)):
    print(record["file"]["name"], flush=True)
"""


def test_a_killed_driver_starts_again_where_it_stopped(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    given = ("MASTER", "PYSPARK_PYTHON", "PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET")
    environment = {name: value for name, value in os.environ.items() if name not in given}
    environment |= {"PYTHONPATH": TESTS, "PYSPARK_SUBMIT_ARGS": SUBMIT}
    command = [sys.executable, "-c", DRIVER, str(tmp_path)]
    driver = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    for _ in range(4):
        assert driver.stdout and driver.stdout.readline()
    processes = psutil.Process(driver.pid).children(recursive=True)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    # What it started ends with it.
    assert not psutil.wait_procs(processes, timeout=60)[1]
    made = {path: path.stat().st_mtime_ns for path in tmp_path.glob("part-*")}
    again = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    assert again.stdout.split() == [f"part-{number:05}" for number in range(20)]
    assert {path.read_text() for path in tmp_path.glob("part-*")} == {f"{number}\n" * 1000 for number in range(20)}
    kept = [path for path in made if path.stat().st_mtime_ns == made[path]]
    assert len(kept) >= 4
