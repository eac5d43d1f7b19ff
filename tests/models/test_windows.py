"""Windows cover every wordpiece, stay within the limit, and read each token where it stands most centrally."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spacy_clinbert.models.windows import cut_windows


@st.composite
def layouts(draw):
    lengths = draw(st.lists(st.integers(0, 30), max_size=40))
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = st.integers(0, max(len(lengths) - 1, 0))
    sections = draw(st.sets(tokens, max_size=4))
    bounds = sorted({0, *draw(st.sets(tokens, max_size=8)), *sections})
    limit = draw(st.integers(1, 40))
    return starts, bounds, sections, limit, draw(st.integers(0, limit - 1))


@given(layouts(), st.sampled_from(["sentence", "packed"]))
def test_windows_tile_within_limit_and_bounds(layout, mode):
    starts, bounds, sections, limit, overlap = layout
    windows = cut_windows(starts, bounds, sections, mode, limit, overlap)
    kept = [piece for w in windows for piece in range(w.keep_start, w.keep_end)]
    assert kept == list(range(starts[-1]))
    walls = {int(starts[t]) for t in (bounds if mode == "sentence" else sections)}
    for w in windows:
        assert w.start <= w.keep_start <= w.keep_end <= w.end
        assert 0 < w.end - w.start <= limit
        assert not any(w.start < wall < w.end for wall in walls)


@given(layouts())
def test_a_token_that_fits_is_read_whole(layout):
    starts, bounds, sections, limit, overlap = layout
    windows = cut_windows(starts, bounds, sections, "sentence", limit, overlap)
    for token in range(len(starts) - 1):
        first, last = starts[token], starts[token + 1]
        if 0 < last - first <= limit:
            owners = [w for w in windows if w.keep_start < last and w.keep_end > first]
            assert len(owners) == 1 and owners[0].start <= first and last <= owners[0].end


def test_the_more_central_window_is_kept():
    starts = np.arange(21)
    first, second, third = cut_windows(starts, [0], set(), "sentence", 10, 4)
    assert (first.start, first.end, second.start, second.end) == (0, 10, 6, 16)
    assert (first.keep_end, second.keep_end) == (8, 14)
    assert third == (12, 20, 14, 20)


def test_packing_fills_windows_but_not_across_sections():
    starts = np.arange(13)
    windows = cut_windows(starts, [0, 3, 6, 9], {6}, "packed", 8, 0)
    assert [(w.start, w.end) for w in windows] == [(0, 6), (6, 12)]
    windows = cut_windows(starts, [0, 3, 6, 9], {0}, "packed", 8, 0)
    assert [(w.start, w.end) for w in windows] == [(0, 6), (6, 12)]
    windows = cut_windows(starts, [0, 3, 6, 9], {0}, "packed", 9, 0)
    assert [(w.start, w.end) for w in windows] == [(0, 9), (9, 12)]
