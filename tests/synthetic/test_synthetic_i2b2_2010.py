from pathlib import Path

from spacy_clinbert.corpora import i2b2_2010
from spacy_clinbert.synthetic.i2b2_2010 import make_record, write_i2b2_2010

RECORDS = [make_record(number, seed=5) for number in range(1, 121)]


def strings(folders: set) -> set:
    return {
        (record.text[start:end].lower(), mention.label)
        for folder, record in RECORDS
        if folder in folders
        for mention in record.mentions
        for start, end in mention.fragments
    }


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_i2b2_2010(tmp_path, iter(RECORDS))
    read = {entry.id: entry for entry in i2b2_2010.entries(tmp_path)}
    assert set(read) == {f"{folder}/{record.id}" for folder, record in RECORDS}
    for folder, record in RECORDS:
        entry = read[f"{folder}/{record.id}"]
        again = entry.load()
        assert entry.split == ("test" if folder == "test" else "train")
        assert again.text == record.text
        assert [one._replace(id="") for one in again.mentions] == list(record.mentions)
        assert again.relations == record.relations
        assert not again.doubts


def test_every_trap_of_the_format_occurs() -> None:
    texts = [record.text for _, record in RECORDS]
    mentions = [record.text[at[0] : at[1]] for _, record in RECORDS for one in record.mentions for at in one.fragments]
    assert any("\n " in text for text in texts)
    assert any("  " in text for text in texts)
    assert any("\n" in mention for mention in mentions)
    assert any("  " in mention for mention in mentions)
    assert any('"' in mention for mention in mentions)
    assert {one.assertion for _, record in RECORDS for one in record.mentions} > {"present", "absent", "possible"}
    assert {one.label for _, record in RECORDS for one in record.relations} > {"TrAP", "TeRP", "TrIP"}


def test_test_split_is_neither_known_nor_foreign() -> None:
    train, test = strings({"beth", "partners"}), strings({"test"})
    assert 0.3 < len(test - train) / len(test) < 0.8
    ambiguous = {text for text, _ in train if len({label for known, label in train if known == text}) > 1}
    assert {"ct", "ms", "pt"} <= ambiguous


def test_documents_do_not_depend_on_their_number_and_seeds_differ() -> None:
    assert make_record(7, 5) == RECORDS[6]
    assert make_record(7, 6)[1].text != RECORDS[6][1].text
