"""Lexicons: their size and form, how titles are looked up, and what a wrong file says."""

import json
from collections import Counter

import pytest

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.rules.lexicon import BUILT_IN, LISTS, load_lexicon, normalise

LEAST = {"en": (40, 600), "pt": (20, 120)}
SMALL = {
    "language": "xx",
    "categories": {"plan": {"name": "Plan", "loinc": "18776-5", "titles": ["plan", "next steps"]}},
}


def write(path, data):
    path.write_text(data if isinstance(data, str) else json.dumps(data), encoding="utf8")
    return path


@pytest.mark.parametrize("language", LEAST)
def test_size(language):
    lexicon = load_lexicon(language)
    categories, titles = LEAST[language]
    assert lexicon.language == language
    assert len(lexicon.categories) >= categories
    assert sum(not entry.part for entry in lexicon.titles.values()) >= titles


@pytest.mark.parametrize("language", LEAST)
def test_no_title_is_listed_twice(language):
    data = json.loads((BUILT_IN / f"{language}.json").read_text(encoding="utf8"))
    assert all(entry["titles"] for entry in data["categories"].values())
    entries = [entry["titles"] + entry.get("parts", []) for entry in data["categories"].values()]
    for listed in ([title for titles in entries for title in titles], *(data[name] for name in LISTS)):
        keys = Counter(map(normalise, listed))
        assert all(keys) and [key for key, number in keys.items() if number > 1] == []


@pytest.mark.parametrize("language", LEAST)
def test_no_title_is_a_label(language):
    lexicon = load_lexicon(language)
    assert lexicon.labels.isdisjoint(lexicon.titles)


def test_the_categories_of_both_languages_have_the_same_names():
    english, portuguese = load_lexicon("en"), load_lexicon("pt")
    assert set(portuguese.categories) <= set(english.categories)
    for name, category in portuguese.categories.items():
        assert category.loinc == english.categories[name].loinc


def test_loinc_codes_have_a_right_check_digit():
    for category in load_lexicon("en").categories.values():
        if category.loinc:
            number, check = category.loinc.split("-")
            assert int(check) == mod10(number), category


def mod10(number):
    """Check digit of a LOINC code (LOINC Users' Guide, appendix C)."""
    odd = str(int(number[::-1][::2][::-1]) * 2)
    total = sum(map(int, number[::-1][1::2] + odd))
    return -total % 10


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ASSESSMENT & PLAN", "assessment/plan"),
        ("History of the Present\u00a0Illness :", "history of present illness"),
        ("PREOPERATIVE DIAGNOSIS (ES)", "preoperative diagnosis"),
        ("Follow-up", "FOLLOW UP"),
        ("PROCEDURE #1", "procedure"),
        ("Patient’s Goal", "patient's goal"),
        ("Medicações", "MEDICACOES"),
        ("História e Exame", "historia exame"),
    ],
)
def test_normal_form(one, other):
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("title", "category", "exact"),
    [
        ("DISCHARGE DIAGNOSES", "discharge_diagnosis", True),
        ("Surgeries", "past_surgical_history", True),
        ("SURGERY", "procedure", True),
        ("Lab Studys", "laboratory", True),
        ("RECENT LABORATORIES", "laboratory", False),
        ("COMPLICATIONS OF DIABETES", "complications", False),
        ("CONDITION AND DIET", "diet", False),
        ("REVIEW OF MEDICATIONS", "medications", False),
    ],
)
def test_find(title, category, exact):
    entry = load_lexicon().find(title)
    assert (entry.category, entry.exact) == (category, exact)


@pytest.mark.parametrize(
    "title", ["", "()", "Zebra", "SINUSITIS HISTORY", "Dix-Hallpike", "Neck Brace", "CT WITH CONTRAST"]
)
def test_nothing_found(title):
    assert load_lexicon().find(title) is None


def test_built_in_lexicons_are_read_once():
    assert load_lexicon("en") is load_lexicon()
    assert load_lexicon("pt") is not load_lexicon("en")


def test_a_file_takes_the_place_of_the_lexicon(tmp_path):
    lexicon = load_lexicon(write(tmp_path / "small.json", SMALL))
    assert lexicon.language == "xx"
    assert lexicon.find("Next steps:").category == "plan"
    assert lexicon.find("allergies") is None


def test_extend_adds_and_overrides_and_leaves_the_built_in_alone():
    lexicon = load_lexicon("en", json.loads('{"Turnus": "shift", "Plan": "orders", "BP": "vital_signs"}'))
    assert lexicon.find("TURNUS").category == "shift"
    assert lexicon.find("PLAN:").category == "orders"
    assert lexicon.categories["shift"] == ("Shift", None)
    assert lexicon.categories["vital_signs"].loinc == "8716-3"
    assert load_lexicon("en").find("plan").category == "plan"
    assert load_lexicon("en").is_label("BP") and not lexicon.is_label("BP")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "must be an object"),
        ({"language": "xx"}, "must be an object"),
        ({**SMALL, "categories": {"plan": {"titles": ["plan"]}}}, "Category plan"),
        ({**SMALL, "categories": {"plan": {"name": "Plan", "titles": ["plan", 3]}}}, "Category plan"),
        ({**SMALL, "categories": {"plan": {"name": "Plan", "titles": ["plan"], "loinc": 5}}}, "wrong type"),
        ({**SMALL, "labels": "bp"}, "'labels'"),
        ({**SMALL, "categories": {c: {"name": c, "titles": ["Plan"]} for c in ("a", "b")}}, "under a and b"),
    ],
)
def test_a_wrong_file_says_so_in_one_sentence(tmp_path, data, says):
    path = write(tmp_path / "wrong.json", data)
    with pytest.raises(ClinbertError) as error:
        load_lexicon(path)
    message = str(error.value)
    assert says in message and "wrong.json" in message and message.endswith(".") and "\n" not in message


def test_a_missing_file_names_the_languages(tmp_path):
    with pytest.raises(ClinbertError, match=r"none\.json.*en, pt"):
        load_lexicon(tmp_path / "none.json")
    with pytest.raises(ClinbertError, match="en, pt"):
        load_lexicon("zz")


@pytest.mark.parametrize("extend", [{"": "plan"}, {"plan": 3}, ["plan"], {"plan": ""}])
def test_a_wrong_extension_says_so(extend):
    with pytest.raises(ClinbertError, match="'extend'"):
        load_lexicon("en", extend)
