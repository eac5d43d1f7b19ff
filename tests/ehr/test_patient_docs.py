"""Patients as Docs, and the reader that `spacy train` gets them from."""

import random

import polars as pl
import pytest
import spacy
from coded_visits import event, patient, run
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.util import registry

from spacy_clinbert.ehr import patients_reader
from spacy_clinbert.ehr.docs import make_patient, register_extensions
from spacy_clinbert.errors import ClinbertError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = random.Random(0)
    events = [
        event(f"s{n}", f"v{visit}", f"2020-0{visit}-01", f"2020-0{visit}-05", f"C{code}", rank or None)
        for n in range(60)
        for visit in range(1, rng.randint(2, 6))
        for rank, code in enumerate(rng.sample(range(30), 4))
    ]
    people = [patient(f"s{n}", "1950-02-03", "F") for n in range(0, 60, 2)]
    labels = pl.LazyFrame(
        {
            "subject_id": [f"s{n}" for n in range(60)],
            "dhf": [[True, False, None][n % 3] for n in range(60)],
            "risk": [n / 60 for n in range(60)],
            "note": ["x"] * 60,
        }
    )
    out = tmp_path_factory.mktemp("patients") / "out"
    run(out, events, people, labels=labels)
    return out


def read(folder, split="train", **settings) -> list[Example]:
    reader = registry.readers.get("spacy_clinbert.Patients.v1")(folder, split, **{"labels": ["dhf"], **settings})
    return list(reader(spacy.blank("en")))


ROW = {
    "subject_id": "7",
    "birth": None,
    "sex": None,
    "first_admit": None,
    "input_ids": [4, 5, 2, 4, 5],
    "visit": [1, 1, 2, 3, 3],
    "rank": [1, 2, 0, 0, 0],
    "day": [0, 0, 9, 31, 31],
}
CODES = ["[PAD]", "[MASK]", "[UNK]", "[CLS]", "ICD10CM/I50", "ICD9CM/V58"]


def test_words_are_codes_and_sentences_are_visits():
    doc = make_patient(ROW, CODES, spacy.blank("en").vocab)
    assert [token.text for token in doc] == ["ICD10CM/I50", "ICD9CM/V58", "[UNK]", "ICD10CM/I50", "ICD9CM/V58"]
    assert [len(visit) for visit in doc.sents] == [2, 1, 2]
    assert [token._.clinbert_visit for token in doc] == [1, 1, 2, 3, 3]
    assert [token._.clinbert_rank for token in doc] == [1, 2, 0, 0, 0]
    assert [token._.clinbert_day for token in doc] == [0, 0, 9, 31, 31]
    assert (doc._.clinbert_id, doc._.clinbert_birth, doc._.clinbert_sex) == ("7", "", "")
    assert doc.user_data["clinbert_first_admit"] == ""


@pytest.mark.parametrize("limit, visits", [(1, [1]), (2, [2]), (4, [1, 1, 2]), (5, [2, 1, 2]), (64, [2, 1, 2])])
def test_the_latest_codes_are_kept(limit, visits):
    doc = make_patient(ROW, CODES, spacy.blank("en").vocab, limit)
    assert [len(visit) for visit in doc.sents] == visits
    # Days still count from the patient's first visit.
    assert [token._.clinbert_day for token in doc] == ROW["day"][-limit:]


def test_what_knows_nothing_of_visits_has_the_values_for_unknown():
    register_extensions()
    doc = spacy.blank("en")("a plain text")
    assert [(token._.clinbert_visit, token._.clinbert_rank, token._.clinbert_day) for token in doc] == [(1, 0, 0)] * 3
    assert doc._.clinbert_id == ""


def test_the_reader_gives_visits_to_the_predicted_docs(folder):
    examples = read(folder)
    assert len(examples) > 30
    for example in examples:
        for doc in (example.predicted, example.reference):
            assert doc.has_annotation("SENT_START") and doc._.clinbert_id.startswith("s")
            assert len(doc.user_data["clinbert_ranks"]) == len(doc.user_data["clinbert_days"]) == len(doc)
        assert example.predicted.cats == {}
        number = int(example.predicted._.clinbert_id[1:])
        assert example.reference.cats == [{"dhf": 1.0}, {"dhf": 0.0}, {}][number % 3]
        assert example.predicted._.clinbert_birth == ("" if number % 2 else "1950-02-03")
        assert example.predicted.user_data["clinbert_first_admit"] == "2020-01-01"


def test_a_limit_and_other_labels(folder):
    examples = read(folder, "test", labels=["risk", "dhf"], limit=3)
    assert {len(example.predicted) for example in examples} == {3}
    assert all(0 <= example.reference.cats["risk"] < 1 for example in examples)
    assert all(example.reference.cats == {} for example in read(folder, "test", labels=[]))


def test_visits_survive_an_evaluation_and_a_docbin(folder):
    nlp = spacy.blank("en")
    seen = []

    @spacy.Language.component("see_visits")
    def see_visits(doc):
        seen.append([token._.clinbert_visit for token in doc])
        return doc

    nlp.add_pipe("see_visits")
    examples = read(folder)
    nlp.evaluate(examples)
    visits = [[token._.clinbert_visit for token in example.predicted] for example in examples]
    assert seen == visits and max(map(max, visits)) > 1
    stored = DocBin(store_user_data=True, docs=[example.reference for example in examples]).to_bytes()
    docs = list(DocBin().from_bytes(stored).get_docs(nlp.vocab))
    assert [[token._.clinbert_visit for token in doc] for doc in docs] == visits
    assert [doc._.clinbert_id for doc in docs] == [example.reference._.clinbert_id for example in examples]


def test_the_reader_streams(folder, monkeypatch):
    whole = [example.predicted.text for example in read(folder)]
    monkeypatch.setattr(patients_reader, "BATCH", 3)
    assert [example.predicted.text for example in read(folder)] == whole


@pytest.mark.parametrize("labels", [["nothing"], ["note"], ["rank"], None])
def test_a_column_that_is_no_label(folder, labels):
    with pytest.raises(ClinbertError, match=r"has no column (nothing|note|rank) of numbers"):
        read(folder, labels=labels)


def test_a_folder_that_is_not_whole(folder, tmp_path):
    with pytest.raises(ClinbertError, match=r"holds no manifest\.json"):
        read(tmp_path)
    run(tmp_path / "out", [event("s1", "v", "2020-01-01", "2020-01-02", "A")], shares=(1, 0, 0))
    with pytest.raises(ClinbertError, match="has no patients for valid"):
        read(tmp_path / "out", "valid")
    shard = tmp_path / "out" / "train-00000.parquet"
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(ClinbertError, match="is missing or damaged"):
        read(tmp_path / "out", labels=[])
