"""`clinbert ehr prepare`: coded visits into sequences for the encoder."""

from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Dict, Optional

import typer

from ..errors import ClinbertError


class Mode(str, Enum):
    """How patients are prepared."""

    default = "default"
    original = "original"


def prepare(
    source: Annotated[Path, typer.Argument(help="Coded visits: a file or a folder.")],
    out: Annotated[Path, typer.Argument(help="Folder for shards, codes.json, rejected.jsonl and manifest.json.")],
    form: Annotated[
        Optional[str],
        typer.Option(
            "--format",
            help="Form of the source: medbert (its own table), mimic3, mimic4, omop, meds, fhir (ndjson), synpuf or "
            "synthea.",
            show_default="by its files",
        ),
    ] = None,
    mode: Annotated[
        Mode, typer.Option(help="original: exactly the records of Med-BERT's own program, from its own table.")
    ] = Mode.default,
    systems: Annotated[
        Optional[str],
        typer.Option(
            help="Code systems, commas between, such as ICD10CM,RXNORM or the source's own; all for all.",
            show_default="ICD9CM,ICD10CM",
        ),
    ] = None,
    roll_up: Annotated[
        str, typer.Option(help="Codes as they are (full), their first 5, 4 or 3 characters, block, chapter or ccsr.")
    ] = "full",
    to_icd10: Annotated[bool, typer.Option("--to-icd10", help="Map ICD-9 codes to ICD-10 first, by the GEM.")] = False,
    ancestors: Annotated[
        bool, typer.Option("--ancestors", help="Write OUT/ancestors.json too, for encoders that know the hierarchy.")
    ] = False,
    min_codes: Annotated[int, typer.Option(help="Leave out patients with fewer different codes.")] = 3,
    min_count: Annotated[int, typer.Option(help="Codes of fewer training patients are unknown.")] = 2,
    shares: Annotated[str, typer.Option(help="Of train, valid and test, by a hash of the patient.")] = "7:1:2",
    tolerance_days: Annotated[
        int, typer.Option(help="Visits so long before birth or after death are still taken.")
    ] = 30,
    splits: Annotated[
        Optional[Path],
        typer.Option(help="Table of subject_id and split in place of the hash, such as MEDS' subject_splits.parquet."),
    ] = None,
    like: Annotated[
        Optional[Path], typer.Option(help="Prepared patients whose vocabulary is taken; splits must be alike.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace patients in OUT that were prepared otherwise.")
    ] = False,
) -> None:
    """Prepare the patients of a source for pretraining and fine-tuning.

    Run again with the same settings, it checks what is in OUT and leaves it. What is left out is listed with the reason
    in OUT/rejected.jsonl.

    Example: clinbert ehr prepare assets/mimic4 corpora/patients
    """
    import time

    from wasabi import table

    from ..ehr.original import prepare_original
    from ..ehr.prepare import Extras
    from ..ehr.prepare import prepare as run
    from ..ehr.prepare_settings import PrepareSettings
    from ..ehr.sources import read_events

    started = time.monotonic()
    given: Dict[str, Any] = {"min_codes": min_codes, "min_count": min_count, "shares": _shares(shares)}
    given |= {"tolerance_days": tolerance_days, "roll_up": roll_up, "to_icd10": to_icd10, "ancestors": ancestors}
    if systems is not None:
        given["systems"] = None if systems == "all" else tuple(each.strip() for each in systems.split(","))
    settings = _check(PrepareSettings, given)
    if mode is Mode.original:
        if form or splits or like or settings != PrepareSettings():
            raise ClinbertError("--mode original has no other settings: leave them out")
        manifest = prepare_original(source, out, replace=replace)
    else:
        events = read_events(source, form, systems=settings.systems)
        manifest = run(events, out, settings, Extras(splits=splits, like=like), name=source.name, replace=replace)
    rows = [(name, f"{count:,}") for name, count in manifest.counts.items()]
    rows += [
        ("shards", f"{len(manifest.shards):,}, {sum(shard.bytes for shard in manifest.shards) / 1e6:,.1f} MB"),
        ("seconds", f"{time.monotonic() - started:.1f}"),
        ("patients", str(out)),
    ]
    typer.echo(table(rows, max_col=200).strip("\n"))


def _shares(text: str) -> tuple[str, ...]:
    parts = tuple(text.split(":"))
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise ClinbertError(f"--shares {text!r} are no three whole numbers: give them as 7:1:2")
    return parts


def _check(settings: Any, given: Dict[str, Any]) -> Any:
    from pydantic import ValidationError

    try:
        return settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ClinbertError(f"{place or 'a setting'}: {first['msg'].removeprefix('Value error, ')}") from None
