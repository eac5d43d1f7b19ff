"""Codes in one spelling: no dots, blanks or lower case, and each with its system.

ICD-9-CM and ICD-10-CM share letters: V and E codes of the one are other codes of the other. What a source says about
the version counts; the shape of a code is looked at only where it says nothing.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, Optional, Tuple

import polars as pl

from .schemas import ICD9, ICD10

# `DIAGNOSIS//ICD//10//I509` and `PROCEDURE//ICD//9//8854` (MEDS of MIMIC-IV), `ICD10CM/I50.9` (Athena vocabularies),
# `ICD9_150.6` (Med-BERT), `ICD-10-CM: I50.9`.
_ICD = re.compile(
    r"(?:(?P<kind>[A-Z]+)//)?ICD(?://|[-_ ])?(?P<version>9|10)(?P<suffix>[-_ ]?(?:CM|PROC|PCS))?"
    r"(?://|[/:_| ]+)(?P<code>.+)",
    re.IGNORECASE | re.DOTALL,
)
_PREFIX = re.compile(r"(?P<system>\w[\w .-]*?)//?(?P<code>.+)", re.DOTALL)
_NAMES = {
    "SNOMED": "SNOMED",
    "SNOMEDCT": "SNOMED",
    "RXNORM": "RXNORM",
    "NDC": "NDC",
    "ATC": "ATC",
    "LOINC": "LOINC",
    "CPT": "CPT",
    "CPT4": "CPT",
    "HCPCS": "HCPCS",
}
_DOTTED = {ICD9, ICD10, "ICD9PROC", "ICD10PCS"}
# Danish SKS puts a D before ICD-10, of which no code has a letter in second place.
_SKS = re.compile(r"^D+(?=[A-Z]\d)")
# ICD-9-CM: E000-E030 and E800-E999, V01-V91, or digits. ICD-10: a letter, a digit, a digit or A or B; E ends at E89.
_ICD9_SHAPE = re.compile(r"(\d{3}(\.?\d{1,2})?|V\d\d(\.?\d{1,2})?|E([89]\d\d|0[0-2]\d|030)(\.?\d)?)")
_ICD10_SHAPE = re.compile(r"D*([A-DF-Z]\d|E[0-8])[0-9AB](\.?[0-9A-Z]{1,4})?")


class Coded(NamedTuple):
    """A code and its system, one of `SYSTEMS` or the source's own name; None where the text says nothing of it.

    system (Optional[str]), code (str).
    """

    system: Optional[str]
    code: str


CODED = pl.Struct({"system": pl.String(), "code": pl.String()})


def normalise(code: str, system: Optional[str]) -> str:
    """Write a code in the one spelling.

    A dot says how many digits ICD-9 has before it: zeros lost in front of them are put back. Of the source's own names
    case and dots are kept, since they may tell codes apart.

    code (str): the code, without its system; system (Optional[str]): its system.
    RETURNS (str): the code; empty where nothing is left. Normalised again it stays as it is.
    """
    if system not in _DOTTED:
        # Blanks would cut a token in two.
        code = "_".join(code.split())
        return code.upper() if system in _NAMES.values() else code
    code = "".join(code.split()).upper()
    if system == ICD9:
        code = re.sub(r"^(V?)(\d{1,2})(?=\.)", lambda m: m[1] + m[2].zfill(2 if m[1] else 3), code)
    elif system == "ICD9PROC":
        code = re.sub(r"^\d(?=\.)", lambda m: m[0].zfill(2), code)
    code = code.replace(".", "")
    return _SKS.sub("", code) if system == ICD10 else code


def possible_systems(code: str) -> Tuple[str, ...]:
    """Tell by its shape of which diagnosis systems a code can be.

    A dot tells `E84.9` (ICD-10) from `E849.0` (ICD-9); without it, `E8490` is possible in both.

    code (str): as a source writes it.
    RETURNS (Tuple[str, ...]): none, one or both, the likelier first: V codes are rare in ICD-10, E87 is frequent there.
    """
    code = "".join(code.split()).upper()
    ninth = (ICD9,) if _ICD9_SHAPE.fullmatch(code) else ()
    tenth = (ICD10,) if _ICD10_SHAPE.fullmatch(code) or _ICD10_SHAPE.fullmatch(_SKS.sub("", code)) else ()
    return tenth + ninth if code.startswith("E") else ninth + tenth


@lru_cache(maxsize=1 << 18)
def split_code(text: str) -> Coded:
    """Split what a source writes into system and code.

    text (str): such as `DIAGNOSIS//ICD//10//I509`, `ICD9_150.6`, `SNOMED/44054006`, `LAB//50852//%` or a bare code.
    RETURNS (Coded): the system None for a bare code.
    """
    text = text.strip()
    if found := _ICD.fullmatch(text):
        suffix = re.sub(r"[-_ ]", "", found["suffix"] or "").upper()
        procedure = suffix in ("PROC", "PCS") or (found["kind"] or "").upper() == "PROCEDURE"
        system = {
            ("9", False): ICD9,
            ("10", False): ICD10,
            ("9", True): "ICD9PROC",
            ("10", True): "ICD10PCS",
        }[found["version"], procedure]
        return Coded(system, normalise(found["code"], system))
    if found := _PREFIX.fullmatch(text):
        name = found["system"].strip()
        system = _NAMES.get(re.sub(r"[-_ ]", "", name).upper(), "_".join(name.split()))
        return Coded(system, normalise(found["code"].lstrip("/"), system))
    return Coded(None, normalise(text, None))


def guess_code(text: str) -> Coded:
    """Split as `split_code` does, and tell the system of a bare code by its shape, where it has one."""
    found = split_code(text)
    likely = next(iter(possible_systems(text) if found.system is None else ()), None)
    return Coded(likely, normalise(text, likely)) if likely else found


def coded(texts: pl.Expr, split: Callable[[str], Coded] = split_code) -> pl.Expr:
    """Split a column of codes; each different text is looked at once.

    texts (pl.Expr): strings.
    split (Callable[[str], Coded]): `split_code` or another such.
    RETURNS (pl.Expr): a struct of `system` and `code`, null where there is no text.
    """

    def look_up(cells: pl.Series) -> pl.Series:
        unique = cells.unique().drop_nulls()
        found = pl.DataFrame([split(text) for text in unique], schema=CODED.to_schema(), orient="row")
        table = cells.to_frame("text").join(found.with_columns(text=unique), "text", "left", maintain_order="left")
        return table.select(pl.struct("system", "code").alias(cells.name)).to_series()

    return texts.map_batches(look_up, return_dtype=CODED, is_elementwise=True)
