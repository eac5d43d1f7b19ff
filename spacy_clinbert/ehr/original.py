"""Med-BERT's published preprocessing (preprocess_pretrain_data.py), record for record, for checks.

Columns are taken by position: patient, admission, discharge, code, present on admission, priority, third-party flag.
Patients come in ascending order. A visit is one discharge date; its admission is the earliest of its rows. Rows are in
the order of discharge, present on admission, third-party flag and priority, and a code stands once a visit. Codes are
numbered in the order in which they are met, test patients included; id 0 is the padding. A seeded permutation divides
each 100,000 patients 7:1:2. Nobody is left out. The table is in memory, some 200 bytes a row.

Where the original dies or writes `nan`, a row is rejected: one without patient, code or a date such as 2014-03-01.
"""

from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import polars as pl
import pyarrow as pa

from ..errors import ClinbertError
from .code_vocabulary import write_codes
from .ehr_manifest import CODES, REJECTED, SPLITS, EhrManifest, checksum, new_plan, write_manifest
from .prepare_settings import PrepareSettings
from .prepared_folder import find_earlier, new_folder
from .sequence_lists import Codes, Visits, make_lists, starts
from .sequences import to_sequences
from .shards import GROUP_ROWS, ShardWriter

COLUMNS = ("patient", "admit", "discharge", "code", "present", "priority", "third_party")
# After patient and discharge, what rows are sorted by.
KEYS = ("present", "third_party", "priority")
PADDING = "empty_pad"
# How many patients are divided together, and the parts of test and valid; the rest trains.
BLOCK = 100_000
TEST, VALID = 0.2, 0.1
RULE = "the original's permutation"


class Original(NamedTuple):
    """What the original makes of a table.

    rows (pa.Table): SEQUENCES, patients ascending. `rank` is the place in the visit.
    splits (dict[str, np.ndarray]): the rows of each split, in the original's order.
    codes (list[str]): the codes by id.
    counts (dict[str, int]): rows read and rejected.
    rejected (pl.DataFrame): id and reason of each rejected row.
    """

    rows: pa.Table
    splits: dict[str, np.ndarray]
    codes: list[str]
    counts: dict[str, int]
    rejected: pl.DataFrame


def read_original(path: Path) -> Original:
    """Do what the original does.

    path (Path): its table, with tabs between the columns and a header; plain or gzipped.
    RETURNS (Original): its records.
    RAISES (ClinbertError): if the table cannot be read, has not seven columns or no row that can be used.
    """
    table = _read(path).with_row_index("row", offset=1)
    dates = [pl.col(name).cast(pl.String).str.to_date("%Y-%m-%d", strict=False) for name in ("admit", "discharge")]
    table = table.with_columns(dates).with_columns(reason=pl.coalesce(_reasons()))
    rows = table.filter(pl.col("reason").is_null())
    if not rows.height:
        raise ClinbertError(f"{path} has no row with a patient, a code and dates such as 2014-03-01: check its columns")
    # A patient of whom no visit is left is still one of those who are divided.
    patients = table["patient"].drop_nulls().unique().sort()
    rows = rows[_order([patients.search_sorted(rows["patient"]), rows["discharge"], *(rows[name] for name in KEYS)])]
    patient = patients.search_sorted(rows["patient"]).to_numpy()
    admit, discharge = (rows[name].to_physical().to_numpy() for name in ("admit", "discharge"))
    begins = np.flatnonzero(_changes(patient) | _changes(discharge))
    visit = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(patient)))

    encoded = rows["code"].to_arrow().dictionary_encode()
    code = encoded.indices.to_numpy().astype(np.int64)
    # The first row of each code of each visit; a code's id is its place among all codes in the order of these rows.
    _, first = np.unique((visit << 32) | code, return_index=True)
    first.sort()
    visit, code = visit[first], code[first]
    different, met = np.unique(code, return_index=True)
    order = different[np.argsort(met)]
    ids = np.empty(len(order), dtype=np.int32)
    ids[order] = np.arange(1, len(order) + 1)

    first_admit = np.minimum.reduceat(admit, begins)
    visits = Visits(patient[begins], first_admit, discharge[begins])
    places = np.arange(len(visit)) - np.flatnonzero(_changes(visit))[visit] + 1
    none = pa.nulls(len(patients))
    columns = {
        "subject_id": patients.cast(pl.String).to_arrow(compat_level=pl.CompatLevel.oldest()),
        "birth": none,
        "sex": none,
        "first_admit": _first(visits, len(patients)),
        **make_lists(visits, Codes(visit, ids[code], places), len(patients)),
    }
    bad = table.filter(pl.col("reason").is_not_null())
    counts = {"rows": table.height, "rows rejected": bad.height, "patients": len(patients), "visits": len(begins)}
    return Original(
        to_sequences(columns),
        divide(len(patients)),
        [PADDING, *encoded.dictionary.take(pa.array(order)).to_pylist()],
        counts,
        bad.select(id=pl.format("row {}", "row"), reason="reason"),
    )


def divide(patients: int) -> dict[str, np.ndarray]:
    """Divide patients as the original does.

    patients (int): how many there are.
    RETURNS (dict[str, np.ndarray]): the numbers of those in each split, in the original's order.
    """
    parts: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
    for start in range(0, patients, BLOCK):
        size = min(BLOCK, patients - start)
        order = start + np.random.RandomState(0).permutation(size)
        tests, valids = int(TEST * size), int(VALID * size)
        for split, part in zip(("test", "valid", "train"), np.split(order, [tests, tests + valids]), strict=True):
            parts[split].append(part)
    return {split: np.concatenate(blocks) for split, blocks in parts.items()}


def _read(path: Path) -> pl.DataFrame:
    """Read the table: a column of whole numbers as such, as pandas does, any other as strings."""
    try:
        # Nothing is guessed beyond whole numbers: the rest of the file may disagree with its beginning.
        texts = pl.read_csv(path, separator="\t", infer_schema=False)
    except (OSError, pl.exceptions.PolarsError):
        raise ClinbertError(f"{path} cannot be read as a table with tabs between its columns: check it") from None
    if texts.width != len(COLUMNS):
        raise ClinbertError(f"{path} has {texts.width} columns: the original reads {len(COLUMNS)}, with tabs between")
    texts.columns = COLUMNS
    numbers = texts.select(pl.col("patient", *KEYS).cast(pl.Int64, strict=False))
    whole = [column for column in numbers if column.null_count() == texts[column.name].null_count()]
    return texts.with_columns(whole)


def _reasons() -> list[pl.Expr]:
    reasons = {
        "it has no patient": pl.col("patient").is_null(),
        "it has no code": pl.col("code").is_null(),
        "it has no date of admission such as 2014-03-01": pl.col("admit").is_null(),
        "it has no date of discharge such as 2014-03-01": pl.col("discharge").is_null(),
    }
    return [pl.when(test).then(pl.lit(reason)) for reason, test in reasons.items()]


def _order(columns: list[pl.Series]) -> np.ndarray:
    """The order of rows by columns, ties as they stand and nulls last; quick where all fit into one integer."""
    keys, spans = [], 1
    for column in columns:
        numbers = column.to_physical() if column.dtype.is_numeric() or column.dtype == pl.Date else column.rank("dense")
        numbers = numbers.cast(pl.Int64)
        low, high = cast(int, numbers.min() or 0), cast(int, numbers.max() or 0)
        keys.append(numbers.fill_null(high + 1).to_numpy())
        spans *= high - low + 2
    if spans >= 2**63:
        return np.lexsort(keys[::-1])
    packed = np.zeros(len(keys[0]), dtype=np.int64)
    for key in keys:
        low = int(key.min())
        packed = packed * (int(key.max()) - low + 1) + (key - low)
    return np.argsort(packed, kind="stable")


def _changes(values: np.ndarray) -> np.ndarray:
    """Whether each value is the first, or another than the one before."""
    return np.append(True, values[1:] != values[:-1])


def _first(visits: Visits, patients: int) -> pa.Array:
    """The first admission of each patient, null for one without visits."""
    found = np.full(patients, np.datetime64("NaT"), dtype="datetime64[D]")
    begin = starts(visits.owner)
    found[visits.owner[begin]] = visits.admit[begin].astype("datetime64[D]")
    return pa.array(found.astype("datetime64[us]"))


def prepare_original(source: Path, out: Path, *, replace: bool = False) -> EhrManifest:
    """Write the original's records as prepared patients; where they lie there already, check them and leave them.

    source (Path): the original's table; out (Path): folder as of `prepare`; replace (bool): as there.
    RETURNS (EhrManifest): what `out` holds.
    RAISES (ClinbertError): if the table cannot be used, or `out` holds anything else.
    """
    settings = PrepareSettings(mode="original")
    plan = new_plan(source.name, settings, RULE)
    find_earlier(out, plan, replace)
    plan = plan.model_copy(update={"digest": checksum(source)})
    if earlier := find_earlier(out, plan, replace):
        return earlier
    made = read_original(source)
    with new_folder(out) as folder:
        write_codes(made.codes, folder / CODES)
        (folder / REJECTED).write_text(made.rejected.write_ndjson(), encoding="utf-8")
        counts, shards = {**made.counts, "codes in the vocabulary": len(made.codes)}, []
        for split, numbers in made.splits.items():
            writer = ShardWriter(folder, split)
            for start in range(0, len(numbers), GROUP_ROWS):
                writer.write(made.rows.take(pa.array(numbers[start : start + GROUP_ROWS])))
            shards += writer.close()
            counts[f"{split} patients"] = len(numbers)
        found = {"vocabulary": checksum(folder / CODES), "counts": counts, "shards": shards}
        manifest = plan.model_copy(update=found)
        write_manifest(manifest, folder)
    return manifest
