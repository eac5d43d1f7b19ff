"""The vocabulary of codes: keys `SYSTEM/CODE` by id, the most frequent first."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Tuple

import numpy as np
import pyarrow as pa

from ..errors import ClinbertError
from .schemas import SPECIALS, UNK


class CodeBook:
    """Numbers for keys, in the order in which they are met, and how many patients have each.

    keys (list[str]): the keys by number; counts (np.ndarray): int64, the patients counted for each.
    """

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.counts = np.zeros(0, dtype=np.int64)
        self._numbers: dict[str, int] = {}

    def number(self, keys: Sequence[str]) -> np.ndarray:
        """Number keys: int32 of shape (keys,)."""
        for key in keys:
            if key not in self._numbers:
                self._numbers[key] = len(self.keys)
                self.keys.append(key)
        self.counts = np.pad(self.counts, (0, len(self.keys) - len(self.counts)))
        return np.array([self._numbers[key] for key in keys], dtype=np.int32)

    def count(self, patients: np.ndarray, numbers: np.ndarray) -> None:
        """Count each key once for each patient; both int arrays of shape (codes,)."""
        pairs = np.unique((patients.astype(np.int64) << 32) | numbers)
        self.counts += np.bincount(pairs & 0xFFFFFFFF, minlength=len(self.keys))


def sort_keys(keys: pa.Array) -> Tuple[list[str], np.ndarray]:
    """Sort keys.

    keys (pa.Array): strings.
    RETURNS (tuple[list[str], np.ndarray]): the different ones in order; the place of each of `keys` among them, int32.
    """
    encoded = keys.dictionary_encode()
    different = encoded.dictionary.to_pylist()
    order = sorted(range(len(different)), key=different.__getitem__)
    places = np.empty(len(different), dtype=np.int32)
    places[order] = np.arange(len(different), dtype=np.int32)
    return [different[number] for number in order], places[encoded.indices.to_numpy()]


def choose_codes(keys: Sequence[str], counts: np.ndarray, min_count: int) -> list[str]:
    """Choose the vocabulary.

    keys (Sequence[str]): all keys; counts (np.ndarray): the training patients who have each.
    min_count (int): a key of fewer is left out.
    RETURNS (list[str]): the special tokens, then the keys from the most frequent on, equal ones by their strings.
    """
    kept = [place for place, count in enumerate(counts.tolist()) if count >= min_count]
    if not kept:
        logging.getLogger("spacy_clinbert").warning(
            "no code has %d training patients, so all are unknown: prepare more patients, or take a smaller min_count",
            min_count,
        )
    return [*SPECIALS, *(keys[place] for place in sorted(kept, key=lambda place: (-counts[place], keys[place])))]


def find_ids(keys: Sequence[str], vocabulary: Sequence[str]) -> np.ndarray:
    """The ids of keys, [UNK] for those that the vocabulary lacks: int32 of shape (keys,)."""
    ids = {key: number for number, key in enumerate(vocabulary)}
    return np.array([ids.get(key, UNK) for key in keys], dtype=np.int32)


def write_codes(vocabulary: Sequence[str], path: Path) -> None:
    """Write a vocabulary, its keys in the order of their ids."""
    path.write_text(json.dumps(vocabulary, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


def read_codes(path: Path) -> list[str]:
    """Read a vocabulary.

    path (Path): codes.json of prepared patients or of an encoder.
    RETURNS (list[str]): the keys in the order of their ids.
    RAISES (ClinbertError): if there is none, or it is no list of different keys.
    """
    try:
        keys = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise ClinbertError(f"{path} cannot be read: give the folder of prepared patients or of an encoder") from None
    except ValueError:
        keys = None
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or len(set(keys)) != len(keys):
        raise ClinbertError(f"{path} is no list of different keys: copy the folder again, or make it anew")
    return keys
