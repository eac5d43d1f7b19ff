"""How a score grows with the number of training patients: the curve of Rasmy et al. 2021, with its bands."""

from pathlib import Path
from typing import List

import polars as pl

from ..errors import ClinbertError

# Training patients of Rasmy et al. 2021 (npj Digital Medicine 4:86), each drawn ten times; then all of them.
SIZES = (100, 300, 500, 1000, 2000, 5000, 10_000)
DRAWS = 10

_COLUMNS = {"system": pl.String, "size": pl.Int64, "draw": pl.Int64, "auroc": pl.Float64}


def training_sizes(patients: int) -> List[int]:
    """Give the numbers of training patients of the curve.

    patients (int): how many there are.
    RETURNS (List[int]): those of `SIZES` below that number, and the number itself.
    """
    return [size for size in SIZES if size < patients] + [patients]


def summarise(scores: pl.DataFrame) -> pl.DataFrame:
    """Summarise the draws of each size.

    scores (pl.DataFrame): a row for each run: system, size, draw and auroc, from 0 to 1.
    RETURNS (pl.DataFrame): system, size, draws, mean, sd (null for one draw), low and high (the lowest and the highest
        draw); systems in the order in which they come, sizes in ascending order.
    RAISES (ClinbertError): if a column is missing or of another kind, nothing is there, a run is there twice, or an
        AUROC is null, no number or out of its range.
    """
    missing = sorted(_COLUMNS.keys() - set(scores.columns))
    if missing:
        raise ClinbertError(f"the table of scores has no column {missing[0]}: give {', '.join(_COLUMNS)}")
    try:
        table = scores.select(pl.col(name).cast(kind) for name, kind in _COLUMNS.items())
    except pl.exceptions.PolarsError:
        raise ClinbertError("the table of scores holds something else than numbers: correct it") from None
    if table.is_empty():
        raise ClinbertError("the table of scores is empty: train at least once")
    runs = ["system", "size", "draw"]
    for fault, rows in (
        ("has no AUROC from 0 to 1", ~pl.col("auroc").is_between(0, 1).fill_null(False) | pl.col("auroc").is_nan()),
        ("is there twice", pl.struct(runs).is_duplicated()),
    ):
        found = table.filter(rows)
        if not found.is_empty():
            system, size, draw, _ = found.row(0)
            raise ClinbertError(f"table of scores: {system} with {size} patients, draw {draw}, {fault}: correct it")
    auroc = pl.col("auroc")
    summary = table.group_by("system", "size", maintain_order=True).agg(
        draws=auroc.len(), mean=auroc.mean(), sd=auroc.std(), low=auroc.min(), high=auroc.max()
    )
    first_seen = {name: place for place, name in enumerate(table["system"].unique(maintain_order=True))}
    order = pl.col("system").replace_strict(first_seen, return_dtype=pl.Int64)
    return summary.sort(order, "size")


def write_learning_curve(scores: pl.DataFrame, csv: Path, figure: Path) -> pl.DataFrame:
    """Write the curve as a table and as a figure.

    scores (pl.DataFrame): as for `summarise`.
    csv (Path), figure (Path): where the summary and the PNG go.
    RETURNS (pl.DataFrame): the summary.
    RAISES (ClinbertError): as `summarise`.
    """
    from matplotlib.figure import Figure

    from .figures import COLOURS

    summary = summarise(scores)
    summary.write_csv(csv)
    drawing = Figure(figsize=(7, 4.5), layout="constrained")
    axes = drawing.add_subplot(xlabel="training patients", ylabel="AUROC")
    sizes = sorted(set(summary["size"].to_list()))
    for number, (system,) in enumerate(summary.select("system").unique(maintain_order=True).iter_rows()):
        rows = summary.filter(pl.col("system") == system)
        mean, spread = rows["mean"].to_numpy(), rows["sd"].fill_null(0.0).to_numpy()
        colour, dashes = COLOURS[number % len(COLOURS)], ("-", "--", ":", "-.")[number // len(COLOURS) % 4]
        axes.plot(rows["size"], mean, dashes, color=colour, marker="o", markersize=3, label=system.replace("$", r"\$"))
        axes.fill_between(rows["size"], mean - spread, mean + spread, color=colour, alpha=0.15, linewidth=0)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes], rotation=45)
    axes.minorticks_off()
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title("mean over draws; band: one standard deviation of the draws", fontsize=9)
    axes.legend(frameon=False, fontsize=8)
    drawing.savefig(figure, dpi=150, metadata={"Software": None})
    return summary
