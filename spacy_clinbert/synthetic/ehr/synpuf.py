"""Synthetic patients as CMS DE-SynPUF: beneficiary summaries of three years, inpatient and outpatient claims.

Visits in ICD-10 are left out; dates are days, and there are neither drugs nor measurements. Some inpatient claims come
in two segments, the second without codes and with a later end; an inpatient claim has the first code as that of the
admission too.
"""

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

from .clinic import MOST_CODES
from .records import Patient
from .tables import csv_tables, traps

_CODES = " ".join(f"ICD9_DGNS_CD_{place}" for place in range(1, MOST_CODES + 1))
_SUMMARY = "DESYNPUF_ID BENE_BIRTH_DT BENE_DEATH_DT BENE_SEX_IDENT_CD BENE_RACE_CD"
YEARS = [f"DE1_0_{year}_Beneficiary_Summary_File_Sample_1.csv" for year in (2008, 2009, 2010)]
INPATIENT = "DE1_0_2008_to_2010_Inpatient_Claims_Sample_1.csv"
OUTPATIENT = "DE1_0_2008_to_2010_Outpatient_Claims_Sample_1.csv"
HEADERS = {
    **dict.fromkeys(YEARS, _SUMMARY),
    INPATIENT: "DESYNPUF_ID CLM_ID SEGMENT CLM_FROM_DT CLM_THRU_DT CLM_ADMSN_DT ADMTNG_ICD9_DGNS_CD NCH_BENE_DSCHRG_DT "
    f"{_CODES}",
    OUTPATIENT: f"DESYNPUF_ID CLM_ID SEGMENT CLM_FROM_DT CLM_THRU_DT {_CODES} ADMTNG_ICD9_DGNS_CD",
}
SECOND_SEGMENT = 0.01


def write_synpuf(folder: Path, patients: Iterable[Patient]) -> None:
    """Write the files of `HEADERS`.

    folder (Path): an existing folder; patients (Iterable[Patient]): as `make_patient` gives them.
    """
    with csv_tables(folder, HEADERS) as tables:
        for patient in patients:
            rng = traps("synpuf", patient)
            name, sex = f"{patient.number:016X}", 1 if patient.sex == "M" else 2
            for year in YEARS:
                # The death stands in the last year alone.
                death = _day(patient.death.date()) if patient.death and year == YEARS[-1] else ""
                tables[year].writerow((name, _day(patient.birth), death, sex, 1))
            for visit in patient.visits:
                if visit.version != 9:
                    continue
                codes = [*visit.codes, *[""] * (MOST_CODES - len(visit.codes))]
                first, last = _day(visit.admit.date()), _day(visit.discharge.date())
                if visit.inpatient:
                    row = (name, visit.number, 1, first, last, first, visit.codes[0], last, *codes)
                    tables[INPATIENT].writerow(row)
                    if rng.random() < SECOND_SEGMENT:
                        later = _day(visit.discharge.date() + timedelta(days=3))
                        blank = [""] * MOST_CODES
                        tables[INPATIENT].writerow((name, visit.number, 2, last, later, first, "", later, *blank))
                else:
                    tables[OUTPATIENT].writerow((name, visit.number, 1, first, last, *codes, ""))


def _day(day: date) -> str:
    return day.strftime("%Y%m%d")
