from pathlib import Path

import pytest

from spacy_clinbert.corpora import n2c2_2018_track1
from spacy_clinbert.corpora.n2c2_2018_track1 import CRITERIA
from spacy_clinbert.corpora.records import Record


def load(folder: Path, tags: str) -> Record:
    content = f"<PatientMatching><TEXT><![CDATA[\n\nNote.\n]]></TEXT><TAGS>{tags}</TAGS></PatientMatching>"
    (folder / "100.xml").write_text(content, encoding="utf-8")
    (entry,) = n2c2_2018_track1.entries(folder)
    return entry.load()


def test_criteria_are_categories(tmp_path: Path) -> None:
    met = dict.fromkeys(CRITERIA, "not met") | {"ENGLISH": "met"}
    record = load(tmp_path, "".join(f'<{name} met="{value}" />' for name, value in met.items()))
    assert record.cats == {name: float(name == "ENGLISH") for name in CRITERIA} and len(record.cats) == 13
    assert record.text == "\n\nNote.\n" and not record.mentions and not record.doubts


@pytest.mark.parametrize(
    "tags, cats, name, reason",
    [
        ("", {}, "ENGLISH", "missing"),
        ('<ENGLISH met="perhaps" />', {}, "ENGLISH", "left out: neither met nor not met"),
        ("<ENGLISH />", {}, "ENGLISH", "left out: neither met nor not met"),
        ('<SMOKER met="met" />', {}, "SMOKER", "left out: none of the 13 criteria"),
        ('<ENGLISH met="met" /><ENGLISH met="not met" />', {"ENGLISH": 1.0}, "ENGLISH", "said twice"),
    ],
)
def test_what_is_missing_or_unknown_is_reported(tags: str, cats: dict, name: str, reason: str, tmp_path: Path) -> None:
    others = {criterion: 1.0 for criterion in CRITERIA if criterion != "ENGLISH"}
    if name == "SMOKER":
        others["ENGLISH"] = 1.0
    record = load(tmp_path, tags + "".join(f'<{criterion} met="met" />' for criterion in others))
    assert record.cats == others | cats
    (doubt,) = record.doubts
    assert (doubt.file, doubt.id) == ("100.xml", name) and doubt.reason.startswith(reason)


@pytest.mark.external
def test_sample(shared: Path) -> None:
    (entry,) = n2c2_2018_track1.entries(shared / "data/formats/n2c2_2018_track1")
    record = entry.load()
    assert len(record.cats) == 13 and sum(record.cats.values()) == 8 and not record.doubts
    assert record.text.startswith("\n\nRecord date: 2101-03-04\n")
