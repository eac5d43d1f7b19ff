"""Fewer training patients of a cohort, for the learning curve: the rest of the cohort stays what it is."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

from ..pretraining.manifest import MANIFEST
from ..scale.made import describe
from .ehr_manifest import read_manifest, write_manifest
from .schemas import SEQUENCES


@contextmanager
def training_subset(cohort: Path, size: int, draw: int) -> Iterator[Path]:
    """Give a folder of the cohort with some of its training patients; it vanishes behind the block.

    Patients are drawn without replacement, with and without the outcome in the cohort's shares: a subset of a rare
    outcome has at least one patient with it. Within a draw, a larger subset holds the smaller ones. The vocabulary is
    that of the cohort.

    cohort (Path): a folder that `clinbert ehr cohort` wrote.
    size (int): training patients; draw (int): the number of the draw.
    YIELDS (Path): the folder.
    """
    manifest = read_manifest(cohort)
    shards = manifest.split("train")
    train = pl.concat([pl.read_parquet(cohort / shard.name) for shard in shards])
    truth = train.select(pl.exclude(SEQUENCES.names)).to_series()
    chosen = _order(truth.fill_null(False).to_numpy(), draw)[:size]
    with tempfile.TemporaryDirectory(prefix="clinbert-") as place:
        folder = Path(place)
        names = {shard.name for shard in shards}
        for file in cohort.resolve().iterdir():
            if file.name not in names and file.name != MANIFEST:
                (folder / file.name).symlink_to(file)
        path = folder / "train-00000.parquet"
        train[np.sort(chosen)].write_parquet(path)
        others = [shard for shard in manifest.shards if shard not in shards]
        write_manifest(manifest.model_copy(update={"shards": [describe(path, len(chosen)), *others]}), folder)
        yield folder


def _order(truth: np.ndarray, draw: int) -> np.ndarray:
    """Put patients in an order of chance of which each beginning has both outcomes in their shares, from one on."""
    drawn = np.random.default_rng(draw).permutation(len(truth))
    places = np.empty(len(truth))
    for value in np.unique(truth):
        members = truth[drawn] == value
        places[members] = np.arange(members.sum()) / members.sum()
    return drawn[np.argsort(places, kind="stable")]
