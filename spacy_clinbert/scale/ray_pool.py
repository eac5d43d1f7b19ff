"""A pool of Ray actors that keep a task for a whole run; one that ends takes no other with it. No torch."""

from collections import deque
from itertools import islice
from typing import Any, Callable, Deque, Dict, Iterator, NamedTuple, Optional, Tuple

from ..errors import ClinbertError
from .failures import tell
from .spread import Lost

Numbered = Tuple[int, Any]

# Items at an actor: one to work on, one to come.
AHEAD = 2
# Seconds to wait for an actor where none is at work, as long as a cloud may take to start a machine.
PATIENCE = 900


class Pool:
    """Actors on the Ray that is connected.

    ray (Any): the package.
    task (Callable[[Any], Any]): what they call; items (Iterator[Numbered]): on what, drawn as they need it.
    gpus (bool): whether each has a GPU of its own.
    """

    def __init__(self, ray: Any, task: Callable[[Any], Any], items: Iterator[Numbered], gpus: bool) -> None:
        self._ray = ray
        self._actor = ray.remote(num_cpus=1, num_gpus=int(gpus))(_Worker)
        self._task = ray.put(task)
        self._items = items
        self._seats: list[_Seat] = []
        # What is under way: the start of an actor, or its call on an item.
        self._calls: Dict[Any, Tuple[_Seat, Optional[Numbered]]] = {}
        # Drawn, and at no actor yet.
        self._waiting: Deque[Numbered] = deque()

    def results(self, workers: int) -> Iterator[Numbered]:
        """Give the numbered results as they come, from as many actors as there are items and the cluster has room for.

        RAISES (ClinbertError): if the task fails, or the actors cannot start.
        """
        while len(self._seats) < workers and self._draw(len(self._seats) + 1):
            self._start()
        while (working := any(numbered for _, numbered in self._calls.values())) or self._draw(1):
            # Also later: a cluster that has lost its only worker may have no room for another.
            patience = None if working else PATIENCE
            finished, _ = self._ray.wait(list(self._calls), timeout=patience)
            if not finished:
                raise ClinbertError(
                    f"Ray has started no worker in {PATIENCE} seconds: see in `ray status` whether the cluster lacks"
                    " CPUs or GPUs"
                )
            yield from self._settle(finished[0])
            self._hand_out()

    def _settle(self, finished: Any) -> Iterator[Numbered]:
        seat, numbered = self._calls.pop(finished)
        try:
            result = self._ray.get(finished)
        except self._ray.exceptions.RayError as error:
            self._check(error)
            if not numbered:
                raise Lost from None
            if seat not in self._seats:
                self._waiting.append(numbered)
                return
            # An actor's calls run one after the other: this one was at work, others of it still waited.
            self._seats.remove(seat)
            self._ray.kill(seat.actor)
            self._start()
            result = Lost()
        if isinstance(result, Failed):
            raise ClinbertError(result.sentence)
        if numbered:
            seat.held -= 1
            yield numbered[0], result
        else:
            seat.ready = True

    def _check(self, error: Any) -> None:
        """Tell what no other actor would do better."""
        if isinstance(error, self._ray.exceptions.RayTaskError) or getattr(error, "actor_init_failed", False):
            kind = type(getattr(error, "cause", error)).__name__
            raise ClinbertError(
                f"a Ray worker cannot take the work ({kind}): install the same packages on every machine"
            ) from None

    def _start(self) -> None:
        # No retries of Ray's own: `spread` counts the processes that end.
        seat = _Seat(self._actor.remote())
        self._seats.append(seat)
        self._calls[seat.actor.take.remote(self._task)] = seat, None

    def _hand_out(self) -> None:
        """Give items to the actors that have started: one each, then more, as long as those that start have theirs."""
        starting = sum(not seat.ready for seat in self._seats)
        for held in range(AHEAD):
            for seat in self._seats:
                if seat.ready and seat.held == held and self._draw(1 + (starting if held else 0)):
                    numbered = self._waiting.popleft()
                    self._calls[seat.actor.call.remote(numbered[1])] = seat, numbered
                    seat.held += 1

    def _draw(self, wanted: int) -> bool:
        """Draw items until so many wait, if there are so many."""
        self._waiting.extend(islice(self._items, max(0, wanted - len(self._waiting))))
        return len(self._waiting) >= wanted

    def close(self) -> None:
        """End the actors."""
        # Else, where Python itself ends, Ray would be started once more.
        if self._ray.is_initialized():
            for seat in self._seats:
                self._ray.kill(seat.actor)


class _Seat:
    """An actor, whether it has started, and how many items it holds."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.ready = False
        self.held = 0


class Failed(NamedTuple):
    """What takes the place of a result where the task failed: why, for the user."""

    sentence: str


class _Worker:
    """What an actor is: it keeps the task, and so whatever the task keeps."""

    def take(self, task: Callable[[Any], Any]) -> None:
        self._task = task

    def call(self, item: Any) -> Any:
        try:
            return self._task(item)
        except Exception as error:
            # Ray would log the error, and hand on its message, which may quote a note.
            return Failed(tell(error))
