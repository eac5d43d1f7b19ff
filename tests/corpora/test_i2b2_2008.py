import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_clinbert.corpora import i2b2_2008
from spacy_clinbert.corpora.judgements import JUDGEMENTS, judgement_cats
from spacy_clinbert.corpora.records import LeftOut, Mention, Record
from spacy_clinbert.errors import ClinbertError


def texts(folder: Path, *names: str, file: str = "training") -> Path:
    docs = (f'<doc id="{name}"><text>\nsecret {name}\n</text></doc>' for name in names)
    path = folder / i2b2_2008.TEXTS.format(file)
    path.write_text(f"<root><docs>{''.join(docs)}</docs></root>", encoding="utf-8")
    return folder


def judge(folder: Path, *rows: str, file: str = "training") -> Path:
    """Write judgements, each `source disease document judgement`."""
    parts = []
    for row in rows:
        source, disease, name, judgement = row.split()
        doc = f'<doc id="{name}" judgment="{judgement}"/>'
        parts.append(f'<diseases source="{source}"><disease name="{disease}">{doc}</disease></diseases>')
    path = folder / i2b2_2008.ANNOTATIONS.format(file)
    path.write_text(f"<diseaseset>{''.join(parts)}</diseaseset>", encoding="utf-8")
    return folder


def load(folder: Path) -> list:
    return [entry.load() for entry in i2b2_2008.entries(folder)]


def given_cats(record: Record) -> list:
    return [label for label, value in record.cats.items() if value == 1.0]


def test_joins_texts_and_judgements(tmp_path: Path) -> None:
    texts(tmp_path, "1", "2")
    judge(tmp_path, "textual Gout 1 U", "intuitive Gout 1 N", "textual Gout 2 Q", "intuitive Gout 2 Y")
    first, second = load(tmp_path)
    assert (first.id, first.text) == ("train/1", "\nsecret 1\n")
    assert first.cats == judgement_cats("textual", "Gout", "U") | judgement_cats("intuitive", "Gout", "N")
    assert given_cats(second) == ["intuitive:Gout=Y", "textual:Gout=Q"]
    assert not first.doubts and not second.doubts


def test_a_missing_judgement_gives_no_categories_and_a_doubt(tmp_path: Path) -> None:
    texts(tmp_path, "1", "2")
    judge(tmp_path, "textual Gout 1 Y", "intuitive Gout 1 Y", "textual Gout 2 N", "textual OA 2 N")
    first, second = load(tmp_path)
    assert given_cats(first) == ["intuitive:Gout=Y", "textual:Gout=Y"]
    assert set(second.cats) == {*judgement_cats("textual", "Gout", "N"), *judgement_cats("textual", "OA", "N")}
    assert [(one.id, one.reason) for one in first.doubts] == [("doc 1", "no textual judgement on OA")]
    assert [(one.id, one.reason) for one in second.doubts] == [("doc 2", "no intuitive judgement on Gout")]


def test_judgements_that_differ_and_that_agree(tmp_path: Path) -> None:
    texts(tmp_path, "1")
    judge(tmp_path, "textual Gout 1 Y", "textual OA 1 N")
    judge(tmp_path, "textual Gout 1 Q", "textual OA 1 N", file="training_addendum")
    (record,) = load(tmp_path)
    assert given_cats(record) == ["textual:Gout=Q", "textual:OA=N"]
    (doubt,) = record.doubts
    assert doubt == (i2b2_2008.ANNOTATIONS.format("training_addendum"), "doc 1, textual Gout", doubt.reason)
    assert "differs" in doubt.reason


def test_judgements_on_no_document_and_of_no_kind(tmp_path: Path) -> None:
    texts(tmp_path, "1", "2", "3")
    judge(tmp_path, "textual Gout 1 Y", "textual Gout 2 Y", "textual Gout 9 Y", "textual OA 9 Y", "intuitive OA 1 U")
    first, second, third = i2b2_2008.entries(tmp_path)
    assert ("doc 1, intuitive OA", "left out: a judgement that its source does not have") in [
        doubt[1:] for doubt in first.load().doubts
    ]
    assert "doc 9" not in [doubt.id for doubt in second.load().doubts]
    with pytest.raises(LeftOut, match="doc 3: there is no judgement"):
        third.load()
    texts(tmp_path, "1", "2")
    _, last = load(tmp_path)
    assert [doubt.reason for doubt in last.doubts if doubt.id == "doc 9"] == [
        "left out: judgements on a document that is not there"
    ]


def test_released_layout(tmp_path: Path) -> None:
    texts(tmp_path, "1", "2")
    texts(tmp_path, "3", file="training2")
    texts(tmp_path, "1", file="test")
    judge(tmp_path, "textual Gout 1 Y", "textual Gout 2 N")
    judge(tmp_path, "textual Gout 3 Q", file="training_addendum3")
    judge(tmp_path, "textual Gout 1 U", file="test_textual")
    judge(tmp_path, "intuitive Gout 1 N", file="test_intuitive")
    entries = list(i2b2_2008.entries(tmp_path))
    assert [(one.id, one.split) for one in entries] == [
        ("test/1", "test"),
        ("train/1", "train"),
        ("train/2", "train"),
        ("train/3", "train"),
    ]
    assert [given_cats(one.load()) for one in entries] == [
        ["intuitive:Gout=N", "textual:Gout=U"],
        ["textual:Gout=Y"],
        ["textual:Gout=N"],
        ["textual:Gout=Q"],
    ]


ANNOTATIONS, TEXTS = (name.format("training") for name in (i2b2_2008.ANNOTATIONS, i2b2_2008.TEXTS))


@pytest.mark.parametrize(
    "file, content, failing, message",
    [
        (ANNOTATIONS, None, 2, "has texts for train but no judgements: put obesity_standoff_annotations"),
        (ANNOTATIONS, "<diseaseset><diseases", 2, "annotations_training.xml, line 1, column 13"),
        (
            ANNOTATIONS,
            '<diseaseset><diseases source="x"/></diseaseset>',
            2,
            "a source other than textual and intuitive",
        ),
        (TEXTS, None, 1, "has judgements for train but no texts: put obesity_patient_records"),
        (TEXTS, "<root><docs>", 1, "records_training.xml, line 1, column 13"),
        (TEXTS, "<ROOT><RECORD/></ROOT>", 1, "records_training.xml: has no doc"),
        (TEXTS, '<root><doc id="1"/></root>', 1, "doc 1: has no text"),
        (TEXTS, "<root><doc><text/></doc></root>", 1, "doc number 1: its id is missing"),
        (
            TEXTS,
            '<root><doc id="1">\xe9<text/></doc></root>'.encode("latin-1"),
            1,
            "line 1, column 19: not well-formed",
        ),
        (TEXTS, '<!DOCTYPE a [<!ENTITY b "x">]><root>&b;</root>', 1, "entities"),
    ],
)
def test_faults_are_one_clear_error(
    file: str, content: "str | bytes | None", failing: int, message: str, tmp_path: Path
) -> None:
    judge(texts(tmp_path, "1", "2"), "textual Gout 1 Y", "textual Gout 2 Y")
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    entries = list(i2b2_2008.entries(tmp_path))
    assert len(entries) == failing
    for entry in entries:
        with pytest.raises(ClinbertError, match=re.escape(message)) as caught:
            entry.load()
        assert not isinstance(caught.value, LeftOut)
        assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_an_id_used_twice_is_named(tmp_path: Path) -> None:
    judge(texts(tmp_path, "1", "1"), "textual Gout 1 Y")
    first, second = i2b2_2008.entries(tmp_path)
    assert first.id != second.id and given_cats(first.load()) == ["textual:Gout=Y"]
    with pytest.raises(ClinbertError, match="doc number 2: its id is missing or used twice"):
        second.load()


GOUT = judgement_cats("textual", "Gout", "Y")


@pytest.mark.parametrize(
    "record",
    [
        Record("r", "a"),
        Record("r", "a", cats={"Gout": 1.0}),
        Record("r", "a", cats={"textual:Gout=Y": 1.0}),
        Record("r", "a", cats=GOUT | {"textual:Gout=N": 1.0}),
        Record("r", "a", cats=GOUT | {"SMOKER": 0.0}),
        Record("r", "a", (Mention(((0, 1),), "ID"),), cats=GOUT),
    ],
)
def test_what_the_form_cannot_hold(record: Record, tmp_path: Path) -> None:
    with pytest.raises(ClinbertError, match="r: i2b2 2008 holds"):
        i2b2_2008.write([record], tmp_path)


letters = st.characters(exclude_categories=["Cs", "Cc", "Cn"]) | st.sampled_from("\n\r\t <>&\"']")


@st.composite
def records(draw: st.DrawFn) -> list:
    drawn = []
    for number in range(draw(st.integers(1, 4))):
        cats: dict = {}
        for disease in draw(st.sets(st.sampled_from(i2b2_2008.DISEASES), min_size=1, max_size=5)):
            for source in draw(st.sets(st.sampled_from([*JUDGEMENTS]), min_size=1)):
                cats |= judgement_cats(source, disease, draw(st.sampled_from(JUDGEMENTS[source])))
        drawn.append(Record(f"train/{number}", draw(st.text(letters)), cats=cats))
    return drawn


@settings(max_examples=60)
@given(drawn=records())
def test_what_is_written_is_read_back(drawn: list, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("corpus", numbered=True)
    i2b2_2008.write(drawn, folder)
    again = load(folder)
    assert [(one.id, one.text, one.cats) for one in again] == [(one.id, one.text, one.cats) for one in drawn]
    asked = {label.partition("=")[0] for one in drawn for label in one.cats}
    assert [len(one.doubts) for one in again] == [
        len(asked - {label.partition("=")[0] for label in one.cats}) for one in drawn
    ]


@pytest.mark.external
def test_sample(shared: Path) -> None:
    first, second = load(shared / "data/formats/i2b2_2008_obesity")
    assert given_cats(first) == ["intuitive:Obesity=Y", "textual:Obesity=Y"]
    assert given_cats(second) == ["intuitive:Obesity=N", "textual:Asthma=N", "textual:Obesity=U"]
    assert [one.reason for one in first.doubts] == ["no textual judgement on Asthma"] and not second.doubts
    assert first.text.startswith("\n") and first.text.endswith("\n")
