"""What a FHIR resource says, as rows; nothing in one is trusted to be where it should."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Optional

from ..schemas import ICD9, ICD10

# In this order: the first that a system's address matches names it. ICD10 alone is what CMS calls its procedures.
SYSTEM_ADDRESSES = {
    r"icd-?9.*proc|proc.*icd-?9|113883\.6\.104$": "ICD9PROC",
    r"icd-?10.*(pcs|proc)|proc.*icd-?10|cms\.gov/.*/icd-?10$|113883\.6\.4$": "ICD10PCS",
    r"icd-?9|113883\.6\.103$": ICD9,
    r"icd-?10|113883\.6\.90$": ICD10,
    r"snomed|113883\.6\.96$": "SNOMED",
    r"rxnorm|113883\.6\.88$": "RXNORM",
    r"loinc|113883\.6\.1$": "LOINC",
    r"\bndc\b|113883\.6\.69$": "NDC",
    r"\batc\b|113883\.6\.73$": "ATC",
    r"\bcpt\b|113883\.6\.12$": "CPT",
    r"hcpcs": "HCPCS",
}
MIMIC_IDENTIFIER = "http://mimic.mit.edu/fhir/mimic/identifier/"
# Where a resource says when it was, the first that is there.
TIMES = {
    # Not its onset: that is known only later.
    "Condition": ("recordedDate",),
    "Procedure": ("performedDateTime", "performedPeriod", "occurrenceDateTime", "occurrencePeriod"),
    "MedicationRequest": ("authoredOn",),
    "Observation": ("effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued"),
}
_NOT_SO = ("refuted", "entered-in-error", "not-done")


def code_rows_of(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Make a row for each coding of a resource; one without code where there is none.

    resource (dict[str, Any]): a Condition, or another of `TIMES`.
    YIELDS (dict[str, Any]): subject_id, visit_id, time, value, text and trouble; what is not there is None.
    """
    shared = {
        "subject_id": _reference(resource, "subject"),
        "visit_id": _reference(resource, "encounter"),
        "time": _time(resource),
        "value": _number(_at(resource, "valueQuantity", "value")),
        "trouble": next((f"it is marked {mark}" for mark in _marks(resource) if mark in _NOT_SO), None),
    }
    codings = _at(resource, "code", "coding") or _at(resource, "medicationCodeableConcept", "coding")
    rows = [
        {**shared, "text": f"{system_prefix(_text(coding, 'system') or '')}{_text(coding, 'code')}"}
        for coding in (codings if isinstance(codings, list) else [])
        if _text(coding, "code")
    ]
    yield from rows or [shared]


def encounter_rows(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Make a row of an Encounter: subject_id, visit_id, own_visit, admit, discharge; none of one that never was."""
    if _text(resource, "status") in _NOT_SO:
        return
    yield {
        "subject_id": _reference(resource, "subject"),
        "visit_id": _text(resource, "id"),
        "own_visit": _own_id(resource),
        "admit": _text(resource, "period", "start"),
        "discharge": _text(resource, "period", "end"),
    }


def patient_rows(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Make a row of a Patient: subject_id, own, birth, gender, death."""
    yield {
        "subject_id": _text(resource, "id"),
        "own": _own_id(resource),
        "birth": _text(resource, "birthDate"),
        "gender": _text(resource, "gender"),
        "death": _text(resource, "deceasedDateTime"),
    }


def _at(resource: Any, *path: Any) -> Any:
    """What lies at the end of a path of keys and places; None where it breaks off."""
    for step in path:
        if isinstance(resource, dict):
            resource = resource.get(step)
        elif isinstance(resource, list) and isinstance(step, int) and step < len(resource):
            resource = resource[step]
        else:
            return None
    return resource


def _text(resource: Any, *path: Any) -> Optional[str]:
    found = _at(resource, *path)
    return found if isinstance(found, str) and found else None


def _number(value: Any) -> Optional[float]:
    return float(value) if isinstance(value, (int, float)) else None


def _reference(resource: dict[str, Any], name: str) -> Optional[str]:
    """The id in `Patient/1`, `urn:uuid:1`, `https://…/Patient/1/_history/2`."""
    reference = _text(resource, name, "reference")
    return reference and re.split(r"[/:]", reference.partition("/_history/")[0])[-1]


def _time(resource: dict[str, Any]) -> Optional[str]:
    names = TIMES.get(resource["resourceType"], ())
    return next(filter(None, (_text(resource, name) or _text(resource, name, "start") for name in names)), None)


def _marks(resource: dict[str, Any]) -> Iterator[Optional[str]]:
    yield _text(resource, "status")
    codings = _at(resource, "verificationStatus", "coding")
    yield from (_text(coding, "code") for coding in (codings if isinstance(codings, list) else []))


def _own_id(resource: dict[str, Any]) -> Optional[str]:
    identifiers = _at(resource, "identifier")
    return next(
        (
            _text(each, "value")
            for each in (identifiers if isinstance(identifiers, list) else [])
            if (_text(each, "system") or "").startswith(MIMIC_IDENTIFIER)
        ),
        None,
    )


@lru_cache
def system_prefix(address: str) -> str:
    """A code system's name, as `split_code` takes it, by its address; else the end of the address."""
    named = (name for pattern, name in SYSTEM_ADDRESSES.items() if re.search(pattern, address, re.IGNORECASE))
    name = next(named, re.split(r"[/:]", address)[-1])
    return f"{name}//" if name else ""
