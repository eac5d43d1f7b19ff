"""Small tables of coded visits for tests."""

from datetime import date, datetime
from pathlib import Path
from typing import Any, Iterable, Optional

import polars as pl
import pyarrow.parquet as pq

from spacy_clinbert.ehr.code_vocabulary import read_codes
from spacy_clinbert.ehr.ehr_manifest import CODES, SPLITS, EhrManifest, read_manifest
from spacy_clinbert.ehr.event_tables import EventTables
from spacy_clinbert.ehr.prepare import Extras, prepare
from spacy_clinbert.ehr.prepare_settings import PrepareSettings
from spacy_clinbert.ehr.schemas import EVENTS, ICD10, PATIENTS


def event(
    subject: str, visit: Optional[str], admit: str, discharge: str, code: str, rank: Optional[int] = None
) -> dict[str, Any]:
    """An event; dates are ISO."""
    began, ended = datetime.fromisoformat(admit), datetime.fromisoformat(discharge)
    return {
        **dict.fromkeys(EVENTS.names()),
        **{"subject_id": subject, "visit_id": visit, "admit": began, "discharge": ended, "code": code},
        **{"system": ICD10, "rank": rank, "available_at": ended},
    }


def patient(subject: str, birth: str = "", sex: Optional[str] = None, death: str = "") -> dict[str, Any]:
    """A row of PATIENTS."""
    born, died = (date.fromisoformat(birth) if birth else None, datetime.fromisoformat(death) if death else None)
    return {"subject_id": subject, "birth": born, "sex": sex, "death": died}


def tables(events: Iterable[dict[str, Any]], patients: Iterable[dict[str, Any]] = ()) -> EventTables:
    """Both tables."""
    return EventTables(pl.LazyFrame(list(events), EVENTS), pl.LazyFrame(list(patients), PATIENTS))


def run(
    out: Path, events: Iterable[dict[str, Any]], patients: Iterable[dict[str, Any]] = (), **settings: Any
) -> EhrManifest:
    """Prepare with settings that leave nothing out unless given."""
    extras = Extras(**{name: settings.pop(name) for name in ("labels", "splits", "like") if name in settings})
    replace = settings.pop("replace", False)
    chosen = PrepareSettings(**{"min_codes": 1, "min_count": 1, **settings})
    return prepare(tables(events, patients), out, chosen, extras, name="test", replace=replace)


def prepared(out: Path, splits: Iterable[str] = SPLITS) -> dict[str, dict[str, Any]]:
    """The prepared patients by id, their codes as keys without the system."""
    manifest, codes = read_manifest(out), read_codes(out / CODES)
    found = {}
    for split in splits:
        for shard in manifest.split(split):
            for row in pq.read_table(out / shard.name).to_pylist():
                assert row["subject_id"] not in found
                row["codes"] = [codes[number].removeprefix(f"{ICD10}/") for number in row.pop("input_ids")]
                found[row["subject_id"]] = {**row, "split": split}
    return found
