import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora import i2b2_2006
from spacy_clinbert.corpora.paper_lines import tag
from spacy_clinbert.corpora.records import LeftOut, Mention, Record
from spacy_clinbert.errors import ClinbertError

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'


def xml(*bodies: str, head: str = DECLARATION + "\n") -> str:
    records = (f'<RECORD ID="{number}">\n<TEXT>{body}</TEXT>\n</RECORD>\n' for number, body in enumerate(bodies, 1))
    return f"{head}<ROOT>\n{''.join(records)}</ROOT>\n"


def put(folder: Path, content: "str | bytes", name: str = i2b2_2006.TRAIN) -> Path:
    path = folder / name
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def load(folder: Path, content: "str | bytes") -> Record:
    (entry,) = i2b2_2006.entries(put(folder, content))
    return entry.load()


def found(record: Record) -> list:
    return [(record.text[slice(*mention.fragments[0])], mention.label) for mention in record.mentions]


def iob(record: Record) -> list:
    lines = tag(i2b2_2006.paper_lines(record.text, record.mentions), record.mentions)
    return [[f"{record.text[start:end]} {label}" for start, end, label in line] for line in lines]


@pytest.mark.parametrize(
    "body, text, mentions",
    [
        ('\n<PHI TYPE="DATE">03/04</PHI>/2101\n', "\n03/04/2101\n", [("03/04", "DATE")]),
        ('(<PHI TYPE="ID">7</PHI><PHI TYPE="AGE">91</PHI>)', "(791)", [("7", "ID"), ("91", "AGE")]),
        ('a &lt; b &amp; <PHI TYPE="HOSPITAL">A&amp;E &gt;</PHI> c', "a < b & A&E > c", [("A&E >", "HOSPITAL")]),
        ("Dr. <PHI TYPE='DOCTOR'>Iva\nOrrel</PHI>", "Dr. Iva\nOrrel", [("Iva\nOrrel", "DOCTOR")]),
        ('<![CDATA[a < ]]><PHI TYPE="ID"> 7 </PHI><!-- x -->b', "a <  7 b", [(" 7 ", "ID")]),
        ("nothing marked\r\n", "nothing marked\n", []),
    ],
)
def test_reads_what_is_marked(body: str, text: str, mentions: list, tmp_path: Path) -> None:
    record = load(tmp_path, xml(body))
    assert record.text == text and found(record) == mentions and not record.doubts


@pytest.mark.parametrize("behind", [" , seen", ' by <PHI TYPE="DOCTOR">Orrel</PHI> .', '<PHI TYPE="ID">7</PHI>'])
def test_the_known_malformed_tag_is_mended_and_reported(behind: str, tmp_path: Path) -> None:
    body = '<PHI TYPE="ID">1</PHI> the <PHI TYPE="DATE">25th of July<PHI TYPE="DOCTOR">' + behind
    record = load(tmp_path, xml(body))
    assert record.text == re.sub("<[^>]*>", "", body)
    assert found(record)[:2] == [("1", "ID"), ("25th of July", "DATE")]
    assert len(record.mentions) == 2 + ("PHI" in behind)
    (doubt,) = record.doubts
    assert (doubt.file, doubt.id) == (i2b2_2006.TRAIN, "RECORD 1, PHI 2") and "July" not in doubt.reason


@pytest.mark.parametrize(
    "body, message",
    [
        # A closing tag that is missing is another fault: where the first mention ends, nothing tells.
        ('\n<PHI TYPE="DATE">secret<PHI TYPE="DOCTOR">Orrel</PHI>', "line 5, column 56: mismatched tag"),
        ('\n<PHI TYPE="DATE">secret', "line 5, column 26: mismatched tag"),
        ("\nsecret</PHI>", "line 5, column 9: mismatched tag"),
        ("\n<PHI TYPE=DATE>secret</PHI>", "line 5, column 11: not well-formed"),
        ('<PHI TYPE="DATE">secret <PHI TYPE="ID">7</PHI> a</PHI>', "RECORD 1, PHI 1: an element that is no PHI, or"),
        ("secret <DATE>7</DATE>", "RECORD 1, PHI 1: an element that is no PHI, or"),
        ("&secret;", "undefined entity"),
    ],
)
def test_other_faults_are_one_clear_error(body: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=re.escape(message)) as caught:
        load(tmp_path, xml(body))
    assert i2b2_2006.TRAIN in str(caught.value) and "\n" not in str(caught.value)
    assert "secret" not in str(caught.value).replace("&secret;", "")


@pytest.mark.parametrize(
    "content, message",
    [
        (xml("Ménière").encode("latin-1"), "line 4, column 8: not well-formed"),
        ('<?xml version="1.0" encoding="klingon"?>\n<ROOT/>', "encoding"),
        ('<!DOCTYPE a [<!ENTITY b "x"><!ENTITY c "&b;&b;">]>\n<ROOT>&c;</ROOT>', "entities"),
        ("<ROOT></ROOT>", "has no RECORD"),
        ('<ROOT><RECORD ID="1"/></ROOT>', "RECORD 1: has no TEXT"),
        ("<ROOT><RECORD><TEXT/></RECORD></ROOT>", "RECORD number 1: its ID is missing"),
        ("", "no element found"),
    ],
)
def test_bad_files_are_one_entry(content: "str | bytes", message: str, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=message) as caught:
        load(tmp_path, content)
    assert i2b2_2006.TRAIN in str(caught.value) and "\n" not in str(caught.value)


def test_a_bad_record_does_not_hide_the_others(tmp_path: Path) -> None:
    again = xml("one", "<B/>", "three").replace("</ROOT>", '<RECORD ID="3"><TEXT>four</TEXT></RECORD></ROOT>')
    put(tmp_path, again)
    put(tmp_path, "<ROOT>", "more_train.xml")
    read, failed = [], []
    for entry in i2b2_2006.entries(tmp_path):
        try:
            read.append(entry.load().text)
        except ClinbertError as error:
            failed.append(str(error))
    assert read == ["one", "three"]
    assert ["RECORD 2" in failed[0], "RECORD number 4" in failed[1], "more_train.xml" in failed[2]] == [True] * 3


def test_a_mark_without_type_or_text_is_a_doubt(tmp_path: Path) -> None:
    record = load(tmp_path, xml('a <PHI>b</PHI> <PHI TYPE="ID"></PHI><PHI TYPE="ID"/> <PHI TYPE="ID">7</PHI>'))
    assert record.text == "a b  7" and found(record) == [("7", "ID")]
    assert [doubt.id for doubt in record.doubts] == [f"RECORD 1, PHI {number}" for number in (1, 2, 3)]


def test_released_layout(tmp_path: Path) -> None:
    gold = xml('<PHI TYPE="ID">7</PHI>', "b")
    put(tmp_path, gold)
    put(tmp_path, gold, i2b2_2006.TEST)
    # For participants the test texts came without marks; the smoking challenge had the same texts.
    put(tmp_path, xml("7"), "deid_surrogate_test_all_version2.xml")
    put(tmp_path, xml("7"), "unannotated_records_deid_smoking.xml")
    put(tmp_path, xml("7").replace("<TEXT>", '<SMOKING STATUS="SMOKER"/><TEXT>'), "smokers_surrogate_train.xml")
    put(tmp_path, b"\xff", "._deid.xml")
    kept, left_out = [], []
    for entry in i2b2_2006.entries(tmp_path):
        try:
            kept.append((entry.id, entry.split, len(entry.load().mentions)))
        except LeftOut:
            left_out.append(entry.id)
    test, train = i2b2_2006.TEST.removesuffix(".xml"), i2b2_2006.TRAIN.removesuffix(".xml")
    assert kept == [
        (f"{test}/1", "test", 1),
        (f"{test}/2", "test", 0),
        (f"{train}/1", "train", 1),
        (f"{train}/2", "train", 0),
    ]
    assert left_out == [
        "deid_surrogate_test_all_version2.xml",
        "smokers_surrogate_train/1",
        "unannotated_records_deid_smoking.xml",
    ]


def test_test_texts_alone_are_read(tmp_path: Path) -> None:
    put(tmp_path, xml("7"), "deid_surrogate_test_all_version2.xml")
    (entry,) = i2b2_2006.entries(tmp_path)
    assert entry.split == "test" and entry.load().text == "7"


@pytest.mark.parametrize("head, heading", [(DECLARATION + "\n", DECLARATION), ("", ""), (DECLARATION, DECLARATION)])
def test_the_declaration_is_the_heading_of_the_first_record(head: str, heading: str, tmp_path: Path) -> None:
    records = [entry.load() for entry in i2b2_2006.entries(put(tmp_path, xml("a", "b", head=head)))]
    assert [record.heading for record in records] == [heading, ""]


@pytest.mark.parametrize(
    "body, tokens",
    [
        ('<PHI TYPE="DATE">03/04</PHI>/2101', ["03/04 B-DATE", "2101 O"]),
        ('<PHI TYPE="DATE">03-04</PHI>--99', ["03-04 B-DATE", "-99 O"]),
        ('<PHI TYPE="DATE">03/04</PHI>/ a', ["03/04 B-DATE", "a O"]),
        ('<PHI TYPE="DOCTOR">Iva N. Orrel</PHI> ,', ["Iva B-DOCTOR", "N. I-DOCTOR", "Orrel I-DOCTOR", ", O"]),
        ('<PHI TYPE="DOCTOR">Iva N. Orrel</PHI>,', ["Iva B-DOCTOR", ", O"]),
        ('x#<PHI TYPE="ID">12 34</PHI>', ["x# O", "12 B-ID"]),
        ('(<PHI TYPE="ID">12 34</PHI>)', ["( O", "12 B-ID", "34 I-ID", ") O"]),
        ('<PHI TYPE="ID">1 2</PHI><PHI TYPE="ID">3</PHI>', ["1 B-ID", "2 I-ID", "3 B-ID"]),
    ],
)
def test_paper_lines_cut_what_is_glued(body: str, tokens: list, tmp_path: Path) -> None:
    assert iob(load(tmp_path, xml(f"\n\n{body}\n \nb c\n"))) == [tokens, ["b O", "c O"]]


def test_paper_lines_of_a_mention_over_a_line_end(tmp_path: Path) -> None:
    record = load(tmp_path, xml('a <PHI TYPE="ID">1\n2 3</PHI>/b'))
    assert iob(record) == [["a O", "1 B-ID"], ["2 I-ID", "3 I-ID", "/b O"]]


@pytest.mark.parametrize(
    "record, message",
    [
        (Record("r", "a b c", (Mention(((0, 1), (4, 5)), "ID"),)), "unbroken"),
        (Record("r", "a b c", (Mention(((0, 3),), "ID"), Mention(((2, 5),), "ID"))), "overlap"),
        (Record("r", "a b c", (Mention(((1, 2),), "ID"),)), "blank"),
        (Record("r", "a", cats={"SMOKER": 1.0}), "no relations, categories or parts"),
        (Record("r", "a\x0b"), r"character 1: U\+000B"),
        (Record("r", "\ud800"), r"character 0: U\+D800"),
    ],
)
def test_what_the_form_cannot_hold(record: Record, message: str, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=message):
        i2b2_2006.write([record], tmp_path)


letters = st.characters(exclude_categories=["Cs", "Cc", "Cn"]) | st.sampled_from("\n\r\t <>&\"'/-]")
pieces = st.text(letters, max_size=8) | st.sampled_from(["<PHI", "</PHI>", "]]>", "&amp;", "/2101", "\r\n"])


@st.composite
def records(draw: st.DrawFn) -> Record:
    text, mentions = draw(pieces), []
    for _ in range(draw(st.integers(0, 6))):
        marked = draw(pieces.filter(str.strip))
        label = draw(st.sampled_from(i2b2_2006.TYPES))
        mentions.append(Mention(((len(text), len(text) + len(marked)),), label))
        text += marked + draw(pieces)
    return Record("r", text, tuple(mentions))


@settings(max_examples=100)
@given(drawn=st.lists(records(), min_size=1, max_size=3))
def test_what_is_written_is_read_back(drawn: list, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("corpus", numbered=True)
    i2b2_2006.write([Record(str(n), one.text, one.mentions) for n, one in enumerate(drawn)], folder)
    again = [entry.load() for entry in i2b2_2006.entries(folder)]
    assert [one.text for one in again] == [one.text for one in drawn]
    assert [[m._replace(id="") for m in one.mentions] for one in again] == [list(one.mentions) for one in drawn]
    assert not any(one.doubts for one in again)


@settings(max_examples=100)
@given(record=records())
def test_paper_tokens_are_words_in_order_and_every_mention_begins_once(record: Record) -> None:
    lines = list(i2b2_2006.paper_lines(record.text, record.mentions))
    tokens = [token for line in lines for token in line]
    assert all(lines) and tokens == sorted(set(tokens))
    assert all(start < end and not re.search(r"\s", record.text[start:end]) for start, end in tokens)
    tags = [label for line in tag(lines, record.mentions) for *_, label in line]
    assert [label[2:] for label in tags if label[0] == "B"] == [mention.label for mention in record.mentions]


def published(path: Path) -> list:
    return [block.split("\n") for block in path.read_text(encoding="utf-8").strip("\n").split("\n\n")]


@pytest.mark.external
@pytest.mark.parametrize(
    "source, golden, documents",
    [
        ("golden/clinicalbert_bio/random/i2b2_2006", "golden/clinicalbert_bio/random/i2b2_2006/deid.iob", 60),
        ("data/formats/i2b2_2006_deid", "golden/clinicalbert_bio/i2b2_2006.deid_sample.bio", 1),
    ],
)
def test_lines_are_those_of_the_published_converter(source: str, golden: str, documents: int, shared: Path) -> None:
    read = [entry.load() for entry in i2b2_2006.entries(shared / source)]
    assert len(read) == documents and not [doubt for record in read for doubt in record.doubts]
    lines = []
    for record in read:
        lines += [[f"{word} O" for word in record.heading.split()]] if record.heading else []
        lines += iob(record)
    assert lines == published(shared / golden)
