"""Mode original: the records of Med-BERT's own preprocessing."""

import gzip
import json
import random
from datetime import date, timedelta
from itertools import groupby

import numpy as np
import pyarrow.parquet as pq
import pytest

from spacy_clinbert.ehr.ehr_manifest import SPLITS, read_manifest
from spacy_clinbert.ehr.original import divide, prepare_original
from spacy_clinbert.errors import ClinbertError

HEADER = "patient_id\tvadate\tvddate\tdiag\tpoa\tdiagnosis_priority\tthird_party_ind\n"


def records(out):
    """The records of each split in the original's form, and its types."""
    manifest = read_manifest(out)
    found = {}
    for split in SPLITS:
        rows = [row for shard in manifest.split(split) for row in pq.read_table(out / shard.name).to_pylist()]
        found[split] = [[row["subject_id"], row["los"], row["gap"], row["input_ids"], row["visit"]] for row in rows]
    codes = json.loads((out / "codes.json").read_text())
    return found, {code: number for number, code in enumerate(codes)}


@pytest.mark.external
@pytest.mark.parametrize("name", ["example", "mimic4demo", "synthetic"])
def test_the_golden_records(shared, tmp_path, name):
    folder = shared / "golden" / "medbert_preprocess"
    expected = json.loads(gzip.decompress((folder / f"{name}.expected.json.gz").read_bytes()))
    prepare_original(folder / f"{name}.tsv.gz", tmp_path / "out")
    found, types = records(tmp_path / "out")
    assert types == expected.pop("types")
    assert found == {split: [[str(row[0]), *row[1:]] for row in rows] for split, rows in expected.items()}


def loop(rows):
    """The README's rules, patient by patient in plain Python."""
    types, made = {"empty_pad": 0}, []
    for patient, mine in groupby(sorted(rows, key=lambda row: row[0]), lambda row: row[0]):
        ordered = sorted(mine, key=lambda row: (row[2], row[4], row[6], row[5]))
        admits, discharges, codes, visits = [], [], [], []
        for number, (discharge, visit) in enumerate(groupby(ordered, lambda row: row[2]), 1):
            visit = list(visit)
            admits.append(min(row[1] for row in visit))
            discharges.append(discharge)
            for code in dict.fromkeys(row[3] for row in visit):
                codes.append(types.setdefault(code, len(types)))
                visits.append(number)
        los = [(ended - began).days for began, ended in zip(admits, discharges)]
        gaps = [(began - ended).days for began, ended in zip(admits[1:], discharges)] + [0]
        made.append([str(patient), los, gaps, codes, visits])
    order = np.random.RandomState(0).permutation(len(made))
    test, valid = int(0.2 * len(made)), int(0.1 * len(made))
    parts = {"train": order[test + valid :], "valid": order[test : test + valid], "test": order[:test]}
    return {split: [made[place] for place in places] for split, places in parts.items()}, types


def write(path, rows):
    path.write_text(HEADER + "".join("\t".join(map(str, row)) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("seed, step", [(0, 1), (1, 1), (2, 10**15)])
def test_a_table_of_ties(tmp_path, seed, step):
    rng = random.Random(seed)
    rows = []
    for patient in rng.sample(range(5, 200), 57):
        for _ in range(rng.randint(1, 12)):
            admit = date(2012, 1, 1) + timedelta(rng.randint(0, 6))
            # Some are discharged before they come, and visits of one discharge date are one.
            discharge = admit + timedelta(rng.randint(-1, 4))
            rows.append(
                (patient, admit, discharge, f"ICD9_{rng.randint(1, 30)}", *(step * rng.randint(0, 2) for _ in "pqt"))
            )
    prepare_original(write(tmp_path / "table.tsv", rows), tmp_path / "out")
    assert records(tmp_path / "out") == loop(rows)


def test_numbers_sort_as_numbers_and_names_as_names(tmp_path):
    rows = [(patient, date(2020, 1, 1), date(2020, 1, 1), f"C{patient}", 1, 10, 0) for patient in (9, 10, 8)]
    prepare_original(write(tmp_path / "table.tsv", rows), tmp_path / "numbers")
    assert list(records(tmp_path / "numbers")[1]) == ["empty_pad", "C8", "C9", "C10"]
    prepare_original(write(tmp_path / "table.tsv", [*rows, ("x", *rows[0][1:])]), tmp_path / "names")
    assert list(records(tmp_path / "names")[1]) == ["empty_pad", "C10", "C8", "C9"]


def test_each_hundred_thousand_patients_are_divided_on_their_own():
    parts = divide(250_003)
    assert {split: len(rows) for split, rows in parts.items()} == {"train": 175_003, "valid": 25_000, "test": 50_000}
    assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), np.arange(250_003))
    assert all((np.diff(rows // 100_000) >= 0).all() for rows in parts.values())
    assert divide(2)["train"].tolist() == [1, 0] or divide(2)["train"].tolist() == [0, 1]


def test_rows_that_would_end_the_original_are_rejected(tmp_path):
    rows = [
        (1, "2020-01-01", "2020-01-02", "A", 1, 1, 0),
        ("", "2020-01-01", "2020-01-02", "A", 1, 1, 0),
        (1, "", "2020-01-02", "A", 1, 1, 0),
        (2, "2020-01-01", "02/01/2020", "A", 1, 1, 0),
        (1, "2020-01-01", "2020-01-02", "", 1, 1, 0),
    ]
    manifest = prepare_original(write(tmp_path / "table.tsv", rows), tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["row 2", "row 3", "row 4", "row 5"]
    assert manifest.counts["rows rejected"] == 4
    # As in the original, a patient of whom no visit is left is one of those who are divided.
    found, _ = records(tmp_path / "out")
    assert sorted(found["train"]) == [["1", [1], [0], [1], [1]], ["2", [], [], [], []]]


@pytest.mark.parametrize(
    "text, message",
    [
        ("a,b\n1,2\n", "has 1 columns: the original reads 7"),
        (HEADER, "has no row with a patient"),
        (HEADER + "1\tx\ty\tA\t1\t1\t0\n", "has no row with a patient"),
        ("", "cannot be read"),
    ],
)
def test_a_table_that_is_none(tmp_path, text, message):
    (tmp_path / "table.tsv").write_text(text)
    with pytest.raises(ClinbertError, match=message):
        prepare_original(tmp_path / "table.tsv", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_second_run_appends_nothing(tmp_path):
    table = write(tmp_path / "table.tsv", [(1, "2020-01-01", "2020-01-02", "A", 1, 1, 0)])
    first = prepare_original(table, tmp_path / "out")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
    assert prepare_original(table, tmp_path / "out") == first
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()} == before
    write(table, [(1, "2020-01-01", "2020-01-02", "B", 1, 1, 0)])
    with pytest.raises(ClinbertError, match="the rows of the source are others"):
        prepare_original(table, tmp_path / "out")
    prepare_original(table, tmp_path / "out", replace=True)
    assert list(records(tmp_path / "out")[1]) == ["empty_pad", "B"]
