import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora import semclinbr
from spacy_clinbert.corpora.paper_lines import tag
from spacy_clinbert.corpora.records import Mention, Record, Relation
from spacy_clinbert.corpora.semclinbr import Annotation
from spacy_clinbert.errors import ClinbertError

TEXT = "HAS E DM.\nNEGA DOR TORACICA.\nTAX 35,7ºC SATO2 < 90%"
WINDOWS = TEXT.replace("\n", "\r\n")


def write_file(folder: Path, text: str, *annotations: Annotation, relations: tuple = ()) -> Path:
    semclinbr.write_document(folder / "8906.xml", text, annotations, relations)
    return folder


def load(folder: Path) -> Record:
    (entry,) = semclinbr.entries(folder)
    return entry.load()


def found(record: Record) -> list:
    return [(record.text[slice(*mention.fragments[0])], mention.label) for mention in record.mentions]


def annotated(string: str, counted: int, name: str = "1", as_text: str = "") -> Annotation:
    """An annotation of a string of TEXT whose offsets count line ends as so many characters."""
    start = TEXT.index(string)
    before, inside = TEXT.count("\n", 0, start), string.count("\n")
    by = (counted - 1) * before
    return Annotation(
        name, ("Finding",), start + by, start + by + len(string) + (counted - 1) * inside, as_text or string
    )


@pytest.mark.parametrize("text", [TEXT, WINDOWS])
@pytest.mark.parametrize("counted", [1, 2])
def test_line_ends_counted_as_one_or_two(text: str, counted: int, tmp_path: Path) -> None:
    strings = ("HAS", "NEGA", "DOR TORACICA", "DOR", "35,7ºC")
    record = load(write_file(tmp_path, text, *(annotated(string, counted) for string in strings)))
    assert record.text == text
    assert found(record) == [(string, "Finding") for string in strings]
    assert not record.doubts


def test_a_mention_over_a_line_end(tmp_path: Path) -> None:
    record = load(write_file(tmp_path, WINDOWS, annotated("DM.\nNEGA", 1), annotated("TAX", 1)))
    assert found(record) == [("DM.\r\nNEGA", "Finding"), ("TAX", "Finding")]


def test_the_manner_is_that_of_most_annotations(tmp_path: Path) -> None:
    # One start is a character late, which in the other manner of counting would fit exactly.
    late = annotated("EGA", 1, "2", as_text="NEGA")
    record = load(write_file(tmp_path, WINDOWS, annotated("DOR", 1), late, annotated("TAX", 1)))
    assert [text for text, _ in found(record)] == ["DOR", "NEGA", "TAX"]
    assert [doubt.id for doubt in record.doubts] == ["annotation 2"]


@pytest.mark.parametrize("string", ["35 , 7ºC", "35,7ºC", " 35 ,7 ºC"])
def test_blanks_in_the_string_do_not_matter(string: str, tmp_path: Path) -> None:
    record = load(write_file(tmp_path, TEXT, annotated("35,7ºC", 1, as_text=string)))
    assert found(record) == [("35,7ºC", "Finding")] and not record.doubts


@pytest.mark.parametrize("string", ["SATO2 < 90%", "SATO2 &lt; 90%", "SATO2 & lt ; 90%", "SATO2 &#60; 90%"])
def test_a_string_may_be_escaped_twice(string: str, tmp_path: Path) -> None:
    record = load(write_file(tmp_path, TEXT, annotated("SATO2 < 90%", 1, as_text=string)))
    assert found(record) == [("SATO2 < 90%", "Finding")] and not record.doubts
    # In the file, `&` is escaped once more.
    assert string.replace("&", "&amp;").replace("<", "&lt;") in (tmp_path / "8906.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "left, right", [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1), (2, 0), (-2, 2), (2, 1), (0, -2)]
)
def test_edges_off_by_one_or_two_are_moved_and_reported(left: int, right: int, tmp_path: Path) -> None:
    one = annotated("DOR TORACICA", 1, "77")
    moved = one._replace(start=one.start + left, end=one.end + right)
    record = load(write_file(tmp_path, TEXT, moved, annotated("NEGA", 1), annotated("TAX", 1)))
    assert found(record)[0] == ("DOR TORACICA", "Finding")
    (doubt,) = record.doubts
    assert doubt == (
        "8906.xml",
        "annotation 77",
        f"moved to where its string stands: start by {-left:+d}, end by {-right:+d}",
    )


@pytest.mark.parametrize("start, end", [(-1, 3), (0, 4), (-2, 2), (1, 5)])
def test_edges_outside_the_text_are_moved_too(start: int, end: int, tmp_path: Path) -> None:
    record = load(write_file(tmp_path, "ICC", Annotation("1", ("Finding",), start, end, "ICC")))
    assert found(record) == [("ICC", "Finding")] and len(record.doubts) == 1


@pytest.mark.parametrize(
    "start, end, string, kept, reason",
    [
        (15, 18, "TOSSE", "", "left out: the text at its offsets is not its string"),
        (15, 18, "DOR A ESCLARECER", "", "left out: the text at its offsets is not its string"),
        (18, 21, "DOR", "", "left out: the text at its offsets is not its string"),  # off by three
        (15, 27, "DOR FORTE TORACICA", "DOR TORACICA", "kept at its offsets, where the text has only"),
        (10, 27, "NEGA TORACICA", "NEGA DOR TORACICA", "kept at its offsets, where the text has only"),
        (15, 18, "", "DOR", "kept at its offsets: it has no string to compare"),
        (15, 18, "&nbsp;", "DOR", "kept at its offsets: it has no string to compare"),
        (15, 15, "TOSSE", "", "left out: its offsets are not in the text, or empty"),
        (18, 15, "DOR", "", "left out: its offsets are not in the text, or empty"),
        (40, 99, TEXT[40:], "", "left out: its offsets are not in the text, or empty"),
        (-9, 3, "HAS", "", "left out: its offsets are not in the text, or empty"),
        (14, 19, "DOR", "DOR", "moved to where its string stands: start by +1, end by -1"),  # blanks at the edges
    ],
)
def test_what_disagrees_is_reported(start: int, end: int, string: str, kept: str, reason: str, tmp_path: Path) -> None:
    record = load(write_file(tmp_path, TEXT, Annotation("5", ("Finding",), start, end, string)))
    assert found(record) == ([(kept, "Finding")] if kept else [])
    (doubt,) = record.doubts
    assert doubt.id == "annotation 5" and doubt.reason.startswith(reason)
    assert not re.search("TOSSE|DOR|NEGA", doubt.reason)


def test_several_types_are_as_many_mentions(tmp_path: Path) -> None:
    one = Annotation("7", ("Disease or Syndrome", "Abbreviation"), 0, 3, "HAS", "hipertensão arterial sistêmica")
    record = load(write_file(tmp_path, TEXT, one))
    assert record.mentions == (Mention(((0, 3),), "Disease or Syndrome", "7"), Mention(((0, 3),), "Abbreviation", "7"))


@pytest.mark.parametrize(
    "tag, labels",
    [
        ("Finding| Finding |", ["Finding"]),
        ("&quot;Element, Ion, or Isotope&quot;|Abbreviation", ["Element, Ion, or Isotope", "Abbreviation"]),
        ("", []),
        ("|", []),
    ],
)
def test_types_as_the_tool_writes_them(tag: str, labels: list, tmp_path: Path) -> None:
    content = f'<A><TEXT>K 4</TEXT><annotation id="1" tag="{tag}" start="0" end="1" text="K"/></A>'
    (tmp_path / "1.xml").write_text(content)
    record = load(tmp_path)
    assert [label for _, label in found(record)] == labels
    assert [doubt.reason for doubt in record.doubts] == ([] if labels else ["left out: it names no type"])


def test_relations_join_the_first_mentions_and_lost_ones_are_reported(tmp_path: Path) -> None:
    annotations = [
        annotated("HAS", 1, "7")._replace(types=("Disease or Syndrome", "Abbreviation")),
        annotated("NEGA", 1, "8")._replace(types=("Negation",)),
        annotated("TAX", 1, "9", as_text="TOSSE"),
    ]
    relations = (("8", "7", "negation_of"), ("8", "9", "negation_of"), ("8", "404", "negation_of"))
    record = load(write_file(tmp_path, TEXT, *annotations, relations=relations))
    assert record.relations == (Relation(2, 0, "negation_of"),)
    assert [(doubt.id, doubt.reason) for doubt in record.doubts[1:]] == [
        ("relation 2", "left out: there is no annotation 9"),
        ("relation 3", "left out: there is no annotation 404"),
    ]


@pytest.mark.parametrize(
    "inside, text",
    [
        (b"a\r\nb", "a\r\nb"),
        (b"a&#13;\nb", "a\r\nb"),
        (b"a\nb\rc", "a\nb\rc"),
        (b"\r\n a &lt; b\r\n", "\r\n a < b\r\n"),
        (b"<![CDATA[a\r\n<b]]>\r\nc", "a\r\n<b\r\nc"),
        (b"a<!-- \r\n -->b", "ab"),
        (b"", ""),
        ("a\r\nç\x85\u2028".encode(), "a\r\nç\x85\u2028"),
    ],
)
def test_the_text_is_exact(inside: bytes, text: str, tmp_path: Path) -> None:
    head = b"\xef\xbb\xbf<?xml version='1.0'?>\r\n<ANNOTATIONS>\r\n"
    (tmp_path / "1.xml").write_bytes(head + b"<TEXT>" + inside + b"</TEXT>\r\n<TAGS>\r\n</TAGS></ANNOTATIONS>\r\n")
    assert load(tmp_path).text == text


BOMB = b'<!DOCTYPE A [<!ENTITY a "secret"><!ENTITY b "&a;&a;">]><A><TEXT>&b;</TEXT></A>'
ANNOTATION = '<A><TEXT>secret</TEXT><annotation id="3" tag="Finding" start="{}" end="{}" text="secret"/></A>'


@pytest.mark.parametrize(
    "content, message",
    [
        (b"<A><TEXT>secret</TEXT>", "line 1, column 23: no element found"),
        (b"<A>\n<TEXT>secret < 5</TEXT></A>", "line 2"),
        (b"<A><TEXT>secret <b>x</b></TEXT></A>", "its TEXT holds other elements"),
        (b"<A>secret</A>", "has no element TEXT"),
        (BOMB, "defines or fetches entities"),
        ("<A><TEXT>secret não</TEXT></A>".encode("latin-1"), "line 1"),
        (b"<?xml version='1.0' encoding='klingon'?><A><TEXT>secret</TEXT></A>", "encoding"),
        (ANNOTATION.format("", 6).encode(), "annotation 3: start or end is no number"),
        (ANNOTATION.format(0, "6.0").encode(), "annotation 3: start or end is no number"),
    ],
)
def test_bad_files_are_named_without_their_text(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "8906.xml").write_bytes(content)
    with pytest.raises(ClinbertError, match=re.escape(message)) as caught:
        load(tmp_path)
    assert "8906.xml" in str(caught.value) and "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_stated_encoding_is_read(tmp_path: Path) -> None:
    content = "<?xml version='1.0' encoding='ISO-8859-1'?><A><TEXT>não\r\nsim</TEXT></A>"
    (tmp_path / "1.xml").write_bytes(content.encode("latin-1"))
    assert load(tmp_path).text == "não\r\nsim"


def test_a_file_that_went_away_is_named(tmp_path: Path) -> None:
    (entry,) = semclinbr.entries(write_file(tmp_path, TEXT))
    (tmp_path / "8906.xml").unlink()
    with pytest.raises(ClinbertError, match=r"8906\.xml: No such file"):
        entry.load()


def test_all_is_training_unless_folders_say_otherwise(tmp_path: Path) -> None:
    for name in ("8906.xml", "train/1.xml", "test/2.xml", "dev/3.xml", "test/.4.xml"):
        semclinbr.write_document(tmp_path / name, TEXT, (), ())
    assert {(entry.id, entry.split) for entry in semclinbr.entries(tmp_path)} == {
        ("8906", "train"),
        ("train/1", "train"),
        ("test/2", "test"),
        ("dev/3", "dev"),
    }
    (entry,) = semclinbr.entries(tmp_path / "8906.xml")
    assert (entry.id, entry.load().annotations) == ("8906", "8906.xml")
    with pytest.raises(ClinbertError, match="no such file or folder"):
        list(semclinbr.entries(tmp_path / "absent"))


def test_paper_tokens_are_the_tools() -> None:
    mentions = [Mention(((TEXT.index("35"), TEXT.index(" SATO2")),), "Finding")]
    assert [len(line) for line in semclinbr.FORMAT.paper_lines(f"\r\n{WINDOWS}\r\n ", mentions)] == [4, 4, 7]
    lines = tag(semclinbr.FORMAT.paper_lines(TEXT, mentions), mentions)
    assert [(TEXT[start:end], kind) for start, end, kind in list(lines)[2]][:5] == [
        ("TAX", "O"),
        ("35", "B-Finding"),
        (",", "I-Finding"),
        ("7ºC", "I-Finding"),
        ("SATO2", "O"),
    ]


@pytest.mark.parametrize(
    "mentions, relations",
    [
        ((Mention(((0, 3), (6, 8)), "Finding"),), ()),
        ((Mention(((3, 3),), "Finding"),), ()),
        ((Mention(((0, 999),), "Finding"),), ()),
        ((Mention(((0, 3),), "Finding|Negation"),), ()),
        ((Mention(((0, 3),), ""),), ()),
        ((Mention(((0, 3),), "Finding", "", "present"),), ()),
        ((Mention(((0, 3),), "Finding", "7"), Mention(((6, 8),), "Finding", "7")), ()),
        ((Mention(((0, 3),), "Finding", "7"), Mention(((0, 3),), "Finding", "7")), ()),
        ((Mention(((0, 3),), "Finding", "7"), Mention(((0, 3),), "Negation", "7")), (Relation(0, 1, "of"),)),
    ],
)
def test_what_the_form_cannot_hold(mentions: tuple, relations: tuple, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=r"^r1.* SemClinBr"):
        semclinbr.write([Record("r1", TEXT, mentions, relations)], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("field", [{"cats": {"smoker": 1.0}}, {"parts": {"premise": (0, 3)}}])
def test_labels_of_documents_are_refused(field: dict, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=r"^r1: SemClinBr holds no labels"):
        semclinbr.write([Record("r1", TEXT, **field)], tmp_path)


def test_two_records_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=r"^b/r1: another record is named r1"):
        semclinbr.write([Record("a/r1", TEXT), Record("b/r1", TEXT)], tmp_path)


@pytest.mark.parametrize("character", ["\x00", "\x0b", "\ud800", "\ufffe"])
def test_characters_that_xml_cannot_hold(character: str, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=r"r1\.xml: XML cannot hold"):
        semclinbr.write([Record("r1", f"a{character}b")], tmp_path)


letters = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=8)
tricky = st.sampled_from(
    [
        "\n",
        "\r\n",
        "\r",
        "\t",
        "  ",
        "&",
        "<",
        "&lt;",
        "&amp;lt;",
        "]]>",
        "<!--",
        "</TEXT>",
        '"',
        "35,7ºC",
        "İ",
        "\u2028",
    ]
)


@st.composite
def records(draw: st.DrawFn) -> Record:
    text = "".join(draw(st.lists(letters | tricky, max_size=12)))
    text = text.encode("utf-8", "ignore").decode("utf-8")
    text = "".join(c for c in text if ord(c) & 0xFFFE != 0xFFFE or ord(c) > 0xFFFF)
    mentions = []
    for number in range(draw(st.integers(0, 5)) if text else 0):
        start, end = sorted((draw(st.integers(0, len(text) - 1)), draw(st.integers(1, len(text)))))
        name = draw(st.sampled_from(["", f"a{number}"]))
        labels = draw(st.lists(st.sampled_from(["Finding", "Tissue", "Negation"]), min_size=1, max_size=3, unique=True))
        mentions += [Mention(((start, max(end, start + 1)),), label, name) for label in labels]
    firsts = [at for at, one in enumerate(mentions) if not one.id or one.id not in {m.id for m in mentions[:at]}]
    indices = st.sampled_from(firsts or [0])
    pairs = draw(st.lists(st.builds(Relation, indices, indices, st.just("negation_of")), max_size=3))
    return Record("r1", text, tuple(mentions), tuple(pairs) if mentions else ())


@settings(max_examples=200)
@given(record=records())
def test_what_is_written_is_read_back(record: Record, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("corpus", numbered=True)
    semclinbr.write([record], folder)
    again = load(folder)
    assert again.text == record.text
    assert [one._replace(id="") for one in again.mentions] == [one._replace(id="") for one in record.mentions]
    assert all(one.id in ("", read.id) for one, read in zip(record.mentions, again.mentions, strict=True))
    assert again.relations == record.relations
    assert not again.doubts


@pytest.mark.external
@pytest.mark.parametrize("name", ["1", "2_lf"])
def test_samples(name: str, shared: Path) -> None:
    path = shared / "data/formats/semclinbr" / f"{name}.xml"
    record = load(path)
    strings = dict(re.findall(r'<annotation id="(\d+)".*? text="(.*?)"', path.read_text(encoding="utf-8")))
    assert len(strings) == 7 and len(record.mentions) == 10 and not record.doubts
    for mention, (text, _) in zip(record.mentions, found(record), strict=True):
        assert text == strings[mention.id]
    assert ("\r\n" in record.text) == (name == "1")
    pairs = [(found(record)[head][0], found(record)[tail][0], label) for head, tail, label in record.relations]
    assert pairs == [("NEGA", "DOR TORACICA", "negation_of"), ("AAS", "100 MG", "associated_with")]
