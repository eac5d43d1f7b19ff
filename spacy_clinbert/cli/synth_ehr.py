"""`clinbert synth ehr`: synthetic patients in the forms of coded visits."""

import json
from collections.abc import Sequence
from pathlib import Path

import typer

from ..corpora.folders import SYNTHETIC_MARK
from ..errors import ClinbertError


def synth_ehr(out: Path, forms: Sequence[str], patients: int, seed: int, faults: float) -> None:
    """Write synthetic patients.

    out (Path): gets a folder for each form; an earlier one of this command is replaced.
    forms (Sequence[str]): the forms, none for all.
    patients (int): how many; seed (int): same seed, same bytes; faults (float): share of visits with dates that
        cannot be.
    RAISES (ClinbertError): for an unknown form, or if `out` holds anything else.
    """
    from tqdm import tqdm
    from wasabi import table

    from ..output import whole_folder
    from ..synthetic.ehr import FORMS, PLANTED, make_patients, write_planted

    unknown = [form for form in forms if form not in FORMS]
    if unknown:
        raise ClinbertError(f"there is no form {unknown[0]} of coded visits: give some of {', '.join(FORMS)}")
    if out.is_dir() and any(out.iterdir()) and not (out / SYNTHETIC_MARK).is_file():
        raise ClinbertError(f"{out} holds files that `clinbert synth` did not write: give another folder")
    chosen = list(dict.fromkeys(forms)) or list(FORMS)
    with whole_folder(out, [*FORMS, PLANTED, SYNTHETIC_MARK]) as folder:
        for form in chosen:
            (folder / form).mkdir()
            people = make_patients(patients, seed, faults)
            FORMS[form](folder / form, tqdm(people, form, patients, unit=" patients", disable=None))
        write_planted(folder / PLANTED, make_patients(patients, seed))
        mark = {"form": "ehr", "patients": patients, "seed": seed, "faults": faults}
        (folder / SYNTHETIC_MARK).write_text(json.dumps(mark) + "\n", encoding="utf-8")
    written = [(out / name,) for name in (*chosen, PLANTED)]
    typer.echo(table(written, header=(f"{patients} synthetic patients in",), divider=True))
