"""The folder of annotations: its manifest, and how it is opened to be made or finished.

All but the parts has a name that begins with an underscore, which readers of Parquet folders pass over.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from pydantic import BaseModel, ConfigDict, ValidationError

from ..corpora.places import AnyPath
from ..errors import ClinbertError
from .made import Shard, describe, put, refusals

MANIFEST = "_manifest.json"
REJECTED = "_rejected.jsonl"
WORK = "_work"
PLAN = "plan.json"
LIBRARIES = ("spacy-clinbert", "spacy", "torch", "transformers")
_PART = re.compile(r"part-\d{7,}\.parquet")


class Annotations(BaseModel):
    """What a folder of annotations holds. It is written last: a folder without it is not whole.

    source (str), model (str): names; model_digest (str): SHA-256 of the pipeline's files.
    part_size (int): characters of notes in a part.
    versions (Dict[str, str]): of the libraries on which the contents depend.
    digest (str): SHA-256 of the digests of all parts' notes.
    counts (Dict[str, int]): how many of `tally.COUNTS`.
    parts (List[Shard]): the files, in the order of the source.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    source: str
    model: str
    model_digest: str
    part_size: int
    versions: Dict[str, str]
    digest: str = ""
    counts: Dict[str, int] = {}
    parts: List[Shard] = []


def new_plan(source: str, model: str, part_size: int) -> Annotations:
    """Say what shall be made, before any of it is.

    source (str): name of the source; part_size (int): characters of notes in a part.
    model (str): folder of a saved pipeline, or name of an installed one.
    RETURNS (Annotations): without digest, counts and parts.
    RAISES (ClinbertError): if there is no such pipeline.
    """
    versions = {library: version(library) for library in LIBRARIES}
    name, digest = Path(model).name, digest_model(model)
    return Annotations(source=source, model=name, model_digest=digest, part_size=part_size, versions=versions)


def digest_model(model: str) -> str:
    """Compute the SHA-256 of a pipeline's files and their names, in hexadecimal.

    model (str): folder of a saved pipeline, or name of an installed one.
    RAISES (ClinbertError): if there is no such pipeline.
    """
    folder = Path(model)
    if not (folder / "config.cfg").is_file():
        package = find_spec(model) if model.isidentifier() else None
        if not package or not package.origin:
            raise ClinbertError(
                f"pipeline {model} cannot be loaded (there is none): give the folder of a saved or the name of an "
                "installed one"
            )
        folder = Path(package.origin).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(f"{path.relative_to(folder).as_posix()} {describe(path, 0).sha256}\n".encode())
    return digest.hexdigest()


@contextmanager
def open_folder(out: Path, plan: Annotations, replace: bool) -> Iterator[Tuple[Path, Optional[Annotations]]]:
    """Open a folder to make annotations in it, or to go on where that was interrupted.

    out (Path): the folder; plan (Annotations): what shall be made; replace (bool): remove what was made before.
    YIELDS (Tuple[Path, Optional[Annotations]]): the work folder, removed when the block ends well, and the manifest
        where all is made. It is also removed with an error as long as no part is made.
    RAISES (ClinbertError): if `out` holds anything else, or annotations of other notes or by another pipeline.
    """
    work = out / WORK
    with refusals(out):
        names = _names(out)
    # Parts are of ours where the manifest or the work folder is, one of which always is.
    ours = names & {MANIFEST, WORK}
    others = {name for name in names - {MANIFEST, REJECTED, WORK} if not (ours and _PART.fullmatch(name))}
    if others:
        raise ClinbertError(f"output {out} holds {min(others)}, which is no annotation: give another folder")
    with refusals(out):
        if replace and names:
            _remove(work)
            work.mkdir(parents=True, exist_ok=True)
            write_manifest(plan, work, work / PLAN)
            # The manifest first, since without it nothing is taken for whole.
            (out / MANIFEST).unlink(missing_ok=True)
            for name in names - {MANIFEST, WORK}:
                (out / name).unlink()
        earlier = read_manifest(out / MANIFEST) if (out / MANIFEST).exists() else None
        begun = earlier or (read_manifest(work / PLAN) if (work / PLAN).exists() else None)
        if begun:
            change = _change(begun, plan)
            if change:
                raise ClinbertError(
                    f"{out} holds annotations that differ ({change}): give another folder, or --replace them"
                )
        work.mkdir(parents=True, exist_ok=True)
        if not begun:
            write_manifest(plan, work, work / PLAN)
    try:
        yield work, earlier
    except ClinbertError:
        if earlier or not any(path.name.endswith(".parquet.json") for path in work.iterdir()):
            _remove(work)
            # In a store of objects a folder ends with the last of its files.
            if not names and out.exists():
                out.rmdir()
        raise
    with refusals(out):
        _remove(work)


def check_parts(out: Path, parts: List[Shard]) -> None:
    """Check that a folder holds no parts but these, since who reads it reads all.

    out (Path): the folder; parts (List[Shard]): its parts.
    RAISES (ClinbertError): if there is another one, of notes that the source had earlier.
    """
    others = {name for name in _names(out) if _PART.fullmatch(name)} - {part.name for part in parts}
    if others:
        raise ClinbertError(
            f"{out} also holds {min(others)}, of notes that the source has no longer: remove it and run again, or"
            " annotate again with --replace"
        )


def _names(out: Path) -> set[str]:
    if out.is_file():
        raise ClinbertError(f"output {out} is a file: give a folder, or a file named .parquet, .jsonl or .jsonl.gz")
    return {path.name for path in out.iterdir()} if out.exists() else set()


def _remove(folder: AnyPath) -> None:
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
    elif folder.exists():
        folder.fs.rm(folder.path, recursive=True)


def _change(then: Annotations, now: Annotations) -> str:
    """The first difference in words, or nothing."""
    for library in then.versions.keys() | now.versions.keys():
        before, after = then.versions.get(library), now.versions.get(library)
        if before != after:
            return f"{library} was {before} and is {after}"
    if then.part_size != now.part_size:
        return f"parts had {then.part_size} characters, not {now.part_size}"
    return "the pipeline is another" if then.model_digest != now.model_digest else ""


def write_manifest(manifest: Annotations, work: Path, path: Path) -> None:
    """Write a manifest, whole or not at all.

    manifest (Annotations): what is written; work (Path): folder for unfinished files; path (Path): its place.
    """
    part = work / f"{path.name}.part"
    part.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    put(part, path)


def read_manifest(path: Path) -> Annotations:
    """Read a manifest.

    path (Path): the manifest.
    RETURNS (Annotations): what the folder holds.
    RAISES (ClinbertError): if it is damaged.
    """
    try:
        return Annotations.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, ValueError):
        raise ClinbertError(f"{path} is damaged or of another version: annotate again with --replace") from None
