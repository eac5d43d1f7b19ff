"""The 13 groups of SemClinBr's semantic types for which BioBERTpt was evaluated (Schneider et al. 2020, ClinicalNLP).

Three are semantic groups of the UMLS (McCray et al. 2001; `SemGroups_2018.txt` of the National Library of Medicine),
ten are semantic types by themselves. A type may belong to two: a Finding is a Disorder too. The paper trains one model
a group. Its table shortens the names ("ChemicalDrugs", "DiseaseSynd"); here they stand in full.
"""

from typing import Dict, FrozenSet

DISORDERS = frozenset(
    (
        "Acquired Abnormality",
        "Anatomical Abnormality",
        "Cell or Molecular Dysfunction",
        "Congenital Abnormality",
        "Disease or Syndrome",
        "Experimental Model of Disease",
        "Finding",
        "Injury or Poisoning",
        "Mental or Behavioral Dysfunction",
        "Neoplastic Process",
        "Pathologic Function",
        "Sign or Symptom",
    )
)

CHEMICALS_AND_DRUGS = frozenset(
    (
        "Amino Acid, Peptide, or Protein",
        "Antibiotic",
        "Biologically Active Substance",
        "Biomedical or Dental Material",
        "Chemical",
        "Chemical Viewed Functionally",
        "Chemical Viewed Structurally",
        "Clinical Drug",
        "Element, Ion, or Isotope",
        "Enzyme",
        "Hazardous or Poisonous Substance",
        "Hormone",
        "Immunologic Factor",
        "Indicator, Reagent, or Diagnostic Aid",
        "Inorganic Chemical",
        "Nucleic Acid, Nucleoside, or Nucleotide",
        "Organic Chemical",
        "Pharmacologic Substance",
        "Receptor",
        "Vitamin",
    )
)

PROCEDURES = frozenset(
    (
        "Diagnostic Procedure",
        "Educational Activity",
        "Health Care Activity",
        "Laboratory Procedure",
        "Molecular Biology Research Technique",
        "Research Activity",
        "Therapeutic or Preventive Procedure",
    )
)

TYPES = (
    "Diagnostic Procedure",
    "Disease or Syndrome",
    "Finding",
    "Health Care Activity",
    "Laboratory or Test Result",
    "Medical Device",
    "Pharmacologic Substance",
    "Quantitative Concept",
    "Sign or Symptom",
    "Therapeutic or Preventive Procedure",
)

# In the order of the paper's table.
GROUPS: Dict[str, FrozenSet[str]] = {
    "Disorders": DISORDERS,
    "Chemicals and Drugs": CHEMICALS_AND_DRUGS,
    "Procedures": PROCEDURES,
    **{name: frozenset((name,)) for name in TYPES},
}
