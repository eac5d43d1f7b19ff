"""What synthetic patients may have: conditions in both versions of ICD, drugs and measurements in several systems."""

from typing import NamedTuple


class Condition(NamedTuple):
    """A condition as it is billed: its code in ICD-9-CM and in ICD-10-CM, without dots."""

    icd9: str
    icd10: str


class Drug(NamedTuple):
    """A drug: its name, code in the ATC, ingredient in RxNorm, standard concept in OMOP, a package in the NDC."""

    name: str
    atc: str
    rxnorm: str
    omop: int
    ndc: str


class Test(NamedTuple):
    """A measurement: its name, unit, code in LOINC, item of MIMIC's laboratory, standard concept in OMOP."""

    name: str
    unit: str
    loinc: str
    item: str
    omop: int


TYPE_2 = (Condition("25000", "E119"), Condition("25040", "E1122"), Condition("25060", "E1140"))
HEART_FAILURE = (
    *(Condition("4280", "I509"), Condition("42822", "I5022"), Condition("42832", "I5032")),
    *(Condition("40291", "I110"), Condition("40491", "I130")),
)
PANCREATIC_CANCER = (Condition("1570", "C250"), Condition("1579", "C259"))
# Whoever has one of these is no type 2 diabetic of the published cohort.
OTHER_DIABETES = {
    "type 1": Condition("25001", "E109"),
    "gestational": Condition("64803", "O24419"),
    "secondary": Condition("24900", "E089"),
    "insipidus": Condition("2535", "E232"),
}
KIDNEY_DISEASE = Condition("5854", "N184")
PANCREATITIS = Condition("5771", "K861")
APNOEA, FIBRILLATION = Condition("32723", "G4733"), Condition("42731", "I4891")
PNEUMONIA, KIDNEY_FAILURE = Condition("486", "J189"), Condition("5849", "N179")
WEIGHT_LOSS, THROMBOSIS = Condition("78321", "R634"), Condition("45340", "I82409")
STOMACH_PAIN, JAUNDICE = Condition("78906", "R1013"), Condition("7824", "R17")

# Conditions that stay, with the share of patients who get them; cancers are such as the cohort of PaCa leaves out.
CHRONIC = {
    Condition("4019", "I10"): 0.45,
    Condition("2724", "E785"): 0.4,
    Condition("41401", "I2510"): 0.2,
    KIDNEY_DISEASE: 0.15,
    Condition("496", "J449"): 0.12,
    Condition("49390", "J45909"): 0.1,
    Condition("2449", "E039"): 0.12,
    Condition("311", "F329"): 0.15,
    Condition("30000", "F419"): 0.12,
    Condition("53081", "K219"): 0.2,
    Condition("71590", "M1990"): 0.2,
    Condition("73300", "M810"): 0.08,
    Condition("27800", "E669"): 0.2,
    Condition("3051", "F17210"): 0.18,
    Condition("V1582", "Z87891"): 0.15,
    Condition("V5861", "Z7901"): 0.08,
    PANCREATITIS: 0.05,
    Condition("57140", "K739"): 0.04,
    Condition("33394", "G2581"): 0.03,
    Condition("185", "C61"): 0.02,
    Condition("1749", "C50919"): 0.02,
    Condition("1539", "C189"): 0.02,
}
# Conditions that pass, with how frequent they are beside each other.
ACUTE = {
    Condition("4659", "J069"): 10.0,
    Condition("5990", "N390"): 8.0,
    Condition("7231", "M542"): 8.0,
    Condition("78650", "R079"): 6.0,
    Condition("34690", "G43909"): 6.0,
    Condition("78079", "R5383"): 6.0,
    Condition("7804", "R42"): 4.0,
    Condition("4660", "J209"): 5.0,
    Condition("78703", "R1110"): 3.0,
    Condition("2859", "D649"): 4.0,
    Condition("2761", "E871"): 3.0,
    Condition("2768", "E876"): 3.0,
    Condition("6826", "L03119"): 2.0,
    Condition("56400", "K5900"): 3.0,
    Condition("5609", "K56609"): 1.0,
    Condition("57410", "K8010"): 1.0,
    Condition("8408", "S43499A"): 1.5,
    Condition("81342", "S52509A"): 1.0,
    Condition("E8889", "W19XXXA"): 1.5,
    Condition("37200", "H1030"): 1.5,
    Condition("38010", "H6090"): 1.5,
    Condition("7821", "R21"): 2.5,
    Condition("V700", "Z0000"): 6.0,
    Condition("V0481", "Z23"): 5.0,
    Condition("V7283", "Z01818"): 2.0,
}

METFORMIN = Drug("metformin", "A10BA02", "6809", 1503297, "00093104801")
INSULIN = Drug("insulin glargine", "A10AE04", "274783", 1502905, "00088222033")
FUROSEMIDE = Drug("furosemide", "C03CA01", "4603", 956874, "00054429725")
LISINOPRIL = Drug("lisinopril", "C09AA03", "29046", 1308216, "00143126701")
ATORVASTATIN = Drug("atorvastatin", "C10AA05", "83367", 1545958, "00071015523")
A1C = Test("Hemoglobin A1c/Hemoglobin.total in Blood", "%", "4548-4", "50852", 3004410)
NT_PRO_BNP = Test("Natriuretic peptide.B prohormone N-Terminal", "pg/mL", "33762-6", "50963", 3029187)

CONDITIONS = sorted(
    {
        *(*TYPE_2, *HEART_FAILURE, *PANCREATIC_CANCER, *OTHER_DIABETES.values(), *CHRONIC, *ACUTE),
        *(APNOEA, FIBRILLATION, PNEUMONIA, KIDNEY_FAILURE, WEIGHT_LOSS, THROMBOSIS, STOMACH_PAIN, JAUNDICE),
    }
)
