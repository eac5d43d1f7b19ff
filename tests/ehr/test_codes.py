"""Codes rolled up, mapped from ICD-9 to ICD-10, and their ancestors."""

import json
from pathlib import Path
from typing import get_args

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.ehr import codes
from spacy_clinbert.ehr.ancestors import find_ancestors, write_ancestors
from spacy_clinbert.ehr.codes import Level, RollUp, ancestors_of
from spacy_clinbert.ehr.icd_tables import blocks, category, chapters, icd10_of_icd9, known_codes
from spacy_clinbert.ehr.schemas import DIAGNOSES, ICD9, ICD10
from spacy_clinbert.models.code_vocabulary import CodeVocabulary, read_ancestors

LEVELS = get_args(Level)


def events(*keys: str) -> pl.DataFrame:
    pairs = [key.split("/", 1) for key in keys]
    table = pl.DataFrame(pairs, {"system": pl.String, "code": pl.String}, orient="row")
    return table.with_row_index("row")


@pytest.mark.parametrize(
    "key, level, wanted",
    [
        ("ICD10CM/S5290XA", "full", "ICD10CM/S5290XA"),
        ("ICD10CM/S5290XA", "5", "ICD10CM/S5290"),
        ("ICD10CM/S5290XA", "4", "ICD10CM/S529"),
        ("ICD10CM/S5290XA", "3", "ICD10CM/S52"),
        ("ICD10CM/I10", "5", "ICD10CM/I10"),
        # An E code of ICD-9 has a category of four characters, a V code one of three; in ICD-10 both have three.
        ("ICD9CM/E8490", "3", "ICD9CM/E849"),
        ("ICD9CM/E8490", "4", "ICD9CM/E8490"),
        ("ICD9CM/V5867", "3", "ICD9CM/V58"),
        ("ICD9CM/25001", "4", "ICD9CM/2500"),
        ("ICD10CM/E8490", "3", "ICD10CM/E84"),
        ("ICD10CM/V5867", "3", "ICD10CM/V58"),
        ("ICD10CM/I509", "block", "ICD10CM/I30-I5A"),
        ("ICD9CM/4280", "block", "ICD9CM/420-429"),
        ("ICD9CM/V854", "block", "ICD9CM/V85-V85"),
        # Blocks that end in a letter, and one category between those of others.
        ("ICD10CM/I130", "block", "ICD10CM/I10-I1A"),
        ("ICD10CM/O99345", "block", "ICD10CM/O94-O9A"),
        ("ICD10CM/D3A01", "block", "ICD10CM/D3A-D3A"),
        ("ICD10CM/D45", "block", "ICD10CM/D37-D48"),
        ("ICD10CM/W1930XA", "block", "ICD10CM/V00-X58"),
        ("ICD10CM/I509", "chapter", "ICD10CM/I00-I99"),
        ("ICD10CM/I30-I5A", "chapter", "ICD10CM/I00-I99"),
        ("ICD9CM/E030", "chapter", "ICD9CM/E000-E999"),
        ("ICD10CM/I509", "ccsr", "CCSR/CIR019"),
        # A category that is not billable, all of whose codes are of one kind.
        ("ICD10CM/I50", "ccsr", "CCSR/CIR019"),
        ("ICD9CM/4280", "ccsr", "CCSR/CIR019"),
        ("SNOMED/44054006", "3", "SNOMED/44054006"),
        ("ATC/A10BA02", "ccsr", "ATC/A10BA02"),
    ],
)
def test_levels(key: str, level: Level, wanted: str) -> None:
    roll_up = RollUp(level)
    assert roll_up.roll(*key.split("/")) == ((wanted,), ())


@pytest.mark.parametrize(
    "key, roll_up, kept, reason",
    [
        ("ICD9CM/36570", RollUp(to_icd10=True), "ICD9CM/36570", codes.NO_ICD10),
        ("ICD9CM/36570", RollUp("3", to_icd10=True), "ICD9CM/365", codes.NO_ICD10),
        ("ICD9CM/428", RollUp(to_icd10=True), "ICD9CM/428", codes.NOT_IN_GEM),
        ("ICD9CM/428", RollUp("ccsr"), "ICD9CM/428", codes.NOT_IN_GEM),
        ("ICD10CM/X", RollUp("3"), "ICD10CM/X", codes.NO_SHAPE),
        ("ICD9CM/V585678", RollUp("4"), "ICD9CM/V585678", codes.NO_SHAPE),
        ("ICD10CM/C9712", RollUp("block"), "ICD10CM/C9712", codes.NO_BLOCK),
        ("ICD10CM/U991", RollUp("chapter"), "ICD10CM/U991", codes.NO_CHAPTER),
        # Its codes are of several kinds.
        ("ICD10CM/E11", RollUp("ccsr"), "ICD10CM/E11", codes.NO_CCSR),
    ],
)
def test_what_no_table_knows_is_kept_and_counted(key: str, roll_up: RollUp, kept: str, reason: str) -> None:
    rolled = roll_up(events(key, "ICD10CM/I509", key))
    assert [*rolled.select(pl.concat_str("system", pl.lit("/"), "code")).to_series()][::2] == [kept, kept]
    assert roll_up.left_rows().rows() == [(key, reason, 2)]


def test_icd9_by_the_gem() -> None:
    roll_up = RollUp(to_icd10=True)
    # An equivalence; an approximate one; alternatives, of which the last counts; a combination of two codes.
    rolled = roll_up(events("ICD9CM/4280", "ICD9CM/V5867", "ICD9CM/E8490", "ICD10CM/I10", "ICD9CM/0730"))
    assert rolled.rows() == [
        (0, ICD10, "I509"),
        (1, ICD10, "Z794"),
        (2, ICD10, "Y92099"),
        (3, ICD10, "I10"),
        (4, ICD10, "A70"),
        (4, ICD10, "J17"),
    ]
    assert not roll_up.left


def test_every_code_has_category_block_and_chapter() -> None:
    for system in DIAGNOSES:
        for code in known_codes(system):
            found = category(system, code)
            assert found and blocks(system).find(found) and chapters(system).find(found), code


def test_every_target_of_the_gem_can_be_rolled_up() -> None:
    """The GEM is of 2018: what has since been divided still has the shape of a code."""
    targets = {code for found in icd10_of_icd9().values() for code in found}
    assert all(RollUp("chapter").roll(ICD10, code).reasons == () for code in targets)


coded = st.one_of(
    *(st.tuples(st.just(system), st.sampled_from(known_codes(system)[::37])) for system in DIAGNOSES),
    st.tuples(st.sampled_from((ICD9, ICD10, "SNOMED")), st.text("AEIVX059-", min_size=1, max_size=7)),
)


@settings(max_examples=300, deadline=None)
@given(coded, st.sampled_from(LEVELS), st.booleans())
def test_rolled_up_again_it_stays(code: tuple[str, str], level: Level, to_icd10: bool) -> None:
    roll_up = RollUp(level, to_icd10)
    for key in roll_up.roll(*code).codes:
        assert roll_up.roll(*key.split("/", 1)).codes == (key,)


@settings(max_examples=300, deadline=None)
@given(coded, st.sampled_from(["5", "4", "3", "block"]), st.sampled_from(["3", "block", "chapter"]))
def test_by_steps_or_at_once(code: tuple[str, str], fine: Level, coarse: Level) -> None:
    at_once = RollUp(coarse).roll(*code)
    # What no table knows is kept as long as it then is.
    if LEVELS.index(fine) <= LEVELS.index(coarse) and not at_once.reasons:
        (step,) = RollUp(fine).roll(*code).codes
        assert RollUp(coarse).roll(*step.split("/", 1)) == at_once


@settings(max_examples=100, deadline=None)
@given(st.lists(coded, max_size=8), st.sampled_from(LEVELS))
def test_no_row_is_lost(found: list[tuple[str, str]], level: Level) -> None:
    table = events(*("/".join(code) for code in found))
    roll_up = RollUp(level)
    rolled = roll_up(table)
    assert rolled.columns == table.columns
    assert rolled["row"].unique(maintain_order=True).to_list() == table["row"].to_list()
    assert not rolled.null_count().sum_horizontal().item()
    unknown = [code for code in found if roll_up.roll(*code).reasons]
    assert sum(roll_up.left.values()) == sum(len(roll_up.roll(*code).reasons) for code in unknown)


@pytest.mark.parametrize(
    "key, wanted",
    [
        ("ICD10CM/I509", ["ICD10CM/I50", "ICD10CM/I30-I5A", "ICD10CM/I00-I99"]),
        ("ICD10CM/I50", ["ICD10CM/I30-I5A", "ICD10CM/I00-I99"]),
        ("ICD10CM/I30-I5A", ["ICD10CM/I00-I99"]),
        ("ICD10CM/I00-I99", []),
        # Its section is its chapter.
        ("ICD9CM/2809", ["ICD9CM/280", "ICD9CM/280-289"]),
        ("ICD9CM/E8490", ["ICD9CM/E849", "ICD9CM/E846-E849", "ICD9CM/E000-E999"]),
        ("CCSR/CIR019", ["CCSR/CIR"]),
        ("SNOMED/44054006", []),
        ("[PAD]", []),
        ("ICD10CM/ZZZ9", []),
    ],
)
def test_ancestors(key: str, wanted: list[str]) -> None:
    assert ancestors_of(key) == wanted


def test_unknown_codes_back_off_to_ancestors(tmp_path: Path) -> None:
    keys = ["[PAD]", "[MASK]", "[UNK]", "[CLS]", "ICD10CM/I509", "SNOMED/1"]
    write_ancestors(keys, RollUp(), tmp_path / "ancestors.json")
    vocabulary = CodeVocabulary(keys, read_ancestors(tmp_path / "ancestors.json"))
    known, sibling, stranger = vocabulary.encode(["ICD10CM/I509", "ICD10CM/I5022", "ICD10CM/S5290XA"])
    table = vocabulary.ancestor_table()
    assert known == 4 and stranger == vocabulary.unknown_id
    # Never seen, but heart failure too.
    assert sibling > 5 and (table[sibling] == table[known]).all() and table[known].all()


def test_ancestors_are_of_the_level_of_the_codes(tmp_path: Path) -> None:
    found = find_ancestors([], RollUp("3"))
    assert found["ICD10CM/I50"] == ["ICD10CM/I30-I5A", "ICD10CM/I00-I99"] and "ICD10CM/I509" not in found
    assert set(find_ancestors([], RollUp("block"))["ICD9CM/420-429"]) == {"ICD9CM/390-459"}
    for name in ("one", "two"):
        write_ancestors(["CCSR/CIR019"], RollUp("chapter"), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert json.loads((tmp_path / "one").read_text()) == {"CCSR/CIR019": ["CCSR/CIR"]}
