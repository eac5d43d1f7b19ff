import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from spacy_clinbert.corpora.records import Entry, Record
from spacy_clinbert.corpora.splits import divide, group, paper_dev

names = st.lists(
    st.tuples(st.integers(0, 99), st.sampled_from(["train", "test"]), st.integers(0, 9)), unique_by=lambda x: x[0]
)


def entry(name: int, split: str = "train", patient: str = "") -> Entry:
    return Entry(str(name), split, lambda: Record(str(name), ""), patient)


@given(names, st.integers(0, 3), st.randoms(use_true_random=False))
def test_patients_stay_together_whatever_the_order(rows: list, seed: int, rng: random.Random) -> None:
    entries = [entry(name, split, f"p{patient}") for name, split, patient in rows]
    division = divide(entries, "document", seed)
    assert division.documents == len(entries)
    splits: dict[str, set] = {}
    for one in entries:
        splits.setdefault(one.patient, set()).add(division.split(one))
    assert all(len(found - {"test"}) <= 1 for found in splits.values())
    patients = {one.patient for one in entries if one.split == "train"}
    assert len(division.dev) == (max(1, round(0.1 * len(patients))) if len(patients) > 1 else 0)
    rng.shuffle(entries)
    assert divide(entries, "document", seed) == division


def test_rules_are_said() -> None:
    assert (
        divide([entry(1, patient="a"), entry(2, patient="b")], "document", 3).rule
        == "10% of train, drawn by patient with seed 3"
    )
    assert divide([entry(1), entry(2)], "document", 0).rule == "10% of train, drawn by document with seed 0"
    shipped = divide([entry(1), entry(2, "dev")], "document", 0)
    assert shipped.rule == "as shipped" and not shipped.dev
    assert not divide([entry(1), entry(2)], "shipped", 0).dev
    assert "leaks across documents" in divide([entry(1)], "paper", 0).rule


def test_a_patient_named_like_a_document_is_not_a_document() -> None:
    assert group(entry(1, patient="a")) == "a" and group(entry(1)) == "1"


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 30), max_size=8))
def test_the_last_ninth_of_the_shuffled_sentences(counts: dict) -> None:
    dev = paper_dev(counts)
    total = sum(counts.values())
    assert dev.keys() == counts.keys()
    assert all(0 <= number < counts[name] for name, numbers in dev.items() for number in numbers)
    part = -(-total // 9)
    assert sum(map(len, dev.values())) == max(0, total - 8 * part)
    # As run_ner.py: the module's own generator, seeded with 42.
    places = [(name, number) for name, count in counts.items() for number in range(count)]
    random.seed(42)
    random.shuffle(places)
    assert Counter(name for name, _ in places[8 * part :]) == Counter({n: len(s) for n, s in dev.items() if s})
