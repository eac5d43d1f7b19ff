"""Who trains and who tests: the same by every road, and a conflict is an error."""

import numpy as np
import polars as pl
import pytest
from coded_visits import event, prepared, run
from hypothesis import given
from hypothesis import strategies as st

from spacy_clinbert.ehr.split import patient_keys, split_of
from spacy_clinbert.errors import ClinbertError


def some(count=200):
    return [event(f"s{n}", "v", "2020-01-01", "2020-01-02", f"C{n % 7}") for n in range(count)]


def splits_of(out):
    return {name: row["split"] for name, row in prepared(out).items()}


def test_the_hash_is_fixed_for_ever():
    # Other numbers would put patients of earlier encoders on the other side.
    keys = patient_keys([f"s{n}" for n in range(40)])
    assert "".join(map(str, split_of(keys, (7, 1, 2)))) == PINNED


PINNED = "2220020022200000000012010000200100000200"


def test_shares_are_kept_and_splits_disjoint(tmp_path):
    keys = patient_keys([str(n) for n in range(20_000)])
    for shares in [(7, 1, 2), (1, 1, 1), (8, 2, 0), (1, 0, 0)]:
        found = np.bincount(split_of(keys, shares), minlength=3) / len(keys)
        assert found == pytest.approx(np.array(shares) / sum(shares), abs=0.015)
    run(tmp_path / "out", some())
    # `prepared` sees to it that nobody is there twice.
    assert len(splits_of(tmp_path / "out")) == 200 and len(set(splits_of(tmp_path / "out").values())) == 3


@given(st.lists(st.text(min_size=1), min_size=1, max_size=20, unique=True))
def test_a_patient_is_where_it_is_whoever_else_is_there(names):
    alone = [int(split_of(patient_keys([name]), (7, 1, 2))[0]) for name in names]
    assert split_of(patient_keys(names), (7, 1, 2)).tolist() == alone


def test_pretraining_and_fine_tuning_divide_alike(tmp_path):
    run(tmp_path / "pretrain", some())
    run(tmp_path / "tune", some(90), like=tmp_path / "pretrain", min_codes=1)
    before, after = splits_of(tmp_path / "pretrain"), splits_of(tmp_path / "tune")
    assert len(after) == 90 and all(before[name] == split for name, split in after.items())


def test_the_vocabulary_of_others_is_taken_over(tmp_path):
    run(tmp_path / "pretrain", some(), min_count=1)
    events = [*some(), event("s1", "w", "2020-03-01", "2020-03-02", "NEW")]
    run(tmp_path / "tune", events, like=tmp_path / "pretrain")
    assert (tmp_path / "tune" / "codes.json").read_bytes() == (tmp_path / "pretrain" / "codes.json").read_bytes()
    assert prepared(tmp_path / "tune")["s1"]["codes"] == ["C1", "[UNK]"]
    with pytest.raises(ClinbertError, match="the vocabulary is another"):
        run(tmp_path / "tune", events)


def test_other_shares_than_those_of_the_pretraining_are_a_conflict(tmp_path):
    run(tmp_path / "pretrain", some())
    with pytest.raises(ClinbertError, match=r"divided by hash 7:1:2, these by hash 8:1:1"):
        run(tmp_path / "tune", some(), like=tmp_path / "pretrain", shares=(8, 1, 1))
    assert not (tmp_path / "tune").exists()


@pytest.fixture
def meds(tmp_path):
    path = tmp_path / "subject_splits.parquet"
    names = ["train", "tuning", "held_out"]
    pl.DataFrame({"subject_id": range(200), "split": [names[n % 3] for n in range(200)]}).write_parquet(path)
    return path


def numbered(count=200):
    return [{**row, "subject_id": row["subject_id"][1:]} for row in some(count)]


def test_the_splits_of_meds_take_the_place_of_the_hash(tmp_path, meds):
    run(tmp_path / "out", numbered(), splits=meds)
    found = splits_of(tmp_path / "out")
    assert found == {str(n): ["train", "valid", "test"][n % 3] for n in range(200)}
    assert run(tmp_path / "out", numbered(), splits=meds).splits.startswith("file ")
    with pytest.raises(ClinbertError, match="the splits were by file"):
        run(tmp_path / "out", numbered())


def test_splits_by_file_and_by_hash_are_a_conflict(tmp_path, meds):
    run(tmp_path / "pretrain", numbered())
    with pytest.raises(ClinbertError, match="these by file"):
        run(tmp_path / "tune", numbered(), like=tmp_path / "pretrain", splits=meds)


@pytest.mark.parametrize(
    "rows, message",
    [
        ([("s0", "train"), ("s1", "train"), ("s1", "held_out")], "patient s1 is in the file of splits more than once"),
        ([("s0", "train")], "patient s1 is in no split"),
        ([("s0", "train"), ("s1", "dev")], "names a split that is none of train, tuning"),
    ],
)
def test_a_file_of_splits_that_cannot_be_followed(tmp_path, rows, message):
    path = tmp_path / "splits.csv"
    pl.DataFrame(rows, ["subject_id", "split"], orient="row").write_csv(path)
    with pytest.raises(ClinbertError, match=message):
        run(tmp_path / "out", some(2), splits=path)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_file_of_splits(tmp_path):
    path = tmp_path / "splits.csv"
    path.write_text("person,split\n1,train\n")
    with pytest.raises(ClinbertError, match="has no column subject_id"):
        run(tmp_path / "out", some(2), splits=path)
    (tmp_path / "splits.parquet").write_bytes(b"PAR1")
    with pytest.raises(ClinbertError, match="cannot be read"):
        run(tmp_path / "out", some(2), splits=tmp_path / "splits.parquet")
