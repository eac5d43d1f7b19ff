"""Tasks for the tests of engines: top-level, so that other processes can import them."""

import os
import signal
import time
from pathlib import Path
from typing import Any, NamedTuple

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.scale.made import make


def square(number: int) -> int:
    """The simplest work."""
    return number * number


class CountCalls:
    """Says how often this very object was called in this process."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, number: int) -> tuple[int, int]:
        self._calls += 1
        return os.getpid(), self._calls


class KillOnce(NamedTuple):
    """Ends its process, as the system does for want of memory, the first time that it sees one of ten items."""

    folder: Path

    def __call__(self, number: int) -> int:
        mark = self.folder / str(number)
        if number % 3 == 0 and number < 30 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return square(number)


class KillAlways(NamedTuple):
    """Ends its process each time that it sees one item, and notes it."""

    log: Path

    def __call__(self, number: int) -> int:
        if number == 5:
            with self.log.open("a") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return square(number)


def fail(number: int) -> int:
    """Fails on item 5 in our words, on item 7 in those of a careless library."""
    if number == 5:
        raise ClinbertError("note 5 has no text: give one")
    if number == 7:
        raise KeyError("secret note")
    return number


class MakeFile(NamedTuple):
    """Makes a file of an item, and notes that it was made."""

    folder: Path

    def __call__(self, number: int) -> dict[str, Any]:
        def write(path: Path) -> dict[str, Any]:
            time.sleep(0.1)
            path.write_text(f"{number}\n" * 1000, encoding="utf-8")
            with (self.folder / "log").open("a") as log:
                log.write(f"{number}\n")
            return {"rows": 1000}

        work = self.folder / "work"
        return make(work, self.folder / f"part-{number:05}", write)
