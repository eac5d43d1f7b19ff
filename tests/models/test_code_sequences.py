"""Codes laid side by side: what of a patient is read, and that neither company nor padding changes it."""

import numpy as np
import pytest
from ehr_patients import KEYS, make_doc, make_patient
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.ehr import schemas
from spacy_clinbert.models import code_styles
from spacy_clinbert.models.code_bert import CodeBertConfig
from spacy_clinbert.models.code_docs import read_patients
from spacy_clinbert.models.code_sequences import UNKNOWN_AGE, CodeLayout, Codes, age_ids, gap_ids, join
from spacy_clinbert.models.code_styles import GAPS, STYLES
from spacy_clinbert.models.code_vocabulary import CodeVocabulary

LISTS = ("ids", "visits", "ranks", "days")


def codes_of(*patients: tuple[list[int], list[int]], ages: tuple[int, ...] = ()) -> Codes:
    """Codes of patients of whom visits and days are given."""
    visits, days = (np.array([n for patient in patients for n in patient[i]], dtype=np.int64) for i in (0, 1))
    starts = np.cumsum([0, *(len(patient[0]) for patient in patients)])
    ids = np.arange(len(visits)) + 4
    found = np.array(ages or [UNKNOWN_AGE] * len(patients), dtype=np.int64)
    return Codes(ids, visits, np.zeros_like(ids), days, starts, found)


def config_of(style: str, **more) -> CodeBertConfig:
    fields = {"pooling": STYLES[style].poolings[0], "ages": STYLES[style].ages, "gaps": STYLES[style].gaps}
    return CodeBertConfig(style=style, type_vocab_size=1000, **fields | more)


def test_the_special_ids_are_those_of_the_contract():
    assert code_styles.SPECIALS == schemas.SPECIALS
    theirs = (schemas.PAD, schemas.MASK, schemas.UNK, schemas.CLS)
    assert theirs == (code_styles.PAD, code_styles.MASK, code_styles.UNK, code_styles.CLS)
    assert code_styles.MASK != code_styles.PAD


def test_the_default_puts_cls_before_the_latest_codes_and_counts_visits_anew():
    codes = codes_of(([1, 1, 2, 3, 3], [0, 0, 5, 9, 9]), ([7], [0]), ([], []))
    laid = CodeLayout(config_of("default"), 3).pad(codes)
    assert laid["input_ids"].tolist() == [[3, 6, 7, 8], [3, 9, 0, 0], [3, 0, 0, 0]]
    assert laid["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]]
    assert laid["token_type_ids"].tolist() == [[0, 1, 2, 2], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert {"rank_ids", "age_ids", "gap_ids"} < laid.keys()


@pytest.mark.parametrize("style", ["original", "paper"])
def test_the_published_styles_keep_the_numbers_of_visits(style):
    laid = CodeLayout(config_of(style), 2).pad(codes_of(([1, 998, 2000], [0, 1, 2])))
    assert laid["input_ids"].tolist() == [[5, 6]] and laid["token_type_ids"].tolist() == [[998, 999]]
    assert ("rank_ids" in laid) == (style == "paper")


def test_the_sum_with_pads_is_over_the_full_length():
    layout = CodeLayout(config_of("original", pooling="sum_with_pads"), 6)
    laid = layout.pad(codes_of(([1, 1], [0, 0])))
    assert laid["input_ids"].tolist() == [[4, 5, 0, 0, 0, 0]] and laid["attention_mask"].sum() == 2


def test_ages_in_years_and_gaps_on_a_scale():
    year = 365.25
    codes = codes_of(
        ([1, 2, 3], [0, 365, 36500]), ([1, 1], [0, 0]), ([1], [0]), ages=(int(50 * year) + 1, UNKNOWN_AGE, -400)
    )
    assert age_ids(codes).tolist() == [51, 52, 121, 0, 0, 0]
    gaps = gap_ids(codes_of(([1, 1, 2, 2, 3, 4], [0, 0, 0, 0, 1, 9]), ([1, 2], [0, 10**6])))
    # Nothing before the first visit; then 0, 1 and 8 days; at last more than the scale has.
    assert gaps.tolist() == [0, 0, 1, 1, 3, 7, 0, GAPS - 1]


def test_days_that_go_back_are_no_gap():
    assert gap_ids(codes_of(([1, 2], [9, 4]))).tolist() == [0, 1]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(0, 99), st.sampled_from(list(STYLES)))
@settings(max_examples=40)
def test_a_patient_is_laid_as_if_alone(lengths, seed, style):
    patients = [make_patient(seed + i, length or 1) for i, length in enumerate(lengths)]
    for patient, length in zip(patients, lengths, strict=True):
        if not length:
            for name in ("input_ids", "visit", "rank", "day"):
                patient[name] = []
    vocabulary = CodeVocabulary(KEYS)
    codes = read_patients([make_doc(patient) for patient in patients], vocabulary)
    layout = CodeLayout(config_of(style), 12)
    together = layout.pad(codes)
    order = np.random.default_rng(seed).permutation(len(patients))
    shuffled = layout.pad(join([codes.take(order[:1]), codes.take(order[1:])]))
    for number, place in enumerate(layout.lengths(codes.starts)):
        alone = layout.pad(codes.take(np.array([number])))
        at = int(np.flatnonzero(order == number)[0])
        for name, values in together.items():
            read = values[number, :place].tolist()
            assert read == alone[name][0, :place].tolist() == shuffled[name][at, :place].tolist()
            assert not values[number, place:].any() and not shuffled[name][at, place:].any()
