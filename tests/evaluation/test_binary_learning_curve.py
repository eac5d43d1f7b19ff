"""The learning curve: sizes, summary, figure, and tables that cannot be one."""

import polars as pl
import pytest

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.evaluation.learning_curve import summarise, training_sizes, write_learning_curve

ROWS = [
    ("medbert", 300, 0, 0.70),
    ("medbert", 300, 1, 0.80),
    ("medbert", 100, 0, 0.60),
    ("gru $x$", 100, 0, 0.55),
    ("gru $x$", 4321, 0, 0.75),
]


def table(rows=ROWS):
    return pl.DataFrame(rows, schema=["system", "size", "draw", "auroc"], orient="row")


def test_sizes():
    assert training_sizes(50) == [50]
    assert training_sizes(300) == [100, 300]
    assert training_sizes(28_000) == [100, 300, 500, 1000, 2000, 5000, 10_000, 28_000]


def test_summary_and_figure(tmp_path):
    csv, figure = tmp_path / "curve.csv", tmp_path / "curve.png"
    summary = write_learning_curve(table(), csv, figure)
    assert summary.select("system", "size", "draws").rows() == [
        ("medbert", 100, 1),
        ("medbert", 300, 2),
        ("gru $x$", 100, 1),
        ("gru $x$", 4321, 1),
    ]
    two = summary.row(1, named=True)
    assert (two["mean"], two["low"], two["high"]) == (pytest.approx(0.75), 0.7, 0.8)
    assert two["sd"] == pytest.approx(0.0707, abs=1e-4) and summary["sd"][0] is None
    assert pl.read_csv(csv).equals(summary, null_equal=True)
    first = figure.read_bytes()
    assert first.startswith(b"\x89PNG")
    write_learning_curve(table(), csv, figure)
    assert figure.read_bytes() == first


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (table().drop("draw"), "no column draw"),
        (table([]), "empty"),
        (table([*ROWS, ROWS[0]]), "medbert with 300 patients, draw 0, is there twice"),
        (table([("a", 100, 0, float("nan"))]), "has no AUROC"),
        (table([("a", 100, 0, 1.5)]), "has no AUROC"),
        (table([("a", 100, 0, None)]), "has no AUROC"),
        (table([("a", 100, 0, "high")]), "something else than numbers"),
    ],
)
def test_tables_that_are_none(wrong, said):
    with pytest.raises(ClinbertError, match=said):
        summarise(wrong)
