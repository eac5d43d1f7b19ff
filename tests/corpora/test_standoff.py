"""What the XML forms share: placing annotations on the text, bad files, released folders, round trips."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora import i2b2_2012, i2b2_2014, n2c2_2018_track1
from spacy_clinbert.corpora.records import Mention, Record, Relation
from spacy_clinbert.errors import ClinbertError

FORMS = {"i2b2_2012": i2b2_2012, "i2b2_2014": i2b2_2014, "n2c2_2018_track1": n2c2_2018_track1}
TEXT = "\nSeen by Dr. Orrel at Johnson & Johnson .\nDenies chest  pain , Parkinson&apos;s\nand pain .\n"
ROOMY = "".join(f"line {number} ends\n" for number in range(30))


def tag(start: int, end: int, text: str, label: str = "DOCTOR") -> str:
    return f'<NAME id="P0" start="{start}" end="{end}" text="{text}" TYPE="{label}" comment="" />'


def write(path: Path, tags: str, text: str = TEXT) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = f"<deIdi2b2><TEXT><![CDATA[{text}]]></TEXT><TAGS>{tags}</TAGS></deIdi2b2>"
    path.write_bytes(f'<?xml version="1.0" encoding="UTF-8"?>\n{content}'.encode())
    return path


def load(folder: Path) -> Record:
    (entry,) = i2b2_2014.entries(folder)
    return entry.load()


def found(record: Record) -> list:
    return [record.text[slice(*mention.fragments[0])] for mention in record.mentions]


def at(words: str, text: str = TEXT) -> tuple:
    return text.index(words), text.index(words) + len(words)


@pytest.mark.parametrize(
    "span, annotated, text",
    [
        (at("Orrel"), "Orrel", "Orrel"),
        (at("chest  pain"), "chest pain", "chest  pain"),  # blanks do not count
        (at("Parkinson&apos;s\nand"), "Parkinson&apos;s and", "Parkinson&apos;s\nand"),  # an escape in the text
        (at("Johnson & Johnson"), "Johnson &amp; Johnson", "Johnson & Johnson"),
        ((0, 1), "", "\n"),  # the leading line feed counts
        (at("Seen"), "", "Seen"),  # nothing to compare with
    ],
)
def test_what_fits_is_taken(span: tuple, annotated: str, text: str, tmp_path: Path) -> None:
    write(tmp_path / "1-01.xml", tag(*span, annotated))
    record = load(tmp_path)
    assert found(record) == [text] and record.text == TEXT and not record.doubts


@pytest.mark.parametrize(
    "start, end, annotated, text, reason",
    [
        (at("Orrel")[0] + 4, at("Orrel")[1] + 4, "Orrel", "Orrel", "placed by its text, -4 characters"),  # as in 180-03
        (at("chest")[0] - 3, at("chest")[0] + 7, "chest pain", "chest  pain", "placed by its text, +3 characters"),
        (len(TEXT) - 3, len(TEXT) + 9, "pain", "pain", "placed by its text, -4 characters"),  # the nearest of two
        (-4, 0, "Seen", "Seen", "placed by its text, +5 characters"),
        (at("Orrel")[0], at("Orrel")[0], "Orrel", "Orrel", "placed by its text, +0 characters"),
        (*at("Johnson & Johnson"), "Johnson and Johnson", "Johnson & Johnson", "kept at its offsets"),  # as in 188-05
        (*at("Orrel"), "secret", None, "left out"),
        (500, 505, "secret", None, "left out"),
        (9, 9, "", None, "left out"),
        (*at("Dr. Orrel"), ".*", None, "left out"),  # no pattern, but text
    ],
)
def test_what_is_off_is_placed_by_its_text(
    start: int, end: int, annotated: str, text: str, reason: str, tmp_path: Path
) -> None:
    write(tmp_path / "1-01.xml", tag(start, end, annotated))
    record = load(tmp_path)
    assert found(record) == ([text] if text else [])
    (doubt,) = record.doubts
    assert (doubt.file, doubt.id) == ("1-01.xml", "P0") and doubt.reason.startswith(reason)
    assert "secret" not in doubt.reason


def test_text_that_stands_too_far_away_is_not_taken(tmp_path: Path) -> None:
    far = "Orrel" + " " * 60
    write(tmp_path / "1-01.xml", tag(60, 65, "Orrel"), far)
    assert not load(tmp_path).mentions


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_offsets_of_windows_are_told_by_what_fits(line_end: str, tmp_path: Path) -> None:
    lines = [*at("line 3", ROOMY), *at("9 ends\nline 10", ROOMY), *at("line 28 ends\n", ROOMY)]
    places = list(zip(lines[::2], lines[1::2], strict=True))
    # In a file of Windows each line end before counts twice.
    counted = [tuple(offset + ROOMY[:offset].count("\n") for offset in place) for place in places]
    tags = "".join(tag(*place, ROOMY[slice(*where)].strip()) for place, where in zip(counted, places, strict=True))
    write(tmp_path / "1-01.xml", tags, ROOMY.replace("\n", line_end))
    record = load(tmp_path)
    assert record.text == ROOMY and [mention.fragments[0] for mention in record.mentions] == places
    assert [doubt.reason for doubt in record.doubts] == ["offsets count a line end as two characters: read so"]


def test_line_ends_of_windows_do_not_matter_where_offsets_count_them_once(tmp_path: Path) -> None:
    write(tmp_path / "1-01.xml", tag(*at("line 28", ROOMY), "line 28"), ROOMY.replace("\n", "\r\n"))
    record = load(tmp_path)
    assert found(record) == ["line 28"] and not record.doubts


def test_a_bare_ampersand_is_mended_and_reported(tmp_path: Path) -> None:
    tags = tag(*at("Johnson & Johnson"), "Johnson & Johnson") + tag(*at("Orrel"), "Orrel", "A&#38;B&amp;C&x;")
    write(tmp_path / "1-01.xml", tags)
    record = load(tmp_path)
    assert found(record) == ["Johnson & Johnson", "Orrel"] and record.text == TEXT
    assert [mention.label for mention in record.mentions] == ["DOCTOR", "A&B&C&x;"]
    assert [doubt.reason for doubt in record.doubts] == ["a bare & in an annotation: read as &amp;"]


BOMB = '<!DOCTYPE a [<!ENTITY x "secret"><!ENTITY y "&x;&x;&x;">]><a><TEXT>&y; & </TEXT><TAGS/></a>'


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "content, message",
    [
        (BOMB.encode(), "defines or fetches entities"),
        (b"<a><TEXT><![CDATA[secret]]></TEXT><TAGS></a>", "line 1"),
        (b"<a><TEXT><![CDATA[secret", "line 1"),
        (b'<a><TEXT/><TAGS><X text="& " <secret/></TAGS></a>', "line 1"),  # more is wrong than the &
        (b'<?xml version="1.0" encoding="UTF-8"?>\n<a><TEXT>M\xe9ni\xe8re secret</TEXT><TAGS/></a>', "line 2"),
        (b'<?xml version="1.0" encoding="secret"?><a/>', "encoding"),
        (b"", "line 1"),
        (b"<a><TEXT>secret</TEXT></a>", "no <TEXT> or no <TAGS>"),
        (b"<a><TAGS/></a>", "no <TEXT> or no <TAGS>"),
    ],
)
def test_bad_files_are_named_in_one_sentence(content: bytes, message: str, form: str, tmp_path: Path) -> None:
    (tmp_path / "1-01.xml").write_bytes(content)
    (entry,) = FORMS[form].entries(tmp_path)
    with pytest.raises(ClinbertError, match=message) as caught:
        entry.load()
    assert "1-01.xml" in str(caught.value) and "secret" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ['start="x" end="3"', 'start="1"', ""])
def test_offsets_that_are_no_numbers_are_an_error(place: str, tmp_path: Path) -> None:
    write(tmp_path / "1-01.xml", f'<NAME id="P0" {place} text="secret" TYPE="DOCTOR" />')
    with pytest.raises(ClinbertError, match=r"1-01\.xml: an annotation has no numbers as start and end"):
        load(tmp_path)


@pytest.mark.parametrize("form", FORMS)
def test_no_folder_and_no_file(form: str, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="no such file or folder"):
        list(FORMS[form].entries(tmp_path / "none"))
    assert not list(FORMS[form].entries(tmp_path))


RELEASED = {
    "i2b2_2012": {
        "2012-07-15.original-annotation.release/1.xml": ("1", "train"),
        "2012-08-08.test-data.event-timex-groundtruth/xml/2.xml": None,
        "2012-08-08.test-data.event-timex-groundtruth/xml/4.xml": ("4", "test"),
        "ground_truth/merged_xml/2.xml": ("2", "test"),
        "ground_truth/merged_xml/._2.xml": None,
        "ground_truth/unmerged_xml/2.xml": None,
        "ground_truth/merged_i2b2/2.txt": None,
    },
    "i2b2_2014": {
        "testing-PHI-Gold-fixed/110-01.xml": ("110-01", "test"),
        "testing-PHI-noTags/110-01.xml": None,
        "training-PHI-Gold-Set1/220-01.xml": ("220-01", "train"),
        "training-PHI-Gold-Set2/221-02.xml": ("221-02", "train"),
    },
    "n2c2_2018_track1": {
        "n2c2-t1_gold_standard_test_data/test/3.xml": ("3", "test"),
        "test_notags/3.xml": None,
        "train/5.xml": ("5", "train"),
    },
    "i2b2_2014 ": {"a/1-01.xml": ("a/1-01", "train"), "b/1-01.xml": ("b/1-01", "train"), "c.xml": ("c", "train")},
}


@pytest.mark.parametrize("form", RELEASED)
def test_released_folders_tell_the_split(form: str, tmp_path: Path) -> None:
    for name in RELEASED[form]:
        write(tmp_path / name, "")
    entries = list(FORMS[form.strip()].entries(tmp_path))
    assert [(entry.id, entry.split) for entry in entries] == [found for found in RELEASED[form].values() if found]
    assert all(entry.load().text == TEXT for entry in entries)


def test_one_file_is_a_corpus(tmp_path: Path) -> None:
    (entry,) = i2b2_2014.entries(write(tmp_path / "300-01.xml", tag(*at("Orrel"), "Orrel")))
    record = entry.load()
    assert (entry.id, entry.split, record.annotations) == ("300-01", "train", "300-01.xml")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", ["a\rb", "a]]>b", "a\x00b", "a\x0bb", "a\ufffeb", "a\ud800b"])
def test_what_xml_cannot_hold_is_refused(text: str, form: str, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="r1: character 1 of its text"):
        FORMS[form].write([Record("r1", text)], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "form, record",
    [
        ("i2b2_2012", Record("r1", "abcd", (Mention(((0, 1), (2, 3)), "TEST"),))),
        ("i2b2_2012", Record("r1", "abcd", (Mention(((0, 1),), "a\x01"),))),
        ("i2b2_2012", Record("r1", "abcd", cats={"MET": 1.0})),
        ("i2b2_2014", Record("r1", "abcd", (Mention(((0, 1),), "AGE"),), (Relation(0, 0, "x"),))),
        ("i2b2_2014", Record("r1", "abcd", parts={"premise": (0, 1)})),
        ("n2c2_2018_track1", Record("r1", "abcd", (Mention(((0, 1),), "AGE"),))),
        ("n2c2_2018_track1", Record("r1", "abcd", cats={"SMOKER": 1.0})),
        ("n2c2_2018_track1", Record("r1", "abcd", cats={"ENGLISH": 0.5})),
    ],
)
def test_what_a_form_cannot_hold_is_refused(form: str, record: Record, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="r1"):
        FORMS[form].write([record], tmp_path)


def test_no_record_takes_the_place_of_another(tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=r"b/r1: another record is named r1"):
        i2b2_2012.write([Record("a/r1", "a"), Record("b/r1", "b")], tmp_path)


legal = st.characters(exclude_categories=["Cs"], exclude_characters=[*map(chr, range(32)), "\ufffe", "\uffff"])
tricky = st.sampled_from(["\n", "\n\n ", "\t", "&", "&amp;", "&apos;", "&#32;", "<b>", "]]", '"', "\u0085", "\u2028"])
texts = st.lists(st.text(legal, max_size=5) | tricky, max_size=12).map("".join).filter(lambda text: "]]>" not in text)
labels = st.sampled_from(["PROBLEM", "PATIENT", "LOCATION-OTHER", 'a"<&>\n\tb', " é "])


@st.composite
def annotated(draw: st.DrawFn) -> Record:
    text = draw(texts)
    mentions = []
    for _ in range(draw(st.integers(0, 4)) if text else 0):
        start = draw(st.integers(0, len(text) - 1))
        mentions.append(Mention(((start, draw(st.integers(start + 1, len(text)))),), draw(labels)))
    return Record("12-01", text, tuple(mentions))


@st.composite
def temporal(draw: st.DrawFn) -> Record:
    record = draw(annotated())
    assertions = st.sampled_from(["", "POS FACTUAL", "NEG"])
    mentions = tuple(mention._replace(assertion=draw(assertions)) for mention in record.mentions)
    ends = st.integers(0, len(mentions) - 1)
    relations = draw(st.lists(st.builds(Relation, ends, ends, labels), max_size=3)) if mentions else ()
    return Record("12-01", record.text, mentions, tuple(relations))


criteria = st.dictionaries(st.sampled_from(n2c2_2018_track1.CRITERIA), st.sampled_from([0.0, 1.0]))
RECORDS = {
    "i2b2_2012": temporal(),
    "i2b2_2014": annotated(),
    "n2c2_2018_track1": st.builds(lambda text, cats: Record("12-01", text, cats=cats), texts, criteria),
}


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=100)
@given(data=st.data())
def test_what_is_written_is_read_back(form: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    record = data.draw(RECORDS[form])
    folder = tmp_path_factory.mktemp("corpus", numbered=True)
    FORMS[form].write([record], folder)
    (entry,) = FORMS[form].entries(folder)
    again = entry.load()
    assert (entry.id, again.id, again.text, again.cats) == (record.id, record.id, record.text, record.cats)
    assert tuple(mention._replace(id="") for mention in again.mentions) == record.mentions
    assert again.relations == record.relations
    left_open = set(n2c2_2018_track1.CRITERIA) - set(record.cats) if form == "n2c2_2018_track1" else set()
    assert {doubt.id for doubt in again.doubts} == left_open
