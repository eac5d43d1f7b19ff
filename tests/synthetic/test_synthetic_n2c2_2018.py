import re
from pathlib import Path

from spacy_clinbert.corpora import n2c2_2018
from spacy_clinbert.synthetic.n2c2_2018 import CONTENTS, make_record, write_n2c2_2018

RECORDS = [make_record(number, seed=5) for number in range(1, 81)]


def strings(folder: str) -> set:
    return {
        (re.sub(r"\s+", " ", record.text[start:end]).lower(), mention.label)
        for record in RECORDS
        if record.id.startswith(folder)
        for mention in record.mentions
        for start, end in mention.fragments
    }


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_n2c2_2018(tmp_path, iter(RECORDS))
    assert {path.name for path in tmp_path.iterdir()} == set(CONTENTS)
    read = {entry.id: entry for entry in n2c2_2018.entries(tmp_path)}
    assert set(read) == {record.id for record in RECORDS}
    for record in RECORDS:
        entry = read[record.id]
        again = entry.load()
        assert entry.split == ("test" if record.id.startswith(n2c2_2018.TEST) else "train")
        assert again.text == record.text and again.relations == record.relations and not again.doubts
        assert [one._replace(id="") for one in again.mentions] == list(record.mentions)


def test_every_trap_of_the_format_occurs() -> None:
    mentions = [(record, one) for record in RECORDS for one in record.mentions]
    assert {one.label for _, one in mentions} == n2c2_2018.LABELS
    assert 0.005 < sum(len(one.fragments) > 1 for _, one in mentions) / len(mentions) < 0.05
    assert any("\n" in record.text[slice(*one.fragments[0])] for record, one in mentions)
    assert {one.label for record in RECORDS for one in record.relations} == {
        f"{label}-Drug" for label in n2c2_2018.LABELS - {"Drug"}
    }
    for record in RECORDS:
        for head, tail, label in record.relations:
            assert label == f"{record.mentions[head].label}-Drug" and record.mentions[tail].label == "Drug"


def test_mentions_begin_and_end_with_words_and_no_template_is_left() -> None:
    for record in RECORDS:
        assert not re.search(r"[{}]|\w:\w+>|\+:", record.text)
        for mention in record.mentions:
            for start, end in mention.fragments:
                assert record.text[start:end] == record.text[start:end].strip() != ""


def test_test_split_is_neither_known_nor_foreign() -> None:
    train, test = strings(n2c2_2018.TRAIN), strings(n2c2_2018.TEST)
    assert 0.2 < len(test - train) / len(test) < 0.8


def test_documents_do_not_depend_on_others_and_seeds_differ() -> None:
    assert make_record(7, 5) == RECORDS[6]
    assert make_record(7, 6).text != RECORDS[6].text
