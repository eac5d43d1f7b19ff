"""The manifest of prepared patients: what is in their folder, how it was made, and whether it is still whole."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Dict, List

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import ClinbertError
from ..pretraining.manifest import MANIFEST
from ..scale.made import Shard, describe
from .prepare_settings import PrepareSettings

CODES = "codes.json"
ANCESTORS = "ancestors.json"
REJECTED = "rejected.jsonl"
LIBRARIES = ("spacy-clinbert", "polars", "pyarrow")
SPLITS = ("train", "valid", "test")


class EhrManifest(BaseModel):
    """What a folder of prepared patients holds.

    source (str): the name of the source; digest (str): of all rows read from it.
    settings (PrepareSettings): the settings.
    splits (str): the rule by which patients were divided; equal rules divide equally.
    vocabulary (str): SHA-256 of codes.json; given (bool): whether it is that of other patients.
    versions (dict[str, str]): of the libraries on which the contents depend.
    counts (dict[str, int]): the flow from events to patients, then what each split holds.
    shards (list[Shard]): the files, split by split; `rows` are patients.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    digest: str
    settings: PrepareSettings
    splits: str
    vocabulary: str
    given: bool
    versions: Dict[str, str]
    counts: Dict[str, int]
    shards: List[Shard]

    def split(self, name: str) -> List[Shard]:
        """The shards of a split, in order."""
        return [shard for shard in self.shards if shard.name.startswith(f"{name}-")]


def new_plan(source: str, settings: PrepareSettings, splits: str, vocabulary: str = "") -> EhrManifest:
    """Begin a manifest.

    source (str), settings (PrepareSettings), splits (str): as there.
    vocabulary (str): checksum of a given one; empty where it is to be made.
    RETURNS (EhrManifest): without digest, counts and shards.
    """
    return EhrManifest(
        source=source,
        digest="",
        settings=settings,
        splits=splits,
        vocabulary=vocabulary,
        given=bool(vocabulary),
        versions={library: version(library) for library in LIBRARIES},
        counts={},
        shards=[],
    )


def write_manifest(manifest: EhrManifest, folder: Path) -> None:
    """Write a manifest as JSON; the same manifest gives the same bytes."""
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> EhrManifest:
    """Read the manifest of prepared patients.

    folder (Path): what `clinbert ehr prepare` wrote.
    RETURNS (EhrManifest): what it holds.
    RAISES (ClinbertError): if there is none, or it is damaged.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ClinbertError(f"{folder} holds no {MANIFEST}, so no prepared patients: make them: clinbert ehr prepare")
    try:
        return EhrManifest.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except (ValidationError, ValueError):
        raise ClinbertError(f"{path} is damaged or of another version: prepare again with --replace") from None


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    return describe(path, 0).sha256


def check_files(folder: Path, manifest: EhrManifest) -> None:
    """Check that shards and vocabulary hold what was written; all bytes are read.

    folder (Path): the prepared patients; manifest (EhrManifest): what it should hold.
    RAISES (ClinbertError): naming the first file that is missing, cut off or changed.
    """
    wanted = {**{shard.name: shard.sha256 for shard in manifest.shards}, CODES: manifest.vocabulary}
    for name, wanted_sum in wanted.items():
        path = folder / name
        if not path.is_file() or checksum(path) != wanted_sum:
            state = "damaged (its checksum is not the manifest's)" if path.is_file() else "missing"
            raise ClinbertError(f"{path} is {state}: copy it again, or prepare with --replace")


def find_change(then: EhrManifest, now: EhrManifest) -> str:
    """Say in what prepared patients would differ from earlier ones.

    then (EhrManifest): of the earlier ones; now (EhrManifest): of those to make, perhaps without digest,
        counts and shards.
    RETURNS (str): the first difference in words, or nothing.
    """
    for name in PrepareSettings.model_fields:
        before, after = getattr(then.settings, name), getattr(now.settings, name)
        if before != after:
            return f"the setting {name} was {_shown(before)} and is {_shown(after)}"
    for library in then.versions.keys() | now.versions.keys():
        before, after = then.versions.get(library), now.versions.get(library)
        if before != after:
            return f"{library} was {before} and is {after}"
    if then.splits != now.splits:
        return f"the splits were by {then.splits} and are by {now.splits}"
    if then.given != now.given or (now.given and then.vocabulary != now.vocabulary):
        return "the vocabulary is another"
    return "the rows of the source are others" if now.digest and then.digest != now.digest else ""


def _shown(value: object) -> str:
    return ":".join(map(str, value)) if isinstance(value, tuple) else str(value)
