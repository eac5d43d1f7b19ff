"""`clinbert vocab`: train a wordpiece vocabulary on notes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Optional

import typer


def vocab(
    notes: Annotated[Path, typer.Argument(help="Notes: .csv, .csv.gz, .jsonl, .jsonl.gz, .parquet.")],
    output: Annotated[Path, typer.Argument(help="Folder for the tokenizer; an earlier one is replaced.")],
    size: Annotated[int, typer.Option(help="Largest number of pieces, special ones included.")] = 2000,
    min_notes: Annotated[int, typer.Option(help="Leave out words seen in fewer notes: vocabularies leak names.")] = 3,
    cased: Annotated[
        bool, typer.Option("--cased/--uncased", help="Keep upper case and accents, or remove both.")
    ] = True,
    id_column: Annotated[
        Optional[str], typer.Option(help="Column of the note ids.", show_default="ROW_ID or note_id")
    ] = None,
    text_column: Annotated[Optional[str], typer.Option(help="Column of the texts.", show_default="TEXT")] = None,
    length: Annotated[int, typer.Option(help="Longest sequence in wordpieces, specials included.")] = 128,
) -> None:
    """Train a wordpiece vocabulary on notes and write it as a BERT tokenizer that AutoTokenizer loads.

    Example: clinbert vocab assets/synthetic/notes/NOTEEVENTS.csv.gz training/vocabulary --size 2000 --min-notes 3
    """
    from tqdm import tqdm

    from ..corpora.notes import Rejected, log_rejected, read_notes
    from ..output import whole_folder
    from ..pretraining.vocabulary import TOKENIZER_FILES, train_vocabulary, write_tokenizer

    rejected: set[Rejected] = set()

    def reject(row: Rejected) -> None:
        # The notes are read twice.
        if row not in rejected:
            log_rejected(row)
        rejected.add(row)

    def texts() -> Iterator[str]:
        rows = read_notes(notes, id_column, text_column, reject)
        return (note.text for note in tqdm(rows, desc="vocabulary", unit=" notes", disable=None))

    with whole_folder(output, TOKENIZER_FILES) as folder:
        trained = train_vocabulary(texts, size=size, min_notes=min_notes, cased=cased)
        write_tokenizer(trained.pieces, folder, cased=cased, length=length)
    typer.echo(
        f"{len(trained.pieces):,} pieces from {trained.n_words:,} word types of {trained.n_notes:,} notes in {output};"
        f" left out: {trained.n_rare:,} rarer word types, {len(rejected):,} rejected rows"
    )
