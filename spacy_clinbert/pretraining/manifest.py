"""The manifest of an export: what is in its folder, how it was made, and whether its shards are still whole."""

import json
from pathlib import Path
from typing import Dict, List

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import ClinbertError
from ..scale.made import Shard, describe
from .export_settings import ExportSettings

MANIFEST = "manifest.json"


class Manifest(BaseModel):
    """What an export holds. It is written last: a folder without it is not whole.

    recipe (str): the recipe's name, or empty.
    source (str): the name of the source; digest (str): of all notes read, with their ids.
    settings (ExportSettings): the settings, the seed among them.
    fingerprint (str): SHA-256 of tokenizer/tokenizer.json; empty for the form "text".
    versions (dict[str, str]): of the libraries on which the contents depend.
    counts (dict[str, int]): notes, rejected, copies, sentences, words, pieces, and what the form holds.
    shards (list[Shard]): the files, in order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: str
    source: str
    digest: str
    settings: ExportSettings
    fingerprint: str
    versions: Dict[str, str]
    counts: Dict[str, int]
    shards: List[Shard]


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write a manifest as JSON; the same manifest gives the same bytes."""
    path.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_manifest(folder: Path, name: str = MANIFEST) -> Manifest:
    """Read the manifest of an export.

    folder (Path): the export; name (str): of the file.
    RETURNS (Manifest): what it holds.
    RAISES (ClinbertError): if there is none, so the export is not whole, or it is damaged.
    """
    path = folder / name
    if not path.is_file():
        raise ClinbertError(f"{folder} holds no {name}, so no whole export: finish it with `clinbert export`")
    try:
        return Manifest.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValidationError, ValueError):
        raise ClinbertError(f"{path} is damaged or of another version: export again with --replace") from None


def verify_shards(folder: Path, manifest: Manifest) -> None:
    """Check that all shards are there and hold what was written; all bytes are read.

    folder (Path): the export; manifest (Manifest): what it should hold.
    RAISES (ClinbertError): naming the first shard that is missing, cut off or changed.
    """
    for shard in manifest.shards:
        path = folder / shard.name
        if not path.is_file():
            raise ClinbertError(f"shard {path} is missing: copy the export again, or make it with --replace")
        if describe(path, shard.rows) != shard:
            raise ClinbertError(
                f"shard {path} is damaged (its checksum is not the manifest's): copy it again, or export with --replace"
            )


def find_change(then: Manifest, now: Manifest) -> str:
    """Say in what an export would differ from an earlier one; where its tokenizer and its source lie is nothing.

    then (Manifest): of the earlier one, perhaps without its counts and shards; now (Manifest): of the one to make.
    RETURNS (str): the first difference in words, or nothing.
    """
    for name in ExportSettings.model_fields:
        before, after = getattr(then.settings, name), getattr(now.settings, name)
        if name != "tokenizer" and before != after:
            return f"the setting {name} was {before!r} and is {after!r}"
    for library in then.versions.keys() | now.versions.keys():
        before, after = then.versions.get(library), now.versions.get(library)
        if before != after:
            return f"{library} was {before} and is {after}"
    if then.fingerprint != now.fingerprint:
        return "the tokenizer is another"
    return "the notes of the source are others" if then.digest != now.digest else ""
