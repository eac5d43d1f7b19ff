"""Figures of predicted probabilities: discrimination by group, and reliability."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Tuple

from .figures import COLOURS
from .reliability import Bin

MARKERS = "os^D"
# Panels of reliability in a row.
COLUMNS = 4
Score = Tuple[Optional[float], Optional[float], Optional[float]]


def draw_discrimination(scores: Mapping[str, Mapping[str, Score]], name: str, path: Path) -> None:
    """Draw a score of each system in each group with its 95 % interval.

    scores (Mapping[str, Mapping[str, Score]]): by system, then group: value, low and high, None where undefined.
    name (str): of the score; path (Path): where the PNG goes.
    """
    from matplotlib.figure import Figure

    groups = list(next(iter(scores.values())))
    figure = Figure(figsize=(8, 1.2 + len(groups) * (0.15 + 0.17 * len(scores))), layout="constrained")
    axes = figure.add_subplot(xlabel=f"{name}, 95 % interval")
    for number, (system, of_groups) in enumerate(scores.items()):
        shift = ((number + 0.5) / len(scores) - 0.5) * 0.7
        colour, marker = _style(number)
        label: Optional[str] = _plain(system)
        for place, group in enumerate(groups):
            value, low, high = of_groups[group]
            if value is not None:
                axes.plot([value], [place + shift], marker, color=colour, markersize=4, label=label)
                label = None
            if low is not None and high is not None:
                axes.plot([low, high], [place + shift] * 2, color=colour, linewidth=1.2)
    axes.set_yticks(range(len(groups)), groups, parse_math=False)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, axes, path)


def draw_reliability(curves: Mapping[str, Mapping[str, Sequence[Bin]]], path: Path) -> None:
    """Draw observed shares over expected ones, a panel for each group.

    curves (Mapping[str, Mapping[str, Sequence[Bin]]]): bins by group, then system.
    path (Path): where the PNG goes.
    """
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(curves))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(3.2 * columns + 0.4, 3.2 * rows + 0.9), layout="constrained")
    for place, (group, systems) in enumerate(curves.items(), start=1):
        axes = figure.add_subplot(rows, columns, place, xlabel="predicted", ylabel="observed", aspect="equal")
        axes.set_title(group, fontsize=9)
        bins = [one for found in systems.values() for one in found]
        end = max([0.01, *(max(one.expected, one.observed) for one in bins)]) * 1.05
        axes.plot([0, end], [0, end], color="0.7", linewidth=1, linestyle="--")
        for number, (system, found) in enumerate(systems.items()):
            expected, observed = [one.expected for one in found], [one.observed for one in found]
            colour, marker = _style(number)
            axes.vlines(expected, [one.low for one in found], [one.high for one in found], color=colour, alpha=0.35)
            axes.plot(expected, observed, f"{marker}-", color=colour, markersize=3, linewidth=1, label=_plain(system))
        axes.set_xlim(0, end)
        axes.set_ylim(0, end)
        axes.spines[["top", "right"]].set_visible(False)
    _save(figure, axes, path)


def _style(number: int) -> Tuple[str, str]:
    """The colour and the marker of a system."""
    return COLOURS[number % len(COLOURS)], MARKERS[number // len(COLOURS) % len(MARKERS)]


def _plain(name: str) -> str:
    # A dollar sign begins no formula, and a name that begins with an underscore is shown too.
    return "\u200b" + name.replace("$", r"\$")


def _save(figure: Any, axes: Any, path: Path) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=4, frameon=False, fontsize=8)
    # Same figure, same bytes.
    figure.savefig(path, dpi=130, metadata={"Software": None})
