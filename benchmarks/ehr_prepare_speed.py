"""Time of `clinbert ehr prepare` against Med-BERT's own algorithm, and its memory, on one core.

The reference is that algorithm written again in plain pandas: a loop over patients, and over the visits of each. All
read the same table of synthetic patients, who have eight visits and fifteen codes on average, as those of Rasmy et al.
2021, table 1. The records of `--mode original` are checked to be those of the reference. Seconds are those of one core
from the table to the written files, without the start of Python and its libraries. Memory and room are measured on many
more patients.
Run: python benchmarks/ehr_prepare_speed.py [--patients 50000] [--many 1000000] [--rounds 3]; it needs pandas.
"""

import argparse
import json
import os
import pickle
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

# Patients that are invented together.
BLOCK = 100_000
CODES = 20_000
FEW = 50
HEADER = "patient_id\tvadate\tvddate\tdiag\tpoa\tdiagnosis_priority\tthird_party_ind\n"
SPLITS = ("train", "valid", "test")


def write_table(path: Path, patients: int) -> None:
    """Invent patients in the form of Med-BERT's table."""
    import polars as pl

    names = pl.Series([f"ICD10_{chr(65 + n % 20)}{n // 20 % 100:02d}.{n // 2000}" for n in range(CODES)])
    with path.open("wb") as file:
        file.write(HEADER.encode())
        for start in range(0, patients, BLOCK):
            rng = np.random.default_rng(start)
            size = min(BLOCK, patients - start)
            visits = 1 + rng.poisson(7, size)
            codes = 1 + rng.poisson(0.9, visits.sum())
            visit = np.repeat(np.arange(len(codes)), codes)
            admit = rng.integers(12_000, 18_000, len(codes))
            stay = np.where(rng.random(len(codes)) < 0.7, 0, rng.integers(1, 15, len(codes)))
            rows = pl.DataFrame(
                {
                    "patient": start + np.repeat(np.arange(size), visits)[visit],
                    "admit": pl.Series(admit[visit].astype(np.int32)).cast(pl.Date),
                    "discharge": pl.Series((admit + stay)[visit].astype(np.int32)).cast(pl.Date),
                    "code": names[np.minimum(rng.pareto(1.0, len(visit)) * 20, CODES - 1).astype(np.int64)],
                    "present": rng.integers(0, 3, len(visit)),
                    "priority": np.arange(len(visit)) - np.repeat(np.cumsum(codes) - codes, codes) + 1,
                    "third_party": rng.integers(0, 2, len(visit)),
                }
            )
            rows.write_csv(file, separator="\t", include_header=False)


def reference(table: Path, out: Path) -> tuple[dict[str, list[Any]], dict[str, int]]:
    """Med-BERT's algorithm: the records of each split, and the types."""
    import pandas as pd

    rows = pd.read_csv(table, sep="\t")
    rows.columns = ["patient", "admit", "discharge", "code", "present", "priority", "third_party"]
    types = {"empty_pad": 0}
    records = []
    for patient, mine in rows.groupby("patient"):
        codes, numbers, admits, discharges = [], [], [], []
        ordered = mine.sort_values(["discharge", "present", "third_party", "priority"])
        for number, (day, visit) in enumerate(ordered.groupby("discharge", sort=False), 1):
            for code in visit["code"].drop_duplicates().tolist():
                if code not in types:
                    types[code] = max(types.values()) + 1
                codes.append(types[code])
                numbers.append(number)
            discharges.append(datetime.strptime(day, "%Y-%m-%d"))
            admits.append(datetime.strptime(min(visit["admit"].drop_duplicates().tolist()), "%Y-%m-%d"))
        stays = [(end - begin).days for begin, end in zip(admits, discharges)]
        gaps = [(begin - end).days for begin, end in zip(admits[1:], discharges)] + [0]
        records.append([patient, stays, gaps, codes, numbers])
    order = np.random.RandomState(0).permutation(len(records))
    test, valid = int(0.2 * len(order)), int(0.1 * len(order))
    parts = {"train": order[test + valid :], "valid": order[test : test + valid], "test": order[:test]}
    splits = {split: [records[place] for place in places] for split, places in parts.items()}
    out.mkdir()
    for split, found in {**splits, "types": types}.items():
        (out / split).write_bytes(pickle.dumps(found))
    return splits, types


def ours(table: Path, out: Path, mode: str) -> None:
    """What the command does."""
    from spacy_clinbert.ehr.original import prepare_original
    from spacy_clinbert.ehr.prepare import prepare
    from spacy_clinbert.ehr.prepare_settings import PrepareSettings
    from spacy_clinbert.ehr.sources import read_events

    if mode == "original":
        prepare_original(table, out)
    else:
        prepare(read_events(table), out, PrepareSettings())


def child(task: str, table: Path, out: Path) -> None:
    """Do one task and print its seconds; a few patients come first, since libraries load on their first use."""
    import pyarrow as pa

    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory() as name:
        write_table(Path(name) / "few.tsv", FEW)
        run(task, Path(name) / "few.tsv", Path(name) / "out")
    began = process_time()
    run(task, table, out)
    print(process_time() - began)


def run(task: str, table: Path, out: Path) -> None:
    """Do one task."""
    if task == "reference":
        reference(table, out)
    else:
        ours(table, out, task)


def measure(task: str, table: Path, out: Path) -> tuple[float, float]:
    """Run a task in a process of its own; return its seconds and its peak memory in MB."""
    command = [sys.executable, __file__, "--child", task, str(table), str(out)]
    environment = {**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True) as run:
        assert run.stdout is not None and run.stderr is not None
        said, complaints = run.stdout.read(), run.stderr.read()
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = status
    if status:
        raise SystemExit(complaints)
    return float(said.split()[-1]), usage.ru_maxrss / 1024


def read_records(out: Path) -> tuple[dict[str, list[Any]], dict[str, int]]:
    """The records of `--mode original` in the form of the reference's."""
    import pyarrow.parquet as pq

    codes = json.loads((out / "codes.json").read_text(encoding="utf-8"))
    splits = {}
    for split in SPLITS:
        rows = [row for shard in sorted(out.glob(f"{split}-*.parquet")) for row in pq.read_table(shard).to_pylist()]
        splits[split] = [[int(r["subject_id"]), r["los"], r["gap"], r["input_ids"], r["visit"]] for r in rows]
    return splits, {code: number for number, code in enumerate(codes)}


def megabytes(*paths: Path) -> float:
    """Their size together."""
    return sum(path.stat().st_size for path in paths) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=50_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is timed, by turns")
    parser.add_argument("--child", nargs=3, metavar=("TASK", "TABLE", "OUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child[0], Path(args.child[1]), Path(args.child[2]))
        return
    tasks = ("reference", "original", "default")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder / "table.tsv", args.patients)
        seconds: dict[str, list[float]] = {task: [] for task in tasks}
        for number in range(args.rounds):
            for task in tasks:
                seconds[task].append(measure(task, folder / "table.tsv", folder / f"{task}-{number}")[0])
        found = {split: pickle.loads((folder / "reference-0" / split).read_bytes()) for split in (*SPLITS, "types")}
        same = (found, found.pop("types")) == read_records(folder / "original-0")
        rates = {task: args.patients / statistics.median(times) for task, times in seconds.items()}
        titles = ("pandas, a loop over patients", "`--mode original`", "`clinbert ehr prepare`")
        print(f"{args.patients:,} patients, one core; records of `--mode original` equal: {'yes' if same else 'NO'}\n")
        print("| program | patients/s | times the loop |\n| --- | ---: | ---: |")
        for title, task in zip(titles, tasks):
            print(f"| {title} | {rates[task]:,.0f} | {rates[task] / rates['reference']:.0f} |")
        print(
            "\n| patients | rows, MB | shards, MB | seconds | peak memory, MB |\n| ---: | ---: | ---: | ---: | ---: |"
        )
        for patients in (args.many // 10, args.many):
            table, out = folder / f"{patients}.tsv", folder / str(patients)
            write_table(table, patients)
            taken, memory = measure("default", table, out)
            room = megabytes(*out.glob("*.parquet"))
            print(f"| {patients:,} | {megabytes(table):,.0f} | {room:,.0f} | {taken:.1f} | {memory:,.0f} |")


if __name__ == "__main__":
    main()
