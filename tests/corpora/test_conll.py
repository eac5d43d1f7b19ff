import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora import conll
from spacy_clinbert.corpora.paper_lines import tag
from spacy_clinbert.corpora.records import LeftOut, Mention, Record
from spacy_clinbert.errors import ClinbertError


def load(folder: Path, content: str, name: str = "train.tsv") -> list:
    (folder / name).write_bytes(content.encode())
    return [entry.load() for entry in conll.entries(folder)]


def found(record: Record) -> list:
    return [(record.text[slice(*one.fragments[0])], one.label) for one in record.mentions]


# Written with | for the separator of the columns and / for the end of a line.
@pytest.mark.parametrize("separator", ["\t", " "])
@pytest.mark.parametrize(
    "lines, mentions, doubts",
    [
        ("a|B-X/b|I-X/c|O/d|B-Y", ["a b X", "d Y"], []),
        ("a|B-X/b|B-X/c|I-X", ["a X", "b c X"], []),
        ("a|B-X/b|I-Y/c|O", ["a X", "b Y"], ["line 2"]),  # IOB2: the type changes
        ("a|B-X/b|O/c|I-X/d|I-X", ["a X", "c d X"], ["line 3"]),  # IOB2: nothing is continued
        ("a|B-X//b|I-X", ["a X", "b X"], ["line 3"]),  # no mention runs over a sentence end
        ("a|I-X/b|I-X/c|O/d|I-Y", ["a b X", "d Y"], []),  # IOB1
        ("a|I-X/b|B-X/c|I-Y", ["a X", "b X", "c Y"], []),  # IOB1: B behind another of its type
        ("a|S-X/b|B-X/c|I-X/d|E-X/e|O", ["a X", "b c d X"], []),
        ("a|U-X/b|B-X/c|L-X/d|B-Y/e|L-Y", ["a X", "b c X", "d e Y"], []),
        ("a|B-X/b|E-X/c|I-X", ["a b X", "c X"], ["line 3"]),  # the mention has ended
        ("a|B/b|I/c|O/d|B", ["a b entity", "d entity"], []),
        ("a|NN|B-NP|B-X/b|VB|B-VP|O/c|NN|B-NP|O", ["a X"], []),  # chunks are no mentions
        ("a|B-X|MESH:1/b|I-X|MESH:1/c|O|-", ["a b X"], []),  # what follows the tags is not looked at
        ("a|B-Multi-tissue_structure/b|O", ["a Multi-tissue_structure"], []),
    ],
)
def test_tags(lines: str, mentions: list, doubts: list, separator: str, tmp_path: Path) -> None:
    content = f"-DOCSTART-|O//{lines}".replace("|", separator).replace("/", "\n")
    (record,) = load(tmp_path, content)
    assert [" ".join(one) for one in found(record)] == mentions
    assert [doubt.id for doubt in record.doubts] == [f"line {int(one[5:]) + 2}" for one in doubts]
    assert all(doubt.file == "train.tsv" for doubt in record.doubts)


def test_without_docstart_a_sentence_is_a_document(tmp_path: Path) -> None:
    first, second = load(tmp_path, "\n\na\tO\nb\tB-X\n \n\t\n\nc\tO\n")
    assert (first.id, first.text, second.id, second.text) == ("train/1", "a b", "train/2", "c")
    assert first.sentences == 1 and first.mentions == (Mention(((2, 3),), "X", "line 4"),)


def test_docstart_begins_a_document(tmp_path: Path) -> None:
    content = "before O\n\n-DOCSTART- -X- O O\n\na O\nb I-X\n\n\nc I-X\n-DOCSTART-\n-DOCSTART-\nd O\n"
    records = load(tmp_path, content, "eng.testa.conll")
    assert [(one.text, one.sentences) for one in records] == [("before", 1), ("a b\nc", 2), ("", 0), ("d", 1)]
    assert found(records[1]) == [("b", "X"), ("c", "X")] and not records[1].doubts


@pytest.mark.parametrize("token", ["two words", " ", "\u00a0", "\u2028", "\x0c", "a\r", "#", "I-X", "''"])
def test_a_token_is_kept_exactly(token: str, tmp_path: Path) -> None:
    (record,) = load(tmp_path, f"a\tO\r\n{token}\tB-X\r\nb\tO\r\n")
    assert record.text == f"a {token} b" and found(record) == [(token, "X")]


def test_an_empty_token_is_left_out_and_reported(tmp_path: Path) -> None:
    (record,) = load(tmp_path, "a\tB-X\n\tI-X\nb\tI-X\n")
    assert record.text == "a b" and found(record) == [("a b", "X")]
    assert [(doubt.id, doubt.reason) for doubt in record.doubts] == [("line 2", "left out: its token is empty")]


def test_splits_packed_files_and_folders(tmp_path: Path) -> None:
    for name in ("train.tsv.gz", "devel.iob.gz", "sub/test.bio.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(gzip.compress(b"a O\n\nb O\n"))
    assert [(one.id, one.split) for one in conll.entries(tmp_path)] == [
        ("devel/1", "dev"),
        ("devel/2", "dev"),
        ("sub/test/1", "test"),
        ("sub/test/2", "test"),
        ("train/1", "train"),
        ("train/2", "train"),
    ]
    assert [one.split for one in conll.entries(tmp_path / "devel.iob.gz")] == ["dev", "dev"]


def test_a_file_that_holds_two_others_again_is_left_out(tmp_path: Path) -> None:
    for name in ("train", "train_dev", "devel"):
        (tmp_path / f"{name}.tsv").write_text("a\tO\n")
    devel, train, again = conll.entries(tmp_path)
    with pytest.raises(LeftOut, match=r"train_dev\.tsv: holds train and dev again"):
        again.load()
    assert (devel.load().text, train.load().text) == ("a", "a")
    # Without the others, nothing is held twice.
    (tmp_path / "devel.tsv").unlink()
    assert [one.load().text for one in conll.entries(tmp_path)] == ["a", "a"]


def test_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("train.tsv", "train.txt"):
        (tmp_path / name).write_text("a\tO\n")
    with pytest.raises(ClinbertError, match=r"train\.txt: train\.tsv has the same name"):
        list(conll.entries(tmp_path))


@pytest.mark.parametrize(
    "line, reason",
    [
        ("secret", "line 5: no tag in column 2"),
        ("secret\tX-Y", "line 5: no tag in column 2"),
        ("secret\tB_Y", "line 5: no tag in column 2"),
        ("secret \udce9\tO", "line 5: byte 0xE9 is not UTF-8"),
    ],
)
def test_a_bad_line_is_named_and_costs_only_its_document(line: str, reason: str, tmp_path: Path) -> None:
    content = f"a\tO\nb\tB-X\n\nc\tO\n{line}\n\nd\tO\n"
    (tmp_path / "train.tsv").write_bytes(content.encode(errors="surrogateescape"))
    good, bad, last = conll.entries(tmp_path)
    with pytest.raises(ClinbertError, match=reason) as caught:
        bad.load()
    assert "train.tsv" in str(caught.value) and "secret" not in str(caught.value)
    assert (good.load().text, last.load().text) == ("a b", "d")


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"secret\nwords\n", "has no column of IOB tags"),
        (b"secret NN\nwords NN\n", "has no column of IOB tags"),
        (gzip.compress(b"a O\n" * 100, mtime=0)[:-12], "damaged"),
        (b"a O\n", "damaged"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_entry(content: bytes, reason: str, tmp_path: Path) -> None:
    packed = reason == "damaged"
    (tmp_path / f"train.tsv{'.gz' * packed}").write_bytes(content)
    (entry,) = conll.entries(tmp_path)
    assert entry.id.startswith("train.tsv")
    with pytest.raises(ClinbertError, match=reason) as caught:
        entry.load()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text, mentions",
    [
        ("a  b", []),
        ("a\n\nb", []),
        (" a", []),
        ("a\n", []),
        ("a\tb", []),
        ("a -DOCSTART- b", []),
        ("ab cd", [((0, 1), "X")]),
        ("ab cd", [((1, 2), "X")]),
        ("ab\ncd", [((0, 5), "X")]),
        ("ab cd", [((0, 5), "X"), ((3, 5), "Y")]),
        ("ab cd", [((2, 2), "X")]),
        ("ab cd", [((0, 2), " X")]),
        ("ab cd", [((0, 2), "")]),
        ("ab cd", [((0, 2), "X\tY")]),
    ],
)
def test_what_the_form_cannot_hold(text: str, mentions: list, tmp_path: Path) -> None:
    record = Record("r", text, tuple(Mention((span,), label) for span, label in mentions))
    with pytest.raises(ClinbertError, match="CoNLL holds"):
        conll.write([record], tmp_path)


def test_fragments_cannot_be_held(tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="r, mention 0-1: CoNLL holds"):
        conll.write([Record("r", "a b c", (Mention(((0, 1), (4, 5)), "X"),))], tmp_path)


tokens = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=" \t\n"), min_size=1, max_size=5)
tricky = st.sampled_from(["O", "B-X", "I", "\r", "\u00a0", "\u2028", "\x0b", "-DOCSTART", "é", "\ufeff"])
labels = st.sampled_from(["X", "Y", "Sign or Symptom", "a|b", "X-Y"])


@st.composite
def records(draw: st.DrawFn) -> Record:
    lines = draw(st.lists(st.lists(tokens.filter(lambda t: "-DOCSTART-" not in t) | tricky, min_size=1), max_size=4))
    mentions, start = [], 0
    for line in lines:
        free = 0
        for first, token in enumerate(line):
            if first >= free and draw(st.booleans()):
                free = draw(st.integers(first + 1, len(line)))
                end = start + sum(map(len, line[first:free])) + free - first - 1
                mentions.append(Mention(((start, end),), draw(labels)))
            start += len(token) + 1
    return Record("r", "\n".join(" ".join(line) for line in lines), tuple(mentions))


@settings(max_examples=80)
@given(written=st.lists(records(), max_size=3))
def test_what_is_written_is_read_back(written: list, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("conll")
    conll.write(written, folder)
    read = [entry.load() for entry in conll.entries(folder)]
    assert [(one.text, [m._replace(id="") for m in one.mentions], one.doubts) for one in read] == [
        (one.text, list(one.mentions), ()) for one in written
    ]
    # The papers' lines are the file's own lines.
    for one in read:
        lines = conll.FORMAT.paper_lines(one.text, one.mentions) if one.text else []
        again = [[(one.text[a:b], label) for a, b, label in line] for line in tag(lines, one.mentions)]
        assert again == list(conll.tagged(one))


@pytest.mark.external
@pytest.mark.parametrize("corpus", ["ncbi_disease", "bc5cdr"])
def test_open_corpora(corpus: str, shared: Path) -> None:
    read: dict = {"train": [], "dev": [], "test": []}
    for entry in conll.entries(shared / "data/ner" / corpus):
        read[entry.split].append(entry.load())
    for split, name in (("train", "train"), ("dev", "devel"), ("test", "test")):
        with gzip.open(shared / f"data/ner/{corpus}/{name}.tsv.gz", "rt", encoding="utf-8") as file:
            sentences = [block.split("\n") for block in re.split("\n{2,}", file.read().strip("\n"))]
        assert len(sentences) == len(read[split])
        for lines, record in zip(sentences, read[split], strict=True):
            words, tags = zip(*(line.split("\t") for line in lines), strict=True)
            assert record.text == " ".join(words) and not record.doubts
            # Each mention's words, picked from the tags by a regular expression.
            marks = "".join(one[0] for one in tags)
            expected = [(" ".join(words[m.start() : m.end()]), tags[m.start()][2:]) for m in re.finditer("BI*", marks)]
            assert found(record) == expected


@pytest.mark.external
def test_golden_files_of_the_papers_come_back(shared: Path) -> None:
    paths = sorted((shared / "golden/clinicalbert_bio").rglob("*.bio"))
    assert paths
    for path in paths:
        blocks = [block.split("\n") for block in path.read_text(encoding="utf-8").split("\n\n")]
        sentences = [[line.split() for line in block if line.strip()] for block in blocks]
        read = [entry.load() for entry in conll.entries(path)]
        written = [sentence for record in read for sentence in conll.tagged(record)]
        assert [[token for token, _ in sentence] for sentence in written] == [
            [row[0] for row in sentence] for sentence in sentences if sentence
        ]
