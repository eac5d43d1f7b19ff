"""Small Spark sessions for tests."""

import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator

import pytest

TESTS = str(Path(__file__).parent)
# Quiet, and small beside other tests.
SUBMIT = "--driver-memory 1g --conf spark.ui.enabled=false --conf spark.log.level=OFF pyspark-shell"


def need_java() -> None:
    """Skip the tests of a module where Spark cannot run."""
    pytest.importorskip("pyspark", reason="PySpark is not installed: pip install 'spacy-clinbert[spark]'")
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("no Java, which Spark needs: install default-jre-headless", allow_module_level=True)


@contextmanager
def session(master: str, **environment: str) -> Iterator[Any]:
    """Start Spark as a user's program does, with variables for its Python workers and, with dots, settings."""
    import pyspark
    from pyspark.sql import SparkSession

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_SUBMIT_ARGS", SUBMIT)
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        builder = SparkSession.builder.master(master).config("spark.ui.showConsoleProgress", "false")
        for name, value in {"PYTHONPATH": TESTS, **environment}.items():
            builder = builder.config(name if "." in name else f"spark.executorEnv.{name}", value)
        spark = builder.getOrCreate()
        application = spark.sparkContext.applicationId
        yield spark
        spark.stop()
        # Where a master of its own has its executors' logs.
        shutil.rmtree(Path(pyspark.__file__).parent / "work" / application, ignore_errors=True)
