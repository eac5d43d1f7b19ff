"""Files and folders that are whole or absent."""

from pathlib import Path

import pytest

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.output import whole_files, whole_folder


def test_files_appear_together_at_the_end(tmp_path: Path) -> None:
    paths = [tmp_path / "new" / name for name in ("a.txt", "b.txt")]
    with whole_files(*paths) as parts:
        for part in parts:
            part.write_text(part.name)
        assert not any(path.exists() for path in paths)
    assert [path.read_text() for path in paths] == ["a.txt", "b.txt"]
    assert sorted(paths[0].parent.iterdir()) == paths


def test_a_folder_takes_the_place_of_the_earlier_one(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        with whole_folder(tmp_path / "new" / "out", ["a.txt", "b.txt"]) as folder:
            (folder / name).write_text(name)
    assert [path.name for path in (tmp_path / "new").rglob("*")] == ["out", "b.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_earlier_output_and_nothing_else(tmp_path: Path, error: type) -> None:
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "a.txt"
    path.write_text("earlier")
    with pytest.raises(error), whole_files(path) as (part,):
        part.write_text("half")
        raise error
    with pytest.raises(error), whole_folder(tmp_path / "out", ["a.txt"]) as folder:
        (folder / "a.txt").write_text("half")
        raise error
    assert path.read_text() == "earlier"
    assert list(tmp_path.rglob("*")) == [tmp_path / "out", path]


@pytest.mark.parametrize("whole", [whole_files, lambda path: whole_folder(path, ())], ids=["files", "folder"])
def test_what_the_system_refuses_is_one_sentence(tmp_path: Path, whole) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a", Path("/proc/a")):
        with pytest.raises(ClinbertError, match=r"a cannot be written"), whole(path):
            pass
    with pytest.raises(ClinbertError, match="No space left"), whole(tmp_path / "a"):
        Path("/dev/full").write_text("x" * 100_000)
