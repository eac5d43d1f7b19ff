"""Synthetic patients as the OMOP Common Data Model 5.4.

As exports of hospital data have it: ids are negative 64-bit numbers; diagnoses bear the start of their visit; charted
findings stand among them; V and Z codes lie in `observation`, where only CONCEPT tells that they are diagnoses; a code
may map to two standard concepts and then has two rows. There are no ranks. The concepts of source codes are invented,
from 2 billion on.
"""

from collections.abc import Iterable
from datetime import date, datetime, time
from pathlib import Path

from .conditions import CONDITIONS
from .records import Patient, Visit
from .tables import Rows, csv_tables, traps

HEADERS = {
    "person.csv": "person_id gender_concept_id year_of_birth month_of_birth day_of_birth birth_datetime",
    "death.csv": "person_id death_date death_datetime",
    "visit_occurrence.csv": "visit_occurrence_id person_id visit_concept_id visit_start_date visit_start_datetime "
    "visit_end_date visit_end_datetime",
    "condition_occurrence.csv": "condition_occurrence_id person_id condition_concept_id condition_start_date "
    "condition_start_datetime condition_type_concept_id visit_occurrence_id condition_source_value "
    "condition_source_concept_id",
    "observation.csv": "observation_id person_id observation_concept_id observation_date observation_datetime "
    "observation_type_concept_id visit_occurrence_id observation_source_value observation_source_concept_id",
    "drug_exposure.csv": "drug_exposure_id person_id drug_concept_id drug_exposure_start_date "
    "drug_exposure_start_datetime drug_type_concept_id visit_occurrence_id drug_source_value drug_source_concept_id",
    "measurement.csv": "measurement_id person_id measurement_concept_id measurement_date measurement_datetime "
    "measurement_type_concept_id visit_occurrence_id measurement_source_value measurement_source_concept_id "
    "value_as_number",
}
CONCEPT = {
    "concept.csv": "concept_id concept_name domain_id vocabulary_id concept_class_id standard_concept concept_code "
    "valid_start_date valid_end_date"
}
# Ids lie below zero; the patient's or visit's number is what they are above this.
LEAST = -(2**62)
GENDERS = {"F": 8532, "M": 8507}
INPATIENT, OUTPATIENT = 9201, 9202
BILLED, CHARTED = 32821, 32817
OWN_CONCEPTS = 2_000_000_000
FINDINGS = ("Sinus rhythm", "AF (Atrial Fibrillation)", "1st AV (First degree AV Block)")
CHARTED_SHARE, TWO_CONCEPTS = 0.3, 0.03


def write_omop(folder: Path, patients: Iterable[Patient]) -> None:
    """Write the tables of `HEADERS`, and of `CONCEPT` in the way of Athena.

    folder (Path): an existing folder; patients (Iterable[Patient]): as `make_patient` gives them.
    """
    codes = [(9, each.icd9) for each in CONDITIONS] + [(10, each.icd10) for each in CONDITIONS]
    concepts = {code: OWN_CONCEPTS + place for place, code in enumerate(dict.fromkeys(codes), 1)}
    with csv_tables(folder, CONCEPT, "\t") as tables:
        for (version, code), concept in concepts.items():
            domain = "Observation" if code[0] in "VZ" else "Condition"
            names = f"ICD{version}CM {code}", domain, f"ICD{version}CM", "billing code", "", code
            tables["concept.csv"].writerow((concept, *names, "19700101", "20991231"))
    with csv_tables(folder, HEADERS) as tables:
        writer = _Writer(tables, concepts)
        for patient in patients:
            writer.add(patient)


class _Writer:
    def __init__(self, tables: dict[str, Rows], concepts: dict[tuple[int, str], int]) -> None:
        self.tables = tables
        self.concepts = concepts
        self.rows = 0

    def add(self, patient: Patient) -> None:
        """Write a patient."""
        person, birth = LEAST + patient.number, patient.birth
        cells = GENDERS[patient.sex], birth.year, birth.month, birth.day, datetime.combine(birth, time())
        self.tables["person.csv"].writerow((person, *cells))
        if patient.death:
            self.tables["death.csv"].writerow((person, *_both(patient.death)))
        for visit in patient.visits:
            bounds = *_both(visit.admit), *_both(visit.discharge)
            kind = INPATIENT if visit.inpatient else OUTPATIENT
            self.tables["visit_occurrence.csv"].writerow((LEAST + visit.number, person, kind, *bounds))
            self._add_codes(patient, visit)
            for given in visit.drugs:
                self._row("drug_exposure", patient, visit, given.drug.omop, given.time, CHARTED, given.drug.name, 0)
            for test, when, value in visit.tests:
                self._row("measurement", patient, visit, test.omop, when, CHARTED, test.name, 0, value)

    def _add_codes(self, patient: Patient, visit: Visit) -> None:
        rng = traps(f"omop {visit.number}", patient)
        codes = list(visit.codes)
        # Order means nothing.
        rng.shuffle(codes)
        for code in codes:
            table = "observation" if code[0] in "VZ" else "condition_occurrence"
            concept = self.concepts[visit.version, code]
            for _ in range(2 if rng.random() < TWO_CONCEPTS else 1):
                self._row(table, patient, visit, 0, visit.admit, BILLED, code, concept)
        if rng.random() < CHARTED_SHARE:
            finding = rng.choice(FINDINGS)
            self._row("condition_occurrence", patient, visit, 0, visit.admit, CHARTED, finding, 0)

    def _row(
        self,
        table: str,
        patient: Patient,
        visit: Visit,
        concept: int,
        when: datetime,
        kind: int,
        source: str,
        source_concept: int,
        *more: float,
    ) -> None:
        self.rows += 1
        ids = LEAST + self.rows, LEAST + patient.number, concept
        cells = *_both(when), kind, LEAST + visit.number, source, source_concept
        self.tables[f"{table}.csv"].writerow((*ids, *cells, *more))


def _both(when: datetime) -> tuple[date, datetime]:
    return when.date(), when
