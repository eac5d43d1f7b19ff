"""Figures of a report as SVG: F1 by label, errors by label and by section."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Tuple

from .errors import KINDS

# Colours that the colour-blind tell apart (Okabe and Ito 2008, Color Universal Design).
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00")
# Inches a row.
ROW = 0.32


def f1_figure(series: Mapping[str, Mapping[str, Any]]) -> str:
    """Draw the F1 of each label, with the 95 % interval of all labels together.

    series (Mapping[str, Mapping[str, Any]]): scores of `summary.summarise` by name.
    RETURNS (str): the SVG element.
    """
    labels = ["all", *sorted({label for one in series.values() for label in one["labels"]})]
    figure, axes = _axes(ROW * len(labels) * len(series) + 1)
    thickness = 0.8 / len(series)
    for number, (name, one) in enumerate(series.items()):
        places = [row + (number - (len(series) - 1) / 2) * thickness for row in range(len(labels))]
        values = [one["micro"]["f"], *(one["labels"].get(label, {}).get("f") for label in labels[1:])]
        axes.barh(places, [100 * (value or 0) for value in values], thickness, label=name, color=COLOURS[number])
        bounds, f = one["intervals"]["f"], one["micro"]["f"]
        if bounds and f is not None:
            # The interval need not hold the score itself, where documents are few.
            low, high = max(f - bounds[0], 0), max(bounds[1] - f, 0)
            axes.errorbar(100 * f, places[0], xerr=[[100 * low], [100 * high]], color="black", capsize=3)
    axes.set_xlim(0, 100)
    axes.set_xlabel("F1, %; the line is the 95 % interval")
    return _finish(figure, axes, labels)


def error_figure(table: Mapping[str, Mapping[str, int]]) -> str:
    """Draw the number of errors by kind for each row of a table, the most frequent first.

    table (Mapping[str, Mapping[str, int]]): number of errors by row, then kind.
    RETURNS (str): the SVG element.
    """
    rows = sorted(table, key=lambda name: -sum(table[name].values()))
    figure, axes = _axes(ROW * len(rows) + 1)
    left = [0] * len(rows)
    for kind, colour in zip(KINDS, COLOURS):
        counts = [table[name].get(kind, 0) for name in rows]
        axes.barh(range(len(rows)), counts, 0.8, left=left, label=kind, color=colour)
        left = [start + count for start, count in zip(left, counts)]
    axes.set_xlabel("errors")
    return _finish(figure, axes, [name or "unknown" for name in rows])


def _axes(height: float) -> Tuple[Any, Any]:
    # Not pyplot: it keeps every figure, and looks for a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height), layout="constrained")
    return figure, figure.add_subplot()


def _finish(figure: Any, axes: Any, rows: Sequence[str]) -> str:
    import matplotlib

    # A label is shown as it is: a dollar sign begins no formula.
    axes.set_yticks(range(len(rows)), rows, parse_math=False)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=len(KINDS), frameon=False)
    svg = io.StringIO()
    # Same figure, same bytes; letters stay letters, which keeps the page small.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "clinbert"}):
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return svg.getvalue()[svg.getvalue().index("<svg") :]
