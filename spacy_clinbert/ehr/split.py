"""Which patients train, which choose and which test: by a hash of the patient, or as a file says."""

from collections.abc import Iterable
from pathlib import Path
from typing import Optional, Tuple

import numpy as np
import polars as pl

from ..errors import ClinbertError
from ..pretraining.chance import mix, name_keys, uniform
from .ehr_manifest import SPLITS, checksum

# The same for pretraining and fine-tuning, for all sources and settings, for ever: the day Med-BERT was published.
SEED = 20210520

# Which output of a patient's random numbers is for what.
_SPLIT, _BUCKET, _PART = range(3)

# MEDS 0.3 and 0.4, `subject_splits.parquet`.
NAMES = {"train": "train", "tuning": "valid", "valid": "valid", "held_out": "test", "test": "test"}


def patient_keys(subject_ids: Iterable[str]) -> np.ndarray:
    """Hash patients.

    subject_ids (Iterable[str]): their ids.
    RETURNS (np.ndarray): a uint64 for each.
    """
    return name_keys(subject_ids, SEED)


def bucket_of(keys: np.ndarray, buckets: int) -> np.ndarray:
    """The bucket, from 0, of each patient.

    keys (np.ndarray): uint64; buckets (int): how many there are, at most 256.
    RETURNS (np.ndarray): uint8.
    """
    return (mix(keys, _BUCKET) % np.uint64(buckets)).astype(np.uint8)


def part_of(keys: np.ndarray, parts: int) -> np.ndarray:
    """The part, from 0, of a bucket in which each patient is; parts (int): how many there are."""
    return mix(keys, _PART) % np.uint64(parts)


def split_of(keys: np.ndarray, shares: Tuple[int, int, int]) -> np.ndarray:
    """The split of each patient; with other shares a patient moves only if it must.

    keys (np.ndarray): uint64, of `patient_keys`; shares (tuple[int, int, int]): of train, valid and test.
    RETURNS (np.ndarray): int64, places in `SPLITS`.
    """
    ends = np.cumsum(shares)[:2] / sum(shares)
    return np.searchsorted(ends, uniform(keys, _SPLIT), side="right")


def name_rule(shares: Tuple[int, int, int], file: Optional[Path]) -> str:
    """Name the rule of a division, for the manifest.

    shares (tuple[int, int, int]): of the hash; file (Path | None): which takes the place of the hash.
    RETURNS (str): equal only for rules that divide equally.
    RAISES (ClinbertError): if the file cannot be read.
    """
    try:
        return f"file {checksum(file)}" if file else f"hash {':'.join(map(str, shares))}"
    except OSError as error:
        raise ClinbertError(f"{file} cannot be read ({error.strerror}): give a file of splits") from None


def read_splits(path: Path) -> pl.LazyFrame:
    """Read a file of splits, such as `metadata/subject_splits.parquet` of a MEDS data set.

    path (Path): Parquet or CSV with columns subject_id and split; MEDS' tuning and held_out are valid and test.
    RETURNS (pl.LazyFrame): subject_id as a string, and the place in `SPLITS`.
    RAISES (ClinbertError): if it cannot be read, lacks a column, or names another split.
    """
    try:
        table = pl.scan_parquet(path) if path.suffix == ".parquet" else pl.scan_csv(path, infer_schema=False)
        names = table.collect_schema().names()
        for column in ("subject_id", "split"):
            if column not in names:
                raise ClinbertError(f"{path} has no column {column}: give a table of subject_id and split")
        # Ids are read too, so that a damaged file is told now.
        read = table.select(pl.col("split").cast(pl.String).unique().implode(), pl.col("subject_id").count()).collect()
        found = read["split"].item().to_list()
    except (OSError, pl.exceptions.PolarsError):
        raise ClinbertError(f"{path} cannot be read: give a Parquet or CSV file of splits") from None
    others = set(found) - set(NAMES)
    if others:
        raise ClinbertError(f"{path} names a split that is none of {', '.join(NAMES)}: rename it")
    places = {name: SPLITS.index(split) for name, split in NAMES.items()}
    return table.select(
        pl.col("subject_id").cast(pl.String), pl.col("split").replace_strict(places, return_dtype=pl.Int64)
    )
