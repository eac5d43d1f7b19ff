import os
from pathlib import Path

import pytest

from spacy_clinbert.corpora.folders import REJECTED, files, split_of, splits_in, visible
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
    (tmp_path / "folder.txt/f.csv").write_text("")
    found = [(path.relative_to(tmp_path).as_posix(), split) for path, split in files(tmp_path, (".txt", ".csv"), "x")]
    assert found == [
        ("b.txt", "train"),
        ("folder.txt/f.csv", "train"),
        ("test/a.txt", "test"),
        ("test/devel.txt", "dev"),
    ]
    assert list(files(tmp_path / "test/devel.txt", ".nothing", "x")) == [(tmp_path / "test/devel.txt", "dev")]


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="nowhere: no such file or folder"):
        list(files(tmp_path / "nowhere", ".txt", "x"))


def test_links_are_followed_and_what_is_no_file_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "licensed/sub").mkdir(parents=True)
    (tmp_path / "licensed/a.txt").write_text("")
    (tmp_path / "licensed/sub/circle").symlink_to(tmp_path / "licensed")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "test").symlink_to(tmp_path / "licensed")
    (corpus / "gone.txt").symlink_to(tmp_path / "nowhere")
    (corpus / "empty.txt").mkdir()
    found = [path.relative_to(corpus).as_posix() for path, _ in files(corpus, ".txt", "x")]
    assert found == ["empty.txt", "gone.txt", "test/a.txt"]


def test_an_earlier_output_in_a_corpus_is_none_of_it(tmp_path: Path) -> None:
    for name in ("a.iob", "out/train.iob", f"out/{REJECTED}"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert [path.name for path, _ in files(tmp_path, ".iob", "x")] == ["a.iob"]
    # Named as the corpus, it is one.
    assert [path.name for path, _ in files(tmp_path / "out", ".iob", "x")] == ["train.iob"]


def test_a_folder_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (Path(os.fsdecode(bytes(tmp_path) + b"/z\xe9.txt"))).write_text("")
    with pytest.raises(ClinbertError, match=r"holds b'z\\xe9.txt', a name that is not UTF-8: rename the file"):
        visible(tmp_path)

    def refuse(folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ClinbertError, match="Permission denied: make it readable"):
        list(files(tmp_path, ".txt", "x"))
