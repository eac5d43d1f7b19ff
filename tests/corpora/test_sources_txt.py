"""A folder of text files: every text, one order, and what cannot be read."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora.notes import Note, Rejected
from spacy_clinbert.corpora.sources import read_source, recognise
from spacy_clinbert.errors import ClinbertError


def read(source: Path) -> tuple[list[Note], list[Rejected]]:
    rejected: list[Rejected] = []
    return list(read_source(source, on_reject=rejected.append)), rejected


def put(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_a_file_name_of_broken_bytes_is_rejected_and_can_be_written(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"a\xff.txt")).write_text("a")
    except OSError:
        pytest.skip("the file system takes no such name")
    notes, rejected = read(put(tmp_path, {"b.txt": b"b"}))
    assert notes == [Note("b", "b")]
    assert rejected == [Rejected("a?", "its file name is not valid UTF-8")]


def test_files_are_read_in_the_order_of_their_paths(tmp_path: Path) -> None:
    files = {"b/2.txt": b"d\r\n", "b/10.TXT": b"c", "a.txt": b"\xef\xbb\xbfa\n", "b.txt": b"", "A.txt": b"0"}
    files |= dict.fromkeys(["README.txt", ".hidden/x.txt", ".y.txt", "a.ann", "b/licence.txt"], b"none of it")
    assert recognise(put(tmp_path, files)) == "txt"
    expected = [("A", "0"), ("a", "a\n"), ("b", ""), ("b/10", "c"), ("b/2", "d\r\n")]
    assert read(tmp_path) == ([Note(*note) for note in expected], [])


@settings(max_examples=30)
@given(
    st.dictionaries(
        st.from_regex(r"[a-c]/[a-z0-9]{1,80}", fullmatch=True),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=50).filter(lambda text: text[:1] != "\ufeff"),
        min_size=1,
    )
)
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: dict[str, str]) -> None:
    texts = {name: text for name, text in texts.items() if not name[2:].startswith(("readme", "licen"))}
    folder = put(tmp_path_factory.mktemp("texts"), {f"{name}.txt": text.encode() for name, text in texts.items()})
    if texts:
        notes, rejected = read(folder)
        assert ({note.note_id: note.text for note in notes}, rejected) == (texts, [])
        assert notes == read(folder)[0]


def test_latin_1_and_a_link_to_nothing_are_rejected_alone(tmp_path: Path) -> None:
    put(tmp_path, {"1.txt": b"Afebrile", "2.txt": "Febre há".encode("latin-1"), "4.txt": b"Home"})
    os.symlink(tmp_path / "nothing", tmp_path / "3.txt")
    assert read(tmp_path) == (
        [Note("1", "Afebrile"), Note("4", "Home")],
        [
            Rejected("2", "its text is not valid UTF-8"),
            Rejected("3", "its file cannot be read (No such file or directory)"),
        ],
    )


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    put(tmp_path, {"a.txt": b"Smith"})
    with pytest.raises(ClinbertError, match=r"a\.txt is no folder: give a folder of \.txt files"):
        list(read_source(tmp_path / "a.txt", "txt"))
