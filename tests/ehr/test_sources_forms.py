"""Each form with its traps, in sources of a few rows."""

import gzip
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from spacy_clinbert.ehr.schemas import EVENTS, ICD9, ICD10, PATIENTS
from spacy_clinbert.ehr.sources import EventSource, read_events, recognise
from spacy_clinbert.errors import ClinbertError


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())


def found(source: EventSource, *columns: str) -> list[tuple]:
    events = source.events.collect()
    assert events.schema == EVENTS
    return sorted(events.select(columns).rows(), key=str)


def people(source: EventSource) -> dict[str, tuple]:
    patients = source.patients.collect()
    assert patients.schema == PATIENTS and patients["subject_id"].is_unique().all()
    return {subject: tuple(rest) for subject, *rest in patients.rows()}


def reasons(source: EventSource) -> list[tuple]:
    return sorted(source.rejected.collect().rows())


ADMISSIONS = """subject_id,hadm_id,admittime,dischtime
1,10,2150-01-01 08:00:00,2150-01-05 09:00:00
1,11,2151-01-01 08:00:00,
2,20,2152-01-02 00:00:00,2152-01-01 00:00:00
"""


def write_mimic4(folder: Path) -> None:
    write(folder, "hosp/admissions.csv.gz", ADMISSIONS)
    write(
        folder,
        "hosp/patients.csv",
        "subject_id,gender,anchor_age,anchor_year,dod\n1,F,50,2150,\n2,M,91,2152,2152-03-01\n",
    )
    codes = (
        "1,10,2,I509   ,10\n1,10,1,4280 ,9\n1,11,1,I10,10\n2,20,1,e119,10\n1,10,3,XA0,11\n1,99,1,I10,10\n1,10,4, ,10\n"
    )
    write(folder, "hosp/diagnoses_icd.csv.gz", "subject_id,hadm_id,seq_num,icd_code,icd_version\n" + codes)
    procedures = "1,10,1,2150-01-02,8854,9\n1,10,2,2150-01-02,5A09557,10\n"
    write(folder, "hosp/procedures_icd.csv", "subject_id,hadm_id,seq_num,chartdate,icd_code,icd_version\n" + procedures)
    write(
        folder,
        "hosp/prescriptions.csv",
        "subject_id,hadm_id,starttime,ndc\n1,10,2150-01-02 10:00:00,00006007461\n1,10,,0\n",
    )


def test_mimic4(tmp_path: Path) -> None:
    write_mimic4(tmp_path)
    source = read_events(tmp_path)
    leaving = datetime(2150, 1, 5, 9)
    assert found(source, "subject_id", "visit_id", "code", "system", "rank", "available_at") == [
        ("1", "10", "4280", ICD9, 1, leaving),
        ("1", "10", "I509", ICD10, 2, leaving),
        # A discharge before the admission is for those who filter.
        ("2", "20", "E119", ICD10, 1, datetime(2152, 1, 1)),
    ]
    assert reasons(source) == [
        ("diagnoses_icd.csv.gz", "row 3", "its visit has no discharge that can be read"),
        ("diagnoses_icd.csv.gz", "row 5", "its code system is unknown"),
        ("diagnoses_icd.csv.gz", "row 6", "its visit is not among those of its patient"),
        ("diagnoses_icd.csv.gz", "row 7", "it has no code"),
    ]
    assert people(source) == {
        "1": (date(2100, 1, 1), "F", None),
        "2": (date(2061, 1, 1), "M", datetime(2152, 3, 1)),
    }


def test_procedures_and_drugs_enter_where_asked_for(tmp_path: Path) -> None:
    write_mimic4(tmp_path)
    source = read_events(tmp_path, systems=["ICD9PROC", "NDC"])
    assert found(source, "code", "system", "available_at") == [
        ("00006007461", "NDC", datetime(2150, 1, 2, 10)),
        ("8854", "ICD9PROC", datetime(2150, 1, 5, 9)),
    ]
    assert read_events(tmp_path, systems=None).events.collect().height == 6


def test_tables_of_some_patients_give_their_events(tmp_path: Path) -> None:
    write_mimic4(tmp_path)
    source = read_events(tmp_path)
    for patient in "12":
        part = source.over({name: table.filter(subject_id=patient) for name, table in source.tables.items()})
        whole = source.rows.filter(subject_id=patient).collect()
        assert sorted(part.rows.collect().rows(), key=str) == sorted(whole.rows(), key=str)
        assert list(people(part)) == [patient]


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_mimic3(tmp_path: Path, upper: bool, suffix: str) -> None:
    """Upper case in the full release; births of the very old 300 years too early; a row without code."""
    tables = {
        "admissions": ADMISSIONS,
        "patients": "subject_id,gender,dob,dod\n1,F,2099-06-01 00:00:00,\n"
        "2,M,1852-01-02 00:00:00,2152-03-01 00:00:00\n",
        "diagnoses_icd": "row_id,subject_id,hadm_id,seq_num,icd9_code\n1,1,10,1,0088\n2,1,10,,\n3,2,20,1,V4581\n",
    }
    for name, text in tables.items():
        header, rest = text.split("\n", 1)
        text = f"{header.upper() if upper else header}\n{rest}"
        if suffix == ".parquet":
            pl.read_csv(
                text.encode(), try_parse_dates=True, schema_overrides={"ICD9_CODE": str, "icd9_code": str}
            ).write_parquet(tmp_path / f"{name.upper() if upper else name}.parquet")
        else:
            write(tmp_path, f"{name.upper() if upper else name}{suffix}", text)
    source = read_events(tmp_path)
    assert source.form.name == "mimic3"
    assert found(source, "visit_id", "code", "system", "rank") == [("10", "0088", ICD9, 1), ("20", "V4581", ICD9, 1)]
    assert [row[1:] for row in reasons(source)] == [("row 2", "it has no code")]
    assert people(source) == {
        "1": (date(2099, 6, 1), "F", None),
        "2": (date(2061, 1, 2), "M", datetime(2152, 3, 1)),
    }


MEDBERT = """7\t2014-03-01\t2014-03-04\tICD9_150.6\t1\t2\t0
7\t2014-03-02\t2014-03-04\tICD10_I15.6\tN\t0\t1
8\t2014-03-01\t\tICD9_150.6\t6\t1\t0
8\t2014-03-05\t2014-03-04\tI50.9\t6\t1\t0
8\t2014-03-05\t2014-03-04\tREAD_G58\t6\t1\t0
"""


@pytest.mark.parametrize("header", ["", "patient_id\tvadate\tvddate\tdiag\tpoa\tdiagnosis_priority\tthird_party_ind\n"])
@pytest.mark.parametrize("name", ["visits.tsv", "visits.txt.gz"])
def test_medbert(tmp_path: Path, header: str, name: str) -> None:
    write(tmp_path, name, header + MEDBERT)
    source = read_events(tmp_path / name)
    first, last = datetime(2014, 3, 1), datetime(2014, 3, 4)
    assert found(source, "subject_id", "visit_id", "admit", "available_at", "system", "code", "rank", "flags") == [
        ("7", "2014-03-04", first, last, ICD9, "1506", 2, ["present_on_admission"]),
        ("7", "2014-03-04", datetime(2014, 3, 2), last, ICD10, "I156", None, ["third_party"]),
        ("8", "2014-03-04", datetime(2014, 3, 5), last, ICD10, "I509", 1, []),
    ]
    assert [row[1:] for row in reasons(source)] == [
        ("row 3", "its visit has no discharge that can be read"),
        ("row 5", "its code system is unknown"),
    ]
    assert people(source) == {"7": (None, None, None), "8": (None, None, None)}


CONDITIONS = (
    "CONDITION_OCCURRENCE_ID,PERSON_ID,CONDITION_CONCEPT_ID,CONDITION_START_DATE,"
    "CONDITION_TYPE_CONCEPT_ID,VISIT_OCCURRENCE_ID,CONDITION_SOURCE_VALUE,CONDITION_SOURCE_CONCEPT_ID\n"
)


def write_omop(folder: Path, *rows: str) -> None:
    write(
        folder, "PERSON.csv", "PERSON_ID,GENDER_CONCEPT_ID,YEAR_OF_BIRTH,MONTH_OF_BIRTH,DAY_OF_BIRTH\n-5,8532,1950,7,\n"
    )
    visits = "VISIT_OCCURRENCE_ID,PERSON_ID,VISIT_START_DATE,VISIT_START_DATETIME,"
    visits += "VISIT_END_DATE,VISIT_END_DATETIME,ADMITTED_FROM_CONCEPT_ID\n"
    visits += "-9223372036854775808,-5,2014-01-01,,2014-01-09,2014-01-09 12:00:00,0\n2,-5,2016-01-01,,2016-01-03,,0\n"
    write(folder, "VISIT_OCCURRENCE.csv", visits)
    write(folder, "CONDITION_OCCURRENCE.csv", CONDITIONS + "".join(f"{row}\n" for row in rows))
    write(folder, "DEATH.csv", "PERSON_ID,DEATH_DATE\n-5,2017-01-01\n")


def test_omop(tmp_path: Path) -> None:
    """Start-dated codes, negative ids, charted findings, one code of two concepts, V codes of either version."""
    write_omop(
        tmp_path,
        "1,-5,316139,2014-01-01,32821,-9223372036854775808,4280   ,0",
        "2,-5,319835,2014-01-01,32821,-9223372036854775808,4280   ,0",
        "3,-5,1,2014-01-01,32821,-9223372036854775808,V4511,0",
        "4,-5,2,2014-01-02,32817,-9223372036854775808,AF (Atrial Fibrillation),0",
        "5,-5,3,2016-01-01,32821,2,I50.9,0",
        "6,-5,4,2016-01-01,32821,2,V4511,0",
        "7,-5,5,2018-01-01,32821,,E8490,0",
        "8,-5,5,2018-01-01,32821,77,I10,0",
    )
    source = read_events(tmp_path)
    assert source.form.name == "omop"
    first, second, outside = datetime(2014, 1, 9, 12), datetime(2016, 1, 3), datetime(2018, 1, 1)
    assert found(source, "visit_id", "code", "system", "rank", "admit", "available_at") == [
        ("-9223372036854775808", "4280", ICD9, None, datetime(2014, 1, 1), first),
        ("-9223372036854775808", "V4511", ICD9, None, datetime(2014, 1, 1), first),
        ("2", "I509", ICD10, None, datetime(2016, 1, 1), second),
        ("2", "V4511", ICD10, None, datetime(2016, 1, 1), second),
        (None, "E8490", ICD10, None, outside, outside),
    ]
    assert [row[1:] for row in reasons(source)] == [("row 8", "its visit is not among those of its patient")]
    assert people(source) == {"-5": (date(1950, 7, 1), "F", datetime(2017, 1, 1))}
    charted = found(read_events(tmp_path, systems=["OMOP"]), "code", "available_at")
    assert charted == [("2", datetime(2014, 1, 2))]


def test_omop_with_its_vocabulary(tmp_path: Path) -> None:
    """CONCEPT, as Athena gives it, outdoes the shape of a code, and finds diagnoses in other tables."""
    write_omop(tmp_path, "1,-5,0,2016-01-01,32810,2,V45.1,44", "2,-5,0,2016-01-01,32810,2,E84.90,45")
    concepts = (
        'concept_id\tconcept_name\tvocabulary_id\n44\t5" cut\tICD9CM\n45\tb\tICD10CM\n46\tc\tICD10CM\n47\td\tCPT4\n'
    )
    write(tmp_path, "CONCEPT.csv", concepts)
    header = "person_id,observation_concept_id,observation_date,visit_occurrence_id,"
    header += "observation_source_value,observation_source_concept_id\n"
    write(tmp_path, "observation.csv", header + "-5,9,2016-01-01,2,Z79.4,46\n-5,9,2016-01-01,2,99213,47\n")
    assert found(read_events(tmp_path), "code", "system") == [("E8490", ICD10), ("V451", ICD9), ("Z794", ICD10)]


def write_meds(folder: Path, rows: list[tuple], unit: str = "us", **more: Any) -> None:
    frame = pl.DataFrame(rows, schema=["subject_id", "time", "code", *more], orient="row")
    frame = frame.with_columns(pl.col("time").cast(pl.Datetime(unit)), numeric_value=pl.lit(1.5, pl.Float32()))
    for shard, name in enumerate(("train/0.parquet", "held_out/0.parquet")):
        path = folder / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.filter(pl.col("subject_id") % 2 == shard).write_parquet(path)


def day(number: int, hour: int = 0) -> datetime:
    return datetime(2020, 1, number, hour)


@pytest.mark.parametrize("unit", ["us", "ns"])
def test_meds_with_visits(tmp_path: Path, unit: str) -> None:
    rows = [
        (2, None, "GENDER//F", None),
        (2, datetime(1950, 1, 1), "MEDS_BIRTH", None),
        (2, day(1), "HOSPITAL_ADMISSION//EW", 10.0),
        (2, day(1), "DIAGNOSIS//ICD//10//I509", 10.0),
        (2, day(2), "LAB//50852//%", 10.0),
        (2, day(5), "HOSPITAL_DISCHARGE//HOME", 10.0),
        (2, day(9), "MEDS_DEATH", None),
        (3, day(1), "ICD9CM/428.0", 30.0),
        (3, day(3), "LAB//50852//%", 30.0),
        (5, day(1), "ADMISSION", 50.0),
        (5, day(2), "ICD10CM/I10", 50.0),
        (5, None, "ICD10CM/I10", 50.0),
        (7, None, "ICD10CM/I10", None),
        (5, day(4), "ICD10CM/I11.0", None),
    ]
    write_meds(tmp_path, rows, unit, hadm_id=None)
    source = read_events(tmp_path)
    assert found(source, "subject_id", "visit_id", "code", "system", "rank", "available_at") == [
        ("2", "10", "I509", ICD10, None, day(5)),
        ("3", "30", "4280", ICD9, None, day(3)),
        ("5", None, "I110", ICD10, None, day(4)),
    ]
    assert reasons(source) == [
        ("held_out/0.parquet", "row 4", "its visit has no discharge that can be read"),
        ("held_out/0.parquet", "row 5", "its visit has no discharge that can be read"),
        ("held_out/0.parquet", "row 6", "it has neither a visit nor a date that can be read"),
    ]
    assert people(source)["2"] == (date(1950, 1, 1), "F", day(9))
    labs = found(read_events(tmp_path, systems=["LAB"]), "visit_id", "code", "value", "available_at")
    assert labs == [("10", "50852//%", 1.5, day(2)), ("30", "50852//%", 1.5, day(3))]


def test_meds_without_visits(tmp_path: Path) -> None:
    """Stays between ADMISSION and DISCHARGE, none after the last; Danish letters."""
    rows = [
        (2, day(1), "ADMISSION"),
        (2, day(1, 12), "DE10"),
        (2, day(2), "ADMISSION"),
        (2, day(3), "MA10BA02"),
        (2, day(4), "DISCHARGE"),
        (2, day(5), "DI50"),
        (2, day(6), "DISCHARGE"),
        (2, day(7), "ADMISSION"),
        (2, day(8), "D649"),
        (3, day(2), "DE11"),
        (3, datetime(1960, 1, 1), "DOB"),
    ]
    write_meds(tmp_path, rows)
    source = read_events(tmp_path, systems=[ICD10, "ATC"])
    assert found(source, "subject_id", "visit_id", "code", "system", "admit", "available_at") == [
        ("2", "2020-01-01T00:00:00", "A10BA02", "ATC", day(1), day(3)),
        ("2", "2020-01-01T00:00:00", "E10", ICD10, day(1), day(4)),
        ("2", None, "649", ICD10, day(8), day(8)),
        ("2", None, "I50", ICD10, day(5), day(5)),
        ("3", None, "E11", ICD10, day(2), day(2)),
    ]
    assert people(source)["3"] == (date(1960, 1, 1), None, None)


def resource(kind: str, **fields: Any) -> str:
    return json.dumps({"resourceType": kind, **fields}) + "\n"


def condition(number: int, system: str, code: str, encounter: str = "Encounter/e1", **fields: Any) -> str:
    coding = {"coding": [{"system": system, "code": code}]}
    reference = {"encounter": {"reference": encounter}, "subject": {"reference": "Patient/p1"}}
    return resource("Condition", id=f"c{number}", code=coding, **reference, **fields)


def test_fhir(tmp_path: Path) -> None:
    """Zones, several files of a type, other types of reference, refuted conditions, broken lines."""
    icd10, icd9 = "http://hl7.org/fhir/sid/icd-10-cm", "urn:oid:2.16.840.1.113883.6.103"
    conditions = [
        condition(1, icd10, "I50.9", recordedDate="2020-01-01"),
        condition(2, icd9, "428.0", "urn:uuid:e1"),
        condition(3, "http://snomed.info/sct", "44054006"),
        condition(4, icd10, "I10", verificationStatus={"coding": [{"code": "refuted"}]}),
        condition(5, icd10, "I10", "https://server/fhir/Encounter/e2/_history/1"),
        '{"resourceType": "Condition", "id"\n',
        resource("Patient", id="px"),
    ]
    write(tmp_path, "MimicCondition.000.ndjson", "".join(conditions[:2]))
    write(tmp_path, "Condition.001.ndjson.gz", "".join(conditions[2:]))
    period = {"start": "2020-01-01T22:00:00.000-05:00", "end": "2020-01-03T08:30:00Z"}
    encounters = [
        resource("Encounter", id="e1", subject={"reference": "Patient/p1"}, period=period),
        resource("Encounter", id="e2", subject={"reference": "Patient/p1"}, period={"start": "2020-02-01"}),
    ]
    write(tmp_path, "Encounter.ndjson", "".join(encounters))
    own = [{"system": "http://hospital/mrn", "value": "secret"}]
    write(
        tmp_path,
        "Patient.ndjson",
        resource("Patient", id="p1", gender="female", birthDate="1950-02-01", identifier=own),
    )
    source = read_events(tmp_path)
    assert source.form.name == "fhir"
    leaving = datetime(2020, 1, 3, 8, 30)
    assert found(source, "subject_id", "visit_id", "code", "system", "rank", "admit", "available_at") == [
        ("p1", "e1", "4280", ICD9, None, datetime(2020, 1, 1, 22), leaving),
        ("p1", "e1", "I509", ICD10, None, datetime(2020, 1, 1, 22), leaving),
    ]
    assert reasons(source) == [
        ("Condition.001.ndjson.gz", "row 2", "it is marked refuted"),
        ("Condition.001.ndjson.gz", "row 3", "its visit has no discharge that can be read"),
        ("Condition.001.ndjson.gz", "row 4", "it is not JSON"),
        ("Condition.001.ndjson.gz", "row 5", "it is no Condition"),
    ]
    assert people(source) == {"p1": (date(1950, 2, 1), "F", None)}
    assert found(read_events(tmp_path, systems=["SNOMED"]), "code") == [("44054006",)]


def test_synpuf(tmp_path: Path) -> None:
    for year in (2008, 2009):
        name = f"DE1_0_{year}_Beneficiary_Summary_File_Sample_1.csv"
        death = "20091201" if year == 2009 else ""
        header = '"DESYNPUF_ID","BENE_BIRTH_DT","BENE_DEATH_DT","BENE_SEX_IDENT_CD"\n'
        write(tmp_path, name, f'{header}"00AB",19230501,{death},2\n')
    claims = '"DESYNPUF_ID","CLM_ID","SEGMENT","CLM_FROM_DT","CLM_THRU_DT",{more}'
    claims += '"ICD9_DGNS_CD_1","ICD9_DGNS_CD_2","ICD9_PRCDR_CD_1","HCPCS_CD_1"\n'
    inpatient = claims.format(more='"CLM_ADMSN_DT","NCH_BENE_DSCHRG_DT",')
    rows = '"00AB",1961,1,20080312,20080320,20080311,20080319,"4280 ","V4581","3893",""\n'
    rows += '"00AB",1962,1,,,,,"4280","","",""\n'
    write(tmp_path, "DE1_0_2008_to_2010_Inpatient_Claims_Sample_1.csv", inpatient + rows)
    rows = '"00AB",2961,1,20090101,20090102,"25000","","","99213"\n'
    write(tmp_path, "DE1_0_2008_to_2010_Outpatient_Claims_Sample_1.csv.gz", claims.format(more="") + rows)
    source = read_events(tmp_path)
    assert source.form.name == "synpuf"
    admit, leaving = datetime(2008, 3, 11), datetime(2008, 3, 19)
    assert found(source, "visit_id", "code", "rank", "admit", "available_at") == [
        ("1961", "4280", 1, admit, leaving),
        ("1961", "V4581", 2, admit, leaving),
        ("2961", "25000", 1, datetime(2009, 1, 1), datetime(2009, 1, 2)),
    ]
    assert [row[1:] for row in reasons(source)] == [("row 2", "its visit has no admission that can be read")]
    assert people(source) == {"00AB": (date(1923, 5, 1), "F", datetime(2009, 12, 1))}
    others = found(read_events(tmp_path, systems=["HCPCS", "ICD9PROC"]), "code", "system", "rank")
    assert others == [("3893", "ICD9PROC", None), ("99213", "HCPCS", None)]


def test_synthea(tmp_path: Path) -> None:
    write(tmp_path, "patients.csv", "Id,BIRTHDATE,DEATHDATE,GENDER\np1,1950-02-01,,F\n")
    write(tmp_path, "encounters.csv", "Id,START,STOP,PATIENT\ne1,2019-01-01T08:00:00Z,2019-01-01T09:30:00Z,p1\n")
    conditions = "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n2019-01-01,,p1,e1,44054006,Diabetes\n"
    write(tmp_path, "conditions.csv", conditions)
    observations = "DATE,PATIENT,ENCOUNTER,CODE,DESCRIPTION,VALUE\n2019-01-01T08:10:00Z,p1,e1,4548-4,A1c,6.7\n"
    write(tmp_path, "observations.csv", observations)
    assert recognise(tmp_path) == "synthea"
    with pytest.raises(ClinbertError, match="has no codes of ICD10CM or ICD9CM: name SNOMED"):
        read_events(tmp_path)
    source = read_events(tmp_path, systems=["SNOMED", "LOINC"])
    assert found(source, "visit_id", "code", "system", "value", "available_at") == [
        ("e1", "44054006", "SNOMED", None, datetime(2019, 1, 1, 9, 30)),
        ("e1", "4548-4", "LOINC", 6.7, datetime(2019, 1, 1, 8, 10)),
    ]
    assert people(source) == {"p1": (date(1950, 2, 1), "F", None)}
