"""Which rows of an export are trained on and which are kept for scores: no note is on both sides."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq

from ..errors import ClinbertError
from .chance import name_keys
from .dataset import Part
from .sides import HELD_OUT, is_held_out


class Sides(NamedTuple):
    """The parts of an export on either side."""

    train: list[Part]
    held_out: list[Part]


def all_parts(shards: Sequence[Path]) -> list[Part]:
    """All rows of the shards, a part for each row group."""
    return [Part(path, group, rows) for path in shards for group, rows in enumerate(_row_groups(path))]


def divide(shards: Sequence[Path], seed: int) -> Sides:
    """Divide instances by their notes, or blocks by their shards.

    shards (Sequence[Path]): the shards of an export, in order.
    seed (int): of the export.
    RETURNS (Sides): which rows are trained on, and which are held out.
    RAISES (ClinbertError): if one of the sides is empty.
    """
    named = bool(shards) and "note_id" in pq.read_schema(shards[0]).names
    train, held_out = _by_note(shards, seed) if named else _by_shard(shards)
    if not (any(part.size for part in train) and any(part.size for part in held_out)):
        what = "notes" if named else "shards"
        raise ClinbertError(
            f"there are too few {what} to train on and to hold one in {HELD_OUT} of them out: export more notes"
            f"{'' if named else ', in smaller chunks (export.chunk)'}, or set paths.held_out to a folder or to false"
        )
    return Sides(train, held_out)


def _by_note(shards: Sequence[Path], seed: int) -> Sides:
    sides = Sides([], [])
    for path in shards:
        with pq.ParquetFile(path) as shard:
            for group in range(shard.num_row_groups):
                ids = shard.read_row_group(group, columns=["note_id"]).column(0).combine_chunks().dictionary_encode()
                held = is_held_out(name_keys(ids.dictionary.to_pylist(), seed))[ids.indices.to_numpy()]
                for side, rows in zip(sides, (~held, held), strict=True):
                    side.append(Part(path, group, int(rows.sum()), np.packbits(rows)))
    return sides


def _by_shard(shards: Sequence[Path]) -> Sides:
    sides = Sides([], [])
    last = len(shards) - 1
    # On which sides the notes are that the next block may begin with: one that ends a shard goes on in the next ones.
    carried: set[bool] = set()
    for number, path in enumerate(shards):
        # Blocks do not name their notes.
        held = number % HELD_OUT == HELD_OUT - 1 or number == last < HELD_OUT
        carried.add(held)
        for group, rows in enumerate(_row_groups(path)):
            kept = np.ones(rows, dtype=bool)
            kept[: len(carried) - 1] = False
            sides[held].append(Part(path, group, int(kept.sum()), np.packbits(kept)))
            if rows:
                carried = {held}
    return sides


def _row_groups(path: Path) -> Iterator[int]:
    with pq.ParquetFile(path) as shard:
        yield from (shard.metadata.row_group(group).num_rows for group in range(shard.num_row_groups))


def spread(total: int, most: int) -> np.ndarray:
    """The numbers of `most` rows spread evenly over `total`, or of all if they are fewer."""
    return np.unique(np.linspace(0, total - 1, min(total, most)).astype(np.int64))
