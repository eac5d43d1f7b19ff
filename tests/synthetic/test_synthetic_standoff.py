"""The synthetic corpora of the XML forms: i2b2 2012, i2b2 2014, n2c2 2018 track 1."""

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from spacy_clinbert.corpora import i2b2_2012, i2b2_2014, n2c2_2018_track1
from spacy_clinbert.corpora.records import Record
from spacy_clinbert.synthetic import i2b2_2012 as events
from spacy_clinbert.synthetic import i2b2_2014 as phi
from spacy_clinbert.synthetic import n2c2_2018_track1 as cohorts

FORMS = {
    "i2b2_2012": (i2b2_2012, events.make_record, events.write_i2b2_2012, events.CONTENTS),
    "i2b2_2014": (i2b2_2014, phi.make_record, phi.write_i2b2_2014, phi.CONTENTS),
    "n2c2_2018_track1": (n2c2_2018_track1, cohorts.make_record, cohorts.write_n2c2_2018_track1, cohorts.CONTENTS),
}


@cache
def made(form: str) -> list:
    return [FORMS[form][1](number, 5) for number in range(1, 121)]


def is_test(folder: str) -> bool:
    return folder.startswith((i2b2_2012.TEST, i2b2_2014.TEST, n2c2_2018_track1.TEST))


def strings(form: str, test: bool) -> set:
    records = [record for folder, record in made(form) if is_test(folder) == test]
    return {one.text[slice(*mention.fragments[0])].lower() for one in records for mention in one.mentions}


def whole(record: Record) -> tuple:
    mentions = [mention._replace(id="") for mention in record.mentions]
    return record.text, mentions, list(record.relations), dict(record.cats)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_is_read_back_whatever_is_wrong_in_the_files(form: str, tmp_path: Path) -> None:
    module, _, write, contents = FORMS[form]
    write(tmp_path, iter(made(form)))
    assert {path.name for path in tmp_path.iterdir()} == set(contents)
    entries = {entry.id: entry for entry in module.entries(tmp_path)}
    assert len(entries) == len(made(form))
    for folder, record in made(form):
        entry = entries[record.id]
        assert entry.split == ("test" if is_test(folder) else "train")
        assert entry.patient == (record.id.partition("-")[0] if form == "i2b2_2014" else "")
        assert whole(entry.load()) == whole(record)


@pytest.mark.parametrize(
    "form, traps",
    [
        ("i2b2_2012", ["left out: its type is empty", "placed by its text, -2", "a bare & in an annotation"]),
        ("i2b2_2014", ["left out: its TYPE is empty", "placed by its text, -4", "kept at its offsets"]),
        ("n2c2_2018_track1", []),
    ],
)
def test_every_trap_of_the_files_occurs_and_is_rare(form: str, traps: list, tmp_path: Path) -> None:
    module, _, write, _ = FORMS[form]
    write(tmp_path, iter(made(form)))
    reasons = [doubt.reason for entry in module.entries(tmp_path) for doubt in entry.load().doubts]
    counts = Counter(next((trap for trap in traps if reason.startswith(trap)), reason) for reason in reasons)
    assert set(counts) == set(traps)
    assert sum(counts.values()) <= 0.05 * sum(len(record.mentions) for _, record in made(form))


@pytest.mark.parametrize("form", FORMS)
def test_texts_have_the_leading_line_feed(form: str) -> None:
    assert all(record.text.startswith("\n") and record.text.endswith("\n") for _, record in made(form))


def test_traps_of_event_texts() -> None:
    found = [record.text[slice(*one.fragments[0])] for _, record in made("i2b2_2012") for one in record.mentions]
    assert any("\n" in text for text in found) and any("&" in text for text in found)
    texts = "".join(record.text for _, record in made("i2b2_2012"))
    assert "&apos;" in texts and "'" in texts
    ends = [record.text[one.fragments[0][1]] for _, record in made("i2b2_2012") for one in record.mentions]
    assert "." in ends
    assertions = {one.assertion for _, record in made("i2b2_2012") for one in record.mentions}
    assert assertions == {"POS FACTUAL", "NEG FACTUAL", "POS POSSIBLE", "POS CONDITIONAL"}
    assert {one.label for _, record in made("i2b2_2012") for one in record.relations} == {"BEFORE", "AFTER", "OVERLAP"}


def test_labels() -> None:
    labels = {form: {one.label for _, record in made(form) for one in record.mentions} for form in FORMS}
    assert labels["i2b2_2012"] == {"PROBLEM", "TEST", "TREATMENT", "CLINICAL_DEPT", "EVIDENTIAL", "OCCURRENCE"}
    assert labels["i2b2_2014"] > {"DATE", "DOCTOR", "PATIENT", "HOSPITAL", "AGE", "PHONE", "MEDICALRECORD", "CITY"}
    met = [sum(record.cats[name] for _, record in made("n2c2_2018_track1")) for name in n2c2_2018_track1.CRITERIA]
    assert all(0 < count < 120 for count in met)


@pytest.mark.parametrize("form, low, high", [("i2b2_2012", 0.2, 0.8), ("i2b2_2014", 0.3, 0.95)])
def test_test_split_is_neither_known_nor_foreign(form: str, low: float, high: float) -> None:
    train, test = strings(form, test=False), strings(form, test=True)
    assert low < len(test - train) / len(test) < high


@pytest.mark.parametrize("form", FORMS)
def test_documents_do_not_depend_on_their_number_and_seeds_differ(form: str, tmp_path: Path) -> None:
    _, make, write, _ = FORMS[form]
    assert make(7, 5) == made(form)[6]
    assert make(7, 6)[1].text != made(form)[6][1].text
    for name in ("one", "two"):
        write(tmp_path / name, iter(made(form)[:20]))
    one, two = ([path.read_bytes() for path in sorted((tmp_path / name).rglob("*.xml"))] for name in ("one", "two"))
    assert one == two and len(one) == 20
