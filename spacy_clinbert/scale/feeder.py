"""Tokenizer and rules in processes of their own, so that a process with a GPU does nothing but the model's work."""

from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import lru_cache
from multiprocessing import get_context
from typing import Any, Deque, Iterable, Iterator, List, Optional, Tuple

import pyarrow as pa
from spacy.language import Language

from .annotate import PREPARED, load_pipeline, rule_names
from .batches import slices
from .local import AHEAD, heed_parent


def feed(batches: Iterable[pa.RecordBatch], model: str, processes: int, batch_size: int) -> Iterator[pa.RecordBatch]:
    """Add a column `PREPARED` to notes, for `annotate_batches` to go on from.

    batches (Iterable[pa.RecordBatch]): notes as columns `note_id` and `text`.
    model (str): folder of a saved pipeline, or name of an installed one; loaded in this process already.
    processes (int): how many work ahead.
    batch_size (int): notes in a batch, at most.
    RETURNS (Iterator[pa.RecordBatch]): the notes in their order. What the rules fail on, or end a process at, is not
        prepared, so that `annotate_batches` meets it itself and rejects it.
    """
    parts = (part for batch in batches for part in slices(batch, batch_size))
    pending: Deque[Tuple[pa.RecordBatch, Optional[Future]]] = deque()
    for part in parts:
        pending.append((part, _submit(model, processes, part)))
        if len(pending) > AHEAD * processes:
            yield _prepared(*pending.popleft())
    while pending:
        yield _prepared(*pending.popleft())


def _submit(model: str, processes: int, part: pa.RecordBatch) -> Optional[Future]:
    """Give notes to the processes; where these have ended, to new ones, and none where those end at once, too."""
    for _ in range(2):
        try:
            return _pool(model, processes).submit(_prepare, part["text"].to_pylist())
        except BrokenProcessPool:
            _pool.cache_clear()
    return None


def _prepared(part: pa.RecordBatch, docs: Optional[Future]) -> pa.RecordBatch:
    column = [None] * part.num_rows
    if docs is not None:
        with suppress(BrokenProcessPool):
            column = docs.result()
    names = [*part.schema.names, PREPARED]
    return pa.RecordBatch.from_arrays([*part.columns, pa.array(column, pa.large_binary())], names)


@lru_cache(maxsize=1)
def _pool(model: str, processes: int) -> ProcessPoolExecutor:
    """The processes, which stay from part to part."""
    nlp = load_pipeline(model)
    later = [name for name in nlp.pipe_names if name not in rule_names(nlp)]
    return ProcessPoolExecutor(processes, get_context("spawn"), _start, (model, later))


_pipelines: List[Language] = []


def _start(model: str, later: List[str]) -> None:
    heed_parent()
    _pipelines.append(load_pipeline(model, exclude=tuple(later)))


def _prepare(texts: List[Optional[str]]) -> List[Optional[bytes]]:
    return [_bytes(text) for text in texts]


def _bytes(text: Any) -> Optional[bytes]:
    nlp = _pipelines[0]
    try:
        with nlp.memory_zone():
            return nlp(text).to_bytes()
    # The process that asks has the same pipeline, and says why.
    except Exception:
        return None
