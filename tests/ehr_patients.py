"""Patients as `clinbert ehr prepare` writes them, and as Docs, for tests of what reads them."""

import datetime
import hashlib
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from spacy.tokens import Doc
from spacy.vocab import Vocab

from spacy_clinbert.ehr.code_vocabulary import write_codes
from spacy_clinbert.ehr.ehr_manifest import EhrManifest, write_manifest
from spacy_clinbert.ehr.prepare_settings import PrepareSettings
from spacy_clinbert.ehr.schemas import SEQUENCES, SPECIALS, UNK
from spacy_clinbert.scale.made import describe

CODES = 24
KEYS = [*SPECIALS, *(f"ICD10CM/C{number:02}" for number in range(CODES))]
ORIGINAL_KEYS = ["empty_pad", *(f"ICD10_C{number:02}" for number in range(CODES))]


def make_patient(number: int, codes: int = 0, first: int = len(SPECIALS)) -> dict:
    """One row of SEQUENCES: codes come in runs of neighbours, so that one says what the next is; code 0 means a long
    stay."""
    rng = random.Random(number)
    n_visits = rng.randint(1, 6)
    row: dict = {"subject_id": f"p{number}", "sex": rng.choice("FM"), "birth": None, "first_admit": None}
    row |= {name: [] for name in ("input_ids", "visit", "rank", "day", "los", "gap")}
    if number % 5:
        row["birth"] = datetime.date(1950, 1, 1) + datetime.timedelta(days=rng.randrange(9000))
        row["first_admit"] = datetime.datetime(2010, 1, 1) + datetime.timedelta(days=rng.randrange(900))
    code, day = rng.randrange(CODES), 0
    total = codes or rng.choice((3, 5, 8, 13, 30))
    for visit in range(1, n_visits + 1):
        amount = total // n_visits + (visit <= total % n_visits)
        ids = [first + (code + step) % CODES for step in range(amount)]
        code = (code + amount) % CODES
        row["input_ids"] += ids
        row["visit"] += [visit] * amount
        row["rank"] += list(range(1, amount + 1)) if number % 3 else [0] * amount
        row["day"] += [day] * amount
        row["los"].append(9 if first in ids else 2)
        row["gap"].append(0 if visit == n_visits else 40)
        day += row["los"][-1] + row["gap"][-1]
    return row


def write_patients(
    folder: Path, train: int = 200, valid: int = 60, mode: str = "default", codes: int = 0, unknown: bool = False
) -> Path:
    """A folder of prepared patients: two shards to train on, one to choose by, a vocabulary and a manifest."""
    folder.mkdir(parents=True)
    keys = KEYS if mode == "default" else ORIGINAL_KEYS
    first = 4 if mode == "default" else 1
    write_codes(keys, folder / "codes.json")
    shards = []
    for name, numbers in (
        ("train-00000", range(train // 2)),
        ("train-00001", range(train // 2, train)),
        ("valid-00000", range(10_000, 10_000 + valid)),
    ):
        rows = [make_patient(number, codes, first) for number in numbers]
        if unknown:
            rows = [{**row, "input_ids": [UNK] * len(row["input_ids"])} for row in rows]
        path = folder / f"{name}.parquet"
        pq.write_table(pa.Table.from_pylist(rows, SEQUENCES), path, row_group_size=64)
        shards.append(describe(path, len(rows)))
    manifest = EhrManifest(
        source="tests",
        digest="",
        settings=PrepareSettings(mode=mode),
        splits="hash 7:1:2",
        vocabulary=hashlib.sha256((folder / "codes.json").read_bytes()).hexdigest(),
        given=False,
        versions={},
        counts={"patients": train + valid},
        shards=shards,
    )
    write_manifest(manifest, folder)
    return folder


def make_doc(row: dict, keys: list = KEYS) -> Doc:
    """The same patient as a Doc."""
    starts = [i == 0 or visit != row["visit"][i - 1] for i, visit in enumerate(row["visit"])]
    doc = Doc(Vocab(), words=[keys[number] for number in row["input_ids"]], sent_starts=starts)
    doc.user_data["clinbert_id"] = row["subject_id"]
    doc.user_data["clinbert_ranks"] = row["rank"]
    doc.user_data["clinbert_days"] = row["day"]
    doc.user_data["clinbert_birth"] = row["birth"].isoformat() if row["birth"] else ""
    doc.user_data["clinbert_first_admit"] = row["first_admit"].date().isoformat() if row["first_admit"] else ""
    return doc
