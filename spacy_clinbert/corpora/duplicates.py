"""Near-duplicate documents across splits: a test document that training has seen teaches nothing about new ones."""

import re
from array import array
from collections import defaultdict
from typing import Dict, List, NamedTuple, Tuple

import numpy as np
from spacy.strings import hash_string  # type: ignore[attr-defined]

GRAM = 8
SHARE = 0.5
# Of a long document, this many n-grams stand for all: those whose hashes are smallest, so that two documents keep the
# same ones (Broder 1997, On the resemblance and containment of documents). A kilobyte a document.
KEPT = 128
# A pair is looked at from so many common n-grams on, or half of a shorter document's.
EVIDENCE = 3


class Pair(NamedTuple):
    """A document and its nearest one in an earlier split, which share more than half of the shorter one's n-grams.

    earlier (str), later (str): their names; splits (Tuple[str, str]): their splits.
    """

    earlier: str
    later: str
    splits: Tuple[str, str]


class Duplicates:
    """Collects documents, and says which are near-duplicates across splits."""

    def __init__(self) -> None:
        self._names: Dict[str, List[str]] = defaultdict(list)
        # The sketches of a split one after the other, and where each ends: an object each would take as much again.
        self._hashes: Dict[str, array] = defaultdict(lambda: array("Q"))
        self._ends: Dict[str, array] = defaultdict(lambda: array("q", [0]))

    def add(self, split: str, name: str, text: str) -> None:
        """Add a document.

        split (str): its split; name (str): its name; text (str): its text.
        """
        self._names[split].append(name)
        self._hashes[split].frombytes(sketch(text).tobytes())
        self._ends[split].append(len(self._hashes[split]))

    def pairs(self, splits: Tuple[str, ...]) -> List[Pair]:
        """Find the near-duplicates.

        splits (Tuple[str, ...]): the splits, in order.
        RETURNS (List[Pair]): for each document of a later split the nearest one of each earlier split, if more than
            half of the shorter one's 8-grams stand in the other. Documents of more than 128 different 8-grams are
            compared by a sample of them.
        """
        found = []
        for place, earlier in enumerate(splits):
            index = _Index(*self._arrays(earlier))
            for later in splits[place + 1 :]:
                hashes, ends = self._arrays(later)
                for number, name in enumerate(self._names[later]):
                    nearest, share = index.nearest(hashes[ends[number] : ends[number + 1]])
                    if share > SHARE:
                        found.append(Pair(self._names[earlier][nearest], name, (earlier, later)))
        return found

    def _arrays(self, split: str) -> Tuple[np.ndarray, np.ndarray]:
        return np.array(self._hashes[split], dtype=np.uint64), np.array(self._ends[split])


def sketch(text: str) -> np.ndarray:
    """Hash the 8-grams of words of a text and keep the smallest.

    text (str): the text; case and all but words do not count.
    RETURNS (np.ndarray): at most 128 hashes, ascending; none where the text has fewer than eight words.
    """
    words = re.findall(r"\w+", text.lower())
    grams = {" ".join(words[at : at + GRAM]) for at in range(len(words) - GRAM + 1)}
    return np.sort(np.array([hash_string(gram) for gram in grams], dtype=np.uint64))[:KEPT]


class _Index:
    """Sketches, to be looked up by their hashes."""

    def __init__(self, sketches: np.ndarray, ends: np.ndarray) -> None:
        self.sketches, self.ends, self.sizes = sketches, ends, np.diff(ends)
        order = np.argsort(sketches, kind="stable")
        self.hashes = sketches[order]
        self.owners = np.repeat(np.arange(len(self.sizes)), self.sizes)[order]

    def nearest(self, grams: np.ndarray) -> Tuple[int, float]:
        """The number of the sketch that shares most with another, and the share of the shorter one's n-grams."""
        starts, ends = (np.searchsorted(self.hashes, grams, side) for side in ("left", "right"))
        hits = [self.owners[start:end] for start, end in zip(starts, ends) if start < end]
        if not hits:
            return 0, 0.0
        near, shared = np.unique(np.concatenate(hits), return_counts=True)
        # Most share a phrase or two of their forms: too little to tell, and much to look through.
        enough = shared >= np.minimum(EVIDENCE, np.ceil(SHARE * np.minimum(self.sizes[near], len(grams))))
        near, shared = near[enough], shared[enough]
        if not len(near):
            return 0, 0.0
        # Beyond the largest hash that a full sketch kept, nothing is known of its document.
        most = np.iinfo(np.uint64).max
        theirs = self._rows(near)
        known = np.where(self.sizes[near] == KEPT, theirs[:, -1], most)
        known = np.minimum(known, grams[-1] if len(grams) == KEPT else most)
        inside = np.minimum((theirs <= known[:, None]).sum(axis=1), self.sizes[near])
        shares = shared / np.minimum(inside, np.searchsorted(grams, known, "right"))
        best = int(shares.argmax())
        return int(near[best]), float(shares[best])

    def _rows(self, near: np.ndarray) -> np.ndarray:
        """Some sketches, a row each, filled up with the largest number."""
        places = self.ends[near][:, None] + np.arange(KEPT)
        rows = self.sketches[np.minimum(places, len(self.sketches) - 1)]
        return np.where(np.arange(KEPT) < self.sizes[near][:, None], rows, np.iinfo(np.uint64).max)
