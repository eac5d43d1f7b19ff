"""Annotation into one file: a process, a stream, a table that is whole or absent."""

import json
from collections import Counter
from itertools import chain, islice
from pathlib import Path
from typing import Optional

from tqdm import tqdm

from ..corpora.notes import Note, Rejected
from ..corpora.sources import read_source, recognise
from ..output import whole_files
from .annotate import annotate_batches
from .batches import note_batches
from .files import check_table_path, table_writer
from .parts import keep_apart
from .schemas import TABLE_SCHEMA
from .tally import keep_annotated


def annotate_file(
    source: str,
    output: Path,
    model: str,
    *,
    form: Optional[str] = None,
    id_column: Optional[str] = None,
    text_column: Optional[str] = None,
    batch_size: int = 64,
) -> "Counter[str]":
    """Annotate notes into a table, with the rejected ones beside it.

    source (str): what `read_source` reads; form, id_column, text_column (Optional[str]): as there.
    output (Path): the table, named .parquet, .jsonl or .jsonl.gz; OUTPUT.rejected.jsonl lists the rejected notes.
    model (str): folder of a saved pipeline, or name of an installed one.
    batch_size (int): notes that go through the pipeline together.
    RETURNS (Counter[str]): how many of `tally.COUNTS`.
    RAISES (ClinbertError): if the notes, the pipeline or the output cannot be used; an earlier output stays.
    """
    check_table_path(output)
    form = form or recognise(source)
    keep_apart(source, form, output)
    counts: Counter[str] = Counter()
    rejects = output.with_name(output.name + ".rejected.jsonl")
    with (
        whole_files(output, rejects) as (output_part, rejects_part),
        table_writer(output_part, TABLE_SCHEMA) as writer,
        rejects_part.open("w", encoding="utf8") as rejects_file,
        tqdm(unit=" notes", disable=None) as progress,
    ):

        def reject(rejected: Rejected) -> None:
            counts["rejected"] += 1
            rejects_file.write(json.dumps(rejected._asdict(), ensure_ascii=False) + "\n")

        def counted(note: Note) -> Note:
            counts["characters"] += len(note.text)
            return note

        notes = read_source(source, form, reject, id_column=id_column, text_column=text_column)
        batches = note_batches(map(counted, notes), batch_size)
        # Read before the pipeline is loaded: a wrong column shows at once.
        first = list(islice(batches, 1))
        for batch in annotate_batches(chain(first, batches), model, batch_size):
            writer.write(keep_annotated(batch, counts, reject))
            progress.update(batch.num_rows)
            progress.set_postfix(characters=f"{counts['characters']:,}", rejected=f"{counts['rejected']:,}")
    return counts
