"""Where coded visits come from: one row per form, one function that reads them all."""

from collections.abc import Collection
from pathlib import Path
from typing import Optional, Union

from ...errors import ClinbertError
from ..schemas import DIAGNOSES, SYSTEMS
from . import fhir, medbert, meds, mimic3, mimic4, omop, synpuf, synthea
from .forms import REJECTED, EventSource, Form, reading

# The first that recognises a source reads it.
FORMS = (medbert.FORM, mimic3.FORM, mimic4.FORM, omop.FORM, meds.FORM, fhir.FORM, synpuf.FORM, synthea.FORM)

__all__ = ["FORMS", "REJECTED", "EventSource", "read_events", "reading", "recognise"]


def read_events(
    source: Union[str, Path], form: Optional[str] = None, *, systems: Optional[Collection[str]] = DIAGNOSES
) -> EventSource:
    """Open a source of coded visits; headers and footers are read now, rows when they are collected.

    source (Union[str, Path]): a file or a folder.
    form (Optional[str]): name of the form; by default `recognise` tells it.
    systems (Optional[Collection[str]]): the code systems whose events enter: some of `schemas.SYSTEMS`, or of the
        source's own names where the form has any (MEDS, FHIR, OMOP); None for all.
    RETURNS (EventSource): its events, patients and rejected rows, lazily; collect them within `reading`.
    RAISES (ClinbertError): an unknown form or code system, a missing table or column, a file that cannot be opened.
    """
    path = Path(source)
    if not path.exists():
        raise ClinbertError(f"{path}: no such file or folder: give a source of coded visits")
    name = form or recognise(path)
    chosen = next((each for each in FORMS if each.name == name), None)
    if chosen is None:
        raise ClinbertError(f"there is no form {name} of coded visits: give one of {', '.join(f.name for f in FORMS)}")
    wanted = None if systems is None else frozenset(systems)
    if wanted is not None:
        _check(chosen, wanted)
    return EventSource(chosen, chosen.scan(path, wanted), wanted)


def recognise(source: Union[str, Path]) -> str:
    """Tell the form of a source by its files and their columns.

    source (Union[str, Path]): a file or a folder.
    RETURNS (str): the name of its form.
    RAISES (ClinbertError): if it is of none of the forms.
    """
    path = Path(source)
    for form in FORMS:
        if form.recognises(path):
            return form.name
    about = "; ".join(f"{form.name} ({form.about})" for form in FORMS)
    raise ClinbertError(f"{path} is of no known form of coded visits: give one, or name its form: {about}")


def _check(form: Form, wanted: Collection[str]) -> None:
    """An asked system that the form cannot hold is a misspelling, or would leave everything out."""
    if form.systems is None:
        return
    unknown = sorted(set(wanted) - form.systems - set(SYSTEMS))
    if unknown:
        raise ClinbertError(f"there is no code system {unknown[0]}: {form.name} has {', '.join(sorted(form.systems))}")
    if form.systems.isdisjoint(wanted):
        raise ClinbertError(
            f"{form.name} has no codes of {', '.join(sorted(wanted))}: choose of {', '.join(sorted(form.systems))}"
        )
