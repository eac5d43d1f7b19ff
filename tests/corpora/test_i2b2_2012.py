from pathlib import Path

import pytest

from spacy_clinbert.corpora import i2b2_2012, paper_lines
from spacy_clinbert.corpora.records import Record, Relation

TEXT = "\nAdmission Date :\n03/04/2101\nNo further pain was reported .\n"


def load(folder: Path, tags: str, text: str = TEXT) -> Record:
    root = i2b2_2012.ROOT
    content = f"<{root}><TEXT><![CDATA[{text}]]></TEXT><TAGS>{tags}</TAGS></{root}>"
    (folder / "1.xml").write_text(content, encoding="utf-8")
    (entry,) = i2b2_2012.entries(folder)
    return entry.load()


def event(name: str, words: str, label: str, more: str = "") -> str:
    start = TEXT.index(words)
    return f'<EVENT id="{name}" start="{start}" end="{start + len(words)}" text="{words}" type="{label}" {more}/>'


def test_events_are_mentions_and_times_are_passed_over(tmp_path: Path) -> None:
    tags = event("E0", "Admission", "OCCURRENCE", 'modality="FACTUAL" polarity="POS"')
    tags += event("E1", "further pain", "PROBLEM", 'modality="POSSIBLE" polarity="NEG"') + event("E2", "reported", "X")
    tags += '<TIMEX3 id="T0" start="18" end="28" text="03/04/2101" type="DATE" val="2101-03-04" mod="NA" />'
    tags += '<SECTIME id="S0" start="18" end="28" text="03/04/2101" type="ADMISSION" dvalue="2101-03-04" />'
    record = load(tmp_path, tags)
    assert [(record.text[slice(*one.fragments[0])], one.label, one.id, one.assertion) for one in record.mentions] == [
        ("Admission", "OCCURRENCE", "E0", "POS FACTUAL"),
        ("further pain", "PROBLEM", "E1", "NEG POSSIBLE"),
        ("reported", "X", "E2", ""),
    ]
    assert record.sentences == 3 and not record.doubts


def test_links_of_events_are_relations(tmp_path: Path) -> None:
    tags = event("E0", "Admission", "") + event("E1", "further pain", "PROBLEM") + event("E2", "reported", "EVIDENTIAL")
    tags += '<TIMEX3 id="T0" start="18" end="28" text="03/04/2101" type="DATE" />'
    ends = {"TL0": "E1 E2 BEFORE", "TL1": "E1 T0 AFTER", "TL2": "E0 E1 AFTER", "TL3": "E9 E1 AFTER"}
    for name, link in ends.items():
        head, tail, label = link.split(" ")
        tags += f'<TLINK id="{name}" fromID="{head}" fromText="" toID="{tail}" toText="" type="{label}" />'
    tags += '<TLINK id="TL4" fromID="E1" toID="E2" type="" /><LINK id="L0" />'
    record = load(tmp_path, tags)
    assert record.relations == (Relation(0, 1, "BEFORE"),)
    assert {doubt.id: doubt.reason.partition(":")[2].strip() for doubt in record.doubts} == {
        "E0": "its type is empty",
        "TL2": "it joins an event that is not annotated or was left out",
        "TL3": "it joins an event that is not annotated or was left out",
        "TL4": "its type is empty",
        "L0": "no annotation of i2b2 2012",
    }


@pytest.mark.parametrize("label", ["", "  "])
def test_an_event_without_a_type_is_skipped_and_reported(label: str, tmp_path: Path) -> None:
    record = load(tmp_path, event("E5", "further pain", label))
    assert not record.mentions and [(one.file, one.id) for one in record.doubts] == [("1.xml", "E5")]


def lines(record: Record) -> list:
    tagged = paper_lines.tag(i2b2_2012.FORMAT.paper_lines(record.text, record.mentions), record.mentions)
    return [[f"{record.text[start:end]} {tag}" for start, end, tag in line] for line in tagged]


def golden(path: Path) -> list:
    return [block.strip("\n").split("\n") for block in path.read_text(encoding="utf-8").split("\n\n") if block.strip()]


@pytest.mark.external
def test_lines_of_the_published_conversion(shared: Path) -> None:
    folder = shared / "golden/clinicalbert_bio/random/i2b2_2012"
    entries = list(i2b2_2012.entries(folder / "xml"))
    assert len(entries) == 60
    for entry in entries:
        record = entry.load()
        assert lines(record) == golden(folder / "iob" / f"{entry.id}.iob")
        assert all(doubt.reason == "left out: its type is empty" for doubt in record.doubts)


@pytest.mark.external
def test_sample(shared: Path) -> None:
    (entry,) = i2b2_2012.entries(shared / "data/formats/i2b2_2012")
    record = entry.load()
    assert lines(record) == golden(shared / "golden/clinicalbert_bio/i2b2_2012.1.bio")
    assert len(record.mentions) == 7 and not record.doubts
