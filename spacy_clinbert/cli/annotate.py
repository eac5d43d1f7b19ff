"""`clinbert annotate`: notes in, annotations out."""

from pathlib import Path
from typing import Annotated, Any, Dict, Mapping, Optional

import typer


def annotate(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Folder of a saved pipeline, or name of an installed one.")
    ],
    notes: Annotated[
        str, typer.Argument(metavar="INPUT", help="Notes: a file, a folder, or the address of either or of a database.")
    ],
    output: Annotated[
        str,
        typer.Argument(
            metavar="OUTPUT", help="A file named .parquet, .jsonl or .jsonl.gz; or a folder, for work in parts."
        ),
    ],
    form: Annotated[Optional[str], typer.Option(help="Form of the source.", show_default="by its files")] = None,
    id_column: Annotated[
        Optional[str], typer.Option(help="Column of the note ids.", show_default="of the form")
    ] = None,
    text_column: Annotated[Optional[str], typer.Option(help="Column of the texts.", show_default="of the form")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Notes that go through the pipeline together.")] = 64,
    engine: Annotated[str, typer.Option(help="local, spark or ray. For a folder.")] = "local",
    workers: Annotated[int, typer.Option(min=1, help="Processes. For a folder; the result is the same.")] = 1,
    gpus: Annotated[bool, typer.Option("--gpus", help="Give each process a GPU of its own. For a folder.")] = False,
    feeders: Annotated[
        int, typer.Option(min=0, help="Processes beside each worker that run tokenizer and rules, for GPUs.")
    ] = 0,
    part_size: Annotated[int, typer.Option(min=1, help="Characters of notes in a part of a folder.")] = 1_000_000,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove earlier annotations in the folder OUTPUT first.")
    ] = False,
) -> None:
    """Annotate notes: a row a note with its sections, sentences and entities, offsets in characters of the note.

    Notes that cannot be read or annotated are listed with the reason in OUTPUT.rejected.jsonl (of a folder, in
    OUTPUT/_rejected.jsonl); the others go on. Interrupted, the same command into a folder goes on where it was.

    Example: clinbert annotate training/model-best NOTEEVENTS.csv.gz annotated/ --workers 16
    """
    import time

    from wasabi import table

    from ..corpora.places import place, shown
    from ..errors import ClinbertError
    from ..scale.tally import COUNTS

    started = time.monotonic()
    read: Dict[str, Any] = {"form": form, "id_column": id_column, "text_column": text_column, "batch_size": batch_size}
    # A folder may be named v1.2 if it is there or a slash says that it is one.
    if Path(output).suffix and not output.endswith("/") and not Path(output).is_dir():
        if engine != "local" or workers > 1 or gpus or feeders or replace:
            raise ClinbertError(
                f"{output} is a file, which one process writes: name a folder for --engine, --workers, --gpus, "
                "--feeders and --replace"
            )
        from ..scale.annotate_file import annotate_file

        target = place(output)
        if not isinstance(target, Path):
            raise ClinbertError(f"{shown(output)} is a file, but on no disk: name a folder, with a slash at its end")
        counts: Mapping[str, int] = annotate_file(notes, target, model, **read)
        rejects = f"{output}.rejected.jsonl"
    else:
        from ..scale.annotate_folder import annotate_folder
        from ..scale.annotations import REJECTED

        spread: Dict[str, Any] = {
            "engine": engine,
            "workers": workers,
            "gpus": gpus,
            "feeders": feeders,
            "part_size": part_size,
            "replace": replace,
        }
        made = annotate_folder(notes, output, model, **read, **spread)
        counts = made.counts
        rejects = f"{shown(output).rstrip('/')}/{REJECTED}"
    rows = [(name, f"{counts.get(name, 0):,}") for name in COUNTS]
    rows += [
        ("seconds", f"{time.monotonic() - started:.1f}"),
        ("annotations", shown(output)),
        ("list of rejected", rejects),
    ]
    typer.echo(table(rows, max_col=200).strip("\n"))
