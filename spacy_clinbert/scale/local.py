"""Worker processes on this machine. No torch."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context, parent_process
from typing import Any, Optional

from .spread import Lost

# Items that each worker has: one to work on, one to come.
AHEAD = 2


class Local:
    """Runs a task in processes of this machine, a `Run`.

    workers (int): processes, which share the cores; with one, this process does the work.
    gpus (bool): whether worker n sees the n-th GPU alone; then one worker is a process of its own, too.
    """

    def __init__(self, workers: int = 1, gpus: bool = False) -> None:
        self._workers = workers
        self._gpus = gpus

    def __call__(self, task: Callable[[Any], Any], items: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """Call the task on numbered items, and give the results with their numbers as they come."""
        if self._workers == 1 and not self._gpus:
            yield from ((number, task(item)) for number, item in items)
            return
        threads = max(1, (os.cpu_count() or 1) // self._workers)
        workers = [_Worker((task, threads, number if self._gpus else None)) for number in range(self._workers)]
        try:
            while True:
                for worker in workers:
                    for number, item in islice(items, AHEAD - len(worker.given)):
                        worker.give(number, item)
                owners = {future: worker for worker in workers for future in worker.given}
                if not owners:
                    return
                finished = wait(owners, return_when=FIRST_COMPLETED).done
                for worker in {owners[future] for future in finished}:
                    yield from worker.results()
        finally:
            for worker in workers:
                worker.pool.shutdown(cancel_futures=True)


class _Worker:
    """A pool of one process: one that ends takes no other with it, as it would in a larger pool."""

    def __init__(self, initial: tuple[Callable[[Any], Any], int, Optional[int]]) -> None:
        self._initial = initial
        self.given: dict[Future[Any], tuple[int, Any]] = {}
        self._start()

    def _start(self) -> None:
        # Spawned: a forked worker would inherit the parent's threads' locks, and torch if it has it.
        self.pool = ProcessPoolExecutor(1, get_context("spawn"), _start, self._initial)

    def give(self, number: int, item: Any) -> None:
        self.given[self.pool.submit(_call, item)] = number, item

    def results(self) -> Iterator[tuple[int, Any]]:
        for future in [future for future in self.given if future.done()]:
            number, _ = self.given.pop(future)
            try:
                result = future.result()
            except BrokenProcessPool:
                self._start_again()
                yield number, Lost()
                return
            yield number, result

    def _start_again(self) -> None:
        """Start another process, for what the ended one had not begun."""
        waiting, self.given = list(self.given.values()), {}
        self.pool.shutdown()
        self._start()
        for number, item in waiting:
            self.give(number, item)


_tasks: list[Callable[[Any], Any]] = []


def _start(task: Callable[[Any], Any], threads: int, gpu: Optional[int]) -> None:
    # A worker that waits leaves Control-C to the parent, and one whose parent was killed would wait for ever.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    # Before torch and tokenizers are loaded, which look at these once; what the user has set stays.
    for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(gpu)
    _tasks.append(task)


def _follow_parent() -> None:
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _call(item: Any) -> Any:
    # Nobody who presses Control-C wants to wait for the end of a part.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return _tasks[0](item)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
