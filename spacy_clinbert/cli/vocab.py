"""`clinbert vocab`: train a wordpiece vocabulary on notes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer


def vocab(
    notes: Annotated[Path, typer.Argument(help="Notes: CSV(.gz), Parquet or JSON lines.")],
    output: Annotated[Path, typer.Argument(help="Folder for the tokenizer; an earlier one is replaced.")],
    size: Annotated[int, typer.Option(help="Largest number of pieces, special ones included.")] = 2000,
    min_notes: Annotated[int, typer.Option(help="Leave out words seen in fewer notes: vocabularies leak names.")] = 3,
    cased: Annotated[
        bool, typer.Option("--cased/--uncased", help="Keep upper case and accents, or remove both.")
    ] = True,
    length: Annotated[int, typer.Option(help="Longest sequence in wordpieces, specials included.")] = 128,
) -> None:
    """Train a wordpiece vocabulary on notes and write it as a BERT tokenizer that AutoTokenizer loads.

    Example: clinbert vocab corpora/synthetic/NOTEEVENTS.csv.gz training/vocabulary --size 2000 --min-notes 3
    """
    from tqdm import tqdm

    from ..corpora.notes import read_notes
    from ..pretraining.output import whole_folder
    from ..pretraining.vocabulary import train_vocabulary, write_tokenizer

    def texts() -> Iterator[str]:
        return (note.text for note in tqdm(read_notes(notes), desc="vocabulary", unit=" notes"))

    with whole_folder(output) as folder:
        trained = train_vocabulary(texts, size=size, min_notes=min_notes, cased=cased)
        write_tokenizer(trained.pieces, folder, cased=cased, length=length)
    typer.echo(
        f"{len(trained.pieces):,} pieces from {trained.n_words:,} word types of {trained.n_notes:,} notes,"
        f" {trained.n_rare:,} rarer word types left out: {output}"
    )
