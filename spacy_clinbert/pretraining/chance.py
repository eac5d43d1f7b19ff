"""Random numbers that are a function of what they are for, so that no order of work can change them."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

# The increment and the multipliers of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
# generators"; constants of Vigna's reference code).
_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def name_keys(names: Iterable[str], seed: int) -> np.ndarray:
    """Hash names, such as note ids.

    names (Iterable[str]): the names.
    seed (int): other seeds give other keys.
    RETURNS (np.ndarray): a uint64 for each.
    """
    digests = (hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(b"".join(digests), dtype="<u8")


def mix(keys: np.ndarray, numbers: Any) -> np.ndarray:
    """Give the `numbers`-th output of the SplitMix64 generators that start at `keys`: new keys, each of 64 random bits.

    keys (np.ndarray): uint64.
    numbers (int or np.ndarray): from 0; the two are broadcast.
    RETURNS (np.ndarray): uint64.
    """
    with np.errstate(over="ignore"):
        bits = keys + (np.asarray(numbers).astype(np.uint64) + np.uint64(1)) * _STEP
        bits = (bits ^ (bits >> np.uint64(30))) * _FIRST
        bits = (bits ^ (bits >> np.uint64(27))) * _SECOND
    return bits ^ (bits >> np.uint64(31))


def uniform(keys: np.ndarray, numbers: Any) -> np.ndarray:
    """Give the same outputs as numbers of [0, 1), in steps of 2^-53.

    keys, numbers: as in `mix`.
    RETURNS (np.ndarray): float64.
    """
    return (mix(keys, numbers) >> np.uint64(11)) * 2.0**-53
