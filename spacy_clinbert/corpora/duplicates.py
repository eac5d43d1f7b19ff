"""Near-duplicate documents across splits: a test document that training has seen teaches nothing about new ones."""

import re
from collections import defaultdict
from typing import Dict, List, NamedTuple, Sequence, Tuple

import numpy as np
from spacy.strings import hash_string

GRAM = 8
SHARE = 0.5
# Of a long document, this many n-grams stand for all: those whose hashes are smallest, so that two documents keep the
# same ones (Broder 1997, On the resemblance and containment of documents). A kilobyte a document.
KEPT = 128


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
        self._sketches: Dict[str, List[np.ndarray]] = defaultdict(list)

    def add(self, split: str, name: str, text: str) -> None:
        """Add a document.

        split (str): its split; name (str): its name; text (str): its text.
        """
        self._names[split].append(name)
        self._sketches[split].append(sketch(text))

    def pairs(self, splits: Tuple[str, ...]) -> List[Pair]:
        """Find the near-duplicates.

        splits (Tuple[str, ...]): the splits, in order.
        RETURNS (List[Pair]): for each document of a later split the nearest one of each earlier split, if more than
            half of the shorter one's 8-grams stand in the other. Documents of more than 128 different 8-grams are
            compared by a sample of them.
        """
        found = []
        for place, earlier in enumerate(splits):
            index = _Index(self._sketches[earlier])
            for later in splits[place + 1 :]:
                for name, grams in zip(self._names[later], self._sketches[later]):
                    nearest, share = index.nearest(grams)
                    if share > SHARE:
                        found.append(Pair(self._names[earlier][nearest], name, (earlier, later)))
        return found


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

    def __init__(self, sketches: Sequence[np.ndarray]) -> None:
        self.sizes = np.array([len(grams) for grams in sketches], dtype=np.int64)
        owners = np.repeat(np.arange(len(sketches)), self.sizes)
        hashes = np.concatenate([*sketches, np.empty(0, np.uint64)])
        order = np.argsort(hashes, kind="stable")
        self.hashes, self.owners = hashes[order], owners[order]
        self.rows = np.full((len(sketches), KEPT), np.iinfo(np.uint64).max, dtype=np.uint64)
        for row, grams in zip(self.rows, sketches):
            row[: len(grams)] = grams

    def nearest(self, grams: np.ndarray) -> Tuple[int, float]:
        """The number of the sketch that shares most with another, and the share of the shorter one's n-grams."""
        starts, ends = (np.searchsorted(self.hashes, grams, side) for side in ("left", "right"))
        hits = [self.owners[start:end] for start, end in zip(starts, ends) if start < end]
        if not hits:
            return 0, 0.0
        near, shared = np.unique(np.concatenate(hits), return_counts=True)
        # Beyond the largest hash that a full sketch kept, nothing is known of its document.
        most = np.iinfo(np.uint64).max
        known = np.where(self.sizes[near] == KEPT, self.rows[near, KEPT - 1], most)
        known = np.minimum(known, grams[-1] if len(grams) == KEPT else most)
        theirs = np.minimum((self.rows[near] <= known[:, None]).sum(axis=1), self.sizes[near])
        ours = np.searchsorted(grams, known, "right")
        shares = shared / np.minimum(theirs, ours)
        best = int(shares.argmax())
        return int(near[best]), float(shares[best])
