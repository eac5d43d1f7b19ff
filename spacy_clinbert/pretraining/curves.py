"""The curves of a run as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

# A panel: its title, and its lines as (key in the log, legend).
Panel = tuple[str, tuple[tuple[str, str], ...]]

PANELS: tuple[Panel, ...] = (
    ("masked pieces: loss (nats)", (("mlm_loss", "training"), ("eval_mlm_loss", "held out"))),
    ("next sentence: loss (nats)", (("nsp_loss", "training"), ("eval_nsp_loss", "held out"))),
    ("held out: accuracy", (("eval_mlm_accuracy", "masked pieces"), ("eval_nsp_accuracy", "next sentence"))),
    ("learning rate", (("learning_rate", "learning rate"),)),
)


def draw_curves(history: Sequence[Mapping[str, float]], path: Path, panels: Sequence[Panel] = PANELS) -> None:
    """Draw losses, accuracies and rate over the steps, without a display.

    history (Sequence[Mapping[str, float]]): lines of the log, each with its "step".
    path (Path): where the PNG goes.
    panels (Sequence[Panel]): what is drawn; a panel without points is left out.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = [(title, lines) for title, lines in panels if any(key in line for line in history for key, _ in lines)]
    figure = Figure(figsize=(5 * len(drawn), 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (title, lines) in enumerate(drawn, 1):
        axes = figure.add_subplot(1, len(drawn), number, title=title, xlabel="step")
        for key, legend in lines:
            points = [(line["step"], line[key]) for line in history if key in line]
            if points:
                axes.plot(*zip(*points, strict=True), label=legend, marker="o" if len(points) < 3 else None)
        axes.legend()
    figure.savefig(path, dpi=100)
