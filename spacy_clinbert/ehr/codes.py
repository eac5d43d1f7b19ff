"""Codes rolled up: to fewer characters, to blocks, chapters or clinical categories; ICD-9 to ICD-10.

Keys afterwards: a category or a subcategory ICD10CM/I50 or ICD9CM/4280, a block ICD10CM/I30-I5A or ICD9CM/420-429, a
chapter ICD10CM/I00-I99, a clinical category CCSR/CIR019. Only diagnoses are rolled up; codes of other systems stay.
"""

from collections import Counter
from typing import Literal, NamedTuple, Optional

import polars as pl

from .icd_tables import blocks, category, ccsr, chapters, icd10_of_icd9
from .schemas import DIAGNOSES, ICD9, ICD10

Level = Literal["full", "5", "4", "3", "block", "chapter", "ccsr"]
CCSR = "CCSR"
# Why a code stays what it is.
NO_ICD10 = "the GEM says that ICD-10 has no code for it"
NOT_IN_GEM = "the GEM does not know it"
NO_SHAPE = "it has not the shape of a code of its system"
NO_BLOCK = "it lies in no block"
NO_CHAPTER = "it lies in no chapter"
NO_CCSR = "CCSR has no category for it"


class Rolled(NamedTuple):
    """What a code becomes.

    codes (tuple[str, ...]): keys `SYSTEM/CODE`, more than one where ICD-10 needs several.
    reasons (tuple[str, ...]): why it could not be mapped or rolled up; empty if it could.
    """

    codes: tuple[str, ...]
    reasons: tuple[str, ...] = ()


class RollUp:
    """Rolls the codes of EVENTS up; what it cannot is kept as it is and counted.

    level (Level): "full" for whole codes; "3" for categories, "4" and "5" for one and two characters more (a category
        has three characters, an E code of ICD-9-CM four); "block" (in ICD-9-CM section), "chapter"; "ccsr" for the
        first CCSR category, to which ICD-9 codes come by ICD-10.
    to_icd10 (bool): ICD-9 codes are mapped to ICD-10 first, by the General Equivalence Mapping.
    left (Counter[tuple[str, str]]): rows that were not mapped or rolled up, by key and reason.
    """

    def __init__(self, level: Level = "full", to_icd10: bool = False) -> None:
        self.level = level
        self.to_icd10 = to_icd10 or level == "ccsr"
        self.left: Counter[tuple[str, str]] = Counter()
        self._known: dict[str, Rolled] = {}

    def __call__(self, events: pl.DataFrame) -> pl.DataFrame:
        """Roll up the codes of some events.

        events (pl.DataFrame): with `system` and `code`, such as EVENTS.
        RETURNS (pl.DataFrame): the same columns; a row for each code that a row's code became, in the same order. A
            code may then stand in a visit more than once.
        """
        if self.level == "full" and not self.to_icd10:
            return events
        found = events.group_by("system", "code").len()
        rolled = [self.roll(system, code) for system, code, _ in found.iter_rows()]
        for (system, code, rows), became in zip(found.iter_rows(), rolled, strict=True):
            self.left.update({(f"{system}/{code}", reason): rows for reason in became.reasons})
        keys = pl.Series("_keys", [became.codes for became in rolled], pl.List(pl.String))
        joined = events.join(found.with_columns(keys), on=["system", "code"], how="left", maintain_order="left")
        parts = pl.col("_keys").str.splitn("/", 2).struct
        return (
            joined.explode("_keys").with_columns(system=parts.field("field_0"), code=parts.field("field_1"))
        ).select(events.columns)

    def left_rows(self) -> pl.DataFrame:
        """What was not mapped or rolled up: code (its key), reason and rows, the most frequent first."""
        rows = [(code, reason, count) for (code, reason), count in self.left.items()]
        table = pl.DataFrame(rows, {"code": pl.String, "reason": pl.String, "rows": pl.Int64}, orient="row")
        return table.sort(["rows", "code", "reason"], descending=[True, False, False])

    def roll(self, system: str, code: str) -> Rolled:
        """Roll one code up."""
        key = f"{system}/{code}"
        if key not in self._known:
            self._known[key] = self._roll(system, code) if system in DIAGNOSES else Rolled((key,))
        return self._known[key]

    def _roll(self, system: str, code: str) -> Rolled:
        if self.to_icd10 and system == ICD9:
            mapped = icd10_of_icd9().get(code)
            if mapped:
                parts = [self._lift(ICD10, each) for each in mapped]
                codes = dict.fromkeys(each for part in parts for each in part.codes)
                return Rolled(tuple(codes), tuple(dict.fromkeys(each for part in parts for each in part.reasons)))
            reason = NOT_IN_GEM if mapped is None else NO_ICD10
            kept = Rolled((f"{system}/{code}",)) if self.level == "ccsr" else self._lift(system, code)
            return Rolled(kept.codes, (reason, *kept.reasons))
        return self._lift(system, code)

    def _lift(self, system: str, code: str) -> Rolled:
        if self.level == "full":
            return Rolled((f"{system}/{code}",))
        if self.level == "ccsr":
            name = ccsr().get(code)
            return Rolled((f"{CCSR}/{name}",)) if name else Rolled((f"{system}/{code}",), (NO_CCSR,))
        if self.level == "block":
            name, reason = _group(system, code, "block"), NO_BLOCK
        elif self.level == "chapter":
            name, reason = _group(system, code, "chapter"), NO_CHAPTER
        else:
            name, reason = _cut(system, code, int(self.level) - 3), NO_SHAPE
        return Rolled((f"{system}/{name or code}",), () if name else (reason,))


def _cut(system: str, code: str, more: int) -> Optional[str]:
    if code in blocks(system) or code in chapters(system):
        return code
    found = category(system, code)
    return found and code[: len(found) + more]


def _group(system: str, code: str, level: str) -> Optional[str]:
    """The block or chapter of a code, or of a block."""
    ranges = blocks(system) if level == "block" else chapters(system)
    if code in ranges:
        return code
    found = category(system, code.partition("-")[0] if code in blocks(system) else code)
    return found and ranges.find(found)


def ancestors_of(key: str) -> list[str]:
    """Give what a code can be rolled up to: its category, block and chapter, or the body system of a CCSR category.

    key (str): `SYSTEM/CODE`.
    RETURNS (list[str]): keys, the nearest first; none for a code of no hierarchy.
    """
    system, _, code = key.partition("/")
    if system == CCSR:
        return [f"{CCSR}/{code[:3]}"] if len(code) > 3 else []
    if system not in DIAGNOSES:
        return []
    names = (_cut(system, code, 0), _group(system, code, "block"), _group(system, code, "chapter"))
    return [f"{system}/{name}" for name in dict.fromkeys(names) if name and name != code]
