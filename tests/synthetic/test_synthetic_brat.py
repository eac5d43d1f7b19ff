from pathlib import Path

from spacy_clinbert.corpora import brat
from spacy_clinbert.synthetic.brat import CONTENTS, make_record, write_brat

RECORDS = [make_record(number, seed=5) for number in range(1, 81)]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_brat(tmp_path, iter(RECORDS))
    assert {path.name for path in tmp_path.iterdir()} == set(CONTENTS)
    read = {entry.id: entry for entry in brat.entries(tmp_path)}
    assert set(read) == {record.id for record in RECORDS}
    for record in RECORDS:
        again = read[record.id].load()
        assert read[record.id].split == record.id.partition("/")[0]
        assert again.text == record.text and again.relations == record.relations and not again.doubts
        assert [one._replace(id="") for one in again.mentions] == list(record.mentions)


def test_every_trap_of_the_format_occurs() -> None:
    mentions = [(record, one) for record in RECORDS for one in record.mentions]
    assert {one.label for _, one in mentions} == {"problem", "treatment", "test", "anatomy"}
    assert 0.005 < sum(len(one.fragments) > 1 for _, one in mentions) / len(mentions) < 0.1
    assert any("\n" in record.text[slice(*one.fragments[0])] for record, one in mentions)
    assert 0 < sum("\r\n" in record.text for record in RECORDS) < len(RECORDS) / 2
    for record in RECORDS:
        for head, tail, label in record.relations:
            ((start, end),) = record.mentions[tail].fragments
            assert label == "At" and record.mentions[tail].label == "anatomy"
            assert any(left <= start and end <= right for left, right in record.mentions[head].fragments)


def test_documents_do_not_depend_on_others_and_seeds_differ() -> None:
    assert make_record(7, 5) == RECORDS[6]
    assert make_record(7, 6).text != RECORDS[6].text
