"""A cohort of invented patients whose outcome is a rule of their codes, as `clinbert ehr cohort` writes it."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
from coded_visits import event, patient, tables

from spacy_clinbert.ehr.cohort import make_cohort
from spacy_clinbert.ehr.cohort_tasks import LabelTask
from spacy_clinbert.ehr.prepare_settings import PrepareSettings

CODES = [f"R{number:02}" for number in range(12)]


def write_cohort(
    out: Path,
    patients: int,
    rule: Callable[[list[str]], bool],
    visits: int = 4,
    codes: int = 2,
    shares: tuple[int, int, int] = (6, 2, 2),
    design_seed: int = 0,
) -> Path:
    """Write a cohort; the rule sees a patient's codes in their order."""
    events, labels = [], []
    for number in range(1, patients + 1):
        rng = random.Random(f"{design_seed} {number}")
        found = []
        day = datetime(2100, 1, 1)
        for visit in range(visits):
            day += timedelta(days=rng.randint(5, 300))
            drawn = rng.sample(CODES, codes)
            found += drawn
            stamp = day.isoformat()
            events += [
                event(str(number), f"{number}-{visit}", stamp, stamp, code, i + 1) for i, code in enumerate(drawn)
            ]
        labels.append((number, day, rule(found)))
    out.parent.mkdir(parents=True, exist_ok=True)
    given = out.with_name(f"{out.name}.labels.parquet")
    pl.DataFrame(labels, ["subject_id", "prediction_time", "boolean_value"], orient="row").write_parquet(given)
    people = [patient(str(number), "2050-01-01", "FM"[number % 2]) for number in range(1, patients + 1)]
    settings = PrepareSettings(min_codes=1, min_count=1, shares=shares)
    make_cohort(tables(events, people), LabelTask(given), out, settings, name="invented")
    return out
