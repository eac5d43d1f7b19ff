from pathlib import Path

from spacy_clinbert.corpora import pubtator
from spacy_clinbert.synthetic.pubtator import CONTENTS, make_record, write_pubtator

RECORDS = [make_record(number, seed=5) for number in range(1, 301)]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_pubtator(tmp_path, iter(RECORDS))
    assert {path.name for path in tmp_path.iterdir()} == set(CONTENTS)
    read = {entry.id: entry for entry in pubtator.entries(tmp_path)}
    assert len(read) == len(RECORDS)
    doubts = 0
    for split, record in RECORDS:
        again = read[record.id].load()
        assert read[record.id].split == split
        assert (again.text, again.relations) == (record.text, record.relations)
        # Those whose offsets are off by one are found where they were.
        assert [one._replace(id="") for one in again.mentions] == list(record.mentions)
        doubts += len(again.doubts)
    mentions = sum(len(record.mentions) for _, record in RECORDS)
    assert 0 < doubts < 0.03 * mentions


def test_every_trap_of_the_format_occurs(tmp_path: Path) -> None:
    assert any("|" in record.text.split("\n")[0] for _, record in RECORDS)
    assert any(record.text.endswith("\n") for _, record in RECORDS)
    assert {one.label for _, record in RECORDS for one in record.relations} > {"TrAP", "TrCP"}
    assert {one.label for _, record in RECORDS for one in record.mentions} == {"problem", "treatment"}
    assert all(record.text[slice(*one.fragments[0])].strip() for _, record in RECORDS for one in record.mentions)
    write_pubtator(tmp_path, iter(RECORDS))
    assert any("\t\n" in path.read_text() for path in tmp_path.iterdir())


def test_documents_depend_on_number_and_seed_alone() -> None:
    assert make_record(7, 5) == RECORDS[6]
    assert make_record(7, 6)[1].text != RECORDS[6][1].text
