"""The manifest: read back as written, and no damage of the folder goes unseen."""

import json

import pytest

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.pretraining.export_settings import ExportSettings
from spacy_clinbert.pretraining.manifest import (
    MANIFEST,
    Manifest,
    describe,
    find_change,
    read_manifest,
    verify_shards,
    write_manifest,
)


@pytest.fixture
def folder(tmp_path):
    for number in range(3):
        (tmp_path / f"instances-0000{number}.parquet").write_bytes(bytes(range(100)) * (number + 1))
    return tmp_path


@pytest.fixture
def manifest(folder):
    made = Manifest(
        recipe="tiny",
        source="notes.csv",
        digest="00ff",
        settings=ExportSettings(tokenizer="somewhere", categories=("Discharge summary",)),
        fingerprint="abc",
        versions={"tokenizers": "1"},
        counts={"notes": 3, "words": 12},
        shards=[describe(path, 7) for path in sorted(folder.iterdir())],
    )
    write_manifest(made, folder / MANIFEST)
    return made


def test_it_is_read_back_as_written(folder, manifest):
    assert read_manifest(folder) == manifest
    verify_shards(folder, manifest)
    assert [shard.bytes for shard in manifest.shards] == [100, 200, 300]


@pytest.mark.parametrize("place", [0, 57, -1])
def test_a_flipped_byte_is_an_error_that_names_the_shard(folder, manifest, place):
    path = folder / "instances-00001.parquet"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ClinbertError, match=r"instances-00001\.parquet is damaged"):
        verify_shards(folder, manifest)


def test_a_missing_or_cut_shard_is_an_error_that_names_it(folder, manifest):
    (folder / "instances-00002.parquet").write_bytes(b"")
    with pytest.raises(ClinbertError, match=r"instances-00002\.parquet is damaged"):
        verify_shards(folder, manifest)
    (folder / "instances-00002.parquet").unlink()
    with pytest.raises(ClinbertError, match=r"instances-00002\.parquet is missing"):
        verify_shards(folder, manifest)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"recipe": "tiny"}', '{"recipe": "\\ud800"}'])
def test_a_damaged_manifest_is_one_sentence(folder, manifest, text):
    (folder / MANIFEST).write_text(text)
    with pytest.raises(ClinbertError, match=r"manifest\.json is damaged") as raised:
        read_manifest(folder)
    assert "\n" not in str(raised.value)


def test_a_folder_without_one_is_no_whole_export(tmp_path):
    with pytest.raises(ClinbertError, match="no whole export"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"settings": ExportSettings(tokenizer="somewhere", categories=("Discharge summary",), dupe=1)}, "dupe was 5"),
        ({"versions": {"tokenizers": "2"}}, "tokenizers was 1 and is 2"),
        ({"fingerprint": "other"}, "tokenizer"),
        ({"digest": "other"}, "notes"),
        ({"settings": ExportSettings(tokenizer="elsewhere", categories=("Discharge summary",))}, ""),
        ({"source": "moved.csv", "recipe": "renamed", "counts": {}, "shards": []}, ""),
    ],
)
def test_what_changes_the_contents_is_said_and_what_does_not_is_not(manifest, change, said):
    found = find_change(manifest, manifest.model_copy(update=change))
    assert said in found if said else not found


def test_the_file_is_plain_json(folder, manifest):
    assert json.loads((folder / MANIFEST).read_text())["settings"]["length"] == 128
