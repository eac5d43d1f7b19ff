"""The hierarchy of codes for an encoder: each code's ancestors, to which unknown codes back off."""

import json
from collections.abc import Iterable
from pathlib import Path

from .codes import RollUp, ancestors_of
from .icd_tables import known_codes
from .schemas import DIAGNOSES


def find_ancestors(keys: Iterable[str], roll_up: RollUp) -> dict[str, list[str]]:
    """Give the ancestors of codes, and of all other codes of ICD.

    keys (Iterable[str]): those of a vocabulary; special tokens have no ancestors.
    roll_up (RollUp): how the codes of the patients were rolled up.
    RETURNS (dict[str, list[str]]): for each key that has any, its ancestors, the nearest first.
    """
    known = (roll_up.roll(system, code).codes for system in DIAGNOSES for code in known_codes(system))
    wanted = sorted({*keys, *(key for codes in known for key in codes)})
    return {key: found for key in wanted if (found := ancestors_of(key))}


def write_ancestors(keys: Iterable[str], roll_up: RollUp, path: Path) -> None:
    """Write `find_ancestors` as JSON, a line a code; the same vocabulary gives the same bytes."""
    lines = (f"{json.dumps(key)}: {json.dumps(found)}" for key, found in find_ancestors(keys, roll_up).items())
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
