"""Work spread over processes, with its results in order and few items in memory. No torch."""

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

from ..errors import ClinbertError

Item = TypeVar("Item")
Result = TypeVar("Result")

# Items under way for each worker: one to work on, one to come.
AHEAD = 2


def spread(task: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Call a function on items in worker processes.

    task (Callable): a top-level function or a partial of one, sent to each worker once.
    items (Iterable): what it is called on; drawn only as fast as the results are made.
    workers (int): processes; with one, this process does the work.
    YIELDS: the results in the order of the items.
    RAISES (ClinbertError): if the system ended a worker; errors of the task as they are.
    """
    if workers == 1:
        yield from map(task, items)
        return
    # Spawned: a forked worker would inherit the parent's threads' locks, and torch if it has it.
    with ProcessPoolExecutor(workers, get_context("spawn"), _start, (task,)) as pool:
        pending: deque[Future[Any]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(_call, item))
                if len(pending) > AHEAD * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool:
            raise ClinbertError(
                "the system ended a worker process, most often for want of memory: run again with fewer --workers;"
                " what is finished stays"
            ) from None
        finally:
            for future in pending:
                future.cancel()


_tasks: list[Callable[[Any], Any]] = []


def _start(task: Callable[[Any], Any]) -> None:
    # Control-C is the parent's to handle; and a worker whose parent was killed would wait for work for ever.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    _tasks.append(task)


def _follow_parent() -> None:
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _call(item: Any) -> Any:
    return _tasks[0](item)
