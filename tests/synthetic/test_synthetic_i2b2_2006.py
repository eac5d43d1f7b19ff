import re
from pathlib import Path

from spacy_clinbert.corpora import i2b2_2006 as form
from spacy_clinbert.corpora import i2b2_2006_smoking as smoking_form
from spacy_clinbert.synthetic import i2b2_2006, i2b2_2006_smoking

RECORDS = [i2b2_2006.make_record(number, seed=5) for number in range(1, 121)]
SMOKERS = [i2b2_2006_smoking.make_record(number, seed=5) for number in range(1, 241)]
SAID = re.compile(r"smok|tobacco|cigar|pack[ -]year|pyh|nicotine|ppd", re.IGNORECASE)


def strings(split: str) -> set:
    return {
        record.text[slice(*mention.fragments[0])]
        for one, record in RECORDS
        if one == split
        for mention in record.mentions
        if mention.label in ("PATIENT", "DOCTOR", "HOSPITAL", "LOCATION")
    }


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    i2b2_2006.write_i2b2_2006(tmp_path, iter(RECORDS))
    assert {path.name for path in tmp_path.iterdir()} == set(i2b2_2006.CONTENTS)
    read = {(entry.split, entry.id.rpartition("/")[2]): entry.load() for entry in form.entries(tmp_path)}
    assert set(read) == {(split, record.id) for split, record in RECORDS}
    for split, record in RECORDS:
        again = read[split, record.id]
        assert again.text == record.text
        assert [one._replace(id="") for one in again.mentions] == list(record.mentions)
    doubts = [doubt for record in read.values() for doubt in record.doubts]
    assert len(doubts) == 1 and doubts[0].file == form.TRAIN and "mended" in doubts[0].reason


def test_every_trap_of_the_form_occurs() -> None:
    marked = [(record.text, *one.fragments[0], one.label) for _, record in RECORDS for one in record.mentions]
    assert {label for *_, label in marked} == set(form.TYPES)
    behind = {re.match(r"\S*", text[end:])[0] for text, _, end, _ in marked}
    assert any(re.fullmatch(r"/20\d\d", one) for one in behind) and any(re.fullmatch(r"-\d\d", one) for one in behind)
    assert {",", "M", ""} <= behind
    assert any(" " in text[start:end] for text, start, end, _ in marked)
    assert {"<", "&"} <= set("".join(record.text for _, record in RECORDS))


def test_neither_years_nor_ages_below_ninety_are_marked() -> None:
    for _, record in RECORDS:
        for mention in record.mentions:
            words = record.text[slice(*mention.fragments[0])]
            if mention.label == "AGE":
                assert int(words) >= 90
            if mention.label == "DATE":
                assert not re.search(r"\d{4}|\d[/-]\d+[/-]\d", words)


def test_test_split_is_neither_known_nor_foreign() -> None:
    train, test = strings("train"), strings("test")
    assert 0.2 < len(test - train) / len(test) < 0.95
    assert {"Sharpe", "Brusk"}.isdisjoint(train)


def test_status_is_what_the_text_says(tmp_path: Path) -> None:
    i2b2_2006_smoking.write_i2b2_2006_smoking(tmp_path, iter(SMOKERS))
    assert {path.name for path in tmp_path.iterdir()} == set(i2b2_2006_smoking.CONTENTS)
    read = {(entry.split, entry.id.rpartition("/")[2]): entry.load() for entry in smoking_form.entries(tmp_path)}
    assert set(read) == {(split, record.id) for split, record in SMOKERS}
    for split, record in SMOKERS:
        assert (read[split, record.id].text, read[split, record.id].cats) == (record.text, record.cats)
        assert bool(SAID.search(record.text)) == (record.cats["UNKNOWN"] == 0.0)
    drawn = [max(record.cats, key=lambda label: record.cats[label]) for _, record in SMOKERS]
    assert set(drawn) == set(smoking_form.STATUSES) and drawn.count("UNKNOWN") > len(drawn) / 2


def test_records_do_not_depend_on_their_number_and_seeds_differ() -> None:
    assert i2b2_2006.make_record(7, 5) == RECORDS[6] and i2b2_2006_smoking.make_record(7, 5) == SMOKERS[6]
    assert i2b2_2006.make_record(7, 6)[1].text != RECORDS[6][1].text
    assert i2b2_2006_smoking.make_record(7, 6)[1].text != SMOKERS[6][1].text
