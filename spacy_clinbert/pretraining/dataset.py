"""The rows of an export at random, in bounded memory, in an order that seed and position alone decide."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from .dynamic_masking import Masking

# Rows that are shuffled together: all row groups of a window are in memory at once, about a kilobyte a row.
WINDOW = 100_000

# What PyTorch's cross-entropy leaves out.
IGNORED = -100


class Part(NamedTuple):
    """Rows of one row group.

    path (Path): the shard.
    group (int): the row group in it.
    size (int): how many of its rows are meant.
    kept (np.ndarray | None): which ones, a bit a row (`np.packbits`); None for all.
    """

    path: Path
    group: int
    size: int
    kept: Optional[np.ndarray] = None


class Parts(torch.utils.data.Dataset):
    """Rows of shards by number; the parts that were used last stay in memory.

    parts (Sequence[Part]): the rows, in their order.
    window (int): rows to keep in memory; those of the last part stay in any case.
    """

    def __init__(self, parts: Sequence[Part], window: int = WINDOW) -> None:
        self.parts = [part for part in parts if part.size]
        self.sizes = [part.size for part in self.parts]
        self.window = window
        self._ends = np.cumsum(self.sizes, dtype=np.int64)
        self._cache: OrderedDict[int, Any] = OrderedDict()

    def __len__(self) -> int:
        return int(self._ends[-1]) if self.parts else 0

    def find(self, index: int) -> tuple[int, int]:
        """The part in which a row is, and its number there."""
        part = int(np.searchsorted(self._ends, index, side="right"))
        return part, index - int(self._ends[part]) + self.sizes[part]

    def rows(self, part: int) -> Any:
        """The rows of a part, as `read_part` gives them."""
        if part not in self._cache:
            held = sum(self.sizes[other] for other in self._cache)
            while self._cache and held + self.sizes[part] > self.window:
                held -= self.sizes[self._cache.popitem(last=False)[0]]
            self._cache[part] = self.read_part(self.parts[part])
        self._cache.move_to_end(part)
        return self._cache[part]

    def read_part(self, part: Part) -> Any:
        """Read the rows of a part."""
        raise NotImplementedError


class Instances(Parts):
    """Rows of an export by number.

    parts, window: as for `Parts`.
    masking (Masking | None): how masks are drawn anew; None for those of the export.
    """

    def __init__(self, parts: Sequence[Part], masking: Optional[Masking] = None, window: int = WINDOW) -> None:
        super().__init__(parts, window)
        self.masking = masking

    def __getitem__(self, key: int) -> dict[str, Any]:
        """Give an example.

        key (int): its number plus the number of rows times that of the pass over them, from which masks are drawn.
        RETURNS (dict[str, Any]): input_ids, token_type_ids and labels, int64 of shape (n_pieces,); labels are the
            original pieces where one is to be predicted, else -100; next_sentence_label, 1 for a random second segment.
        """
        part, number = self.find(key % len(self))
        row = self.rows(part).row(number)
        if self.masking is not None:
            found = row["labels"] != IGNORED
            original = np.where(found, row["labels"], row["input_ids"])
            row["input_ids"], masked = self.masking.mask(original, key)
            row["labels"] = np.where(masked, original, IGNORED)
        return row

    def read_part(self, part: Part) -> "_Rows":
        """Read the rows of a part."""
        return _Rows(part)


class _Rows:
    """The rows of a part in memory, each list column as its values and where each row's begin."""

    def __init__(self, part: Part) -> None:
        with pq.ParquetFile(part.path) as shard:
            wanted = [name for name in shard.schema_arrow.names if name not in ("note_id", "section")]
            table = shard.read_row_group(part.group, columns=wanted)
        if part.kept is not None:
            table = table.filter(pa.array(np.unpackbits(part.kept, count=table.num_rows).astype(bool)))
        self._columns = {name: _flat(table.column(name)) for name in wanted}

    def row(self, number: int) -> dict[str, Any]:
        values = {name: flat[starts[number] : starts[number + 1]] for name, (flat, starts) in self._columns.items()}
        ids = values["input_ids"].astype(np.int64)
        labels = np.full(len(ids), IGNORED, dtype=np.int64)
        if "masked_lm_ids" in values:
            labels[values["masked_lm_positions"]] = values["masked_lm_ids"]
        types = values.get("token_type_ids", np.zeros(len(ids))).astype(np.int64)
        pair = int(values["next_sentence_label"][0]) if "next_sentence_label" in values else IGNORED
        return {"input_ids": ids, "token_type_ids": types, "labels": labels, "next_sentence_label": pair}


def _flat(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    array = column.combine_chunks()
    if not pa.types.is_list(array.type):
        return array.to_numpy(zero_copy_only=False), np.arange(len(array) + 1)
    return array.values.to_numpy(zero_copy_only=False), array.offsets.to_numpy(zero_copy_only=False)


def shuffled(sizes: Sequence[int], seed: int, window: int = WINDOW) -> Iterator[int]:
    """Go through the numbers of all rows once: parts in random order, rows shuffled over as many parts as fit a window.

    sizes (Sequence[int]): rows of each part.
    seed (int): of the order.
    window (int): rows to shuffle together, those of one part at least.
    YIELDS (int): the row numbers.
    """
    rng = np.random.default_rng(seed)
    starts = np.cumsum([0, *sizes])
    order = rng.permutation(len(sizes))
    first = 0
    while first < len(order):
        last, rows = first + 1, sizes[order[first]]
        while last < len(order) and rows + sizes[order[last]] <= window:
            rows += sizes[order[last]]
            last += 1
        numbers = np.concatenate([np.arange(starts[part], starts[part + 1]) for part in order[first:last]])
        yield from rng.permutation(numbers).tolist()
        first = last


class Batches(torch.utils.data.Sampler[list[int]]):
    """The batches of one process: its share of each part of each update.

    Every update takes the next `batch_size` rows of the order; what is left at the end of a pass is not used. So an
    update has the same rows whatever the number of processes and parts.

    sizes (Sequence[int]): rows of each part of the instances.
    steps (int): updates.
    batch_size (int): rows of an update.
    shares (tuple[int, int, int]): parts of an update, processes, and which of these this one is.
    seed (int): of the order.
    """

    def __init__(
        self, sizes: Sequence[int], steps: int, batch_size: int, shares: tuple[int, int, int], seed: int
    ) -> None:
        self.sizes, self.steps, self.batch_size, self.seed = sizes, steps, batch_size, seed
        self.accumulate, self.processes, self.process = shares

    def __len__(self) -> int:
        return self.steps * self.accumulate

    def __iter__(self) -> Iterator[list[int]]:
        for _, keys in zip(range(self.steps), self.updates()):
            share = len(keys) // (self.accumulate * self.processes)
            for part in range(self.accumulate):
                start = (part * self.processes + self.process) * share
                yield keys[start : start + share]

    def updates(self) -> Iterator[list[int]]:
        """Give the rows of each update, without end."""
        total = sum(self.sizes)
        for turn in count():
            order = self.order(turn)
            for _ in range(total // self.batch_size):
                yield [turn * total + number for _, number in zip(range(self.batch_size), order)]

    def order(self, turn: int) -> Iterator[int]:
        """Go through the rows once, in the order of a pass."""
        # Seeds of neighbouring passes are unrelated in NumPy's generators.
        return shuffled(self.sizes, int(np.random.SeedSequence((self.seed, turn)).generate_state(1, np.uint64)[0]))


def collate(rows: Sequence[dict[str, Any]], pad_id: int) -> dict[str, torch.Tensor]:
    """Put examples into a batch, each padded to the longest.

    rows (Sequence[dict[str, Any]]): as `Instances` gives them.
    pad_id (int): the tokenizer's `[PAD]`.
    RETURNS (dict[str, torch.Tensor]): the same and attention_mask, int64 of shape (rows, pieces); next_sentence_label
        of shape (rows,).
    """
    longest = max(len(row["input_ids"]) for row in rows)
    batch = {}
    for name, padding in (("input_ids", pad_id), ("token_type_ids", 0), ("labels", IGNORED)):
        padded = np.full((len(rows), longest), padding, dtype=np.int64)
        for line, row in zip(padded, rows, strict=True):
            line[: len(row[name])] = row[name]
        batch[name] = torch.from_numpy(padded)
    lengths = torch.tensor([len(row["input_ids"]) for row in rows])
    batch["attention_mask"] = (torch.arange(longest) < lengths[:, None]).long()
    batch["next_sentence_label"] = torch.tensor([row["next_sentence_label"] for row in rows])
    return batch
