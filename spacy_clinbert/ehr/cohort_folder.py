"""The folder of a cohort: what it holds, whole or absent, and never replaced unless asked."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Dict, List, Optional

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import ClinbertError
from ..output import check_replaceable, whole_folder
from ..pretraining.manifest import MANIFEST
from .ehr_manifest import LIBRARIES, check_files, checksum, read_manifest
from .prepared_folder import prepared_names

COHORT, LABELS, FLOW = "cohort.json", "labels.parquet", "flow.csv"


class CohortReport(BaseModel):
    """What a cohort is and how it was made.

    plan (dict[str, Any]): all that decides what it holds: source, its checksum, the task, settings, splits, versions.
    label (str): the column of the label in the shards, and the category that `spacy train` learns.
    patients, cases (int): how many there are. prevalence (float | None): the share of cases where it means something:
        not in a case-control design.
    bias (str): what is wrong with the design, where anything is known to be.
    ids (str): "int64", as MEDS has them in labels.parquet, or "string", where the source has others.
    flow (list[dict[str, Any]]): the rows of the flow table.
    files (dict[str, str]): SHA-256 of labels.parquet and flow.csv; the manifest tells that of the shards.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    plan: Dict[str, Any]
    label: str
    patients: int
    cases: int
    prevalence: Optional[float]
    bias: str
    ids: str
    flow: List[Dict[str, Any]]
    files: Dict[str, str]


def versions() -> Dict[str, str]:
    """The libraries on which a cohort depends."""
    return {library: version(library) for library in LIBRARIES}


def find_cohort(out: Path, plan: Dict[str, Any], replace: bool) -> Optional[CohortReport]:
    """Find what an earlier run left in a folder, and check that it is what is to be made, and whole.

    out (Path): the folder; plan (dict[str, Any]): what is to be made; without a checksum as long as it is unknown.
    replace (bool): whether an earlier cohort may be replaced.
    RETURNS (CohortReport | None): the earlier one; None if the folder is to be made.
    RAISES (ClinbertError): if it holds anything else, another cohort, or a damaged one.
    """
    check_replaceable(out, _ours(out))
    if replace or not (out / COHORT).exists():
        return None
    try:
        earlier = CohortReport.model_validate(json.loads((out / COHORT).read_text(encoding="utf-8")))
    except (ValidationError, ValueError):
        raise ClinbertError(f"{out / COHORT} is damaged: make the cohort again with --replace") from None
    for name, value in plan.items():
        if earlier.plan.get(name) != value:
            raise ClinbertError(f"{out} holds another cohort ({name} differs): give another folder, or --replace")
    for file, wanted in earlier.files.items():
        if not (out / file).is_file() or checksum(out / file) != wanted:
            raise ClinbertError(f"{out / file} is missing or damaged: make the cohort again with --replace")
    if (out / MANIFEST).exists():
        check_files(out, read_manifest(out))
    return earlier


@contextmanager
def new_cohort(out: Path) -> Iterator[Path]:
    """Give a folder that takes the place of `out` when the block ends well; errors as of `whole_folder`."""
    with whole_folder(out, _ours(out)) as folder:
        yield folder


def _ours(out: Path) -> set[str]:
    """Names that a cohort may hold; without its own file, nothing in a folder is a cohort's."""
    if not (out / COHORT).is_file():
        return set()
    return {COHORT, LABELS, FLOW, *prepared_names(out)}
