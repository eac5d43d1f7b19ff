from pathlib import Path

from spacy_clinbert.corpora import conll
from spacy_clinbert.synthetic.conll import CONTENTS, make_record, write_conll

RECORDS = [make_record(number, seed=5) for number in range(1, 401)]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_conll(tmp_path, iter(RECORDS))
    assert {path.name for path in tmp_path.iterdir()} == set(CONTENTS)
    entries = list(conll.entries(tmp_path))
    for split in ("train", "dev", "test"):
        written = [record for one, record in RECORDS if one == split]
        read = [entry.load() for entry in entries if entry.split == split]
        assert [record.text for record in read] == [record.text for record in written]
        assert [[one._replace(id="") for one in record.mentions] for record in read] == [
            list(record.mentions) for record in written
        ]
        # IOB1 begins its mentions with I; in IOB2 that is ill-formed, and reported.
        assert any(record.doubts for record in read) == (split != "dev")


def test_every_trap_of_the_format_occurs(tmp_path: Path) -> None:
    write_conll(tmp_path, iter(RECORDS))
    columns = {
        name: [line.split("\t" if name.endswith(".tsv") else " ") for line in (tmp_path / name).open() if line.strip()]
        for name in CONTENTS
    }
    assert {len(row) for row in columns["train.tsv"]} == {2} and {len(row) for row in columns["devel.conll"]} == {4}
    assert any(" " in token for token, _ in columns["train.tsv"])
    assert {row[3].strip()[:2] for row in columns["devel.conll"]} == {"O", "I-", "B-"}
    assert all(rows[0][0] == "-DOCSTART-" for rows in columns.values())
    assert {one.label for _, record in RECORDS for one in record.mentions} == {"problem", "treatment", "test"}


def test_documents_depend_on_number_and_seed_alone() -> None:
    assert make_record(7, 5) == RECORDS[6]
    assert make_record(7, 6)[1].text != RECORDS[6][1].text
