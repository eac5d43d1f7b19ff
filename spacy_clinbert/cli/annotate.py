"""`clinbert annotate`: a table of notes in, a table of annotations out."""

from pathlib import Path
from typing import Annotated, Optional

import typer


def annotate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Folder of a saved pipeline, or name of an installed one.")
    ],
    notes: Annotated[Path, typer.Argument(metavar="INPUT", help="Notes: .csv, .csv.gz, .jsonl, .jsonl.gz, .parquet.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Annotations: .parquet, .jsonl or .jsonl.gz.")],
    id_column: Annotated[
        Optional[str], typer.Option(help="Column of the note ids.", show_default="ROW_ID or note_id")
    ] = None,
    text_column: Annotated[Optional[str], typer.Option(help="Column of the texts.", show_default="TEXT")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Notes that go through the pipeline together.")] = 64,
) -> None:
    """Annotate notes: a row a note with its sections, sentences and entities, offsets in characters of the note.

    Notes that cannot be read or annotated are listed with the reason in OUTPUT.rejected.jsonl; the others go on.

    Example: clinbert annotate training/model-best NOTEEVENTS.csv.gz annotated/notes.parquet
    """
    import json
    import time
    from collections import Counter
    from itertools import chain, islice

    import pyarrow as pa
    from tqdm import tqdm
    from wasabi import table

    from ..corpora.notes import Note, Rejected, read_notes
    from ..errors import ClinbertError
    from ..output import whole_files
    from ..scale.annotate import OUTPUT_SCHEMA, annotate_batches, note_batches
    from ..scale.files import check_table_path, table_writer

    check_table_path(output)
    if output.resolve() == notes.resolve():
        raise ClinbertError(f"{output} is also the input: give the annotations a file of their own")
    started = time.monotonic()
    counts: Counter[str] = Counter()
    schema = pa.schema([field for field in OUTPUT_SCHEMA if field.name not in ("dropped", "rejected")])
    rejects = output.with_name(output.name + ".rejected.jsonl")
    with (
        whole_files(output, rejects) as (output_part, rejects_part),
        table_writer(output_part, schema) as writer,
        rejects_part.open("w", encoding="utf8") as rejects_file,
        tqdm(unit=" notes", disable=None) as progress,
    ):

        def reject(rejected: Rejected) -> None:
            counts["rejected"] += 1
            rejects_file.write(json.dumps(rejected._asdict(), ensure_ascii=False) + "\n")

        def counted(note: Note) -> Note:
            counts["characters"] += len(note.text)
            return note

        read = map(counted, read_notes(notes, id_column, text_column, reject))
        batches = note_batches(read, batch_size)
        # Read before the pipeline is loaded: a wrong column shows at once.
        first = list(islice(batches, 1))
        for batch in annotate_batches(chain(first, batches), model, batch_size):
            annotated = batch.filter(batch["rejected"].is_null()).select(schema.names)
            writer.write(annotated)
            for row in batch.filter(batch["rejected"].is_valid()).select(["note_id", "rejected"]).to_pylist():
                reject(Rejected(row["note_id"], row["rejected"]))
            counts["notes"] += annotated.num_rows
            for name in ("sections", "sentences", "entities"):
                counts[name] += len(annotated[name].flatten())
            counts["dropped sections"] += sum(batch["dropped"].drop_null().to_pylist())
            progress.update(batch.num_rows)
            progress.set_postfix(characters=f"{counts['characters']:,}", rejected=f"{counts['rejected']:,}")
    counted_names = ("notes", "sections", "dropped sections", "sentences", "entities", "rejected")
    rows = [(name, f"{counts[name]:,}") for name in counted_names]
    rows += [
        ("seconds", f"{time.monotonic() - started:.1f}"),
        ("annotations", str(output)),
        ("list of rejected", str(rejects)),
    ]
    typer.echo(table(rows, max_col=200).strip("\n"))
