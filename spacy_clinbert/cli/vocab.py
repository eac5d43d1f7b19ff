"""`clinbert vocab`: train a wordpiece vocabulary on notes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Optional

import typer


def vocab(
    source: Annotated[str, typer.Argument(help="Notes: a file, a folder, or the address of a PostgreSQL database.")],
    output: Annotated[Path, typer.Argument(help="Folder for the tokenizer; an earlier one is replaced.")],
    size: Annotated[int, typer.Option(help="Largest number of pieces, special ones included.")] = 2000,
    min_notes: Annotated[
        int, typer.Option(help="Leave out words of fewer patients (or notes of unknown ones): vocabularies leak names.")
    ] = 3,
    cased: Annotated[
        bool, typer.Option("--cased/--uncased", help="Keep upper case and accents, or remove both.")
    ] = True,
    form: Annotated[Optional[str], typer.Option(help="Form of the source.", show_default="by its files")] = None,
    id_column: Annotated[Optional[str], typer.Option(help="Column of the ids.", show_default="of the form")] = None,
    text_column: Annotated[Optional[str], typer.Option(help="Column of the texts.", show_default="of the form")] = None,
    length: Annotated[int, typer.Option(help="Longest sequence in wordpieces, specials included.")] = 128,
) -> None:
    """Train a wordpiece vocabulary on notes and write it as a BERT tokenizer that AutoTokenizer loads.

    Example: clinbert vocab assets/synthetic/notes/NOTEEVENTS.csv.gz training/vocabulary --size 2000 --min-notes 3
    """
    from tqdm import tqdm

    from ..corpora.notes import Note, Rejected, log_rejected
    from ..corpora.sources import read_source
    from ..output import whole_folder
    from ..pretraining.vocabulary import TOKENIZER_FILES, train_vocabulary, write_tokenizer

    rejected: set[Rejected] = set()

    def reject(row: Rejected) -> None:
        # The notes are read twice.
        if row not in rejected:
            log_rejected(row)
        rejected.add(row)

    def notes() -> Iterator[Note]:
        rows = read_source(source, form, reject, id_column=id_column, text_column=text_column)
        return iter(tqdm(rows, desc="vocabulary", unit=" notes", disable=None))

    with whole_folder(output, TOKENIZER_FILES) as folder:
        trained = train_vocabulary(notes, size=size, min_notes=min_notes, cased=cased)
        write_tokenizer(trained.pieces, folder, cased=cased, length=length)
    typer.echo(
        f"{len(trained.pieces):,} pieces from {trained.n_words:,} word types of {trained.n_notes:,} notes, of which"
        f" {trained.n_known:,} name their patient, in {output}; left out: {trained.n_rare:,} rarer word types,"
        f" {len(rejected):,} rejected rows"
    )
