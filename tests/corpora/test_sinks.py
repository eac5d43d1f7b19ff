from dataclasses import replace
from pathlib import Path

import pytest
import spacy

from spacy_clinbert.components.tokenizer import tokenizer_of
from spacy_clinbert.corpora import i2b2_2010
from spacy_clinbert.corpora.catalogue import find_format
from spacy_clinbert.corpora.convert import Conversion, convert
from spacy_clinbert.corpora.records import Mention, Record
from spacy_clinbert.corpora.sinks import TagFiles
from spacy_clinbert.errors import ClinbertError

TOKENIZER = tokenizer_of("en")
FORMAT = find_format("i2b2_2010")
TEXT = "Seen by [**Name 3**] today .\n\n BP  low ,\nno fever .\n"
BP = Mention(((TEXT.index("BP"), TEXT.index("BP") + 7),), "problem")
OVER_LINES = Mention(((TEXT.index(", "[0]), TEXT.index("no") + 2),), "test")


def write(source: Path) -> None:
    i2b2_2010.write([Record("a", TEXT, (BP, OVER_LINES)), Record("b", "HR high .\n" * 177)], source)


@pytest.mark.parametrize(
    "tokens, first, second",
    [
        ("pipeline", "Seen\tO\nby\tO\n[**Name 3**]\tO\ntoday\tO\n.\tO", "BP\tB-problem\nlow\tI-problem\n,\tB-test"),
        ("paper", "Seen O\nby O\n[**Name O\n3**] O\ntoday O\n. O", "BP B-problem\nlow I-problem\n, B-test"),
    ],
)
def test_a_token_and_its_tag_a_line(tokens: str, first: str, second: str, tmp_path: Path) -> None:
    write(tmp_path / "in")
    convert(Conversion(FORMAT, tmp_path / "in", split="shipped", tokens=tokens), tmp_path / "out", TOKENIZER)
    sentences = (tmp_path / "out/train.iob").read_text().split("\n\n")
    assert sentences[:2] == [first, second]
    # A mention over a line end stays one.
    assert sentences[2].split("\n")[0].split()[-1] == "I-test"
    assert len(sentences) == 3 + 177 + 1 and sentences[-1] == ""


def test_the_papers_split_takes_sentences_out_of_documents(tmp_path: Path) -> None:
    write(tmp_path / "in")
    report = convert(Conversion(FORMAT, tmp_path / "in", split="paper"), tmp_path / "out", TOKENIZER)
    assert {split: counts.documents for split, counts in report.splits.items()} == {"train": 160, "dev": 20}
    assert "dev leaks across documents" in report.dev and "dev leaks across documents" in report.warnings
    rejected = (tmp_path / "out/convert.rejected.jsonl").read_text()
    assert '"id": "line 2", "reason": "cut in two where its line ends"' in rejected
    bins = [spacy.tokens.DocBin().from_disk(tmp_path / f"out/{split}.spacy") for split in ("train", "dev")]
    docs = {doc.user_data["clinbert_id"]: doc for one in bins for doc in one.get_docs(spacy.blank("en").vocab)}
    assert len(docs) == 180 and docs["a#2"].text == "BP  low ," and docs["a#3"].text == "no fever ."
    assert [(ent.text, ent.label_) for ent in docs["a#2"].ents] == [("BP  low", "problem"), (",", "test")]
    assert [(ent.text, ent.label_) for ent in docs["a#3"].ents] == [("no", "test")]


@pytest.mark.external
@pytest.mark.parametrize(
    "form, folder", [("i2b2_2006", ""), ("i2b2_2010", "iob"), ("i2b2_2012", "iob"), ("i2b2_2014", "iob")]
)
def test_the_papers_files_exactly(form: str, folder: str, shared: Path, tmp_path: Path) -> None:
    golden = shared / "golden" / "clinicalbert_bio" / "random" / form
    source = golden / "xml" if (golden / "xml").is_dir() else golden
    job = Conversion(find_format(form), source, split="shipped", tokens="paper")
    convert(job, tmp_path / "out", TOKENIZER)
    expected = [path.read_text().strip("\n") for path in sorted((golden / folder).glob("*.iob"))]
    assert (tmp_path / "out/train.iob").read_text().strip("\n") == "\n\n".join(expected)


def test_what_the_papers_tags_do_not_hold_is_listed(tmp_path: Path) -> None:
    record = Record("a", "BP low and 40mg/day", (), annotations="a.ann")
    mentions = [
        Mention(((0, 6),), "X", "whole"),
        Mention(((3, 6),), "Y", "inside, and later"),
        Mention(((0, 2), (7, 10)), "X", "fragments"),
        Mention(((11, 15),), "X", "a part of a token"),
    ]
    for form, held in (("i2b2_2010", {"inside, and later"}), ("brat", {"inside, and later", "a part of a token"})):
        with TagFiles(tmp_path, find_format(form), TOKENIZER, "paper") as files:
            rejected = files.add("train", replace(record, mentions=tuple(mentions)))
        assert {one.id for one in rejected} == {one.id for one in mentions} - held
        assert {(one.file, one.reason) for one in rejected} == {
            ("a.ann", "the papers' tags do not hold it as annotated")
        }


def test_a_placeholder_over_a_line_end_stays_on_its_line(tmp_path: Path) -> None:
    with TagFiles(tmp_path, FORMAT, TOKENIZER, "pipeline") as files:
        files.add("train", Record("a", "by [**First Name8\n(NamePattern2) **] now\n"))
    assert (tmp_path / "train.iob").read_text() == "by\tO\n[**First Name8 (NamePattern2) **]\tO\nnow\tO\n\n"


@pytest.mark.parametrize("tokens", ["pipeline", "paper"])
def test_categories_are_no_tags(tokens: str, tmp_path: Path) -> None:
    with (
        TagFiles(tmp_path, FORMAT, TOKENIZER, tokens) as files,
        pytest.raises(ClinbertError, match="has categories"),
    ):
        files.add("train", Record("a", "BP low", cats={"Asthma": 1.0}))
