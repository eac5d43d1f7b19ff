from collections import Counter
from pathlib import Path

from spacy_clinbert.corpora import pubmed_rct
from spacy_clinbert.corpora.pubmed_rct import LABELS
from spacy_clinbert.synthetic.pubmed_rct import CONTENTS, make_abstract, write_pubmed_rct

ABSTRACTS = [make_abstract(number, seed=5) for number in range(1, 201)]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_pubmed_rct(tmp_path, iter(ABSTRACTS))
    assert {path.name for path in tmp_path.iterdir()} == set(CONTENTS)
    read = {entry.id: entry for entry in pubmed_rct.entries(tmp_path)}
    assert len(read) == sum(len(records) for _, records in ABSTRACTS)
    for split, records in ABSTRACTS:
        for record in records:
            again = read[record.id].load()
            assert read[record.id].split == split
            assert (again.text, again.cats) == (record.text, record.cats)


def test_abstracts_are_like_the_real_ones(tmp_path: Path) -> None:
    labels = [[next(filter(record.cats.get, LABELS)) for record in records] for _, records in ABSTRACTS]
    assert all(one == sorted(one, key=LABELS.index) for one in labels)
    assert set(Counter(label for one in labels for label in one)) == set(LABELS)
    assert any("BACKGROUND" not in one for one in labels) and any("OBJECTIVE" not in one for one in labels)
    texts = [record.text for _, records in ABSTRACTS for record in records]
    assert not any(mark in text for text in texts for mark in ("[C]", "[T]", "{", "  ", "0"))
    assert any("@" in text for text in texts) and any("±" in text for text in texts)
    write_pubmed_rct(tmp_path, iter(ABSTRACTS))
    assert any("\n\n\n" in path.read_text() for path in tmp_path.iterdir())


def test_test_sentences_are_neither_known_nor_foreign() -> None:
    heard = {
        split: {record.text for one, records in ABSTRACTS if one == split for record in records}
        for split in ("train", "test")
    }
    known = len(heard["test"] & heard["train"]) / len(heard["test"])
    assert 0.01 < known < 0.5


def test_abstracts_depend_on_number_and_seed_alone() -> None:
    assert make_abstract(7, 5) == ABSTRACTS[6]
    assert make_abstract(7, 6)[1] != ABSTRACTS[6][1]
