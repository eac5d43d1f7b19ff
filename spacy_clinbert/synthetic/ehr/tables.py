"""Tables as text files that are the same bytes for the same rows."""

import csv
import gzip
import io
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, TextIO

from .records import Patient


class Rows(Protocol):
    """Where rows are written, as `csv.writer` gives it."""

    def writerow(self, row: Sequence[Any], /) -> Any:
        """Write a row."""


@contextmanager
def text_file(path: Path) -> Iterator[TextIO]:
    """Open a text file to write, gzipped where its name ends so; folders are made where they are missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        file = stack.enter_context(path.open("wb"))
        if path.name.endswith(".gz"):
            # Without file name and time in its header, the same rows give the same bytes.
            packed = gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=2)
            raw: Any = stack.enter_context(packed)
        else:
            raw = file
        yield stack.enter_context(io.TextIOWrapper(raw, encoding="utf-8", newline=""))


@contextmanager
def csv_tables(
    folder: Path, headers: Mapping[str, str], delimiter: str = ",", quoting: int = csv.QUOTE_MINIMAL
) -> Iterator[dict[str, Rows]]:
    """Open CSV files to write.

    folder (Path): where they shall lie.
    headers (Mapping[str, str]): by the names of the files those of their columns, blanks between.
    delimiter (str): what divides columns; quoting (int): one of `csv`.
    YIELDS (dict[str, Rows]): by the same names, where rows are written.
    """
    with ExitStack() as stack:
        tables: dict[str, Rows] = {}
        for name, header in headers.items():
            file = stack.enter_context(text_file(folder / name))
            writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator="\n")  # type: ignore[arg-type]
            writer.writerow(header.split())
            tables[name] = writer
        yield tables


def traps(form: str, patient: Patient) -> random.Random:
    """Random numbers for what a form has beside the patient's codes."""
    return random.Random(f"{form} {patient.seed} {patient.number}")
