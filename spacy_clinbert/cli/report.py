"""`clinbert report`: the results of a project run in one table."""

import json
from pathlib import Path
from typing import Annotated, List

import typer


def report(
    metrics: Annotated[Path, typer.Argument(help="JSON of `spacy benchmark accuracy`.")],
    outputs: Annotated[List[Path], typer.Argument(help="Files and folders to list as outputs.")],
) -> None:
    """Print the scores of a project run and where its outputs lie.

    Example: clinbert report metrics/ner.json training/ner/model-best annotated/notes.parquet
    """
    from wasabi import table

    from ..errors import ClinbertError

    try:
        scores = json.loads(metrics.read_text(encoding="utf-8"))
        per_type, all_types = scores["ents_per_type"] or {}, [scores[f"ents_{key}"] for key in "prf"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ClinbertError(f"{metrics} holds no scores of entities: run the step `evaluate` first") from None

    def percent(*values: object) -> List[str]:
        return [f"{100 * value:.1f}" if isinstance(value, float) else "–" for value in values]

    rows = [(label, *percent(row["p"], row["r"], row["f"])) for label, row in per_type.items()]
    rows.append(("all, strict IOB2", *percent(*all_types)))
    rows.append(("all, CoNLL style", *percent(*(scores.get(f"ents_conll_{key}") for key in "prf"))))
    typer.echo(table(rows, header=("entities", "P", "R", "F1"), divider=True, aligns=("l", "r", "r", "r")))
    typer.echo(table([("scores", str(metrics)), *(("output", str(path)) for path in outputs)], max_col=100))
