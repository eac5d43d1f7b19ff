"""Linear time, told by growth rather than by seconds: coverage and a busy machine slow both measurements alike."""

import time
from typing import Callable

# Seconds below which nothing is told. A tenth of the text takes a tenth of the time, a hundredth where it is quadratic.
NOISE = 2.0
GROWTH = 40


def assert_linear(work: Callable[[str], object], text: str) -> None:
    """Run the work on a tenth of a text and on all of it, and compare the times."""

    def seconds(part: str) -> float:
        start = time.process_time()
        work(part)
        return time.process_time() - start

    tenth = seconds(text[: len(text) // 10])
    assert seconds(text) < max(NOISE, GROWTH * tenth)
