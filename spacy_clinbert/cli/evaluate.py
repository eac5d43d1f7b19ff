"""`clinbert evaluate`: a pipeline judged on a converted corpus."""

from pathlib import Path
from typing import Annotated, Optional

import typer


def evaluate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Folder of a saved pipeline, or name of an installed one.")
    ],
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="A .spacy file that `clinbert convert` wrote.")],
    output: Annotated[Path, typer.Option(help="Folder for the results; an earlier evaluation there is replaced.")],
    system: Annotated[
        Optional[str],
        typer.Option(help="Name of the system; runs of it with other seeds share it.", show_default="MODEL"),
    ] = None,
    spans_key: Annotated[
        Optional[str],
        typer.Option(help="Judge this group of `doc.spans`.", show_default="doc.ents, or the group of clinbert_spans"),
    ] = None,
    with_text: Annotated[
        bool, typer.Option("--with-text", help="Show errors in their context: the report then holds text of the notes.")
    ] = False,
) -> None:
    """Score a pipeline twice: by characters with nothing cut, and in the lines and tokens of the papers.

    Writes metrics.json, documents.jsonl (counts by document) and report.html. Evaluations of a test.spacy are counted
    in a file beside it.

    Example: clinbert evaluate training/ner/model-best corpora/i2b2_2010/test.spacy --output metrics/i2b2_2010
    """
    from wasabi import table

    from ..evaluation.evaluate import evaluate as evaluate_pipeline
    from ..evaluation.gold import read_gold
    from ..evaluation.report import averages, headline, interval, layer_table, percent, render
    from ..evaluation.run import CONTENTS, REPORT, write_run
    from ..output import whole_folder
    from ..scale.annotate import load_pipeline

    with whole_folder(output, CONTENTS) as folder:
        gold = read_gold(corpus)
        evaluation = evaluate_pipeline(load_pipeline(model), gold, model=model, system=system, spans_key=spans_key)
        write_run(evaluation.run, folder)
        (folder / REPORT).write_text(render(evaluation, with_text), encoding="utf-8")
    run, scores = evaluation.run, evaluation.run.scores
    typer.echo(f"{run.system} on {gold.form.title}: {scores['documents']:,} documents, {scores['mentions']:,} mentions")
    typer.echo(scores["encoder"]["statement"])
    rows = list(headline(run.format, scores))
    others = averages(rows)
    cells = [
        (
            row.name,
            *(percent(row.score[key]) for key in "prf"),
            interval(row.interval),
            *(percent(row.averages[name]) if name in row.averages else "" for name in others),
        )
        for row in rows
    ]
    header = ("score, %", "P", "R", "F1", "95 % of F1", *(f"{name} F1" for name in others))
    typer.echo(table(cells, header=header, divider=True, aligns=("l", *"r" * (4 + len(others))), max_col=60))
    for name in ("document", "paper", "assertions"):
        if name in scores:
            labels = scores[name].get("strict", scores[name])["labels"]
            by_label = [(label, *(percent(one[key]) for key in "prf"), one["gold"]) for label, one in labels.items()]
            titles = (f"{name}, by label, %", "P", "R", "F1", "annotated")
            typer.echo(table(by_label, header=titles, divider=True, aligns=("l", *"rrrr"), max_col=60))
    if layers := layer_table(evaluation):
        # A layer a line, since a terminal is too narrow for a column each, as the report has it.
        by_layer = [(layer, *(percent(one[layer]) for _, one in layers)) for layer in layers[0][1]]
        names = ("challenge, by layer, F1, %", *(name.partition(",")[0] for name, _ in layers))
        typer.echo(table(by_layer, header=names, divider=True, aligns=("l", *"r" * len(layers)), max_col=60))
    if "cats" in scores:
        typer.echo(f"accuracy of document labels: {percent(scores['cats']['accuracy'])} %")
    for note in scores["notes"]:
        typer.echo(note)
    if run.test_evaluations:
        typer.echo(
            f"evaluations on this test set, this one included: {run.test_evaluations['by_this_model']} of this"
            f" pipeline, {run.test_evaluations['by_all']} in all"
        )
    typer.echo(f"report: {output / REPORT}")
