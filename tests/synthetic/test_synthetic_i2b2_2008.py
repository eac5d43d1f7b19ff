import json
import re
from pathlib import Path

from spacy_clinbert.corpora import i2b2_2008 as form
from spacy_clinbert.synthetic.grammar import TEMPLATES
from spacy_clinbert.synthetic.i2b2_2008 import CONTENTS, make_record, write_i2b2_2008

RECORDS = [make_record(number, seed=5) for number in range(1, 121)]
RULES = json.loads((TEMPLATES / "obesity.json").read_text(encoding="utf-8"))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_i2b2_2008(tmp_path, iter(RECORDS))
    assert {path.name for path in tmp_path.iterdir()} == set(CONTENTS)
    read = {entry.id: entry.load() for entry in form.entries(tmp_path)}
    assert len(read) == len(RECORDS)
    for file, record in RECORDS:
        again = read[f"{'test' if file == 'test' else 'train'}/{record.id}"]
        assert (again.text, again.cats) == (record.text, record.cats)
        # The doubts are the missing judgements.
        assert len(again.doubts) == 32 - sum(again.cats.values())
    assert any(record.doubts for record in read.values())


def test_the_text_says_what_the_textual_judgement_says() -> None:
    wrong = said = 0
    for _, record in RECORDS:
        # ST depression is no depression.
        text = " ".join(record.text.split()).replace("ST depression", "")
        for disease in form.DISEASES:
            names = [name.lstrip("*") for name in RULES[f"is_{disease.replace(' ', '_')}"]]
            named = any(re.search(rf"\b{re.escape(name)}\b", text, re.IGNORECASE) for name in names)
            unmentioned = record.cats.get(f"textual:{disease}=U")
            if unmentioned is not None:
                said += not unmentioned
                # A name may be misspelt, but none comes from nowhere.
                assert not (named and unmentioned), disease
                wrong += not named and not unmentioned
    assert wrong < 0.02 * said


def test_every_judgement_occurs_and_intuition_goes_past_the_text() -> None:
    cats = [record.cats for _, record in RECORDS]
    for disease in form.DISEASES:
        assert any(one.get(f"textual:{disease}=U") == one.get(f"intuitive:{disease}=Y") == 1.0 for one in cats)
        assert any(one.get(f"textual:{disease}=Y") == one.get(f"intuitive:{disease}=Y") == 1.0 for one in cats)
    for judgement in ("textual:{}=N", "textual:{}=Q", "intuitive:{}=N", "intuitive:{}=Q"):
        assert any(one.get(judgement.format(disease)) for one in cats for disease in form.DISEASES)


def test_records_do_not_depend_on_their_number_and_seeds_differ() -> None:
    assert make_record(7, 5) == RECORDS[6]
    assert make_record(7, 6)[1].text != RECORDS[6][1].text
    assert {file for file, _ in RECORDS} == {"training", "training2", "test"}
