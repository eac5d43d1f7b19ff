"""Spark, which a warehouse or a cluster gives: a task on its workers, and annotation of its DataFrames. No torch."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa

from ..errors import ClinbertError
from .schemas import NOTES_SCHEMA, OUTPUT_SCHEMA
from .spark_worker import RESULT, SAME_PACKAGES, Frames, annotate, call_items, load
from .spread import Lost, spread

if TYPE_CHECKING:
    from pyspark.resource import ResourceProfile
    from pyspark.sql import DataFrame, SparkSession

# Items under way for each worker: one to work on, one to come.
AHEAD = 2

# What Spark says when a process ended again and again: it has made its own tries by then.
_LOST = (
    "Python worker exited unexpectedly",
    "ExecutorLostFailure",
    "TaskResultLost",
    "java.net.SocketException",
    "java.io.EOFException",
    "java.lang.OutOfMemoryError",
)

_IMPORT_ERRORS = ("ModuleNotFoundError", "ImportError")

# Types that are strings, and those that a string holds exactly.
_TEXTS = ("string", "varchar", "char")
_IDS = (*_TEXTS, "tinyint", "smallint", "int", "bigint")


class Spark:
    """Runs a task on Spark, a `Run`: each item is a job of one task.

    The session is the active one; else the one that spark-submit, the configuration of Spark or SPARK_REMOTE describe;
    else Spark on this machine. Needs no RDDs, so that Spark Connect gives it, too.

    workers (int): twice as many items go to Spark at a time, one for each worker to work on and one to come; without a
        configured master, also the worker processes on this machine.
    gpus (bool): whether each item is worked on with a GPU of its own, which the executors must have.
    RAISES (ClinbertError): if PySpark or Java is missing, or Spark cannot be started.
    """

    def __init__(self, workers: int = 1, gpus: bool = False) -> None:
        self._session = _session(workers)
        self._workers = workers
        self._profile = _one_gpu() if gpus else None

    def __call__(self, task: Callable[[Any], Any], items: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """Call the task on numbered items, and give the results with their numbers as they come."""
        from pyspark import cloudpickle, inheritable_thread_target

        work = partial(call_items, cloudpickle.dumps(task))
        tag = f"clinbert-{uuid4().hex}"
        add, remove, end = _tagging(self._session)
        # A thread takes over the tags, and what the caller has set, such as the scheduler's pool.
        add(tag)
        run = inheritable_thread_target(self._session)(partial(self._run, work))
        remove(tag)
        pending: dict[Future[Any], int] = {}
        with ThreadPoolExecutor(AHEAD * self._workers) as pool:
            try:
                while True:
                    for number, item in islice(items, AHEAD * self._workers - len(pending)):
                        pending[pool.submit(run, cloudpickle.dumps(item))] = number
                    if not pending:
                        return
                    for future in wait(pending, return_when=FIRST_COMPLETED).done:
                        yield pending.pop(future), future.result()
            finally:
                _abandon(pending, partial(end, tag))

    def _run(self, work: Frames, item: bytes) -> Any:
        from pyspark import cloudpickle

        try:
            rows = self._session.createDataFrame(pa.table({"item": [item]}))
            answer = rows.mapInArrow(work, RESULT, profile=self._profile).toArrow()
        except Exception as error:
            message = str(error)
            if any(sign in message for sign in _LOST):
                return Lost()
            reason = _reason(message)
            advice = SAME_PACKAGES if reason.startswith(_IMPORT_ERRORS) else "its log says more"
            raise ClinbertError(f"Spark could not do the work ({reason}): {advice}") from None
        (row,) = answer.to_pylist()
        if row["error"] is not None:
            raise ClinbertError(row["error"])
        return cloudpickle.loads(row["result"])


def annotate_spark(
    df: "DataFrame",
    model: str,
    batch_size: int = 64,
    *,
    id_column: str = "note_id",
    text_column: str = "text",
    gpus: bool = False,
) -> "DataFrame":
    """Annotate a DataFrame of notes with a spaCy pipeline; a worker loads it now, the rest waits for the result's use.

    df (DataFrame): the notes, a row a note; other columns are left out.
    model (str): folder of a saved pipeline that all workers can read, or name of one that is installed on them.
    batch_size (int): notes that go through the pipeline together; fewer, where they are long.
    id_column (str), text_column (str): the columns of ids, strings or whole numbers, and of texts.
    gpus (bool): whether each task has a GPU of its own, which the executors must have.
    RETURNS (DataFrame): a row a note, its columns those of `annotate_batches`.
    RAISES (ClinbertError): if a column is missing or of another type, or the worker cannot load the pipeline.
    """
    run = Spark(1, gpus)
    from pyspark.sql.functions import col
    from pyspark.sql.pandas.types import from_arrow_schema

    for name, kinds in ((id_column, _IDS), (text_column, _TEXTS)):
        if name not in df.columns:
            raise ClinbertError(f"the DataFrame has no column {name}: name one of {', '.join(df.columns)}")
        kind = df.schema[name].dataType.simpleString()
        # As in varchar(20), or string with a collation.
        if kind.replace("(", " ").split()[0] not in kinds:
            raise ClinbertError(f"column {name} of the DataFrame is of type {kind}: cast it to string")
    list(spread(load, [model], run))
    columns = zip((id_column, text_column), NOTES_SCHEMA.names)
    notes = df.select(*(col(f"`{given}`").cast("string").alias(name) for given, name in columns))
    work = partial(annotate, model, batch_size)
    return notes.mapInArrow(work, from_arrow_schema(OUTPUT_SCHEMA), profile=_one_gpu() if gpus else None)


def _tagging(session: "SparkSession") -> list[Callable[[str], Any]]:
    """Give what tags the jobs to come, what no longer does, and what ends the tagged jobs of all threads."""
    from pyspark.sql import is_remote

    if is_remote():
        return [session.addTag, session.removeTag, session.interruptTag]
    # Here the session's own tags are of one thread only.
    context = session.sparkContext
    return [context.addJobTag, context.removeJobTag, context.cancelJobsWithTag]


def _abandon(pending: Iterable[Future[Any]], end: Callable[[], Any]) -> None:
    for future in pending:
        future.cancel()
    # Again, for jobs that were on their way; and a session that has ended has none.
    while not all(future.done() for future in pending):
        with suppress(Exception):
            end()
        wait(pending, timeout=1)


def _session(workers: int) -> "SparkSession":
    if not (find_spec("pyspark") and find_spec("pandas")):
        raise ClinbertError("PySpark is not installed: pip install 'spacy-clinbert[spark]'")
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active:
        return active
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    if "SPARK_REMOTE" not in os.environ:
        # Spark looks at it where nothing else names a master. What fails is tried four times, as on a cluster.
        os.environ.setdefault("MASTER", f"local[{workers},4]")
    try:
        return SparkSession.builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    except Exception as error:
        if "JAVA_GATEWAY_EXITED" in str(error):
            raise ClinbertError(
                "the Java process of Spark did not start: install Java 17 or later (on Debian, default-jre-headless),"
                " set JAVA_HOME, or correct the setting of Spark that is named above"
            ) from None
        raise ClinbertError(f"Spark cannot be started ({_reason(str(error))}): check its configuration") from None


def _one_gpu() -> "ResourceProfile":
    from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests

    return ResourceProfileBuilder().require(TaskResourceRequests().resource("gpu", 1)).build


def _reason(message: str) -> str:
    """Find the line that says why in the trace of a failure, which holds no note: of those Spark sees pickles only."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    causes = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    python = [line for line in lines if line.startswith((*_IMPORT_ERRORS, "pyspark.errors."))]
    return (python + causes[-1:] + lines)[0]
