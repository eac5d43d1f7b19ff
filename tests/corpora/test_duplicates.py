import random

import pytest

from spacy_clinbert.corpora.duplicates import KEPT, Duplicates, Pair, sketch

SPLITS = ("train", "dev", "test")


def words(number: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [f"w{rng.randrange(10**6)}" for _ in range(number)]


def grams(text: list[str]) -> set[tuple[str, ...]]:
    return {tuple(text[at : at + 8]) for at in range(len(text) - 7)}


@pytest.mark.parametrize("length", [12, 30, 100, 400, 3000])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.8, 1.0])
def test_shares_far_from_half_are_told(length: int, share: float) -> None:
    """Against the definition, counted in full: the share of the shorter document's 8-grams that stand in the other."""
    first, other = words(length, 1), words(length, 2)
    kept = round(share * length)
    second = first[:kept] + other[kept:]
    exact = len(grams(first) & grams(second)) / min(len(grams(first)), len(grams(second)))
    assert (exact > 0.5) == (share > 0.5)
    found = Duplicates()
    found.add("train", "a", " ".join(words(50, 3)))
    found.add("train", "b", " ".join(first))
    found.add("test", "c", "\n".join(second).upper())
    assert found.pairs(SPLITS) == ([Pair("b", "c", ("train", "test"))] if share > 0.5 else [])


def test_a_short_note_inside_a_long_one() -> None:
    long = words(5000, 1)
    found = Duplicates()
    found.add("train", "long", " ".join(long))
    found.add("dev", "part", " ".join(long[1000:3000]))
    found.add("test", "other", " ".join(words(2000, 2)))
    assert found.pairs(SPLITS) == [Pair("long", "part", ("train", "dev"))]


def test_a_short_note_of_few_sampled_grams_inside_a_long_one() -> None:
    """Of 73 8-grams some nine are in the range that the long note's sketch knows."""
    for seed in range(20):
        long = words(1000, seed)
        found = Duplicates()
        found.add("train", "long", " ".join(long))
        found.add("test", "part", " ".join(long[400:480]))
        assert found.pairs(SPLITS) == [Pair("long", "part", ("train", "test"))]


def test_a_thousand_copies_are_found_and_each_counted_once() -> None:
    text = " ".join(words(60, 1))
    found = Duplicates()
    for number in range(1000):
        found.add("train", f"a{number}", text)
        found.add("test", f"b{number}", text)
    assert [pair.later for pair in found.pairs(SPLITS)] == [f"b{number}" for number in range(1000)]


def test_within_a_split_and_without_words_there_are_none() -> None:
    found = Duplicates()
    for split in ("train", "train", "dev"):
        found.add(split, "x", "seven words are too few for one")
    assert found.pairs(SPLITS) == []
    assert len(sketch("")) == 0 and len(sketch(" ".join(words(2000, 1)))) == KEPT
