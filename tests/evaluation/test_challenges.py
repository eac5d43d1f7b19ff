"""Each challenge's scores, worked out by hand."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_docs import any_doc, scored

from spacy_clinbert.corpora.formats import Format
from spacy_clinbert.corpora.i2b2_2010 import FORMAT
from spacy_clinbert.evaluation.challenges import CHALLENGES, challenge_rows
from spacy_clinbert.evaluation.challenges_deid import HIPAA
from spacy_clinbert.evaluation.counts import Counts, by_label, macro_by_document, micro, weighted

LAYERS = {"Disorders": frozenset({"Finding", "Sign"}), "Finding": frozenset({"Finding"})}


def form(name: str, layers: dict | None = None) -> Format:
    return Format(name, name, lambda source: iter(()), lambda records, folder: None, "none", layers=layers or {})


def both(right: int, predicted: int, gold: int) -> Counts:
    return Counts(right, predicted, right, gold)


def test_2006():
    """Tokens 0–4, 5–9, 9–14. DOCTOR: two tokens, the first found, and no instance right. DATE: its token holds more
    than the date (`12/11</PHI>/2101`)."""
    tokens = ((0, 4), (5, 9), (9, 14))
    rows = challenge_rows(
        form("i2b2_2006"), [scored("DOCTOR 0-9; DATE 9-11", "DOCTOR 0-4; PATIENT 5-9; DATE 9-11", tokens=tokens)]
    )
    assert rows == {
        "token": [{"DOCTOR": both(1, 1, 2), "PATIENT": both(0, 1, 0), "DATE": both(1, 1, 1)}],
        "instance": [{"DOCTOR": both(0, 1, 1), "PATIENT": both(0, 1, 0), "DATE": both(1, 1, 1)}],
    }
    assert micro(rows["token"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert micro(rows["instance"]) == pytest.approx((1 / 3, 1 / 2, 2 / 5))


def test_2010():
    """Exact: one of four. Inexact: the second problem too; a test that overlaps a problem does not match, and of two
    problems that overlap one only one counts."""
    doc = scored("problem 0-9; problem 20-29; test 40-44", "problem 0-9; problem 18-22; problem 24-29; problem 40-44")
    rows = challenge_rows(FORMAT, [doc])
    assert rows["exact"] == [{"problem": both(1, 4, 2), "test": both(0, 0, 1)}]
    assert rows["inexact"] == [{"problem": both(2, 4, 2), "test": both(0, 0, 1)}]
    assert micro(rows["inexact"]) == pytest.approx((1 / 2, 2 / 3, 4 / 7))


def test_2012():
    """Three of four gold events overlap a prediction, two of these three have the right type."""
    doc = scored(
        "PROBLEM 0-9; TEST 10-14; TREATMENT 20-29; OCCURRENCE 40-44", "PROBLEM 4-9; PROBLEM 10-14; TREATMENT 19-22"
    )
    rows = challenge_rows(form("i2b2_2012"), [doc])
    assert micro(rows["span"]) == pytest.approx((1, 3 / 4, 6 / 7))
    assert by_label(rows["span"])["TEST"] == Counts(0, 0, 1, 1)
    assert by_label(rows["span"])["PROBLEM"] == Counts(2, 2, 1, 1)
    assert micro(rows["type"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert by_label(rows["type"]) == {"PROBLEM": both(1, 1, 1), "TEST": both(0, 1, 1), "TREATMENT": both(1, 1, 1)}


def test_2012_prefers_the_same_span_and_then_the_same_type():
    doc = scored("PROBLEM 0-9; TEST 0-4", "TEST 0-9; TEST 2-4; PROBLEM 1-3")
    rows = challenge_rows(form("i2b2_2012"), [doc])
    assert micro(rows["span"])[:2] == pytest.approx((2 / 3, 1))
    assert by_label(rows["type"]) == {"PROBLEM": both(0, 1, 1), "TEST": both(1, 1, 1)}


PHI = [
    # PATIENT's end is off by two, DATE's by three, DOCTOR's start by one; the ZIP is right.
    scored(
        "PATIENT 0-9; DATE 10-14; DOCTOR 20-29; ZIP 40-45",
        "PATIENT 0-11; DATE 10-17; DOCTOR 21-29; ZIP 40-45",
        "1-01",
    ),
    # HOSPITAL is no HIPAA type; the second AGE is repeated and counts once; nothing was predicted.
    scored("HOSPITAL 0-4; AGE 6-8; AGE 6-8", "", "1-02"),
    scored("", "", "2-01"),
]


def test_2014():
    rows = challenge_rows(form("i2b2_2014"), PHI)
    scores = {name: (*micro(one), *macro_by_document(one)) for name, one in rows.items()}
    # Strict: 1 of 4 predicted, 1 of 6 gold. By document: precision 1/4 (undefined in the others), recall 1/4 and 0.
    assert scores["strict"] == pytest.approx((1 / 4, 1 / 6, 1 / 5, 1 / 4, 1 / 8, 1 / 6))
    # Relaxed: PATIENT as well.
    assert scores["relaxed"] == pytest.approx((2 / 4, 2 / 6, 2 / 5, 1 / 2, 1 / 4, 1 / 3))
    # HIPAA leaves PATIENT, DATE, ZIP and AGE: 3 predicted, 4 gold.
    assert scores["HIPAA strict"] == pytest.approx((1 / 3, 1 / 4, 2 / 7, 1 / 3, 1 / 6, 2 / 9))
    assert scores["HIPAA relaxed"] == pytest.approx((2 / 3, 2 / 4, 4 / 7, 2 / 3, 1 / 3, 4 / 9))


def test_hipaa_names_patients_but_not_their_doctors():
    assert {"PATIENT", "AGE", "DATE", "CITY", "MEDICALRECORD"} <= HIPAA
    assert HIPAA.isdisjoint({"DOCTOR", "USERNAME", "HOSPITAL", "STATE", "COUNTRY", "PROFESSION", "URL"})


def test_2018():
    """Drug 10–18 has two predictions: the later is left out, neither right nor wrong. Reason 30–44 stands for two gold
    mentions and finds one. The fragments of Duration reach from 87 to 98."""
    doc = scored(
        "Drug 0-8; Drug 10-18; Reason 30-34; Reason 40-44; Duration 87-93,94-98",
        "Drug 0-8; Drug 8-12; Drug 14-18; Reason 30-44; Duration 87-98; ADE 60-70",
    )
    rows = challenge_rows(form("n2c2_2018"), [doc])
    assert rows["strict"] == [
        {"Drug": both(1, 3, 2), "Reason": both(0, 1, 2), "Duration": both(1, 1, 1), "ADE": both(0, 1, 0)}
    ]
    assert rows["lenient"] == [
        {"Drug": both(2, 2, 2), "Reason": both(1, 1, 2), "Duration": both(1, 1, 1), "ADE": both(0, 1, 0)}
    ]
    assert micro(rows["lenient"]) == pytest.approx((4 / 5, 4 / 5, 4 / 5))


def test_semclinbr():
    """Finding is a layer of its own and, with Sign, part of Disorders, where a place counts once. Tokens 0–4, 5–9,
    10–14: Disorders has three in gold, of which two are found; Finding two, both found."""
    tokens = ((0, 4), (5, 9), (10, 14))
    doc = scored("Finding 0-9; Sign 0-9; Sign 10-14; Device 0-4", "Finding 0-9; Disorders 5-9", tokens=tokens)
    rows = challenge_rows(form("semclinbr", LAYERS), [doc])
    assert rows["entity"] == [{"Disorders": both(1, 2, 2), "Finding": both(1, 1, 1)}]
    assert rows["token"] == [{"Disorders": both(2, 2, 3), "Finding": both(2, 2, 2)}]
    # Disorders weighs 3 of 5, Finding 2 of 5.
    assert weighted(rows["token"]) == pytest.approx((1, 4 / 5, 3 / 5 * 4 / 5 + 2 / 5))


def test_semclinbr_converted_for_one_layer():
    """Its gold is labelled by the layer; Disorders, which holds the label Finding too, is not annotated in it."""
    doc = scored("Finding 0-4", "Finding 0-4; Finding 5-9", tokens=((0, 4), (5, 9)))
    rows = challenge_rows(form("semclinbr", LAYERS), [doc])
    assert rows == {"entity": [{"Finding": both(1, 2, 1)}], "token": [{"Finding": both(1, 2, 1)}]}


def test_a_corpus_without_a_challenge_has_no_score_of_its_own():
    assert challenge_rows(form("brat"), [scored("a 0-1", "")]) == {}


@pytest.mark.parametrize("name", CHALLENGES)
def test_documents_without_mentions_are_no_error(name):
    for rows in CHALLENGES[name]([scored("", "")]).values():
        assert micro(rows) == (None, None, None)


@settings(max_examples=40)
@given(st.lists(any_doc(), max_size=3))
def test_looser_scores_find_no_less(docs):
    rows = CHALLENGES["i2b2_2010"](docs) | CHALLENGES["i2b2_2014"](docs) | CHALLENGES["i2b2_2012"](docs)
    found = {name: sum(counts.found for counts in by_label(one).values()) for name, one in rows.items()}
    # 2010's inexact and 2012's span pair mentions in different orders: neither finds more in all cases.
    assert found["exact"] <= min(found["inexact"], found["span"])
    assert found["strict"] <= found["relaxed"]
    assert found["type"] <= found["span"]


def test_formats_are_named_as_their_corpora_are():
    modules = {path.stem for path in Path(__file__).parents[2].glob("spacy_clinbert/corpora/*.py")}
    assert CHALLENGES.keys() <= modules
