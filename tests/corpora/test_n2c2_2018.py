from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora import n2c2_2018
from spacy_clinbert.corpora.records import Mention, Record, Relation
from spacy_clinbert.encoders import ENCODERS
from spacy_clinbert.errors import ClinbertError

TEXT = "1. Lasix 20 mg Tablet PO DAILY for 30\ndays.\n"
RECORD = Record(
    "100",
    TEXT,
    (Mention(((3, 8),), "Drug"), Mention(((9, 14),), "Strength"), Mention(((31, 42),), "Duration")),
    (Relation(1, 0, "Strength-Drug"), Relation(2, 0, "Duration-Drug")),
)


def test_released_folders(tmp_path: Path) -> None:
    for folder in (n2c2_2018.TRAIN, n2c2_2018.TEST):
        n2c2_2018.write([RECORD], tmp_path / folder)
    (tmp_path / "test_without_annotations").mkdir()
    (tmp_path / "test_without_annotations/100.txt").write_text(TEXT)
    entries = list(n2c2_2018.entries(tmp_path))
    assert [(one.id, one.split) for one in entries] == [
        ("gold-standard-test-data/100", "test"),
        ("training_20180910/100", "train"),
    ]
    for entry in entries:
        again = entry.load()
        assert again.text == TEXT and again.relations == RECORD.relations and not again.doubts
        assert [one._replace(id="") for one in again.mentions] == list(RECORD.mentions)


def test_one_folder_by_itself(tmp_path: Path) -> None:
    n2c2_2018.write([RECORD], tmp_path)
    assert [(one.id, one.split) for one in n2c2_2018.entries(tmp_path)] == [("100", "train")]


def test_mentions_over_line_ends_are_written_as_released(tmp_path: Path) -> None:
    n2c2_2018.write([RECORD], tmp_path)
    assert "T3\tDuration 31 37;38 42\tfor 30 days" in (tmp_path / "100.ann").read_text().splitlines()


def test_other_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="n2c2 2018 has no label 'problem'"):
        n2c2_2018.write([Record("1", "pain", (Mention(((0, 4),), "problem"),))], tmp_path)


def test_the_catalogue_of_encoders_knows_the_texts() -> None:
    known = {text for encoder in ENCODERS.values() for text in encoder.text}
    assert set(n2c2_2018.FORMAT.texts) <= known


@settings(max_examples=50)
@given(
    drawn=st.lists(
        st.tuples(st.sampled_from(sorted(n2c2_2018.LABELS)), st.integers(0, 9), st.integers(1, 4)), max_size=8
    )
)
def test_what_is_written_is_read_back(drawn: list, tmp_path_factory: pytest.TempPathFactory) -> None:
    words = TEXT.split()
    starts = [TEXT.index(word) for word in words]
    mentions = []
    for label, first, length in drawn:
        last = min(first + length, len(words)) - 1
        if first <= last:
            mentions.append(Mention(((starts[first], starts[last] + len(words[last])),), label))
    relations = [Relation(index, 0, f"{one.label}-Drug") for index, one in enumerate(mentions)]
    folder = tmp_path_factory.mktemp("corpus", numbered=True)
    n2c2_2018.write([Record("1", TEXT, tuple(mentions), tuple(relations))], folder)
    (entry,) = n2c2_2018.entries(folder)
    again = entry.load()
    assert [one._replace(id="") for one in again.mentions] == mentions and again.relations == tuple(relations)


@pytest.mark.external
def test_sample(shared: Path) -> None:
    (entry,) = n2c2_2018.entries(shared / "data/formats/n2c2_2018_track2")
    record = entry.load()
    found = [(record.text[slice(*one.fragments[0])].split(), one.label) for one in record.mentions]
    assert len(found) == 9 and len(record.relations) == 7 and not record.doubts
    assert (["for", "30", "days"], "Duration") in found and (["dry", "cough"], "ADE") in found
    assert all(len(one.fragments) == 1 for one in record.mentions)
