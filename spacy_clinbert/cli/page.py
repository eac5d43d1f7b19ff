"""`clinbert page`: notes with their entities as an HTML page."""

from pathlib import Path
from typing import Annotated

import typer

COLOURS = ("#ffd8a8", "#a5d8ff", "#b2f2bb", "#eebefa", "#ffec99", "#ffc9c9", "#96f2d7", "#bac8ff")


def page(
    model: Annotated[str, typer.Argument(help="Trained pipeline: a folder or an installed package.")],
    notes: Annotated[Path, typer.Argument(help="Notes: CSV(.gz), Parquet or JSON lines.")],
    output: Annotated[Path, typer.Argument(help="HTML file to write; it holds the notes' text.")],
    limit: Annotated[int, typer.Option("--notes", min=1, help="How many notes to show.")] = 10,
) -> None:
    """Write an HTML page of notes with their entities, by displaCy.

    Example: clinbert page training/ner/model-best notes.csv.gz annotated/notes.html --notes 5
    """
    from itertools import cycle, islice

    from spacy import displacy

    from ..corpora.notes import read_notes
    from ..errors import ClinbertError
    from ..output import whole_files
    from ..scale.annotate import load_pipeline
    from ..scale.failures import failure

    nlp = load_pipeline(model)
    with whole_files(output) as (written,):
        docs = []
        for note in islice(read_notes(notes), limit):
            try:
                doc = nlp(note.text)
            except Exception as error:
                # Not chained: the message may quote the note.
                raise ClinbertError(f"pipeline {model} fails on note {note.note_id}: {failure(error)}") from None
            doc.user_data["title"] = f"note {note.note_id}"
            docs.append(doc)
        # displaCy knows colours for general labels only; clinical ones would all be grey.
        colours = dict(zip(sorted({ent.label_ for doc in docs for ent in doc.ents}), cycle(COLOURS)))
        html = displacy.render(docs, style="ent", page=True, jupyter=False, options={"colors": colours})
        written.write_text(html, encoding="utf-8")
    typer.echo(f"{len(docs)} notes: {output}")
