"""The folder of prepared patients: whole or absent, and never replaced or added to unless asked."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

from ..errors import ClinbertError
from ..output import check_replaceable, whole_folder
from ..pretraining.manifest import MANIFEST
from .ehr_manifest import ANCESTORS, CODES, REJECTED, SPLITS, EhrManifest, check_files, find_change, read_manifest

_SHARD = re.compile(rf"(?:{'|'.join(SPLITS)})-\d{{5,}}\.parquet")


def find_earlier(out: Path, plan: EhrManifest, replace: bool) -> Optional[EhrManifest]:
    """Find what an earlier run left in a folder, and check that it is what is to be made.

    out (Path): the folder; plan (EhrManifest): what is to be made, with an empty digest as long as it is unknown.
    replace (bool): whether anything of ours may be replaced.
    RETURNS (EhrManifest | None): the earlier manifest; None if the folder is to be made.
    RAISES (ClinbertError): if it holds anything else, other prepared patients, or damaged ones.
    """
    check_replaceable(out, prepared_names(out))
    if replace or not (out / MANIFEST).exists():
        return None
    earlier = read_manifest(out)
    if change := find_change(earlier, plan):
        raise ClinbertError(f"{out} holds patients prepared otherwise ({change}): give another folder, or --replace")
    if plan.digest:
        check_files(out, earlier)
    return earlier


@contextmanager
def work_folder(out: Path) -> Iterator[Path]:
    """Give a folder beside another for what is needed on the way; it vanishes in any case.

    out (Path): where the output shall lie.
    YIELDS (Path): an empty folder on the same disk.
    RAISES (ClinbertError): where the system refuses to write.
    """
    out = out.resolve()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as folder:
            yield Path(folder)
    except OSError as error:
        raise ClinbertError(
            f"{out} cannot be written ({error.strerror or error}): make room, or give another place"
        ) from error


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder that takes the place of `out` when the block ends well; errors as of `whole_folder`."""
    with whole_folder(out, prepared_names(out)) as folder:
        yield folder


def prepared_names(out: Path) -> set[str]:
    """The names in a folder that prepared patients may have there."""
    shards = {path.name for path in out.iterdir() if _SHARD.fullmatch(path.name)} if out.is_dir() else set()
    return {MANIFEST, CODES, ANCESTORS, REJECTED, *shards}
