"""`clinbert synth`: synthetic notes, corpora and patients in their native forms."""

import json
from pathlib import Path
from typing import Annotated, List, Optional

import typer

from ..corpora.folders import SYNTHETIC_MARK
from ..errors import ClinbertError


def synth(
    form: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT", help="notes (MIMIC-III's NOTEEVENTS), ehr (coded visits), or one of `clinbert formats`."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Folder for the corpus; an earlier one is replaced.")],
    notes: Annotated[int, typer.Option(min=1, help="Number of notes.")] = 1000,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = 0,
    patients: Annotated[int, typer.Option(min=1, help="With ehr: number of patients.")] = 1000,
    ehr_forms: Annotated[
        Optional[List[str]],
        typer.Option("--form", help="With ehr: a form of coded visits; may be repeated.", show_default="all"),
    ] = None,
    faults: Annotated[
        float, typer.Option(min=0, max=1, help="With ehr: share of visits with dates that cannot be.")
    ] = 0.0,
) -> None:
    """Write synthetic notes, a synthetic corpus or synthetic patients, to try things without licensed data.

    Each in its native form; patients in each form of coded visits, a folder each.

    Example: clinbert synth notes assets/synthetic/notes --notes 2000 --seed 0

    Example: clinbert synth ehr assets/synthetic/ehr --patients 10000 --form mimic4
    """
    if form == "ehr":
        from .synth_ehr import synth_ehr

        synth_ehr(out, ehr_forms or (), patients, seed, faults)
        return
    from tqdm import tqdm
    from wasabi import table

    from ..output import whole_folder
    from ..synthetic import WRITERS

    if form not in WRITERS:
        raise ClinbertError(f"no format {form!r}: choose one of {', '.join((*WRITERS, 'ehr'))}")
    writer = WRITERS[form]
    # A real corpus has the same files: only what this command wrote may be replaced.
    if out.is_dir() and any(out.iterdir()) and not (out / SYNTHETIC_MARK).is_file():
        raise ClinbertError(f"{out} holds files that `clinbert synth` did not write: give another folder")
    numbers = tqdm(range(1, notes + 1), desc=form, unit=" notes", disable=None)
    with whole_folder(out, [*writer.contents, SYNTHETIC_MARK]) as folder:
        writer.write(folder, (writer.make(number, seed) for number in numbers))
        (folder / SYNTHETIC_MARK).write_text(
            json.dumps({"form": form, "notes": notes, "seed": seed}) + "\n", encoding="utf-8"
        )
    typer.echo(
        table([(out / name,) for name in writer.contents], header=(f"{notes} synthetic documents in",), divider=True)
    )
