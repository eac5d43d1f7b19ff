"""Coded visits into sequences for the encoder: memory does not grow with the patients, same rows, same bytes.

The tables of the source are divided by patient into buckets on disk. Portion by portion they are put together, filtered
and ordered, and the codes of the training patients are counted. Then the vocabulary is known, and the shards are
written. The folder appears when all is done.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, TextIO

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from ..errors import ClinbertError
from .ancestors import write_ancestors
from .buckets import Buckets, Portion, portions
from .code_vocabulary import CodeBook, choose_codes, find_ids, read_codes, sort_keys, write_codes
from .codes import RollUp
from .ehr_manifest import (
    ANCESTORS,
    CODES,
    REJECTED,
    SPLITS,
    EhrManifest,
    checksum,
    new_plan,
    read_manifest,
    write_manifest,
)
from .event_tables import NEEDED, Preparable
from .people import find_people
from .prepare_settings import PrepareSettings
from .prepared_folder import find_earlier, new_folder, work_folder
from .schemas import SYSTEMS, UNK
from .sequences import make_sequences
from .shards import ShardWriter
from .sources import REJECTED as REJECTED_ROW
from .sources import reading
from .split import name_rule, read_splits

_READ = [*NEEDED, *REJECTED_ROW.names()]


@dataclass(frozen=True)
class Extras:
    """What may come with the source.

    labels (pl.LazyFrame | None): subject_id, each once, and columns of labels; patients without are left out.
    splits (Path | None): a file of splits in the place of the hash.
    like (Path | None): earlier prepared patients whose vocabulary is taken; their splits must be by the same rule.
    """

    labels: Optional[pl.LazyFrame] = None
    splits: Optional[Path] = None
    like: Optional[Path] = None


def prepare(
    source: Preparable,
    out: Path,
    settings: PrepareSettings,
    extras: Extras = Extras(),
    *,
    name: str = "",
    replace: bool = False,
) -> EhrManifest:
    """Prepare patients; where they were prepared before with the same settings, check them and leave them.

    source (Preparable): coded visits, of `read_events` or as `EventTables`.
    out (Path): folder for the shards, codes.json, rejected.jsonl and the manifest.
    settings (PrepareSettings): the settings.
    extras (Extras): what comes with the source.
    name (str): the name of the source, for the manifest.
    replace (bool): replace prepared patients of other settings.
    RETURNS (EhrManifest): what `out` holds.
    RAISES (ClinbertError): if the source cannot be read, no patient is left, splits conflict, or `out` holds anything
        else. Then nothing is written.
    """
    rule = name_rule(settings.shares, extras.splits)
    vocabulary = vocabulary_of(extras.like, rule) if extras.like else None
    plan = new_plan(name, settings, rule, checksum(extras.like / CODES) if extras.like else "")
    find_earlier(out, plan, replace)
    with work_folder(out) as work:
        roll_up = RollUp(settings.roll_up, settings.to_icd10)
        job = _Job(source, settings, roll_up, _fill(source, extras, work), work)
        plan = plan.model_copy(update={"digest": " ".join(f"{table.digest:016x}" for table in job.buckets.values())})
        if earlier := find_earlier(out, plan, replace):
            return earlier
        with new_folder(out) as folder:
            book = CodeBook()
            with (folder / REJECTED).open("w", encoding="utf-8") as rejected:
                counts = job.order_all(book, rejected)
                rejected.write(roll_up.left_rows().write_ndjson())
            _check_systems(settings.systems, book)
            if not job.rows:
                raise ClinbertError(
                    f"of {counts['patients with codes']} patients with codes none is left: check what the source holds,"
                    f" take other systems, or a smaller min_codes than {settings.min_codes}"
                )
            if vocabulary is None:
                vocabulary = choose_codes(book.keys, book.counts, settings.min_count)
            write_codes(vocabulary, folder / CODES)
            if settings.ancestors:
                write_ancestors(vocabulary, roll_up, folder / ANCESTORS)
            writers = [ShardWriter(folder, split) for split in SPLITS]
            made = job.write_all(writers, find_ids(book.keys, vocabulary))
            shards = [shard for writer in writers for shard in writer.close()]
            counts["rows with codes not rolled up"] = roll_up.left.total()
            found = {**+counts, "codes in the vocabulary": len(vocabulary), **made}
            update = {"vocabulary": checksum(folder / CODES), "counts": found, "shards": shards}
            manifest = plan.model_copy(update=update)
            write_manifest(manifest, folder)
        return manifest


def _check_systems(systems: Optional[tuple[str, ...]], book: CodeBook) -> None:
    """A system that is neither ours nor the source's is a misspelling."""
    unknown = set(systems or ()) - set(SYSTEMS) - {key.partition("/")[0] for key in book.keys}
    if unknown:
        raise ClinbertError(
            f"there is no event of the code system {min(unknown)}: name it as the source does, or one of"
            f" {', '.join(SYSTEMS)}"
        )


def vocabulary_of(like: Path, rule: str) -> list[str]:
    """Read the vocabulary of earlier prepared patients.

    like (Path): their folder; rule (str): by which the new ones are divided, of `name_rule`.
    RETURNS (list[str]): the codes by id.
    RAISES (ClinbertError): if they are divided by another rule, or the vocabulary cannot be read.
    """
    earlier = read_manifest(like)
    if earlier.splits != rule:
        raise ClinbertError(
            f"the patients of {like} are divided by {earlier.splits}, these by {rule}: a patient could be pretrained on"
            " and tested on; give the same shares or the same file of splits"
        )
    return read_codes(like / CODES)


def _fill(source: Preparable, extras: Extras, work: Path) -> dict[str, Buckets]:
    """Divide all tables by patient."""
    tables = {f"source {name}": table for name, table in source.tables.items()}
    if extras.labels is not None:
        tables["labels"] = extras.labels
    if extras.splits is not None:
        tables["splits"] = read_splits(extras.splits)
    with reading():
        return {name: Buckets(work / name).fill(table) for name, table in tables.items()}


@dataclass
class _Job:
    source: Preparable
    settings: PrepareSettings
    roll_up: RollUp
    buckets: Mapping[str, Buckets]
    work: Path
    rows: int = 0
    portions: int = 0

    def order_all(self, book: CodeBook, rejected: TextIO) -> Counter[str]:
        """Put portion by portion in order, into a file each; count the codes of the training patients."""
        total = np.sum([table.rows for name, table in self.buckets.items() if name.startswith("source ")], axis=0)
        counts = Counter[str]()
        for portion in tqdm(list(portions(total)), desc="ordering", unit=" portions", disable=None):
            rows, keys = self._order(portion, rejected, counts)
            rows = _count(rows, keys, book)
            with pa.ipc.new_file(str(self._path(self.portions)), rows.schema) as file:
                file.write_table(rows)
            self.rows += rows.num_rows
            self.portions += 1
        return counts

    def _path(self, number: int) -> Path:
        return self.work / f"portion-{number:06d}.arrow"

    def _order(self, portion: Portion, rejected: TextIO, counts: Counter[str]) -> tuple[pa.Table, list[str]]:
        """The rows of a portion, and the keys whose places are its codes."""
        tables = {name: table.read(portion) for name, table in self.buckets.items()}
        with reading():
            part = self.source.over({name: tables[f"source {name}"].lazy() for name in self.source.tables})
            rows, patients, faults = part.rows.select(_READ).collect(), part.patients.collect(), part.faults.collect()
        bad = pl.concat([faults, rows.filter(pl.col("reason").is_not_null()).select(faults.columns)])
        events = self.roll_up(rows.filter(pl.col("reason").is_null()))
        labels, splits = tables.get("labels"), tables.get("splits")
        people, left_out = find_people(events, patients, labels, splits, self.settings.shares)
        keys, places = sort_keys(events.select(pl.concat_str("system", pl.lit("/"), "code")).to_series().to_arrow())
        found = make_sequences(events.with_columns(pl.Series("code", places)), people, self.settings)
        counts["rows rejected"] += bad.height
        counts.update(
            {f"patients left out: {reason}": n for reason, n in left_out["reason"].value_counts().iter_rows()}
        )
        counts.update(found.counts)
        for listed in (bad, left_out, found.rejected):
            rejected.write(listed.sort(listed.columns).write_ndjson())
        return found.rows, keys

    def write_all(self, writers: list[ShardWriter], ids: np.ndarray) -> Counter[str]:
        """Write the shards of all splits; ids (np.ndarray): of the keys of the book."""
        counts = Counter[str]()
        for number in tqdm(range(self.portions), desc="writing", unit=" portions", disable=None):
            with pa.memory_map(str(self._path(number))) as file:
                rows = pa.ipc.open_file(file).read_all()
            rows = _renumber(rows, ids)
            for place, writer in enumerate(writers):
                mine = rows.filter(pc.equal(rows["split"], place)).drop_columns("split").combine_chunks()
                if mine.num_rows:
                    writer.write(mine)
                    codes = mine["input_ids"].combine_chunks().flatten().to_numpy()
                    counts.update(
                        {
                            f"{writer.split} patients": mine.num_rows,
                            f"{writer.split} visits": len(mine["los"].combine_chunks().flatten()),
                            f"{writer.split} codes": len(codes),
                            f"{writer.split} unknown codes": int((codes == UNK).sum()),
                        }
                    )
        return counts


def _count(rows: pa.Table, keys: list[str], book: CodeBook) -> pa.Table:
    """Number the keys by the book, and count them for the training patients."""
    rows = _renumber(rows, book.number(keys))
    codes = rows["input_ids"].combine_chunks()
    owners = np.repeat(np.arange(rows.num_rows), codes.value_lengths().to_numpy())
    train = rows["split"].to_numpy()[owners] == SPLITS.index("train")
    book.count(owners[train], codes.flatten().to_numpy()[train])
    return rows


def _renumber(rows: pa.Table, numbers: np.ndarray) -> pa.Table:
    """Give codes other numbers: numbers (np.ndarray): by the old ones."""
    place = rows.schema.get_field_index("input_ids")
    codes = rows["input_ids"].combine_chunks()
    renumbered = pa.ListArray.from_arrays(codes.offsets, numbers[codes.values.to_numpy()])
    return rows.set_column(place, rows.schema.field(place), renumbered)
