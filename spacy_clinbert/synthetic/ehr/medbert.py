"""Synthetic patients as Med-BERT's own table: seven columns with tabs between them.

It holds days, no times; visits have no ids, and neither births, sexes and deaths nor drugs and measurements are in it.
Codes have dots and their version before them. Rows are not in the order of visits, and some stand there twice.
"""

from collections.abc import Iterable
from pathlib import Path

from .records import Patient
from .tables import csv_tables, traps

TABLE = "records.tsv"
HEADER = "PID ADMIT_DATE DISCH_DATE DX_CODE POA_IND DX_PRIORITY THIRD_PARTY_IND"
TWICE, PRESENT = 0.01, 0.8


def write_medbert(folder: Path, patients: Iterable[Patient]) -> None:
    """Write `records.tsv`.

    folder (Path): an existing folder; patients (Iterable[Patient]): as `make_patient` gives them.
    """
    with csv_tables(folder, {TABLE: HEADER}, "\t") as tables:
        for patient in patients:
            rng = traps("medbert", patient)
            rows: list[tuple] = []
            for visit in patient.visits:
                days = visit.admit.date(), visit.discharge.date()
                for rank, code in enumerate(visit.codes, 1):
                    text = f"ICD{visit.version}_{dotted(code, visit.version)}"
                    row = (patient.number, *days, text, int(rng.random() < PRESENT), rank, 0)
                    rows += [row, row] if rng.random() < TWICE else [row]
            rng.shuffle(rows)
            for row in rows:
                tables[TABLE].writerow(row)


def dotted(code: str, version: int) -> str:
    """Write a code of ICD with its dot."""
    length = 4 if version == 9 and code.startswith("E") else 3
    return f"{code[:length]}.{code[length:]}" if len(code) > length else code
