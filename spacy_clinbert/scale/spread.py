"""Work spread over processes, whatever runs them: results in order, ended processes made good. No torch."""

from collections import deque
from typing import Any, Callable, Deque, Dict, Iterable, Iterator, Tuple, TypeVar

from ..errors import ClinbertError

Item = TypeVar("Item")
Result = TypeVar("Result")

# What an engine is. It calls a task on numbered items, which it draws only as fast as it needs them, and gives their
# numbered results in any order; where a process ended, `Lost()` in the place of a result, or raised for all that are
# under way.
Run = Callable[[Callable[[Any], Any], Iterator[Tuple[int, Any]]], Iterator[Tuple[int, Any]]]

# Processes that may end one after the other, with no result between them.
TRIES = 3


class Lost(Exception):
    """A process ended before its work did."""


def spread(task: Callable[[Item], Result], items: Iterable[Item], run: Run, tries: int = TRIES) -> Iterator[Result]:
    """Call a function on items wherever an engine runs it.

    task (Callable): a top-level function or an object of a top-level class, sent to each process.
    items (Iterable): what it is called on; those without a result are kept, to be tried again.
    run (Run): what runs it, as `engines.choose` gives it.
    tries (int): how many processes may end one after the other without any result between them.
    YIELDS: the results in the order of the items.
    RAISES (ClinbertError): if so many processes ended; errors of the task and of the items as they are.
    """
    numbered = enumerate(items)
    under_way: Dict[int, Item] = {}
    again: Deque[int] = deque()
    done: Dict[int, Result] = {}
    following = ended = 0

    def draw() -> Iterator[Tuple[int, Item]]:
        while True:
            if again:
                number = again.popleft()
            else:
                try:
                    number, under_way[number] = next(numbered)
                except StopIteration:
                    return
            yield number, under_way[number]

    while True:
        try:
            for number, result in run(task, draw()):
                if isinstance(result, Lost):
                    again.append(number)
                    ended = _count(ended, tries)
                    continue
                del under_way[number]
                done[number] = result
                ended = 0
                while following in done:
                    yield done.pop(following)
                    following += 1
        except Lost:
            ended = _count(ended, tries)
        if not under_way:
            return
        again = deque(sorted(under_way))


def _count(ended: int, tries: int) -> int:
    if ended + 1 == tries:
        raise ClinbertError(
            f"the system ended worker processes {tries} times without a result between, most often for want of memory:"
            " run again with fewer workers; what is finished stays"
        )
    return ended + 1
