from pathlib import Path

import pytest

from spacy_clinbert.corpora.folders import files, split_of, splits_in
from spacy_clinbert.errors import ClinbertError


@pytest.mark.parametrize(
    "name, splits",
    [
        ("training-PHI-Gold-Set1", ["train"]),
        ("testing-PHI-Gold-fixed", ["test"]),
        ("reference_standard_for_test_data", ["test"]),
        ("mli_dev_v1.jsonl", ["dev"]),
        ("CDR_TrainingSet.PubTator.txt", ["train"]),
        ("CDR_DevelopmentSet.PubTator.txt", ["dev"]),
        ("CDRTestSet", ["test"]),
        ("NCBItrainset_corpus.txt", ["train"]),
        ("NCBIdevelopset_corpus.txt", ["dev"]),
        ("NCBItestset_corpus.txt", ["test"]),
        ("TEST", ["test"]),
        ("train_dev.tsv", ["train", "dev"]),
        ("latest", []),
        ("LATEST.xml", []),
        ("Strain", []),
        ("contested", []),
        ("attestation-of-device", []),
    ],
)
def test_splits_in_names(name: str, splits: list) -> None:
    assert splits_in(name) == splits
    assert split_of(name) == (splits[0] if splits else "train")


def test_files_take_the_innermost_name_that_says(tmp_path: Path) -> None:
    for name in (
        "test/a.txt",
        "test/devel.txt",
        "b.txt",
        ".test/c.txt",
        "._d.txt",
        "README.txt",
        "LICENSE.txt",
        "e.xml",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "folder.txt").mkdir()
    found = [(path.relative_to(tmp_path).as_posix(), split) for path, split in files(tmp_path, (".txt", ".csv"), "x")]
    assert found == [("b.txt", "train"), ("test/a.txt", "test"), ("test/devel.txt", "dev")]
    assert list(files(tmp_path / "test/devel.txt", ".nothing", "x")) == [(tmp_path / "test/devel.txt", "dev")]


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="nowhere: no such file or folder"):
        list(files(tmp_path / "nowhere", ".txt", "x"))
