import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc, DocBin

from spacy_clinbert.corpora import i2b2_2010
from spacy_clinbert.corpora.catalogue import find_format
from spacy_clinbert.corpora.convert import CONTENTS, LABELS, OPENED, REJECTED, REPORT, Conversion, Report, convert
from spacy_clinbert.corpora.docs import make_doc
from spacy_clinbert.corpora.records import Mention, Record, Relation
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.output import whole_folder
from spacy_clinbert.synthetic.i2b2_2010 import make_record, write_i2b2_2010

NLP = spacy.blank("en")
FORMAT = find_format("i2b2_2010")


def run(source: Path, out: Path, **options: Any) -> Report:
    return convert(Conversion(FORMAT, source, **options), out, NLP.tokenizer)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic")
    write_i2b2_2010(folder, (make_record(number, 0) for number in range(1, 41)))
    return folder


def plain(folder: Path, texts: dict) -> Path:
    i2b2_2010.write([Record(name, text, (Mention(((0, 2),), "test"),)) for name, text in texts.items()], folder)
    return folder


def docs(path: Path) -> list[Doc]:
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def bytes_of(folder: Path) -> dict:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_mentions_are_placed_and_the_rest_is_reported() -> None:
    text = "Chest pain and 40mg/day of Lasix today"
    mentions = (
        Mention(((0, 10),), "problem", "line 1", "present"),
        Mention(((6, 10),), "problem", "line 2"),  # inside the first
        Mention(((0, 10),), "problem", "line 3"),  # the same again
        Mention(((28, 32),), "treatment", "line 4"),  # in the middle of a token
        Mention(((0, 5), (27, 32)), "problem", "line 5"),  # two pieces
        Mention(((27, 32),), "treatment", "line 6"),
    )
    record = Record("r1", text, mentions, (Relation(5, 0, "TrAP"),), 1, "r1.con")
    doc, rejected = make_doc(record, NLP.tokenizer, FORMAT)
    assert doc.text == text
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Chest pain", "problem"), ("Lasix", "treatment")]
    assert [span.text for span in doc.spans["clinbert_gold"]] == ["Chest pain", "pain", "Chest pain", "Lasix"]
    assert {one.id: one.reason for one in rejected} == {
        "line 2": "overlaps another mention",
        "line 3": "overlaps another mention",
        "line 4": "starts or ends inside a token",
        "line 5": "consists of fragments",
    }
    (back,) = DocBin(docs=[doc], store_user_data=True).get_docs(NLP.vocab)
    assert (
        doc.user_data
        == back.user_data
        == {
            "clinbert_id": "r1",
            "clinbert_format": "i2b2_2010",
            "clinbert_gold": tuple((one.fragments, one.label) for one in mentions),
            "clinbert_assertions": ("present", "", "", "", "", ""),
            "clinbert_relations": ((5, 0, "TrAP"),),
        }
    )


def test_splits_hold_each_document_once_with_its_exact_text(corpus: Path, tmp_path: Path) -> None:
    report = run(corpus, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("train.spacy", "dev.spacy", "test.spacy"),
        *(LABELS, REPORT, REJECTED),
    }
    splits = {split: docs(tmp_path / f"out/{split}.spacy") for split in ("train", "dev", "test")}
    records = {entry.id: entry.load() for entry in i2b2_2010.entries(corpus)}
    seen = [doc.user_data["clinbert_id"] for split in splits.values() for doc in split]
    assert sorted(seen) == sorted(records)
    assert {doc.user_data["clinbert_id"].partition("/")[0] for doc in splits["test"]} == {"test"}
    assert len(splits["dev"]) == 3 and len(splits["test"]) == 10
    for split, members in splits.items():
        read = [records[doc.user_data["clinbert_id"]] for doc in members]
        assert [doc.text for doc in members] == [record.text for record in read]
        assert report.splits[split].sentences == sum(record.sentences for record in read) > 0
        assert sum(report.splits[split].mentions.values()) == sum(len(record.mentions) for record in read)
        placed = sum(len(doc.ents) for doc in members)
        assert placed + report.splits[split].not_placed == sum(report.splits[split].mentions.values())
    assert json.loads((tmp_path / "out" / LABELS).read_text()) == ["problem", "test", "treatment"]
    written = json.loads((tmp_path / "out" / REPORT).read_text())
    assert written["splits"]["dev"]["documents"] == 3 and written["warnings"] == []


def test_same_seed_same_bytes(corpus: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(corpus, tmp_path / name, seed=seed)
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")
    drawn = [{doc.user_data["clinbert_id"] for doc in docs(tmp_path / name / "dev.spacy")} for name in "ac"]
    assert drawn[0] != drawn[1]


def test_a_split_that_is_not_there_is_not_invented(tmp_path: Path) -> None:
    source = plain(tmp_path / "corpus", {"a": "BP low .", "b": "HR high ."})
    report = run(source, tmp_path / "out")
    assert set(report.splits) == {"train", "dev"} and report.warnings == ["the corpus has no test documents"]
    assert not (tmp_path / "out/test.spacy").exists()


def test_a_label_that_train_lacks_is_named(tmp_path: Path) -> None:
    for folder, label in ((i2b2_2010.TRAIN + "/beth", "test"), (i2b2_2010.TEST, "rare")):
        record = Record("a", "BP low .", (Mention(((0, 2),), label),))
        gold = tmp_path / "full" / (i2b2_2010.REFERENCE if label == "rare" else folder)
        texts = tmp_path / "full" / folder / ("" if label == "rare" else "txt")
        i2b2_2010.write_record(record, texts, gold / "concept", gold)
    report = run(tmp_path / "full", tmp_path / "out")
    assert "label 'rare' of test does not occur in train" in report.warnings
    assert json.loads((tmp_path / "out" / LABELS).read_text()) == ["test"]


def break_missing(source: Path) -> None:
    (source / "concept/b.con").unlink()


def break_line(source: Path) -> None:
    (source / "concept/b.con").write_text('c="hr" 7:0 7:0||t="test"\n')


def break_bytes(source: Path) -> None:
    (source / "txt/b.txt").write_bytes(b"HR h\xefgh .")


@pytest.mark.parametrize("fault", [break_missing, break_line, break_bytes])
def test_a_fault_leaves_no_output_or_is_listed(fault: Callable[[Path], None], tmp_path: Path) -> None:
    source = plain(tmp_path / "corpus", {"a": "BP low .", "b": "HR high .", "c": "BP fine ."})
    fault(source)
    before = set(tmp_path.iterdir())
    with pytest.raises(ClinbertError, match=r"b\.(con|txt)"):
        run(source, tmp_path / "out")
    assert set(tmp_path.iterdir()) == before
    report = run(source, tmp_path / "out", keep_going=True)
    (listed,) = lines(tmp_path / "out" / REJECTED)
    assert (listed["kind"], listed["id"]) == ("document", "b") and "HR" not in listed["reason"]
    assert report.rejected == {"document": 1} and sum(split.documents for split in report.splits.values()) == 2


def test_an_error_keeps_the_earlier_output(tmp_path: Path) -> None:
    source = plain(tmp_path / "corpus", {"a": "BP low .", "b": "HR high ."})
    run(source, tmp_path / "out")
    before = bytes_of(tmp_path / "out")
    break_line(source)
    with pytest.raises(ClinbertError):
        run(source, tmp_path / "out")
    assert bytes_of(tmp_path / "out") == before
    # A later conversion without a test split leaves no earlier one behind.
    (tmp_path / "out/test.spacy").write_bytes(b"old")
    run(source, tmp_path / "out", keep_going=True)
    assert not (tmp_path / "out/test.spacy").exists()


@pytest.mark.parametrize("keep_going", [False, True])
def test_an_empty_corpus_is_an_error(keep_going: bool, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    with pytest.raises(ClinbertError, match="no documents"):
        run(tmp_path / "corpus", tmp_path / "out", keep_going=keep_going)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="no such folder"):
        run(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(ClinbertError, match="no format 'i2b2_2011': choose one of"):
        find_format("i2b2_2011")


def test_other_files_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.tex").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("out", "file"):
        with pytest.raises(ClinbertError, match=name), whole_folder(tmp_path / name, CONTENTS):
            pass
    assert (tmp_path / "out/thesis.tex").read_text() == (tmp_path / "file").read_text() == "mine"


def test_how_often_the_test_set_was_opened_is_not_forgotten(tmp_path: Path) -> None:
    source = plain(tmp_path / "corpus", {"a": "BP low .", "b": "HR high ."})
    run(source, tmp_path / "out")
    (tmp_path / "out" / OPENED).write_text("[]")
    run(source, tmp_path / "out")
    assert (tmp_path / "out" / OPENED).read_text() == "[]"


def test_a_layer_that_no_mention_is_of_is_an_error(tmp_path: Path) -> None:
    source = plain(tmp_path / "corpus", {"a": "BP low .", "b": "HR high ."})
    with pytest.raises(ClinbertError, match="no mention is of the layer 'tests': choose a label of the corpus"):
        run(source, tmp_path / "out", layer="tests")
    assert not (tmp_path / "out").exists()


def test_a_text_longer_than_spacy_takes_by_default() -> None:
    record = Record("a", "word " * (NLP.max_length // 5 + 1), (Mention(((0, 4),), "test"),))
    doc, rejected = make_doc(record, NLP.tokenizer, FORMAT)
    assert len(doc.text) > NLP.max_length and len(doc.ents) == 1 and not rejected
