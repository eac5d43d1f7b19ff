import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora import i2b2_2006_smoking as smoking
from spacy_clinbert.corpora.records import LeftOut, Mention, Record
from spacy_clinbert.errors import ClinbertError


def put(folder: Path, *statuses: str, name: str = smoking.TRAIN) -> Path:
    records = (
        f'<RECORD ID="{number}">{status}<TEXT>\nsecret {number}\n</TEXT></RECORD>'
        for number, status in enumerate(statuses, start=1)
    )
    (folder / name).write_text(f"<ROOT>{''.join(records)}</ROOT>", encoding="utf-8")
    return folder


def status(label: str) -> str:
    return f'<SMOKING STATUS="{label}"/>'


def test_each_status_is_exclusive(tmp_path: Path) -> None:
    read = [entry.load() for entry in smoking.entries(put(tmp_path, *map(status, smoking.STATUSES)))]
    assert [set(record.cats) for record in read] == [set(smoking.STATUSES)] * 5
    assert [[label for label, value in record.cats.items() if value == 1.0] for record in read] == [
        [label] for label in smoking.STATUSES
    ]
    assert read[0].text == "\nsecret 1\n" and read[0].sentences == 1 and not read[0].mentions


@pytest.mark.parametrize("element", ["", "<SMOKING/>", status("")])
def test_a_record_without_status_is_left_out(element: str, tmp_path: Path) -> None:
    first, second = smoking.entries(put(tmp_path, element, status("UNKNOWN")))
    with pytest.raises(LeftOut, match="RECORD 1: has no smoking status"):
        first.load()
    assert second.load().cats["UNKNOWN"] == 1.0


@pytest.mark.parametrize("label", ["past smoker", "EX-SMOKER", "SMOKER "])
def test_a_status_that_is_none_is_named(label: str, tmp_path: Path) -> None:
    (entry,) = smoking.entries(put(tmp_path, status(label)))
    with pytest.raises(ClinbertError, match=re.escape("RECORD 1: its STATUS is none of")) as caught:
        entry.load()
    assert not isinstance(caught.value, LeftOut) and "secret" not in str(caught.value)


def test_released_layout(tmp_path: Path) -> None:
    put(tmp_path, status("SMOKER"))
    put(tmp_path, status("UNKNOWN"), name=smoking.TEST)
    put(tmp_path, "", name="smokers_surrogate_test_all_version2.xml")
    entries = list(smoking.entries(tmp_path))
    assert [(entry.id, entry.split) for entry in entries] == [
        ("smokers_surrogate_test_all_groundtruth_version2/1", "test"),
        ("smokers_surrogate_test_all_version2.xml", "test"),
        ("smokers_surrogate_train_all_version2/1", "train"),
    ]
    with pytest.raises(LeftOut, match="without annotations"):
        entries[1].load()


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=r"nowhere: no such .* i2b2 2006 smoking"):
        list(smoking.entries(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    "record",
    [
        Record("r", "a"),
        Record("r", "a", cats={"SMOKER": 1.0}),
        Record("r", "a", cats=dict.fromkeys(smoking.STATUSES, 1.0)),
        Record("r", "a", (Mention(((0, 1),), "ID"),), cats=smoking.status_cats("SMOKER")),
    ],
)
def test_what_the_form_cannot_hold(record: Record, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="r: i2b2 2006 smoking holds a text and one of the statuses"):
        smoking.write([record], tmp_path)


letters = st.characters(exclude_categories=["Cs", "Cc", "Cn"]) | st.sampled_from("\n\r\t <>&\"']")


@settings(max_examples=60)
@given(drawn=st.lists(st.tuples(st.text(letters), st.sampled_from(smoking.STATUSES)), min_size=1, max_size=4))
def test_what_is_written_is_read_back(drawn: list, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("corpus", numbered=True)
    smoking.write([Record(str(n), text, cats=smoking.status_cats(one)) for n, (text, one) in enumerate(drawn)], folder)
    again = [entry.load() for entry in smoking.entries(folder)]
    assert [(one.text, one.cats) for one in again] == [(text, smoking.status_cats(one)) for text, one in drawn]


@pytest.mark.external
def test_sample(shared: Path) -> None:
    read = [entry.load() for entry in smoking.entries(shared / "data/formats/i2b2_2006_smoking")]
    assert [max(record.cats, key=lambda label: record.cats[label]) for record in read] == ["PAST SMOKER", "UNKNOWN"]
    assert read[0].text.startswith("\n") and not any(record.doubts for record in read)
