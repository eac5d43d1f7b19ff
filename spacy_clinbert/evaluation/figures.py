"""Figures of a report as SVG: F1 by label, errors by label and by section."""

import io
from collections.abc import Mapping, Sequence
from typing import Any, Tuple

from .errors import KINDS

# Colours that the colour-blind tell apart (Okabe and Ito 2008, Color Universal Design).
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00")
# Inches a bar, and between the bars of two rows; a figure has more for its axis and legend.
BAR, GAP, FRAME = 0.19, 0.12, 0.9
# Stands for the colour of the page's letters, which is another one by day and by night.
INK = "#010203"


def f1_figure(series: Mapping[str, Mapping[str, Any]]) -> str:
    """Draw the F1 of each label, with the 95 % interval of all labels together.

    series (Mapping[str, Mapping[str, Any]]): scores of `summary.summarise` by name.
    RETURNS (str): the SVG element.
    """
    labels = ["all", *sorted({label for one in series.values() for label in one["labels"]})]
    figure, axes = _axes(len(labels) * (BAR * len(series) + GAP))
    thickness = 0.8 / len(series)
    for number, (name, one) in enumerate(series.items()):
        places = [row + (number - (len(series) - 1) / 2) * thickness for row in range(len(labels))]
        values = [one["micro"]["f"], *(one["labels"].get(label, {}).get("f") for label in labels[1:])]
        ends = [100 * (value or 0) for value in values]
        axes.barh(places, ends, thickness, label=name, color=COLOURS[number])
        bounds = one["intervals"]["f"]
        if bounds:
            # The interval need not hold the score itself, where documents are few.
            low, high = max(ends[0] - 100 * bounds[0], 0), max(100 * bounds[1] - ends[0], 0)
            axes.errorbar(ends[0], places[0], xerr=[[low], [high]], color=INK, capsize=3, linewidth=1)
            ends[0] += high
        _write(axes, places, ends, ["–" if value is None else f"{100 * value:.1f}" for value in values])
    axes.set_xlim(0, 100)
    axes.set_xlabel("F1, %; the line is the 95 % interval over all labels")
    return _finish(figure, axes, labels)


def error_figure(table: Mapping[str, Mapping[str, int]]) -> str:
    """Draw the number of errors by kind for each row of a table, the most frequent first.

    table (Mapping[str, Mapping[str, int]]): number of errors by row, then kind.
    RETURNS (str): the SVG element.
    """
    rows = sorted(table, key=lambda name: -sum(table[name].values()))
    figure, axes = _axes(len(rows) * (BAR + GAP))
    left = [0] * len(rows)
    for kind, colour in zip(KINDS, COLOURS):
        counts = [table[name].get(kind, 0) for name in rows]
        axes.barh(range(len(rows)), counts, 0.7, left=left, label=kind, color=colour)
        left = [start + count for start, count in zip(left, counts)]
    _write(axes, range(len(rows)), left, list(map(str, left)))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("number of errors")
    return _finish(figure, axes, [name or "unknown" for name in rows])


def _axes(height: float) -> Tuple[Any, Any]:
    # Not pyplot: it keeps every figure, and looks for a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height + FRAME), layout="constrained")
    return figure, figure.add_subplot()


def _write(axes: Any, places: Sequence[float], ends: Sequence[float], words: Sequence[str]) -> None:
    for place, end, word in zip(places, ends, words):
        axes.annotate(word, (end, place), (4, 0), textcoords="offset points", va="center", fontsize=8)


def _finish(figure: Any, axes: Any, rows: Sequence[str]) -> str:
    import matplotlib

    # A label is shown as it is: a dollar sign begins no formula.
    axes.set_yticks(range(len(rows)), rows, parse_math=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(color=INK)
    figure.legend(loc="outside upper left", ncols=len(KINDS), frameon=False, borderpad=0)
    svg = io.StringIO()
    # Same figure, same bytes; letters stay letters, which keeps the page small.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "clinbert"}):
        figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return svg.getvalue()[svg.getvalue().index("<svg") :].replace(INK, "currentColor")
