"""Med-BERT's own table: seven columns by position, tab between them, a header row or none.

Patient, admission, discharge, code (`ICD9_150.6`), present on admission, priority, third-party flag
(https://github.com/ZhiGroup/Med-BERT). A visit is one discharge date of a patient. The admission is that of the row: a
visit's is the earliest of its rows. Dates are 2014-03-01 or 20140301, with or without a time. The two flags are raised
by 1 or Y; the priority is the rank.
"""

from pathlib import Path

import polars as pl

from ...errors import ClinbertError
from ..normalise import guess_code
from ..schemas import DIAGNOSES
from .cells import COUNT, ID, TEXT, TIME, TYPES
from .forms import Form, Joined, Systems, Tables, only
from .tables import Column, first_line, scan_csv
from .visits import code_rows, dated, person_rows

SUFFIXES = (".tsv", ".tsv.gz", ".txt", ".txt.gz", ".csv", ".csv.gz")
COLUMNS = {
    "subject_id": Column("patient", ID),
    "admit": Column("admit", TIME),
    "discharge": Column("discharge", TIME),
    "code": Column("code", TEXT),
    "present_on_admission": Column("present_on_admission", ID),
    "priority": Column("priority", COUNT),
    "third_party": Column("third_party", ID),
}
WIDTH = len(COLUMNS)
PLACES = {name: place for place, name in enumerate(COLUMNS)}
FLAGS = ["present_on_admission", "third_party"]
RAISED = ["1", "Y", "y"]


def _recognises(source: Path) -> bool:
    if not source.is_file() or not source.name.lower().endswith(SUFFIXES):
        return False
    return len(first_line(source).split("\t")) == WIDTH


def _scan(source: Path, systems: Systems) -> Tables:
    cells = first_line(source).split("\t")
    if len(cells) != WIDTH:
        raise ClinbertError(f"{source} has no {WIDTH} columns with tabs between them: give Med-BERT's table")
    # A header has a name, no date, for the admission.
    skip = 0 if any(letter.isdigit() for letter in cells[1]) else 1
    return {"records": scan_csv(source, COLUMNS, PLACES, WIDTH, "\t", skip)}


def _join(tables: Tables, systems: Systems) -> Joined:
    records = tables["records"]
    present, third = (pl.col(name).is_in(RAISED) for name in FLAGS)
    rows = records.with_columns(
        visit_id=pl.col("discharge").dt.date().map_batches(_write_once, pl.String(), is_elementwise=True),
        rank=pl.when(pl.col("priority") > 0).then("priority"),
        # Four lists, since to make one a row takes longer than all the rest.
        flags=pl.when(present & third)
        .then(pl.lit(FLAGS))
        .when(present)
        .then(pl.lit(FLAGS[:1]))
        .when(third)
        .then(pl.lit(FLAGS[1:]))
        .otherwise(pl.lit([], pl.List(pl.String()))),
        found=pl.lit(True),
    )
    codes = code_rows(rows, pl.col("code"), DIAGNOSES, billed=True, split=guess_code).filter(only(systems))
    nothing = {"birth": pl.lit(None, pl.Date()), "sex": pl.lit(None, pl.String()), "death": pl.lit(None, TYPES[TIME])}
    return Joined(dated(codes), person_rows(records, **nothing))


def _write_once(days: pl.Series) -> pl.Series:
    """Write days; each different one once, for speed. Empty where there is none: a visit all the same."""
    different = days.unique()
    return days.replace_strict(different, different.cast(pl.String).fill_null(""), return_dtype=pl.String())


FORM = Form(
    "medbert", "a table of seven columns with tabs between them", frozenset(DIAGNOSES), _recognises, _scan, _join
)
