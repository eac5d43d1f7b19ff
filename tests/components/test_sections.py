"""The component `clinbert_sections`: sections tile the tokens, and the lexicon is the user's to extend."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
import spacy
from component_notes import NOTE, annotations, notes
from hypothesis import example, given, settings
from spacy.tokens import Doc, Span

from spacy_clinbert.components.sections import read_sections, write_sections
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.rules import Section, split_sections

CLINICAL = {"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}}
# A lexicon of one title; its file takes the place of a built-in one.
OWN = {"language": "en", "categories": {"fruit": {"name": "Fruit", "titles": ["Banana Notes"]}}}


def make_pipeline(lang="en", tokenizer=CLINICAL, **settings):
    nlp = spacy.blank(lang, config=tokenizer)
    nlp.add_pipe("clinbert_sections", config=settings)
    return nlp


NLP = make_pipeline()
PLAIN = make_pipeline(tokenizer={})


def outline(doc):
    return [(span._.clinbert_title, span.label_) for span in doc.spans["sections"]]


def make_doc(words, spaces, vocab=NLP.vocab):
    return Doc(vocab, words=words, spaces=spaces)


def tile(text, *starts):
    """Sections with these starts, each titled by its first character."""
    bounds = pairwise([*starts, len(text)])
    return [Section(a, b, a, a + 1, text[a], f"s{i}", i + 1) for i, (a, b) in enumerate(bounds)]


def test_a_note():
    doc = NLP(NOTE)
    found = outline(doc)
    assert [title for title, _ in found] == [
        "Admission Date",
        "Discharge Date",
        "Chief Complaint",
        "HISTORY OF PRESENT ILLNESS",
        "Allergies",
        "Medications on Admission",
        "Discharge Instructions",
    ]
    assert dict(found)["Chief Complaint"] == "chief_complaint"
    assert dict(found)["HISTORY OF PRESENT ILLNESS"] == "history_of_present_illness"
    drug = next(token for token in doc if token.text == "Aspirin")
    assert (
        drug._.clinbert_section
        == doc[drug.i : drug.i + 2]._.clinbert_section
        == dict(found)["Medications on Admission"]
    )
    assert doc.spans["sections"].attrs["dropped"] == 0


@settings(max_examples=150, deadline=None)
@given(notes)
@example(NOTE)
def test_sections_tile_the_tokens(text):
    for nlp in (NLP, PLAIN):
        doc = nlp(text)
        spans = doc.spans["sections"]
        assert [i for span in spans for i in range(span.start, span.end)] == list(range(len(doc)))
        assert all(len(span) for span in spans)
        assert [token._.clinbert_section for token in doc] == [span.label_ for span in spans for _ in span]
        rules = split_sections(text)
        assert len(spans) + spans.attrs["dropped"] == len(rules)
        if not spans.attrs["dropped"]:
            assert [title for title, _ in outline(doc)] == [section.title for section in rules]
            assert [span._.clinbert_level for span in spans] == [section.level for section in rules]


@pytest.mark.parametrize(
    "words, spaces, starts, expected, dropped",
    [
        (["ab", "cd", "ef"], [True, True, False], [0, 3, 6], [(0, 1), (1, 2), (2, 3)], 0),
        (["ab", "cd", "ef"], [True, True, False], [0, 2, 7], [(0, 1), (1, 2), (2, 3)], 0),
        (["ab", "cd", "ef"], [True, True, False], [0, 4, 6], [(0, 1), (1, 2), (2, 3)], 0),
        (["ab", "cd", "ef"], [False, False, False], [0, 1], [(0, 3)], 1),
        (["ab", "cd", "ef"], [True, True, False], [0, 3, 4, 6], [(0, 1), (1, 2), (2, 3)], 1),
        (["ab", "cd"], [True, True], [0, 5], [(0, 2)], 1),
        ([" ", "ab"], [False, False], [0, 1], [(0, 1), (1, 2)], 0),
    ],
)
def test_boundaries_move_to_the_token_that_holds_or_follows_them(words, spaces, starts, expected, dropped):
    doc = make_doc(words, spaces)
    write_sections(doc, "sections", tile(doc.text, *starts))
    assert [(span.start, span.end) for span in doc.spans["sections"]] == expected
    assert doc.spans["sections"].attrs["dropped"] == dropped


def test_reading_gives_what_was_written():
    doc = NLP(NOTE)
    assert read_sections(doc, "sections") == split_sections(NOTE)


def test_reading_groups_that_do_not_tile():
    doc = make_doc(["ab", "cd", "ef", "gh"], [True] * 4)
    assert [section[:2] for section in read_sections(doc, "missing")] == [(0, 12)]
    doc.spans["own"] = [Span(doc, 2, 3, label="x"), Span(doc, 1, 4, label="y")]
    assert [(s.start, s.end, s.title, s.category) for s in read_sections(doc, "own")] == [
        (0, 3, "", ""),
        (3, 6, "", "y"),
        (6, 12, "", "x"),
    ]


@pytest.mark.parametrize("text", ["", " ", "\n \n", "\u00a0"])
def test_empty_and_blank_notes(text):
    doc = NLP(text)
    assert [span.text for span in doc.spans["sections"]] == ([text] if text else [])


def test_a_lexicon_is_extended():
    text = "Banana Notes: ripe.\nAllergies: none.\n"
    assert outline(make_pipeline(extend={"Banana Notes": "fruit"})(text)) == [
        ("Banana Notes", "fruit"),
        ("Allergies", "allergies"),
    ]
    assert ("Banana Notes", "fruit") not in outline(NLP(text))


@pytest.mark.parametrize("title", ["Dx: final", "a=b", "# problems", "; aside"])
def test_a_title_that_a_config_file_would_lose_is_refused(title):
    with pytest.raises(ClinbertError, match="do not survive a config file"):
        make_pipeline(extend={title: "x"})


def test_a_saved_pipeline_brings_its_lexicon_along(tmp_path):
    path = tmp_path / "own.json"
    path.write_text(json.dumps(OWN), encoding="utf8")
    nlp = make_pipeline(lexicon=str(path), extend={"Cherry": "fruit"})
    text = "Banana Notes: ripe.\nCherry: red.\n"
    expected = annotations(nlp(text))
    assert [section[2] for section in expected["sections"]] == ["fruit", "fruit"]
    nlp.to_disk(tmp_path / "model")
    data = nlp.to_bytes()
    path.unlink()
    loaded = spacy.load(tmp_path / "model")
    assert annotations(loaded(text)) == expected
    loaded.to_disk(tmp_path / "again")
    assert annotations(spacy.load(tmp_path / "again")(text)) == expected
    assert annotations(make_pipeline(lexicon=str(path)).from_bytes(data)(text)) == expected


@pytest.mark.parametrize("name", ["own.json", "own", "own.txt"])
@pytest.mark.parametrize("fault", [Path.unlink, lambda path: path.write_text("[]")], ids=["missing", "invalid"])
def test_a_saved_pipeline_does_not_need_the_file_of_its_lexicon(tmp_path, name, fault):
    path = tmp_path / name
    path.write_text(json.dumps(OWN), encoding="utf8")
    nlp = make_pipeline(lexicon=str(path))
    nlp.to_disk(tmp_path / "model")
    fault(path)
    assert outline(spacy.load(tmp_path / "model")("Banana Notes: ripe.\n")) == [("Banana Notes", "fruit")]


def test_lexicons_that_cannot_be_used(tmp_path):
    with pytest.raises(ClinbertError, match="klingon"):
        make_pipeline(lexicon="klingon")(NOTE)
    path = tmp_path / "missing.json"
    nlp = make_pipeline(lexicon=str(path))
    with pytest.raises(ClinbertError, match=r"missing\.json"):
        nlp(NOTE)
    path.write_text("[]", encoding="utf8")
    with pytest.raises(ClinbertError, match=r"missing\.json"):
        nlp(NOTE)


def test_component_serialization_leaves_out_what_is_excluded(tmp_path):
    pipe = make_pipeline(extend={"Banana Notes": "fruit"}, spans_key="parts").get_pipe("clinbert_sections")
    pipe.to_disk(tmp_path / "pipe")
    for options, key in (({}, "parts"), ({"exclude": ["settings"]}, "sections")):
        for copy in (
            make_pipeline().get_pipe("clinbert_sections").from_bytes(pipe.to_bytes(), **options),
            make_pipeline().get_pipe("clinbert_sections").from_bytes(pipe.to_bytes(**options)),
            make_pipeline().get_pipe("clinbert_sections").from_disk(tmp_path / "pipe", **options),
        ):
            assert copy.spans_key == key
            assert (copy.lexicon.titles == pipe.lexicon.titles) is (key == "parts")
    assert vars(pipe.from_bytes(pipe.to_bytes()).lexicon) == vars(pipe.lexicon)
    pipe.to_disk(tmp_path / "nothing", exclude=["settings"])
    assert not list((tmp_path / "nothing").iterdir())


def test_portuguese_on_spacys_own_tokenizer():
    nlp = make_pipeline("pt", {}, lexicon="pt")
    doc = nlp("Alergias: nega.\nExame físico:\nPaciente lúcido.\n")
    assert outline(doc) == [("Alergias", "allergies"), ("Exame físico", "physical_exam")]


def test_another_key_does_not_feed_the_attributes():
    doc = make_pipeline(spans_key="parts")(NOTE)
    assert "sections" not in doc.spans
    assert {token._.clinbert_section for token in doc} == {""}
    assert {span.label_ for span in doc.spans["parts"]} >= {"chief_complaint", "allergies"}
