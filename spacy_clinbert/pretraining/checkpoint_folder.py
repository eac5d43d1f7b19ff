"""The checkpoints of a run that is not at its end: which are whole, and of which settings they are."""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ..errors import ClinbertError

# Written behind all other files of a checkpoint; names them with their checksums.
SEAL = "whole.json"
RUN = "run.json"


def checkpoint_folder(output: Path) -> Path:
    """Where the checkpoints of a run lie: beside its output, so that they are on the same disk."""
    output = output.resolve()
    return output.parent / f".{output.name}.checkpoints"


def open_folder(folder: Path, run: dict[str, Any]) -> None:
    """Make the folder of a run, or take out checkpoints that are not whole and check that the others are of this run.

    folder (Path): as `checkpoint_folder` gives it.
    run (dict[str, Any]): all on which the result depends, as JSON holds it: "section.setting" to value.
    RAISES (ClinbertError): if its checkpoints are of another run; if it cannot be written.
    """
    with refusals(folder):
        for checkpoint in _checkpoints(folder):
            if not is_whole(checkpoint):
                logging.getLogger("spacy_clinbert").warning("%s is damaged or not whole: not used", checkpoint)
                shutil.rmtree(checkpoint)
        if not _checkpoints(folder):
            # There is nothing to resume, so that another run may begin.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            _write_json(folder / RUN, run)
        before = _read_json(folder / RUN)
        changed = sorted(key for key in before.keys() | run.keys() if before.get(key) != run.get(key))
        if changed:
            raise ClinbertError(
                f"{folder} holds the checkpoints of a run with another {changed[0]}: give the same as then to"
                " resume it, or delete the folder to start anew"
            )


def last_checkpoint(folder: Path) -> Optional[Path]:
    """The newest checkpoint of an opened folder, or None."""
    return next(reversed(_checkpoints(folder)), None)


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint is of."""
    return int(checkpoint.name.removeprefix(f"{PREFIX_CHECKPOINT_DIR}-"))


def seal(checkpoint: Path) -> None:
    """Mark a checkpoint as whole; the one before it stays, in case that this one is damaged, others go.

    checkpoint (Path): a folder in which all files are written.
    """
    _write_json(checkpoint / SEAL, _checksums(checkpoint))
    for other in _checkpoints(checkpoint.parent)[:-2]:
        shutil.rmtree(other)


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint holds what it held when it was sealed.

    checkpoint (Path): the folder.
    RETURNS (bool): False too if it was never sealed.
    """
    sealed = checkpoint / SEAL
    try:
        return sealed.is_file() and _read_json(sealed) == _checksums(checkpoint)
    except (OSError, ClinbertError):
        return False


@contextmanager
def finished(folder: Path, output: Path) -> Iterator[Path]:
    """Give a folder to write the result in, which takes the place of `output` if the block ends well.

    folder (Path): the folder of the run, which then has done its work and goes; else it stays, for another attempt.
    output (Path): where the result shall lie; an earlier one is replaced.
    YIELDS (Path): an empty folder.
    RAISES (ClinbertError): if something cannot be written.
    """
    fresh, old = folder / "new", folder / "old"
    try:
        for path in (fresh, old):
            shutil.rmtree(path, ignore_errors=True)
        fresh.mkdir()
        yield fresh
        if output.exists():
            output.rename(old)
        fresh.rename(output)
    except Exception as error:
        # A full disk shows as errors of several types.
        raise ClinbertError(
            f"{output} cannot be written ({type(error).__name__}): make room on the disk, and start again to resume"
        ) from error
    shutil.rmtree(folder)


@contextmanager
def refusals(place: Path) -> Iterator[None]:
    """Say in one sentence that a place cannot be written."""
    try:
        yield
    except OSError as error:
        raise ClinbertError(
            f"{place} cannot be written ({error.strerror or error}): see to room and rights, and start again"
        ) from error


def _checkpoints(folder: Path) -> list[Path]:
    return sorted((path for path in folder.glob(f"{PREFIX_CHECKPOINT_DIR}-*") if path.is_dir()), key=step_of)


def _checksums(checkpoint: Path) -> dict[str, str]:
    files = (path for path in sorted(checkpoint.iterdir()) if path.name != SEAL)
    return {path.name: _checksum(path) for path in files}


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ClinbertError(f"{path} is damaged: delete its folder to start anew") from error


def _write_json(path: Path, content: Any) -> None:
    # Under its name there is never half of it.
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(json.dumps(content, indent=1, sort_keys=True), encoding="utf-8")
    fresh.replace(path)
