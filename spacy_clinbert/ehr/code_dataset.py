"""Prepared patients at random, in bounded memory, as the batches of an encoder of codes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch

from ..errors import ClinbertError
from ..models.code_sequences import UNKNOWN_AGE, CodeLayout, Codes, join
from ..pretraining.dataset import WINDOW, Part, Parts
from .code_masking import CodeMasking

# A stay of more days is prolonged (Rasmy et al. 2021).
PROLONGED = 7

COLUMNS = ("input_ids", "visit", "rank", "day", "los", "birth", "first_admit")


class Patients(NamedTuple):
    """Patients of a part.

    codes (Codes): their codes.
    prolonged (ndarray): 1 for a patient who has a prolonged stay, else 0: shape (n_patients,).
    """

    codes: Codes
    prolonged: np.ndarray


class CodeDataset(Parts):
    """Prepared patients by number, a whole batch at a time.

    parts (Sequence[Part]): the rows of the shards.
    layout (CodeLayout): lays them as the encoder reads them.
    masking (CodeMasking): draws the masks.
    static (bool): whether a patient has the same mask in each pass.
    window (int): patients to keep in memory.
    """

    def __init__(
        self, parts: Sequence[Part], layout: CodeLayout, masking: CodeMasking, static: bool, window: int = WINDOW
    ) -> None:
        super().__init__(parts, window)
        self.layout, self.masking, self.static = layout, masking, static

    def __getitems__(self, keys: Sequence[int]) -> dict[str, torch.Tensor]:
        """Give a batch.

        keys (Sequence[int]): each the number of a patient plus the number of patients times that of the pass over them.
        RETURNS (dict[str, Tensor]): the encoder's inputs; labels, as `CodeMasking` gives them; next_sentence_label, 1
            for a prolonged stay.
        """
        numbers = np.asarray(keys, dtype=np.int64)
        patients = self.patients(numbers % len(self))
        inputs = self.layout.pad(patients.codes)
        drawn_for = numbers % len(self) if self.static else numbers
        inputs["input_ids"], labels = self.masking.mask(inputs["input_ids"], drawn_for, self.layout.cls)
        arrays = {**inputs, "labels": labels, "next_sentence_label": patients.prolonged}
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def patients(self, numbers: np.ndarray) -> Patients:
        """Give patients by number, in their order."""
        found = [self.find(number) for number in numbers.tolist()]
        of_part: dict[int, list[int]] = {}
        for place, (part, _) in enumerate(found):
            of_part.setdefault(part, []).append(place)
        pieces, prolonged, places = [], [], []
        for part, here in of_part.items():
            rows: Patients = self.rows(part)
            wanted = np.array([found[place][1] for place in here])
            pieces.append(rows.codes.take(wanted))
            prolonged.append(rows.prolonged[wanted])
            places += here
        back = np.argsort(places)
        return Patients(join(pieces).take(back), np.concatenate(prolonged)[back])

    def read_part(self, part: Part) -> Patients:
        """Read the patients of a part."""
        table = _read(part.path, part.group, COLUMNS)
        if part.kept is not None:
            table = table.filter(pa.array(np.unpackbits(part.kept, count=table.num_rows).astype(bool)))
        try:
            return to_patients(table)
        except (ValueError, IndexError, TypeError, pa.ArrowInvalid):
            raise _damaged(part.path) from None


def to_patients(table: pa.Table) -> Patients:
    """Make arrays of rows of SEQUENCES."""
    lists = {name: table.column(name).combine_chunks() for name in COLUMNS[:5]}
    starts = np.concatenate([[0], np.cumsum(pc.list_value_length(lists["input_ids"]).to_numpy())]).astype(np.int64)
    ids, visits, ranks, days = (lists[name].flatten().to_numpy().astype(np.int64) for name in COLUMNS[:4])
    if not len(ids) == len(visits) == len(ranks) == len(days) == starts[-1]:
        raise ValueError
    stays = np.concatenate([[0], np.cumsum(pc.list_value_length(lists["los"]).to_numpy())])
    long = np.concatenate([[0], np.cumsum(lists["los"].flatten().to_numpy() > PROLONGED)])
    prolonged = (long[stays[1:]] > long[stays[:-1]]).astype(np.int64)
    birth, first = (pc.cast(pc.cast(table.column(name), pa.date32()), pa.int32()) for name in COLUMNS[5:])
    ages = pc.fill_null(pc.subtract(first, birth), UNKNOWN_AGE).to_numpy().astype(np.int64)
    return Patients(Codes(ids, visits, ranks, days, starts, ages), prolonged)


class Side(NamedTuple):
    """Patients that are read, and how many codes each has.

    parts (list[Part]): the rows.
    lengths (ndarray): places that each patient takes without padding, uint16 of shape (n_patients,): the only thing
        whose memory grows with their number.
    skipped (int): patients who are not read, being without codes or too long.
    """

    parts: list[Part]
    lengths: np.ndarray
    skipped: int


def find_side(shards: Sequence[Path], layout: CodeLayout, skip_longer: bool) -> Side:
    """Find the patients of shards.

    shards (Sequence[Path]): Parquet files of SEQUENCES.
    layout (CodeLayout): says how long they are.
    skip_longer (bool): whether patients with more codes than the encoder reads are left out.
    RETURNS (Side): the patients.
    RAISES (ClinbertError): if a shard cannot be read.
    """
    parts, lengths, total = [], [np.empty(0, dtype=np.uint16)], 0
    for path in shards:
        for group in range(_row_groups(path)):
            column = _read(path, group, ("input_ids",)).column(0).combine_chunks()
            codes = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
            kept = (codes > 0) & ((codes <= layout.max_codes) | (not skip_longer))
            parts.append(Part(path, group, int(kept.sum()), np.packbits(kept)))
            starts = np.concatenate([[0], np.cumsum(codes[kept])])
            lengths.append(layout.lengths(starts).astype(np.uint16))
            total += len(codes)
    found = np.concatenate(lengths)
    return Side(parts, found, total - len(found))


def _row_groups(path: Path) -> int:
    try:
        with pq.ParquetFile(path) as shard:
            return int(shard.metadata.num_row_groups)
    except (OSError, pa.ArrowException):
        raise _damaged(path) from None


def _read(path: Path, group: int, columns: Sequence[str]) -> Any:
    try:
        with pq.ParquetFile(path) as shard:
            missing = sorted(set(columns) - set(shard.schema_arrow.names))
            if missing:
                raise ClinbertError(f"{path} has no column {missing[0]}: make it with `clinbert ehr prepare`")
            return shard.read_row_group(group, columns=list(columns))
    except (OSError, pa.ArrowException):
        raise _damaged(path) from None


def _damaged(path: Path) -> ClinbertError:
    return ClinbertError(f"{path} is damaged: copy it again, or make it with `clinbert ehr prepare --replace`")
