from pathlib import Path

import pytest

from spacy_clinbert.corpora import i2b2_2014, paper_lines
from spacy_clinbert.corpora.records import Mention, Record

TEXT = "\n\n\nRecord date: 2101-03-04\n\nMs. Quilley is 91.\n"


@pytest.mark.parametrize(
    "name, patient", [("180-03", "180"), ("999-01", "999"), ("notes/101-02", "101"), ("a1-02", ""), ("180", "")]
)
def test_the_name_tells_the_patient(name: str, patient: str, tmp_path: Path) -> None:
    i2b2_2014.write([Record(name, TEXT)], tmp_path)
    (entry,) = i2b2_2014.entries(tmp_path)
    assert (entry.id, entry.patient) == (name.rpartition("/")[2], patient)


def test_types_are_written_under_their_category(tmp_path: Path) -> None:
    spans = {"DATE": (16, 26), "PATIENT": (32, 39), "AGE": (43, 45), "NEW": (3, 9)}
    i2b2_2014.write([Record("1-01", TEXT, tuple(Mention((at,), label) for label, at in spans.items()))], tmp_path)
    content = (tmp_path / "1-01.xml").read_text(encoding="utf-8")
    assert '<DATE id="P0" start="16" end="26" text="2101-03-04" TYPE="DATE" comment="" />' in content
    assert '<NAME id="P1" start="32" end="39" text="Quilley" TYPE="PATIENT" comment="" />' in content
    assert '<OTHER id="P3" start="3" end="9" text="Record" TYPE="NEW" comment="" />' in content


def test_the_type_is_the_label_whatever_the_category_and_none_is_reported(tmp_path: Path) -> None:
    tags = '<ID id="P0" start="32" end="39" text="Quilley" TYPE="DOCTOR" />'
    tags += '<ID id="P1" start="43" end="45" text="91" TYPE="" /><ID id="P2" start="43" end="45" text="91" />'
    content = f"<deIdi2b2><TEXT><![CDATA[{TEXT}]]></TEXT><TAGS>{tags}</TAGS></deIdi2b2>"
    (tmp_path / "1-01.xml").write_text(content, encoding="utf-8")
    (entry,) = i2b2_2014.entries(tmp_path)
    record = entry.load()
    assert record.mentions == (Mention(((32, 39),), "DOCTOR", "P0"),)
    assert [doubt.id for doubt in record.doubts] == ["P1", "P2"]


def lines(record: Record) -> list:
    tagged = paper_lines.tag(i2b2_2014.FORMAT.paper_lines(record.text, record.mentions), record.mentions)
    return [[f"{record.text[start:end]} {tag}" for start, end, tag in line] for line in tagged]


def golden(path: Path) -> list:
    return [block.strip("\n").split("\n") for block in path.read_text(encoding="utf-8").split("\n\n") if block.strip()]


@pytest.mark.external
def test_lines_of_the_published_conversion(shared: Path) -> None:
    folder = shared / "golden/clinicalbert_bio/random/i2b2_2014"
    entries = list(i2b2_2014.entries(folder / "xml"))
    assert len(entries) == 60
    for entry in entries:
        record = entry.load()
        assert lines(record) == golden(folder / "iob" / f"{entry.id}.iob") and not record.doubts


@pytest.mark.external
def test_sample(shared: Path) -> None:
    (entry,) = i2b2_2014.entries(shared / "data/formats/i2b2_2014_deid")
    record = entry.load()
    assert lines(record) == golden(shared / "golden/clinicalbert_bio/i2b2_2014.999-01.bio")
    assert len(record.mentions) == 12 and entry.patient == "999" and not record.doubts
