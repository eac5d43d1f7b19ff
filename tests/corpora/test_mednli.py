import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora import mednli
from spacy_clinbert.corpora.mednli import LABELS
from spacy_clinbert.corpora.records import LeftOut, Record
from spacy_clinbert.errors import ClinbertError

PAIR = {"sentence1": "secret fever .", "sentence2": "febrile", "gold_label": "entailment", "pairID": "p1"}


def write(folder: Path, *lines: object, name: str = "mli_train_v1.jsonl") -> Path:
    content = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    (folder / name).write_bytes(content)
    return folder


def record(premise: str, hypothesis: str, label: str, name: str = "p1") -> Record:
    text = f"{premise}\n{hypothesis}"
    parts = {"premise": (0, len(premise)), "hypothesis": (len(premise) + 1, len(text))}
    return Record(name, text, cats={one: float(one == label) for one in LABELS}, parts=parts)


@pytest.mark.parametrize("premise", ["Fever .", " a blank first", "two\nlines", "", 'quoted "x" \u2028 é', "\t"])
def test_a_pair_is_text_and_parts(premise: str, tmp_path: Path) -> None:
    (entry,) = mednli.entries(write(tmp_path, {**PAIR, "sentence1": premise, "sentence1_parse": "(ROOT)"}))
    found = entry.load()
    assert found.text == f"{premise}\nfebrile"
    assert {part: found.text[slice(*bounds)] for part, bounds in found.parts.items()} == {
        "premise": premise,
        "hypothesis": "febrile",
    }
    assert found.cats == {"entailment": 1.0, "contradiction": 0.0, "neutral": 0.0}
    assert (entry.id, found.id, found.annotations, found.sentences) == ("p1", "p1", "mli_train_v1.jsonl", 2)


def test_splits_are_the_files_and_pairs_of_a_premise_stay_together(tmp_path: Path) -> None:
    for split in ("train", "dev", "test"):
        write(tmp_path, PAIR, {**PAIR, "sentence1": "other"}, name=f"mli_{split}_v1.jsonl")
    entries = list(mednli.entries(tmp_path))
    assert [one.split for one in entries] == ["dev"] * 2 + ["test"] * 2 + ["train"] * 2
    assert entries[0].patient == entries[2].patient != entries[1].patient
    assert "secret" not in entries[0].patient


def test_repeated_and_missing_ids_are_told_apart_by_line(tmp_path: Path) -> None:
    without = {key: value for key, value in PAIR.items() if key != "pairID"}
    write(tmp_path, PAIR, b"", PAIR, without)
    names = [entry.id for entry in mednli.entries(tmp_path)]
    assert names == ["p1", "p1 (mli_train_v1.jsonl, line 3)", "mli_train_v1.jsonl, line 4"]
    assert [entry.load().id for entry in mednli.entries(tmp_path)] == names


def test_no_gold_label_is_left_out(tmp_path: Path) -> None:
    first, second = mednli.entries(write(tmp_path, {**PAIR, "gold_label": "-"}, {**PAIR, "pairID": "p2"}))
    with pytest.raises(LeftOut, match=r"mli_train_v1\.jsonl, line 1: no gold label"):
        first.load()
    assert second.load().id == "p2"


@pytest.mark.parametrize(
    "line, reason",
    [
        (b'{"sentence1": "secret', "column 15: no JSON"),
        (b'{"sentence1": ' + b"9" * 5000 + b"}", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'["secret"]', "no JSON object"),
        (b'{"sentence1": "secret \xe9"}', "byte 0xE9 is not UTF-8"),
        ({**PAIR, "sentence2": None}, "no text for 'sentence2'"),
        ({"sentence1": "secret", "gold_label": "neutral"}, "no text for 'sentence2'"),
        ({**PAIR, "sentence2": "\ud83d"}, "half a surrogate pair"),
        ({**PAIR, "gold_label": "secret"}, "'gold_label' is none of entailment"),
    ],
)
def test_a_bad_line_is_named_and_costs_only_itself(line: object, reason: str, tmp_path: Path) -> None:
    good, bad, last = mednli.entries(write(tmp_path, {**PAIR, "pairID": "p0"}, line, {**PAIR, "pairID": "p2"}))
    with pytest.raises(ClinbertError, match=reason) as caught:
        bad.load()
    assert "mli_train_v1.jsonl, line 2" in str(caught.value) and "secret" not in str(caught.value)
    assert not isinstance(caught.value, LeftOut)
    assert (good.load().id, last.load().id) == ("p0", "p2")


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (entry,) = mednli.entries(write(tmp_path, PAIR))
    assert entry.load().id == "p1"
    (tmp_path / "mli_train_v1.jsonl.gz").write_bytes(b"no gzip")
    (entry,) = mednli.entries(tmp_path / "mli_train_v1.jsonl.gz")
    with pytest.raises(ClinbertError, match="damaged"):
        entry.load()


@pytest.mark.parametrize(
    "bad",
    [
        Record("r", "a\nb", parts={"premise": (0, 1), "hypothesis": (2, 3)}, cats={"entailment": 1.0}),
        Record("r", "a\nb", parts={"premise": (0, 1), "hypothesis": (2, 3)}, cats=dict.fromkeys(LABELS, 1.0)),
        Record("r", "a\nb", parts={"premise": (0, 1)}, cats=record("a", "b", "neutral").cats),
        Record("r", "a b", parts={"premise": (0, 1), "hypothesis": (2, 3)}),
        Record("r", "ab"),
    ],
)
def test_what_the_form_cannot_hold(bad: Record, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="r: MedNLI holds"):
        mednli.write([bad], tmp_path)


sentences = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=60)
@given(pairs=st.lists(st.tuples(sentences, sentences, st.sampled_from(LABELS)), max_size=5))
def test_what_is_written_is_read_back(pairs: list, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("mednli")
    records = [record(*pair, name=f"p{number}") for number, pair in enumerate(pairs)]
    mednli.write(records, folder)
    read = [entry.load() for entry in mednli.entries(folder)]
    assert [(one.id, one.text, one.cats, one.parts) for one in read] == [
        (one.id, one.text, one.cats, one.parts) for one in records
    ]


@pytest.mark.external
def test_the_sample(shared: Path) -> None:
    folder = shared / "data/formats/mednli"
    rows = [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.open(encoding="utf-8")]
    read = [entry.load() for entry in mednli.entries(folder)]
    assert len(read) == len(rows) > 0
    for row, one in zip(rows, read, strict=True):
        assert one.text == f"{row['sentence1']}\n{row['sentence2']}" and one.cats[row["gold_label"]] == 1.0
