from collections import Counter
from pathlib import Path

import pytest

from spacy_clinbert.corpora import mednli
from spacy_clinbert.corpora.records import LeftOut
from spacy_clinbert.synthetic.mednli import CONTENTS, make_pair, write_mednli

PAIRS = [make_pair(number, seed=5) for number in range(1, 1201)]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    write_mednli(tmp_path, iter(PAIRS))
    assert {path.name for path in tmp_path.iterdir()} == set(CONTENTS)
    read = {entry.id: entry for entry in mednli.entries(tmp_path)}
    assert len(read) == len(PAIRS)
    for split, record in PAIRS:
        assert read[record.id].split == split
        if record.cats:
            again = read[record.id].load()
            assert (again.text, again.cats, again.parts) == (record.text, record.cats, record.parts)
        else:
            with pytest.raises(LeftOut):
                read[record.id].load()


def test_every_trap_of_the_format_occurs() -> None:
    premises = [record.text[slice(*record.parts["premise"])] for _, record in PAIRS]
    assert any(not record.cats for _, record in PAIRS)
    assert any("\n" in premise for premise in premises)
    assert any(premise.startswith(" ") for premise in premises)
    assert any("[**" in premise for premise in premises)
    assert not any("[X]" in record.text or "{" in record.text for _, record in PAIRS)


def test_a_premise_has_each_label_once_and_one_split() -> None:
    for start in range(0, len(PAIRS), 3):
        splits, records = zip(*PAIRS[start : start + 3], strict=True)
        assert len(set(splits)) == len({record.text[slice(*record.parts["premise"])] for record in records}) == 1
        labels = Counter(label for record in records for label, value in record.cats.items() if value)
        assert max(labels.values()) == 1


def test_test_pairs_are_neither_known_nor_foreign() -> None:
    heard = {split: {record.text for one, record in PAIRS if one == split} for split in ("train", "test")}
    assert len(heard["test"] & heard["train"]) < 0.2 * len(heard["test"])
    words = {split: {word for text in heard[split] for word in text.split()} for split in heard}
    assert 0.5 < len(words["test"] & words["train"]) / len(words["test"]) < 0.95


def test_pairs_depend_on_number_and_seed_alone() -> None:
    assert make_pair(7, 5) == PAIRS[6]
    assert make_pair(7, 6)[1].text != PAIRS[6][1].text
