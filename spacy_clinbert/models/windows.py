"""Windows of wordpieces: cut at sentence bounds, all covered, each token read where it stands most centrally."""

from typing import Iterator, NamedTuple, Sequence

import numpy as np

WINDOW_MODES = ("sentence", "packed")


class Window(NamedTuple):
    """A run of wordpieces that goes through the encoder together, and the part of it whose rows are used."""

    start: int
    end: int
    keep_start: int
    keep_end: int


def cut_windows(
    starts: np.ndarray, bounds: Sequence[int], sections: set[int], mode: str, limit: int, overlap: int
) -> list[Window]:
    """Cut the wordpieces of one Doc into windows.

    starts (ndarray): where the pieces of each token start, shape (n_tokens + 1,).
    bounds (Sequence[int]): token indices at which a sentence or section starts, ascending, the first 0.
    sections (Set[int]): those of the bounds at which a section starts.
    mode (str): "sentence" (a window a sentence) or "packed" (whole sentences packed up to the limit, never across
        sections).
    limit (int): the largest number of wordpieces in a window, special pieces not counted.
    overlap (int): how many wordpieces two windows of one sentence that is longer than the limit share.
    RETURNS (List[Window]): windows in order; their kept parts tile all wordpieces.
    """
    edges = [*(int(starts[b]) for b in bounds), int(starts[-1])]
    windows: list[Window] = []
    first = 0
    while first < len(bounds):
        last = first + 1
        if mode == "packed":
            while last < len(bounds) and bounds[last] not in sections and edges[last + 1] - edges[first] <= limit:
                last += 1
        windows.extend(cut_run(starts, edges[first], edges[last], limit, overlap))
        first = last
    return windows


def cut_run(starts: np.ndarray, start: int, end: int, limit: int, overlap: int) -> Iterator[Window]:
    """Cut one run of wordpieces that may be longer than the limit, at token bounds wherever a token fits a window."""
    keep_start = start
    while start < end:
        stop = min(start + limit, end)
        if stop < end:
            stop = token_bound_at_most(starts, stop, floor=start)
        if stop == end:
            yield Window(start, end, keep_start, end)
            return
        following = token_bound_at_least(starts, max(stop - overlap, start + 1), ceiling=stop)
        # Seen from either window, the middle of what both share is equally far from the cut.
        keep_end = token_bound_at_least(starts, max((following + stop) // 2, keep_start), ceiling=stop)
        yield Window(start, stop, keep_start, keep_end)
        start, keep_start = following, keep_end


def token_bound_at_most(starts: np.ndarray, piece: int, floor: int) -> int:
    """The last token start at or before a piece, or the piece itself where one token fills all from the floor on."""
    bound = int(starts[np.searchsorted(starts, piece, side="right") - 1])
    return bound if bound > floor else piece


def token_bound_at_least(starts: np.ndarray, piece: int, ceiling: int) -> int:
    """The first token start at or behind a piece, or the ceiling where none comes before it."""
    return min(int(starts[np.searchsorted(starts, piece, side="left")]), ceiling)
