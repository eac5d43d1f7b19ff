"""`clinbert ehr timeline`: a patient's visits, and what a prediction rests on, as an HTML page."""

from pathlib import Path
from typing import Annotated

import typer


def timeline(
    model: Annotated[str, typer.Argument(help="Trained pipeline with clinbert_textcat: a folder or a package.")],
    patients: Annotated[Path, typer.Argument(help="Folder that `clinbert ehr cohort` or `prepare` wrote.")],
    subject_id: Annotated[str, typer.Argument(help="The patient's id.")],
    label: Annotated[str, typer.Argument(help="The predicted label.")],
    output: Annotated[Path, typer.Argument(help="HTML file to write; it holds the patient's codes.")],
    limit: Annotated[int, typer.Option(min=0, help="Codes to read, the latest, as in training; 0 for all.")] = 0,
) -> None:
    """Show a patient's codes with integrated gradients, and the prediction without each visit as a check.

    Example: clinbert ehr timeline training/dhf/model-best corpora/dhf 10002930 heart_failure timeline.html --limit 64
    """
    from ..ehr.timeline import find_patient, render_timeline
    from ..output import whole_files
    from ..scale.annotate import load_pipeline

    nlp = load_pipeline(model)
    page = render_timeline(nlp, find_patient(patients, subject_id, nlp, limit), label, model)
    with whole_files(output) as (written,):
        written.write_text(page, encoding="utf-8")
    typer.echo(f"patient {subject_id}: {output}")
