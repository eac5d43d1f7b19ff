import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora import i2b2_2010
from spacy_clinbert.corpora.records import Mention, Record, Relation
from spacy_clinbert.errors import ClinbertError

TEXT = 'BP 120/80 .\n Mr. Doe  denies\nchest pain and "aches" .\n'


def write_plain(folder: Path, con: str, text: str = TEXT, **others: str) -> Path:
    for kind, name, content in (("txt", "txt", text), ("concept", "con", con), *((k, k, v) for k, v in others.items())):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        (folder / kind / f"r1.{name}").write_bytes(content.encode("utf-8"))
    return folder


def load(folder: Path) -> Record:
    (entry,) = i2b2_2010.entries(folder)
    return entry.load()


def found(record: Record) -> list:
    return [(record.text[slice(*mention.fragments[0])], mention.label) for mention in record.mentions]


@pytest.mark.parametrize(
    "line, text",
    [
        ('c="bp" 1:0 1:0||t="test"', "BP"),
        ('c="mr. doe" 2:1 2:2||t="test"', "Mr. Doe"),  # the blank that starts the line is token 0
        ('c="mr. doe" 2:0 2:2||t="test"', "Mr. Doe"),
        ('c="doe denies" 2:2 2:3||t="test"', "Doe  denies"),  # blanks inside count once
        ('c="denies chest pain" 2:3 3:1||t="problem"', "denies\nchest pain"),
        ('c=""aches"" 3:3 3:3||t="problem"', '"aches"'),
        ('c="and "aches" 3:2 3:2" 3:2 3:3||t="problem"', 'and "aches"'),  # the last offsets are the offsets
    ],
)
def test_reads_a_line(line: str, text: str, tmp_path: Path) -> None:
    (mention,) = load(write_plain(tmp_path, line + "\n")).mentions
    assert TEXT[slice(*mention.fragments[0])] == text
    assert mention.id == "line 1"


def test_carriage_returns_and_blank_lines_do_not_matter(tmp_path: Path) -> None:
    text = TEXT.replace("\n", "\r\n")
    record = load(write_plain(tmp_path, 'c="chest pain" 3:0 3:1||t="problem"\r\n\r\n', text))
    assert record.text == text and found(record) == [("chest pain", "problem")] and record.sentences == 3


def test_assertions_and_relations(tmp_path: Path) -> None:
    con = 'c="bp" 1:0 1:0||t="test"\nc="chest pain" 3:0 3:1||t="problem"\n'
    record = load(
        write_plain(
            tmp_path,
            con,
            ast='c="chest pain" 3:0 3:1||t="problem"||a="absent"\nc="and" 3:2 3:2||t="problem"||a="present"\n',
            rel='c="bp" 1:0 1:0||r="TeRP"||c="chest pain" 3:0 3:1\nc="bp" 1:0 1:0||r="TeRP"||c="and" 3:2 3:2\n',
        )
    )
    assert [mention.assertion for mention in record.mentions] == ["", "absent"]
    assert record.relations == (Relation(0, 1, "TeRP"),)
    assert [(doubt.file, doubt.id) for doubt in record.doubts] == [("ast/r1.ast", "line 2"), ("rel/r1.rel", "line 2")]


def test_an_assertion_belongs_to_the_concept_of_its_type(tmp_path: Path) -> None:
    con = 'c="bp" 1:0 1:0||t="test"\nc="bp" 1:0 1:0||t="problem"\n'
    ast = 'c="bp" 1:0 1:0||t="problem"||a="absent"\nc="bp" 1:0 1:0||t="treatment"||a="absent"\n'
    record = load(write_plain(tmp_path, con, ast=ast))
    assert [(mention.label, mention.assertion) for mention in record.mentions] == [("test", ""), ("problem", "absent")]
    assert [doubt.id for doubt in record.doubts] == ["line 2"]


def test_a_byte_order_mark_is_no_part_of_a_line(tmp_path: Path) -> None:
    line = '\ufeffc="bp" 1:0 1:0||t="problem"'
    record = load(write_plain(tmp_path, f"{line}\n", ast=f'{line}||a="absent"\n'))
    assert [(mention.label, mention.assertion) for mention in record.mentions] == [("problem", "absent")]


def test_text_that_differs_is_kept_and_reported(tmp_path: Path) -> None:
    record = load(write_plain(tmp_path, 'c="chest pain" 3:1 3:2||t="problem"\n'))
    assert found(record) == [("pain and", "problem")]
    (doubt,) = record.doubts
    assert (doubt.file, doubt.id) == ("concept/r1.con", "line 1") and "chest" not in doubt.reason


@pytest.mark.parametrize(
    "con, message",
    [
        ('c="bp" 9:0 9:0||t="test"', "line 1: no tokens from 9:0 to 9:0 in the text"),
        ('\nc="bp" 1:0 1:7||t="test"', "line 2: no tokens from 1:0 to 1:7 in the text"),
        ('c="bp" 1:1 1:0||t="test"', "line 1: no tokens from 1:1 to 1:0 in the text"),
        ('c="bp" 0:0 0:0||t="test"', "line 1: no tokens from 0:0 to 0:0 in the text"),
        ('c="secret words" 1:0||t="test"', "line 1: not of the form"),
        (f'c="secret words" 1:0 1:{"9" * 5000}||t="test"', "line 1: not of the form"),
        ('c="bp" 1:0 1:0||t="test"||a="present"', "line 1: not of the form"),
    ],
)
def test_bad_lines_are_named_without_their_text(con: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=re.escape(message)) as caught:
        load(write_plain(tmp_path, con))
    assert "r1.con" in str(caught.value) and "secret" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["txt/r1.txt", "concept/r1.con"])
def test_missing_files_are_named(missing: str, tmp_path: Path) -> None:
    (write_plain(tmp_path, 'c="bp" 1:0 1:0||t="test"\n') / missing).unlink()
    with pytest.raises(ClinbertError, match=Path(missing).name):
        load(tmp_path)


@pytest.mark.parametrize("kind", ["ast", "rel"])
def test_a_link_to_nowhere_is_no_missing_file(kind: str, tmp_path: Path) -> None:
    folder = write_plain(tmp_path, "", **{kind: ""})
    (folder / kind / f"r1.{kind}").unlink()
    (folder / kind / f"r1.{kind}").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ClinbertError, match=rf"r1\.{kind}: No such file"):
        load(folder)


def test_latin_1_is_named_with_its_line(tmp_path: Path) -> None:
    write_plain(tmp_path, "")
    (tmp_path / "txt/r1.txt").write_bytes("one\ntwo\nMénière\n".encode("latin-1"))
    with pytest.raises(ClinbertError, match=r"r1\.txt, line 3: byte 0xE9 is not UTF-8"):
        load(tmp_path)


def test_released_layout(tmp_path: Path) -> None:
    record = Record("r1", TEXT, (Mention(((0, 2),), "test"),))
    for site in ("beth", "partners"):
        i2b2_2010.write([record], tmp_path / i2b2_2010.TRAIN / site)
    # Texts without annotation and the archive's leavings are no documents.
    (tmp_path / i2b2_2010.TRAIN / "partners/unannotated").mkdir()
    (tmp_path / i2b2_2010.TRAIN / "partners/unannotated/x.txt").write_text("x")
    (tmp_path / i2b2_2010.TRAIN / "beth/txt/._r1.txt").write_bytes(b"\xff")
    reference = tmp_path / i2b2_2010.REFERENCE
    i2b2_2010.write_record(record, tmp_path / i2b2_2010.TEST, reference / "concepts", reference)
    entries = list(i2b2_2010.entries(tmp_path))
    assert [(one.id, one.split) for one in entries] == [
        ("beth/r1", "train"),
        ("partners/r1", "train"),
        ("test/r1", "test"),
    ]
    assert [found(one.load()) for one in entries] == [[("BP", "test")]] * 3


def test_side_by_side(tmp_path: Path) -> None:
    i2b2_2010.write_record(Record("r1", TEXT, (Mention(((0, 2),), "test"),)), tmp_path, tmp_path, tmp_path / "other")
    assert found(load(tmp_path)) == [("BP", "test")]


@pytest.mark.parametrize("fragments", [((0, 1),), ((1, 2),), ((0, 2), (3, 9))])
def test_form_cannot_hold_what_is_no_token(fragments: tuple, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="whole tokens"):
        i2b2_2010.write([Record("r1", TEXT, (Mention(fragments, "test"),))], tmp_path)


blanks = st.text(" \t", min_size=1, max_size=3)
tokens = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=" "), min_size=1, max_size=6)
tricky = st.sampled_from(['"', "1:0", "2:1", "||", 't="problem"', "İ", "ẞ", "\u00a0", "\u2028", "Σ", "[**x", "c="])


@st.composite
def records(draw: st.DrawFn) -> Record:
    text, spans = "", []
    for _ in range(draw(st.integers(1, 4))):
        text += draw(st.sampled_from(["", "", " ", "\t  "]))
        for _ in range(draw(st.integers(0, 6))):
            token = draw(tokens | tricky)
            spans.append((len(text), len(text) + len(token)))
            text += token + draw(blanks)
        text += draw(st.sampled_from(["\n", "\r\n"]))
    mentions = []
    for _ in range(draw(st.integers(0, 5)) if spans else 0):
        first, last = sorted(draw(st.tuples(*[st.integers(0, len(spans) - 1)] * 2)))
        span = (spans[first][0], spans[last][1])
        # Assertions and relations name a concept by its place, so that two in one place cannot be told apart.
        if all(span != other.fragments[0] for other in mentions):
            label = draw(st.sampled_from(["problem", "treatment", "test"]))
            mentions.append(Mention((span,), label, assertion=draw(st.sampled_from(["", "present", "absent"]))))
    indices = st.integers(0, len(mentions) - 1)
    pairs = draw(st.lists(st.builds(Relation, indices, indices, st.just("PIP")), max_size=3)) if mentions else []
    return Record("r1", text, tuple(mentions), tuple(pairs))


@settings(max_examples=150)
@given(record=records())
def test_what_is_written_is_read_back(record: Record, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("corpus", numbered=True)
    i2b2_2010.write([record], folder)
    again = load(folder)
    assert again.text == record.text
    assert [one._replace(id="") for one in again.mentions] == list(record.mentions)
    assert again.relations == record.relations
    assert not again.doubts


def iob(record: Record) -> list:
    """Tokens and tags of a record, a line a sentence, from its characters alone."""
    tags, start = [], 0
    for line in record.text.split("\n"):
        for at in re.finditer("[^ ]+", line):
            inside = [one for one in record.mentions if one.fragments[0][0] <= start + at.start() < one.fragments[0][1]]
            begins = [one for one in inside if one.fragments[0][0] == start + at.start()]
            tags.append(f"{at[0]} {'B-' + begins[0].label if begins else 'I-' + inside[0].label if inside else 'O'}")
        start += len(line) + 1
    return tags


@pytest.mark.external
def test_spans_agree_with_the_published_conversion(shared: Path) -> None:
    folder = shared / "golden/clinicalbert_bio/random/i2b2_2010"
    entries = list(i2b2_2010.entries(folder))
    assert len(entries) == 60
    for entry in entries:
        expected = (folder / "iob" / f"{entry.id}.iob").read_text(encoding="utf-8").split("\n")
        assert iob(entry.load()) == [line for line in expected if line]


@pytest.mark.external
@pytest.mark.parametrize("sample, documents, mentions", [("i2b2_2010", 1, 6), ("cliner_i2b2_2010", 2, 59)])
def test_samples(sample: str, documents: int, mentions: int, shared: Path) -> None:
    read = [entry.load() for entry in i2b2_2010.entries(shared / "data/formats" / sample)]
    assert len(read) == documents and sum(len(record.mentions) for record in read) == mentions
    assert not [doubt for record in read for doubt in record.doubts]
