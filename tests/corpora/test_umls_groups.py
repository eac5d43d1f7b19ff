import pytest

from spacy_clinbert.corpora.umls_groups import GROUPS


def groups_of(label: str) -> set:
    return {name for name, types in GROUPS.items() if label in types}


@pytest.mark.parametrize(
    "label, groups",
    [
        ("Finding", {"Disorders", "Finding"}),
        ("Neoplastic Process", {"Disorders"}),
        ("Pharmacologic Substance", {"Chemicals and Drugs", "Pharmacologic Substance"}),
        ("Amino Acid, Peptide, or Protein", {"Chemicals and Drugs"}),
        ("Health Care Activity", {"Procedures", "Health Care Activity"}),
        ("Laboratory Procedure", {"Procedures"}),
        # Neither a result nor a device is a procedure or a disorder.
        ("Laboratory or Test Result", {"Laboratory or Test Result"}),
        ("Medical Device", {"Medical Device"}),
        ("Drug Delivery Device", set()),
        ("Abbreviation", set()),
        ("Negation", set()),
    ],
)
def test_groups_of_a_type(label: str, groups: set) -> None:
    assert groups_of(label) == groups


def test_thirteen_groups_of_which_three_partition_their_types() -> None:
    three = [GROUPS[name] for name in ("Disorders", "Chemicals and Drugs", "Procedures")]
    assert len(GROUPS) == 13 and [len(types) for types in three] == [12, 20, 7]
    assert len(frozenset.union(*three)) == 39
    assert sum(len(types) == 1 for types in GROUPS.values()) == 10
