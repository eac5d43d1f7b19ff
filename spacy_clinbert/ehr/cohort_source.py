"""Sources opened for a cohort: what its rules look at, and what it is predicted from."""

from pathlib import Path
from typing import Optional

from .cohort_tasks import Task
from .ehr_manifest import read_manifest
from .prepare_settings import PrepareSettings
from .sources import FORMS, EventSource, read_events, recognise


def open_source(source: Path, form: Optional[str], task: Task, settings: PrepareSettings) -> EventSource:
    """Open a source with the code systems that a task and its inputs need, as far as its form can have them.

    source (Path), form (str | None): as of `read_events`; task (Task), settings (PrepareSettings): what needs them.
    RETURNS (EventSource): the source.
    RAISES (ClinbertError): as of `read_events`.
    """
    if task.systems is None or settings.systems is None:
        return read_events(source, form, systems=None)
    name = form or (recognise(source) if source.exists() else None)
    holds = next((each.systems for each in FORMS if each.name == name), None)
    wanted = task.systems.union(task.visit_systems, settings.systems)
    return read_events(source, name, systems=wanted if holds is None else (wanted & holds or holds))


def settings_like(like: Optional[Path]) -> PrepareSettings:
    """The settings by which the patients of a cohort become sequences: those of other prepared patients, or the usual.

    like (Path | None): a folder that `clinbert ehr prepare` wrote.
    RETURNS (PrepareSettings): the settings, with nobody left out for having few codes.
    """
    settings = read_manifest(like).settings if like else PrepareSettings()
    return settings.model_copy(update={"min_codes": 1})
