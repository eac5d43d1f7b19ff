"""Codes come out in one spelling, and with the system that the source names or their shape tells."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_clinbert.ehr.normalise import coded, guess_code, normalise, possible_systems, split_code
from spacy_clinbert.ehr.schemas import ICD9, ICD10, SYSTEMS

SPLIT = [
    ("DIAGNOSIS//ICD//10//I509", ICD10, "I509"),
    ("DIAGNOSIS//ICD//9//4280", ICD9, "4280"),
    ("PROCEDURE//ICD//9//8854", "ICD9PROC", "8854"),
    ("PROCEDURE//ICD//10//5A09557", "ICD10PCS", "5A09557"),
    ("ICD10CM/I50.9", ICD10, "I509"),
    ("ICD9CM/428.0", ICD9, "4280"),
    ("ICD9Proc/88.54", "ICD9PROC", "8854"),
    ("ICD10PCS/5A09557", "ICD10PCS", "5A09557"),
    ("ICD9_150.6", ICD9, "1506"),
    ("ICD10_i15.6 ", ICD10, "I156"),
    ("ICD-10-CM: e11.9", ICD10, "E119"),
    ("ICD11//BA00", "ICD11", "BA00"),
    ("SNOMED/44054006", "SNOMED", "44054006"),
    ("SNOMED-CT//44054006", "SNOMED", "44054006"),
    ("LOINC/4548-4", "LOINC", "4548-4"),
    ("CPT4/99213", "CPT", "99213"),
    ("LAB//50852//%", "LAB", "50852//%"),
    ("LAB/GL", "LAB", "GL"),
    ("MEDICATION//START//Sodium Chloride 0.9%  Flush", "MEDICATION", "START//Sodium_Chloride_0.9%_Flush"),
    ("BMI (kg/m2)", None, "BMI_(kg/m2)"),
    ("I509", None, "I509"),
    ("  ", None, ""),
]
NORMAL = [
    ("  4280  ", ICD9, "4280"),
    ("8.8", ICD9, "0088"),
    ("41.01", ICD9, "04101"),
    ("V7.1", ICD9, "V071"),
    ("v45.81", ICD9, "V4581"),
    ("e849.0", ICD9, "E8490"),
    ("8.54", "ICD9PROC", "0854"),
    ("i50. 9", ICD10, "I509"),
    ("DI50.9", ICD10, "I509"),
    ("DDZ32", ICD10, "Z32"),
    ("D50.0", ICD10, "D500"),
    ("DD50", ICD10, "D50"),
]
SHAPES = [
    ("428.0", (ICD9,)),
    ("I50.9", (ICD10,)),
    ("C7A.010", (ICD10,)),
    ("DE10", (ICD10,)),
    ("E84.9", (ICD10,)),
    ("E849.0", (ICD9,)),
    ("E8490", (ICD10, ICD9)),
    ("E8788", (ICD10, ICD9)),
    ("E9320", (ICD9,)),
    ("E119", (ICD10,)),
    ("V4511", (ICD9, ICD10)),
    ("V45.11XA", (ICD10,)),
    ("225085", ()),
    ("LBBB (Left Bundle Branch Block)", ()),
    ("44054006", ()),
    ("", ()),
]


@pytest.mark.parametrize("text, system, code", SPLIT)
def test_split(text: str, system: str, code: str) -> None:
    assert split_code(text) == (system, code)


@pytest.mark.parametrize("code, system, expected", NORMAL)
def test_normal(code: str, system: str, expected: str) -> None:
    assert normalise(code, system) == expected


@pytest.mark.parametrize("code, systems", SHAPES)
def test_shapes(code: str, systems: tuple) -> None:
    assert possible_systems(code) == systems
    assert guess_code(code).system == (systems[0] if systems else None)


ICD_LIKE = st.from_regex(r"\A[ ]?[A-Za-z]{0,3}[0-9]{0,4}[.]?[0-9A-Za-z]{0,3}[ ]?\Z")


@given(st.one_of(st.text(), ICD_LIKE), st.sampled_from([*SYSTEMS, "LAB", None]))
def test_normalised_again_stays(code: str, system: str) -> None:
    once = normalise(code, system)
    assert normalise(once, system) == once
    assert not any(letter.isspace() for letter in once)
    if system in (ICD9, ICD10):
        assert "." not in once and once == once.upper()


@given(ICD_LIKE)
def test_dots_blanks_and_case_tell_no_codes_apart(code: str) -> None:
    assert normalise(f" {code.lower()} ", ICD10) == normalise(code.replace(".", "").upper(), ICD10)


@given(st.lists(st.one_of(st.none(), st.sampled_from([text for text, *_ in SPLIT]), st.text())))
def test_a_column_is_split_like_its_cells(texts: list) -> None:
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    found = frame.select(coded(pl.col("text"))).unnest("text").rows()
    assert found == [(None, None) if text is None else tuple(split_code(text)) for text in texts]
