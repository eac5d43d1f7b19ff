"""Synthetic patients as FHIR R4 resources, one a line, as MIMIC-IV on FHIR has them: its own ids stand in `identifier`.

There are no ranks. Times have a zone. Some conditions have a coding in SNOMED CT beside the one in ICD; a few were
refuted.
"""

import json
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from .records import Patient, Visit
from .synthea import SNOMED, SYSTEMS, make_uuid
from .tables import text_file, traps

IDENTIFIERS = "http://mimic.mit.edu/fhir/mimic/identifier"
RXNORM, LOINC = "http://www.nlm.nih.gov/research/umls/rxnorm", "http://loinc.org"
RESOURCES = ("Patient", "Encounter", "Condition", "MedicationRequest", "Observation")
BOTH, REFUTED = 0.2, 0.005
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
Resource = dict[str, Any]


def write_fhir(folder: Path, patients: Iterable[Patient]) -> None:
    """Write a file for each of `RESOURCES`.

    folder (Path): an existing folder; patients (Iterable[Patient]): as `make_patient` gives them.
    """
    with ExitStack() as stack:
        files = {kind: stack.enter_context(text_file(folder / f"{kind}.ndjson.gz")) for kind in RESOURCES}

        def add(kind: str, name: str, **content: Any) -> None:
            files[kind].write(json.dumps({"resourceType": kind, "id": name, **content}) + "\n")

        for patient in patients:
            name = make_uuid(patient.number, 0)
            died = {"deceasedDateTime": _time(patient.death)} if patient.death else {}
            sex = "female" if patient.sex == "F" else "male"
            own = _own("patient", patient.number)
            add("Patient", name, identifier=own, gender=sex, birthDate=f"{patient.birth}", **died)
            conditions = 0
            for visit in patient.visits:
                encounter = make_uuid(patient.number, visit.number)
                both = {
                    "subject": {"reference": f"Patient/{name}"},
                    "encounter": {"reference": f"Encounter/{encounter}"},
                }
                add("Encounter", encounter, subject=both["subject"], **_encounter(visit))
                for content in _conditions(visit, patient):
                    conditions += 1
                    add("Condition", f"{name}-{conditions}", **both, **content)
                for place, given in enumerate(visit.drugs):
                    code = {"coding": [{"system": RXNORM, "code": given.drug.rxnorm, "display": given.drug.name}]}
                    content = {
                        "authoredOn": _time(given.time),
                        "medicationCodeableConcept": code,
                        "status": "completed",
                    }
                    add("MedicationRequest", f"{encounter}-{place}", **both, **content)
                for place, (test, time, value) in enumerate(visit.tests):
                    code = {"coding": [{"system": LOINC, "code": test.loinc, "display": test.name}]}
                    content = {"effectiveDateTime": _time(time), "code": code, "status": "final"}
                    quantity = {"value": value, "unit": test.unit}
                    add("Observation", f"{encounter}-{place}", **both, **content, valueQuantity=quantity)


def _encounter(visit: Visit) -> Resource:
    return {
        "identifier": _own("encounter-hosp", visit.number),
        "status": "finished",
        "class": {"code": "IMP" if visit.inpatient else "AMB"},
        "period": {"start": _time(visit.admit), "end": _time(visit.discharge)},
    }


def _conditions(visit: Visit, patient: Patient) -> Iterable[Resource]:
    rng = traps(f"fhir {visit.number}", patient)
    codes = list(visit.codes)
    # Order means nothing.
    rng.shuffle(codes)
    for code in codes:
        codings = [{"system": SYSTEMS[visit.version], "code": code}]
        if rng.random() < BOTH:
            codings.insert(0, {"system": SNOMED, "code": "404684003", "display": "Clinical finding"})
        yield {"code": {"coding": codings}, "recordedDate": _time(visit.admit)}
    if rng.random() < REFUTED:
        status = {"coding": [{"system": _VERIFICATION, "code": "refuted"}]}
        wrong = {"system": SYSTEMS[visit.version], "code": "7245" if visit.version == 9 else "M549"}
        yield {"code": {"coding": [wrong]}, "verificationStatus": status}


def _own(kind: str, number: int) -> list[Resource]:
    return [{"system": f"{IDENTIFIERS}/{kind}", "value": str(number)}]


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%S}-05:00"
