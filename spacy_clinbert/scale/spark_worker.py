"""What Spark's Python processes do: call a task, or annotate, from record batches to record batches. No torch."""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

import pyarrow as pa

from .failures import tell

# What `mapInArrow` takes.
Frames = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]
# The columns that `call_items` gives, in Spark's words: of the two one is null.
RESULT = "result binary, error string"
SAME_PACKAGES = "install the same packages for all workers, or let PYSPARK_PYTHON name a Python that has them"


def call_items(task: bytes, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Call a task on items, both pickled.

    task (bytes): the task; batches (Iterable[pa.RecordBatch]): the items, in a column `item`.
    RETURNS (Iterator[pa.RecordBatch]): for each item its pickled `result`, or the sentence of an `error`.
    """
    for batch in batches:
        answers = [_answer(task, item) for item in batch["item"].to_pylist()]
        yield pa.RecordBatch.from_pylist(answers, pa.schema([("result", pa.binary()), ("error", pa.string())]))


def _answer(task: bytes, item: bytes) -> dict[str, Any]:
    from pyspark import cloudpickle

    try:
        return {"result": cloudpickle.dumps(_start(task)(cloudpickle.loads(item)))}
    except ImportError as error:
        return {"error": f"a Spark worker cannot import {error.name}: {SAME_PACKAGES}"}
    # Raised, it would be a stack trace of three languages, and its message may quote a note.
    except Exception as error:
        return {"error": tell(error)}


@lru_cache(maxsize=1)
def _start(task: bytes) -> Callable[[Any], Any]:
    """Give the task, the same to all items of a process, so that it keeps what it has loaded."""
    from pyspark import cloudpickle

    _see_own_gpu()
    return cloudpickle.loads(task)


def _see_own_gpu() -> None:
    from pyspark import TaskContext

    context = TaskContext.get()
    gpu = context.resources().get("gpu") if context else None
    if gpu:
        # Before torch is loaded, which looks at it once.
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(gpu.addresses)


def load(model: str) -> None:
    """Load a pipeline, which the process keeps."""
    from .annotate import load_pipeline

    load_pipeline(model)


def annotate(model: str, batch_size: int, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Annotate notes, as `annotate_batches` does."""
    _see_own_gpu()
    from .annotate import annotate_batches

    return annotate_batches(batches, model, batch_size)
