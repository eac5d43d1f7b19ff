"""Worker processes on this machine. No torch."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice, repeat
from multiprocessing import get_context, parent_process
from typing import Any, Optional

from ..errors import ClinbertError
from .spread import TRIES, Lost

# Items that each worker has: one to work on, one to come.
AHEAD = 2


class Local:
    """Runs a task in processes of this machine, a `Run`.

    workers (int): processes, which share the cores; with one, this process does the work.
    gpus (bool): whether worker n sees the n-th GPU alone; then one worker is a process of its own, too.
    RAISES (ClinbertError): if there are fewer GPUs than workers.
    """

    def __init__(self, workers: int = 1, gpus: bool = False) -> None:
        self._workers = workers
        self._gpus = _find_gpus(workers) if gpus else None

    def __call__(self, task: Callable[[Any], Any], items: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """Call the task on numbered items, and give the results with their numbers as they come."""
        if self._workers == 1 and self._gpus is None:
            yield from ((number, task(item)) for number, item in items)
            return
        threads = max(1, _count_cores() // self._workers)
        # Without a lock, which an ended process might hold for ever.
        stop = get_context("spawn").RawValue("b", False)
        gpus = self._gpus or repeat(None, self._workers)
        workers = [_Worker((task, stop, threads, gpu)) for gpu in gpus]
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
            stop.value = True
            for worker in workers:
                worker.pool.shutdown(cancel_futures=True)


def _count_cores() -> int:
    # Slurm and containers give a part of a machine.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _find_gpus(workers: int) -> list[str]:
    """Name the GPUs of so many workers, of those that this process may use."""
    from torch import cuda

    count = cuda.device_count()
    if count < workers:
        raise ClinbertError(f"there are {count} GPUs for {workers} workers: ask for fewer workers, or for no GPUs")
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return given.split(",")[:workers] if given else [str(number) for number in range(workers)]


class _Worker:
    """A pool of one process: one that ends takes no other with it, as it would in a larger pool."""

    def __init__(self, initial: tuple[Callable[[Any], Any], Any, int, Optional[str]]) -> None:
        self._initial = initial
        self._stillborn = 0
        self.given: dict[Future[Any], tuple[int, Any]] = {}
        self._start()

    def _start(self) -> None:
        # Spawned: a forked worker would inherit the parent's threads' locks, and torch if it has it.
        context = get_context("spawn")
        self._began = context.RawValue("b", False)
        self.pool = ProcessPoolExecutor(1, context, _start, (*self._initial, self._began))

    def give(self, number: int, item: Any) -> None:
        try:
            future = self.pool.submit(_call, item)
        except BrokenProcessPool as error:
            # It ended while it had nothing to do.
            future = Future()
            future.set_exception(error)
        self.given[future] = number, item

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
        self._stillborn = 0 if self._began.value else self._stillborn + 1
        if self._stillborn == TRIES:
            raise ClinbertError(
                f"{TRIES} worker processes ended before they began to work, for want of memory or of a package: run"
                " again with one worker, which says more"
            )
        waiting, self.given = list(self.given.values()), {}
        self.pool.shutdown()
        self._start()
        for number, item in waiting:
            self.give(number, item)


# What a worker does, whether it shall begin nothing more, and whether it has begun anything.
_work: list[tuple[Callable[[Any], Any], Any, Any]] = []


def _start(task: Callable[[Any], Any], stop: Any, threads: int, gpu: Optional[str], began: Any) -> None:
    heed_parent()
    # Before torch and tokenizers are loaded, which look at these once; what the user has set stays.
    for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ.setdefault(name, str(threads))
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    _work.append((task, stop, began))


def heed_parent() -> None:
    """Leave Control-C to the parent of this process, and end when the parent does, which else would be waited for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)


def _call(item: Any) -> Any:
    # Nobody who presses Control-C wants to wait for the end of a part.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    task, stop, began = _work[0]
    began.value = True
    try:
        return None if stop.value else task(item)
    except KeyboardInterrupt:
        stop.value = True
        raise
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
