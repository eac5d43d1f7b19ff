"""Which events belong to which set of codes."""

import fnmatch
import re
from collections.abc import Collection, Mapping

import polars as pl

from .cohort_settings import CodeSet

# A bit for each set that an event belongs to, and whether a case is told by its code.
SETS, TELLING = "sets", "telling"
_DOTTED = ("ICD9CM", "ICD10CM", "ICD9PROC", "ICD10PCS")


class SetMarker:
    """Marks the sets of events; each different code is looked at once.

    sets (Mapping[str, CodeSet]): by name, at most 62.
    telling (Collection[str]): sets of which a code, whatever its value, tells who is a case: inputs must not have it.

    `present` are the sets of which any code was met, with a value where it takes one; `systems` all code systems met.
    """

    def __init__(self, sets: Mapping[str, CodeSet], telling: Collection[str] = ()) -> None:
        self._sets = dict(sets)
        self._places = {name: place for place, name in enumerate(self._sets)}
        self._telling = self._bits(telling)
        self._patterns: dict[str, list[tuple[int, re.Pattern[str]]]] = {}
        for name, code_set in self._sets.items():
            for system, patterns in code_set.codes.items():
                spelt = [each.replace(".", "") if system in _DOTTED else each for each in patterns]
                if spelt:
                    joined = re.compile("|".join(map(fnmatch.translate, spelt)), re.IGNORECASE)
                    self._patterns.setdefault(system, []).append((self._bits([name]), joined))
        self._known: dict[tuple[str, str], int] = {}
        self.present: set[str] = set()
        self.systems: set[str] = set()

    def mark(self, events: pl.DataFrame) -> pl.DataFrame:
        """Mark events.

        events (pl.DataFrame): with system, code and value.
        RETURNS (pl.DataFrame): the same with `sets`, to be asked by `belongs`, and `telling`, a truth value.
        """
        codes = events.select("system", "code").unique()
        self.systems.update(codes["system"])
        bits = pl.Series(SETS, [self._look_up(system, code) for system, code in codes.iter_rows()], pl.Int64)
        marked = events.join(codes.with_columns(bits), on=["system", "code"], how="left", maintain_order="left")
        counted = pl.col(SETS)
        for name, code_set in self._sets.items():
            valued = pl.lit(True) if code_set.value_min is None else pl.col("value").is_not_null()
            if marked.select((self.belongs(name) & valued).any()).item():
                self.present.add(name)
            if code_set.value_min is not None:
                high = (pl.col("value") >= code_set.value_min).fill_null(False)
                counted = pl.when(high).then(counted).otherwise(counted & ~self._bits([name]))
        return marked.with_columns((pl.col(SETS) & self._telling != 0).alias(TELLING), counted.alias(SETS))

    def belongs(self, *names: str) -> pl.Expr:
        """Whether an event belongs to any of these sets."""
        return pl.col(SETS) & self._bits(names) != 0

    def _bits(self, names: Collection[str]) -> int:
        return sum(1 << self._places[name] for name in set(names))

    def _look_up(self, system: str, code: str) -> int:
        key = (system, code)
        if key not in self._known:
            found = (bit for bit, pattern in self._patterns.get(system, ()) if pattern.match(code))
            self._known[key] = sum(found)
        return self._known[key]
