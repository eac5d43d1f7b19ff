import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora import pubmed_rct
from spacy_clinbert.corpora.pubmed_rct import LABELS
from spacy_clinbert.corpora.records import Record
from spacy_clinbert.errors import ClinbertError

TEXT = "###11\nMETHODS\tWe asked @ .\nRESULTS\t ( P < @ )\tx \n\n###22\nCONCLUSIONS\tMore .\n"


def sentence(name: str, text: str, label: str) -> Record:
    return Record(name, text, cats={one: float(one == label) for one in LABELS})


def read(folder: Path) -> list:
    return [
        (one.id, one.text, [label for label, value in one.cats.items() if value])
        for one in (entry.load() for entry in pubmed_rct.entries(folder))
    ]


@pytest.mark.parametrize(
    "text", [TEXT, TEXT.replace("\n", "\r\n"), "\ufeff" + TEXT, TEXT.replace("\n\n", "\n\n \n\n"), TEXT.rstrip("\n")]
)
def test_sentences_of_abstracts(text: str, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_bytes(text.encode())
    (tmp_path / "README.txt").write_text("no corpus")
    assert read(tmp_path) == [
        ("11/1", "We asked @ .", ["METHODS"]),
        ("11/2", " ( P < @ )\tx ", ["RESULTS"]),
        ("22/1", "More .", ["CONCLUSIONS"]),
    ]


def test_files_are_splits_and_abstracts_stay_whole(tmp_path: Path) -> None:
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.txt").write_text(TEXT.replace("11", f"{split}-1"))
    found = [(one.id, one.split, one.patient) for one in pubmed_rct.entries(tmp_path)]
    assert found[:2] == [("dev-1/1", "dev", "dev-1"), ("dev-1/2", "dev", "dev-1")]
    # An abstract that occurs again is told apart, but is still the same abstract.
    assert [(name, patient) for name, _, patient in found if patient == "22"] == [
        ("22/1", "22"),
        ("22 (test.txt, line 5)/1", "22"),
        ("22 (train.txt, line 5)/1", "22"),
    ]


@pytest.mark.parametrize(
    "line, reason",
    [
        (b"secret words", "not of the form LABEL<tab>sentence"),
        (b"SECRET\tsecret", "label is none of BACKGROUND"),
        (b"METHODS\tsecret \xe9", "byte 0xE9 is not UTF-8"),
        (b"\nMETHODS\tsecret", "belongs to no abstract"),
    ],
)
def test_a_bad_line_is_named_and_costs_only_itself(line: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_bytes(b"###1\nMETHODS\tone\n" + line + b"\n\n###2\nMETHODS\ttwo\n")
    good, bad, last = pubmed_rct.entries(tmp_path)
    with pytest.raises(ClinbertError, match=reason) as caught:
        bad.load()
    place = 3 + line.count(b"\n")
    assert f"train.txt, line {place}:" in str(caught.value) and "secret" not in str(caught.value).lower()
    assert (good.load().text, last.load().text) == ("one", "two")


def test_entries_are_a_stream(tmp_path: Path) -> None:
    with (tmp_path / "train.txt").open("w") as file:
        for number in range(5_000):
            file.write(f"###{number}\n" + "METHODS\tPatients were randomised to one of two arms .\n" * 8 + "\n")
    tracemalloc.start()
    count = sum(bool(entry.load().text) for entry in pubmed_rct.entries(tmp_path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The names of the abstracts are kept, the 2 MB of sentences are not.
    assert count == 40_000 and peak < 1_500_000


@pytest.mark.parametrize(
    "records",
    [
        [sentence("1/2", "a", "METHODS")],
        [sentence("1/1", "a", "METHODS"), sentence("2/2", "a", "METHODS")],
        [sentence("1/1", "a", "METHODS"), sentence("1/3", "a", "METHODS")],
        [sentence("a b/1", "a", "METHODS")],
        [sentence("/1", "a", "METHODS")],
        [sentence("1", "a", "METHODS")],
        [sentence("1/1", "a\nb", "METHODS")],
        [sentence("1/1", "a\r", "METHODS")],
        [sentence("1/1", "a", "OTHER")],
        [Record("1/1", "a")],
    ],
)
def test_what_the_form_cannot_hold(records: list, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="PubMed RCT"):
        pubmed_rct.write(records, tmp_path)


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), max_size=30)


@settings(max_examples=60)
@given(abstracts=st.lists(st.lists(st.tuples(texts, st.sampled_from(LABELS)), min_size=1, max_size=4), max_size=4))
def test_what_is_written_is_read_back(abstracts: list, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("rct")
    records = [
        sentence(f"{name}/{number}", *one)
        for name, abstract in enumerate(abstracts)
        for number, one in enumerate(abstract, start=1)
    ]
    pubmed_rct.write(records, folder)
    again = [entry.load() for entry in pubmed_rct.entries(folder)]
    assert [(one.id, one.text, one.cats) for one in again] == [(one.id, one.text, one.cats) for one in records]


@pytest.mark.external
def test_the_sample(shared: Path) -> None:
    folder = shared / "data/formats/pubmed_rct"
    lines = (folder / "train.txt").read_text(encoding="utf-8").splitlines()
    assert [(*labels, text) for _, text, labels in read(folder)] == [
        tuple(line.split("\t")) for line in lines if "\t" in line
    ]
