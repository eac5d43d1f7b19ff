from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora import pubtator
from spacy_clinbert.corpora.records import Mention, Record, Relation
from spacy_clinbert.errors import ClinbertError

# Title 0-21, separator, abstract from 22; invented.
HEAD = "7|t|Coma | after codeine.\n7|a|The coma was a coma, and renal and hepatic failure.\n"
LINES = (
    "7\t0\t4\tComa\tDisease\tD1\n"
    "7\t13\t20\tcodeine\tChemical\tC1\t\n"
    "7\t26\t30\tcoma\tDisease\tD1\n"
    "7\t47\t72\trenal and hepatic failure\tDisease\tD2|D3\trenal failure|hepatic failure\n"
    "7\t47\t52\trenal\tBodyPart\n"
)


def load(folder: Path, content: str, name: str = "CDR_TrainingSet.PubTator.txt") -> list:
    (folder / name).write_bytes(content.encode())
    return [entry.load() for entry in pubtator.entries(folder)]


def found(record: Record) -> list:
    return [(record.text[slice(*one.fragments[0])], one.label) for one in record.mentions]


def test_a_document(tmp_path: Path) -> None:
    (record,) = load(tmp_path, HEAD + LINES + "7\tCID\tC1\tD3\n7\tAssociation\tD1\tC1\tNovel\n\n")
    assert record.text == "Coma | after codeine.\nThe coma was a coma, and renal and hepatic failure."
    assert found(record) == [
        ("Coma", "Disease"),
        ("codeine", "Chemical"),
        ("coma", "Disease"),
        ("renal and hepatic failure", "Disease"),
        ("renal", "BodyPart"),
    ]
    assert record.mentions[1] == Mention(((13, 20),), "Chemical", "line 4")
    assert record.relations == (Relation(1, 3, "CID"), Relation(0, 1, "Association"))
    assert {part: record.text[slice(*bounds)] for part, bounds in record.parts.items()} == {
        "title": "Coma | after codeine.",
        "abstract": "The coma was a coma, and renal and hepatic failure.",
    }
    assert not record.doubts


@pytest.mark.parametrize(
    "line, start",
    [
        ("7\t27\t31\tcoma\tDisease", 26),
        ("7\t30\t34\tcoma\tDisease", 26),
        ("7\t35\t39\tcoma\tDisease", 37),
        ("7\t900\t904\tcoma\tDisease", 37),
        ("7\t0\t4\tcoma\tDisease", 26),  # "Coma" is not "coma"
    ],
)
def test_text_elsewhere_is_placed_at_the_nearest_and_reported(line: str, start: int, tmp_path: Path) -> None:
    (record,) = load(tmp_path, f"{HEAD}{line}\n")
    assert found(record) == [("coma", "Disease")] and record.mentions[0].fragments == ((start, start + 4),)
    (doubt,) = record.doubts
    assert (doubt.file, doubt.id) == ("CDR_TrainingSet.PubTator.txt", "line 3") and "coma" not in doubt.reason


def test_a_relation_of_a_concept_without_mention_is_reported(tmp_path: Path) -> None:
    (record,) = load(tmp_path, HEAD + LINES + "7\tCID\tC1\tD9\n")
    assert record.relations == () and [(one.id, one.reason[:8]) for one in record.doubts] == [("line 8", "left out")]


def test_documents_files_and_repeated_ids(tmp_path: Path) -> None:
    two = "8|t|A\r\n8|a|\r\n9|t|B\r\n9|a|b\r\n\r\n\r\n8|t|C\r\n8|a|c\r\n"
    for name in ("NCBItrainset_corpus.txt", "NCBIdevelopset_corpus.txt", "NCBItestset_corpus.txt", "README.txt"):
        (tmp_path / name).write_text(two, newline="")
    entries = list(pubtator.entries(tmp_path))
    assert [one.split for one in entries] == ["dev"] * 3 + ["test"] * 3 + ["train"] * 3
    assert [one.id for one in entries[:4]] == [
        "8",
        "9",
        "8 (NCBIdevelopset_corpus.txt, line 7)",
        "8 (NCBItestset_corpus.txt, line 1)",
    ]
    assert [one.load().text for one in entries[:3]] == ["A\n", "B\nb", "C\nc"]
    assert len({one.id for one in entries}) == 9 and all(one.load().id == one.id for one in entries)


@pytest.mark.parametrize(
    "content, line, reason",
    [
        (HEAD + "7\t0\t6\tsecret\tDisease\n", 3, "its text is not in title or abstract"),
        (HEAD + "7\t0\t0\t\tDisease\n", 3, "its text is not in title or abstract"),
        (HEAD + "7\t0\tsecret\n", 3, "neither a mention nor a relation"),
        (HEAD + "7\tCID\tsecret\t\n", 3, "neither a mention nor a relation"),
        (HEAD + "7\t0\t4\tComa\t\n", 3, "names no type"),
        (HEAD + "8\t0\t4\tComa\tDisease\n", 3, "its id is not the title's"),
        ("7|t|secret\n", 1, "no abstract follows"),
        ("7|t|secret\n7\t0\t6\tsecret\tX\n", 1, "no abstract follows"),
        ("secret\n", 1, "belongs to no title"),
        ("7|a|secret\n", 1, "belongs to no title"),
        ("7|t|a\n7|a|secret \udce9\n", 2, "byte 0xE9 is not UTF-8"),
    ],
)
def test_a_bad_line_is_named_and_costs_only_its_document(content: str, line: int, reason: str, tmp_path: Path) -> None:
    content = f"1|t|A\n1|a|a\n\n{content}\n2|t|B\n2|a|b\n"
    (tmp_path / "corpus.PubTator").write_bytes(content.encode(errors="surrogateescape"))
    good, bad, last = pubtator.entries(tmp_path)
    with pytest.raises(ClinbertError, match=reason) as caught:
        bad.load()
    assert f"corpus.PubTator, line {line + 3}:" in str(caught.value) and "secret" not in str(caught.value)
    assert (good.load().text, last.load().text) == ("A\na", "B\nb")


@pytest.mark.parametrize(
    "record",
    [
        Record("1", "title"),
        Record("1", "title\na\nb"),
        Record("1", "title\na\r"),
        Record("1|2", "title\na"),
        Record("", "title\na"),
        Record("1", "title\na", (Mention(((0, 2), (3, 4)), "X"),)),
        Record("1", "title\na", (Mention(((3, 7),), "X"),)),
        Record("1", "title\na", (Mention(((3, 3),), "X"),)),
        Record("1", "ti\tle\na", (Mention(((0, 4),), "X"),)),
        Record("1", "title\na", (Mention(((0, 4),), ""),)),
    ],
)
def test_what_the_form_cannot_hold(record: Record, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="PubTator holds"):
        pubtator.write([record], tmp_path)


lines = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r\t"), max_size=20)


@st.composite
def records(draw: st.DrawFn) -> Record:
    title, abstract = draw(lines), draw(lines | st.just("aaa aaa |a| 7"))
    mentions = []
    for base, line in ((0, title), (len(title) + 1, abstract)):
        for _ in range(draw(st.integers(0, 3)) if line else 0):
            start = draw(st.integers(0, len(line) - 1))
            end = draw(st.integers(start + 1, len(line)))
            mentions.append(Mention(((base + start, base + end),), draw(st.sampled_from(["Disease", "a b", "T1,T2"]))))
    number = st.integers(0, max(0, len(mentions) - 1))
    relations = st.lists(st.builds(Relation, number, number, st.sampled_from(["CID", "12"])), max_size=3)
    return Record("", f"{title}\n{abstract}", tuple(mentions), tuple(draw(relations)) if mentions else ())


@settings(max_examples=80)
@given(written=st.lists(records(), max_size=3))
def test_what_is_written_is_read_back(written: list, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("pubtator")
    named = [Record(f"id {n}", one.text, one.mentions, one.relations) for n, one in enumerate(written)]
    pubtator.write(named, folder)
    read = [entry.load() for entry in pubtator.entries(folder)]
    assert [(r.id, r.text, [m._replace(id="") for m in r.mentions], r.relations, r.doubts) for r in read] == [
        (r.id, r.text, list(r.mentions), r.relations, ()) for r in named
    ]
