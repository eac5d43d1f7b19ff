"""Results that papers report, to stand beside ours where nobody knows whether the two can be compared."""

from typing import Dict, NamedTuple


class Published(NamedTuple):
    """A row of a paper's table.

    name (str): the system, and what is not known of how it was judged.
    source (str): where the row stands.
    f (Dict[str, float]): F1 by layer, from 0 to 1.
    """

    name: str
    source: str
    f: Dict[str, float]


PUBLISHED: Dict[str, Published] = {
    "semclinbr": Published(
        name="BioBERTpt(all), split and metric unknown",
        source="Schneider et al. 2020, ClinicalNLP; table in the README of HAILab-PUCPR/BioBERTpt",
        f={
            "Disorders": 0.7913,
            "Chemicals and Drugs": 0.9042,
            "Procedures": 0.7032,
            "Diagnostic Procedure": 0.5481,
            "Disease or Syndrome": 0.5641,
            "Finding": 0.5173,
            "Health Care Activity": 0.4037,
            "Laboratory or Test Result": 0.4400,
            "Medical Device": 0.5552,
            "Pharmacologic Substance": 0.7472,
            "Quantitative Concept": 0.5997,
            "Sign or Symptom": 0.5657,
            "Therapeutic or Preventive Procedure": 0.5128,
        },
    )
}
