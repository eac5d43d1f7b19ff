"""The component `clinbert_placeholders`: each placeholder a span, on any tokenizer."""

import pytest
import spacy
from component_notes import NOTE, notes
from hypothesis import example, given, settings

from spacy_clinbert.rules import find_placeholders

CLINICAL = {"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}}


def make_pipeline(tokenizer=CLINICAL, **settings):
    nlp = spacy.blank("en", config=tokenizer)
    nlp.add_pipe("clinbert_placeholders", config=settings)
    return nlp


NLP = make_pipeline()
PLAIN = make_pipeline({})


@pytest.mark.parametrize("text", ["", " ", "\n\n", "No placeholder here.", "[** unclosed", "____________"])
def test_notes_without_placeholders_have_an_empty_group(text):
    assert len(NLP(text).spans["placeholders"]) == 0


def test_a_note_of_placeholders_only():
    doc = NLP("[**2101-5-3**] [**Hospital1 18**]___")
    assert [(span.text, span.label_) for span in doc.spans["placeholders"]] == [
        ("[**2101-5-3**]", "date"),
        ("[**Hospital1 18**]", "hospital"),
        ("___", "other"),
    ]
    assert len(doc) == 3


@settings(max_examples=100, deadline=None)
@given(notes)
@example(NOTE)
def test_spans_are_the_placeholders(text):
    found = find_placeholders(text)
    doc, plain = NLP(text), PLAIN(text)
    spans = doc.spans["placeholders"]
    assert [(span.start_char, span.end_char, span.label_) for span in spans] == found
    # With a tokenizer that knows no placeholders, a span is the fewest tokens that hold its placeholder.
    for placeholder, span in zip(found, plain.spans["placeholders"], strict=True):
        assert span.start_char <= placeholder.start < placeholder.end <= span.end_char
        assert span[0].idx + len(span[0]) > placeholder.start and span[-1].idx < placeholder.end


def test_another_key():
    doc = make_pipeline(spans_key="hidden")(NOTE)
    assert "placeholders" not in doc.spans
    assert {span.label_ for span in doc.spans["hidden"]} >= {"name", "date", "hospital"}
