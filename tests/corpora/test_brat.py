import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora import brat
from spacy_clinbert.corpora.records import Mention, Record, Relation
from spacy_clinbert.errors import ClinbertError

TEXT = "Pain and numbness of the left\n  hip for 30\ndays, Pain\tresolved.\n"


def load(folder: Path, ann: str, text: str = TEXT) -> Record:
    (folder / "d.txt").write_bytes(text.encode("utf-8"))
    (folder / "d.ann").write_bytes(ann.encode("utf-8"))
    (entry,) = brat.entries(folder)
    return entry.load()


def strings(record: Record) -> list:
    return [[record.text[start:end] for start, end in mention.fragments] for mention in record.mentions]


@pytest.mark.parametrize(
    "line, fragments",
    [
        ("T1\tProblem 0 4\tPain", ["Pain"]),
        ("T1\tProblem 9 17;32 35\tnumbness hip", ["numbness", "hip"]),
        ("T1\tProblem 0 4;18 35\tPain of the left   hip", ["Pain", "of the left\n  hip"]),
        ("T1\tPlace 25 29;32 35\tleft hip", ["left\n  hip"]),  # only a line end and blanks between
        ("T1\tDuration 36 42;43 47\tfor 30 days", ["for 30\ndays"]),
        ("T1\tDuration 36 47\tfor 30 days", ["for 30\ndays"]),  # a line end written as a blank
        ("T1\tProblem 49 62\tPain\tresolved", ["Pain\tresolved"]),  # a tab in the annotated string
        ("T1\tProblem 9 17;0 4\tnumbness Pain", ["numbness", "Pain"]),  # in the order of the file
        ("T1\tPart 4 9\t and ", [" and "]),
        ("T1\tPart 0 2;2 4\tPa in", ["Pain"]),
    ],
)
def test_fragments(line: str, fragments: list, tmp_path: Path) -> None:
    record = load(tmp_path, line + "\n")
    assert strings(record) == [fragments] and not record.doubts


def test_relations_events_equivalences_and_attributes(tmp_path: Path) -> None:
    ann = """R1\tAt Arg1:T1 Arg2:T2\t
T1\tProblem 0 4\tPain
T2\tPlace 32 35\thip
T3\tStop 54 62\tresolved
E1\tStop:T3 Theme:T1 Theme2:T2 Cause:E2
E2\tStop:T3
*\tEquiv T1 T2 T3
A1\tNegation T1
A2\tCertainty T1 low
M1\tPast E1
N1\tReference T1 UMLS:C0030193\tPain
#1\tAnnotatorNotes T1\twhat she wrote
R2\tAt Arg1:T9 Arg2:T2
A3\tNegation R1
"""
    record = load(tmp_path, ann)
    assert record.relations == tuple(
        Relation(*one)
        for one in [
            (0, 1, "At"),
            (2, 0, "Theme"),
            (2, 1, "Theme"),
            (2, 2, "Cause"),
            (0, 1, "Equiv"),
            (1, 2, "Equiv"),
        ]
    )
    assert [mention.assertion for mention in record.mentions] == ["Negation Certainty=low", "", "Past"]
    assert [(doubt.file, doubt.id) for doubt in record.doubts] == [("d.ann", "R2"), ("d.ann", "A3")]


def test_ids_used_twice_are_two_mentions(tmp_path: Path) -> None:
    ann = "T32\tProblem 0 4\tPain\nT32\tPlace 32 35\thip\nT1\tPlace 25 29\tleft\nR1\tAt Arg1:T32 Arg2:T1\n"
    record = load(tmp_path, ann)
    assert strings(record) == [["Pain"], ["hip"], ["left"]] and not record.relations
    assert [doubt.id for doubt in record.doubts] == ["T32", "R1"]
    assert [mention.id for mention in record.mentions] == ["T32", "T32", "T1"]


@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("counts_bom", [True, False])
@pytest.mark.parametrize("counts_returns", [True, False])
def test_line_ends_and_byte_order_marks(
    bom: str, end: str, counts_bom: bool, counts_returns: bool, tmp_path: Path
) -> None:
    text = bom + TEXT.replace("\n", end)
    counted = text if counts_bom else text.removeprefix("\ufeff")
    counted = counted if counts_returns else counted.replace("\r\n", "\n")
    found = [re.search(said.replace(" ", r"\s+"), counted) for said in ("numbness", "for 30 days", "resolved")]
    rows = [(one.start(), one.end(), " ".join(one[0].split())) for one in found]
    ann = "\ufeff" + "".join(f"T{start}\tX {start} {end}\t{said}\r\n" for start, end, said in rows)
    record = load(tmp_path, ann, text)
    assert record.text == text
    assert strings(record) == [["numbness"], [f"for 30{end}days"], ["resolved"]]
    as_counted = (counts_bom or not bom) and (counts_returns or end != "\r\n")
    assert [doubt.id for doubt in record.doubts] == ([] if as_counted else [""])


def test_offsets_of_a_file_whose_carriage_returns_are_gone(tmp_path: Path) -> None:
    record = load(tmp_path, "T1\tX 37 49\tfor 30 days\nT2\tX 56 64\tresolved\n")
    assert strings(record) == [["for 30\ndays"], ["resolved"]]
    assert [(doubt.file, doubt.id) for doubt in record.doubts] == [("d.ann", "")]


@pytest.mark.parametrize(
    "line, fragments",
    [
        ("T1\tX 12 20\tnumbness", ["numbness"]),
        ("T1\tX 0 6\tnumbness", ["numbness"]),
        ("T1\tX 0 5\tPain", ["Pain"]),  # an edge off by one
        ("T1\tX 3 7;12 20\tPain numbness", ["Pain", "numbness"]),  # all fragments by the same
        ("T1\tX 40 45\tdays,", ["days,"]),
        ("T1\tX 46 48\tin", ["in"]),  # part of a word where no whole word is near
        ("T1\tX 60 99\tresolved.", ["resolved."]),  # beyond the end of the text
        ("T1\tX 34 34\thip", ["hip"]),
    ],
)
def test_mentions_that_moved_are_placed_by_their_text_and_reported(line: str, fragments: list, tmp_path: Path) -> None:
    record = load(tmp_path, line)
    assert strings(record) == [fragments]
    (doubt,) = record.doubts
    assert (doubt.file, doubt.id) == ("d.ann", "T1") and "moved" in doubt.reason


def test_whole_words_come_before_parts(tmp_path: Path) -> None:
    record = load(tmp_path, "T1\tRoute 18 20\tPO", "KCl POWDER taken PO daily\n")
    assert record.mentions[0].fragments == ((17, 19),)
    record = load(tmp_path, "T1\tRoute 7 9\tPO", "KCl POWDER taken PO daily\n")
    assert record.mentions[0].fragments == ((17, 19),)


def test_a_mention_as_near_in_two_places_is_left_out_with_its_relations(tmp_path: Path) -> None:
    ann = "T1\tX 4 6\tPO\nT2\tX 3 5\tIV\nR1\tY Arg1:T1 Arg2:T2\n"
    record = load(tmp_path, ann, "PO IV  PO".replace("  ", "   ", 1))
    assert strings(record) == [["IV"]] and not record.relations
    assert [doubt.id for doubt in record.doubts] == ["T1", "R1"]


@pytest.mark.parametrize(
    "line",
    [
        "T7\tX 0 4\tsecret",
        "T7\tX 900 904\tPain",  # there, but a long way off
        "T7\tX 0 4;9 17\tPain secretss",
        "T7\tX 0 4;9 17\tPain secret",
        "T7\tX 0 4;9 9\tPain ",
        "T7\tX 4 0;9 9\tPain secret",
    ],
)
def test_text_that_disagrees_is_named_without_it(line: str, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=r"d\.ann, line 2: the text of T7 stands neither") as caught:
        load(tmp_path, f"T1\tX 0 4\tPain\n{line}\n")
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "T1\tX 0 4",
        "T1\tX 0 4\t",
        "T1 X 0 4 secret",
        "T1\tX 0 4;5\tsecret",
        "T1\tX y 0 4\tsecret",
        "T1\tX ٣ 4\tsecret",
        f"T1\tX 0 {'9' * 5000}\tsecret",
        "R1\tX T1 T2",
        "E1\tsecret",
        "*\tEquiv T1",
        "A1\tNegation",
        "secret",
        " T1\tX 0 4\tsecret",
    ],
)
def test_bad_lines_are_named_without_their_text(line: str, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=r"d\.ann, line 3: no annotation of the form") as caught:
        load(tmp_path, f"\r\n\n{line}\n")
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["d.txt", "d.ann"])
def test_missing_files_are_named(missing: str, tmp_path: Path) -> None:
    load(tmp_path, "")
    (tmp_path / missing).unlink()
    (entry,) = brat.entries(tmp_path)
    with pytest.raises(ClinbertError, match=rf"{re.escape(missing)}: No such file"):
        entry.load()


@pytest.mark.parametrize("file", ["d.txt", "d.ann"])
def test_latin_1_is_named_with_its_line(file: str, tmp_path: Path) -> None:
    load(tmp_path, "")
    (tmp_path / file).write_bytes("#1\tone\n#2\tMénière\n".encode("latin-1"))
    (entry,) = brat.entries(tmp_path)
    with pytest.raises(ClinbertError, match=rf"{re.escape(file)}, line 2: byte 0xE9 is not UTF-8"):
        entry.load()


def test_split_folders(tmp_path: Path) -> None:
    for name in ("train/a.b", "train/stress-test-2", "dev/a.b", "more/test-set/a", "c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        for suffix in ("txt", "ann"):
            (tmp_path / f"{name}.{suffix}").write_text("")
    (tmp_path / "annotation.conf").write_text("[entities]")
    (tmp_path / "train/._a.txt").write_bytes(b"\xff")
    found = [(entry.id, entry.split, entry.load().annotations) for entry in brat.entries(tmp_path)]
    assert found == [
        ("c", "train", "c.ann"),
        ("dev/a.b", "dev", "dev/a.b.ann"),
        ("more/test-set/a", "test", "more/test-set/a.ann"),
        ("train/a.b", "train", "train/a.b.ann"),
        ("train/stress-test-2", "train", "train/stress-test-2.ann"),
    ]
    with pytest.raises(ClinbertError, match="no such folder"):
        list(brat.entries(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    "record, message",
    [
        (Record("r", "pain", (Mention(((0, 4),), "a problem"),)), "mention 1: brat holds no label with blanks"),
        (Record("r", "pain", (Mention(((0, 4),), ""),)), "no label with blanks"),
        (Record("r", "pain", (Mention(((0, 4),), "x"),), (Relation(0, 0, "a b"),)), "relation 1: brat holds no label"),
        (Record("r", "pain", (Mention(((0, 4),), "x", assertion="a  b"),)), "one blank apart"),
        (Record("r", "pain\n", (Mention(((0, 5),), "x"),)), "begins or ends with a line end"),
        (Record("r", "pain", (Mention(((2, 2),), "x"),)), "empty"),
        (Record("r", "pain", (Mention(((2, 9),), "x"),)), "empty"),
        (Record("r", "pain", cats={"x": 1.0}), "no categories"),
        (Record("r", "pain", parts={"x": (0, 1)}), "no parts"),
        (Record("../r", "pain"), "another id"),
        (Record("/r", "pain"), "another id"),
        (Record("", "pain"), "another id"),
    ],
)
def test_what_the_form_cannot_hold(record: Record, message: str, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match=message):
        brat.write([record], tmp_path / "out")
    assert not list(tmp_path.rglob("*.*"))


pieces = st.sampled_from(
    ["pain", "hip", "İ", "ẞ", "\u2028", "\u00a0", "😀", ";", "T1", " ", "  ", "\t", "\n", "\r\n", "\r"]
)
labels = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=5)
attributes = st.lists(st.sampled_from(["Negation", "absent", "Certainty=low", "Score=a=1"]), max_size=2).map(" ".join)


@st.composite
def records(draw: st.DrawFn) -> Record:
    text = draw(st.sampled_from(["", "\ufeff"])) + "".join(
        draw(st.lists(pieces | st.text("ab", max_size=3), max_size=25))
    )
    words = [match.span() for match in re.finditer(r"\S+", text)]
    mentions = []
    for _ in range(draw(st.integers(0, 6)) if words else 0):
        fragments = []
        for _ in range(draw(st.integers(1, 3))):
            first, last = sorted(draw(st.tuples(*[st.integers(0, len(words) - 1)] * 2)))
            fragment = (draw(st.integers(words[first][0], words[first][1] - 1)), words[last][1])
            # With blanks alone between them, two fragments are one.
            if not fragments or fragment[0] < fragments[-1][1] or text[fragments[-1][1] : fragment[0]].strip():
                fragments.append(fragment)
        mentions.append(Mention(tuple(fragments), draw(labels), assertion=draw(attributes)))
    index = st.integers(0, len(mentions) - 1)
    pairs = draw(st.lists(st.builds(Relation, index, index, labels), max_size=3)) if mentions else []
    return Record(draw(st.sampled_from(["r1", "train/r.1"])), text, tuple(mentions), tuple(pairs))


@settings(max_examples=200)
@given(record=records())
def test_what_is_written_is_read_back(record: Record, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("corpus", numbered=True)
    brat.write([record], folder)
    (entry,) = brat.entries(folder)
    again = entry.load()
    assert (again.id, again.text, again.relations, again.doubts) == (record.id, record.text, record.relations, ())
    assert [one._replace(id="") for one in again.mentions] == list(record.mentions)


@settings(max_examples=100)
@given(
    lines=st.lists(st.text("TREA*N#M10 9;:\tx\r\ufeff", max_size=12), max_size=4),
    text=st.text("x \n\r\ufeff", max_size=9),
)
def test_any_file_is_read_or_named(lines: list, text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    try:
        record = load(tmp_path_factory.mktemp("corpus", numbered=True), "\n".join(lines), text)
    except ClinbertError as error:
        assert re.search(r"d\.ann, line \d: ", str(error))
    else:
        assert all(0 <= start < end <= len(text) for one in record.mentions for start, end in one.fragments)


@pytest.mark.external
def test_nestedclinbr_is_read_whole(shared: Path) -> None:
    folder = shared / "data/pt/nestedclinbr"
    entries = list(brat.entries(folder))
    assert len(entries) == 100
    total = fragmented = 0
    for entry in entries:
        annotated = [
            line.split(b"\t")[1:]
            for line in (folder / f"{entry.id}.ann").read_bytes().splitlines()
            if line.startswith(b"T")
        ]
        record = entry.load()
        assert record.text.encode("utf-8") == (folder / f"{entry.id}.txt").read_bytes()
        assert not record.doubts and entry.split == "train"
        assert [one.label for one in record.mentions] == [place.split()[0].decode() for place, _ in annotated]
        assert [" ".join(" ".join(found).split()) for found in strings(record)] == [
            " ".join(said.decode("utf-8").split()) for _, said in annotated
        ]
        total += len(annotated)
        fragmented += sum(len(one.fragments) > 1 for one in record.mentions)
    # Of the 91 annotations with fragments, three have only blanks between them.
    assert (total, fragmented) == (3194, 88)
