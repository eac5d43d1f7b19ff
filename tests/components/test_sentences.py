"""The component `clinbert_sentences`: each token knows whether it starts a sentence; no sentence crosses a section."""

import pytest
import spacy
from component_notes import NOTE, notes
from hypothesis import example, given, settings
from spacy.tokens import Doc, Span
from thinc.config import ConfigValidationError

from spacy_clinbert.components.sections import read_sections
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.rules import split_sentences

CLINICAL = {"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}}


def make_pipeline(tokenizer=CLINICAL, sections=True, **settings):
    nlp = spacy.blank("en", config=tokenizer)
    if sections:
        nlp.add_pipe("clinbert_sections")
    nlp.add_pipe("clinbert_sentences", config=settings)
    return nlp


NLP = make_pipeline()
PLAIN = make_pipeline({})
ALONE = make_pipeline(sections=False)


def test_a_note():
    sentences = [sentence.text.strip() for sentence in NLP(NOTE).sents]
    assert "Mr. [**Known lastname 202**] is a 63-year-old man." in sentences
    assert "1. Aspirin 81 mg daily." in sentences
    assert "Pain is 7/10." in sentences
    wrapped = next(sentence for sentence in sentences if "carvedilol\nand was brought" in sentence)
    assert wrapped.startswith("He didn't") and wrapped.endswith("by his wife.")


@settings(max_examples=100, deadline=None)
@given(notes)
@example(NOTE)
def test_sentences_tile_the_sections(text):
    for nlp in (NLP, PLAIN, ALONE):
        doc = nlp(text)
        starts = {token.i for token in doc if token.is_sent_start}
        section_starts = {span.start for span in doc.spans.get("sections", ())} or set(range(min(len(doc), 1)))
        assert starts >= section_starts
        assert None not in [token.is_sent_start for token in doc]
        assert all(i in section_starts or not doc[i].is_space for i in starts)


@settings(max_examples=50, deadline=None)
@given(notes)
@example(NOTE)
def test_sentences_are_those_of_the_rules(text):
    doc = NLP(text)
    words = [token for token in doc if not token.is_space]
    rules = [start for start, end in split_sentences(text, read_sections(doc, "sections")) if text[start:end].strip()]
    # The first word of each sentence; what the rules cut inside one token stays one sentence.
    expected = {next(word.i for word in words if word.idx + len(word) > start) for start in rules}
    found = {
        next(token.i for token in sentence if not token.is_space) for sentence in doc.sents if sentence.text.strip()
    }
    assert found == expected


def test_the_fast_backend_sets_the_starts_of_the_rules():
    doc = make_pipeline(backend="fast")(NOTE)
    fast = split_sentences(NOTE, read_sections(doc, "sections"), "fast")
    assert [sentence.text.strip() for sentence in doc.sents] == [NOTE[start:end].strip() for start, end in fast]


def test_a_note_without_sections_is_one_section():
    doc = ALONE("Pain since noon. No fever.")
    assert [sentence.text for sentence in doc.sents] == ["Pain since noon.", "No fever."]


def test_no_sentence_crosses_the_sections_of_another_key():
    nlp = make_pipeline(sections=False, sections_key="own")
    doc = nlp.make_doc("Pain since this noon and no fever.")
    doc.spans["own"] = [Span(doc, 0, 4), Span(doc, 4, len(doc))]
    doc = nlp.get_pipe("clinbert_sentences")(doc)
    assert [sentence.start for sentence in doc.sents] == [0, 4]


@pytest.mark.parametrize(
    "text, expected", [("", []), (" ", [True]), ("\n\n", [True]), ("\n \nPain.", [True, False, False])]
)
def test_empty_and_blank_notes(text, expected):
    assert [token.is_sent_start for token in ALONE(text)] == expected


def test_a_note_of_placeholders_only():
    doc = NLP("[**2101-5-3**] [**Hospital1 18**]___")
    assert [token.is_sent_start for token in doc] == [True, False, False]


def test_earlier_sentence_starts_are_overwritten():
    doc = NLP.make_doc("Pain since noon. No fever.")
    for token in doc:
        token.is_sent_start = True
    assert [sentence.text for sentence in NLP(doc).sents] == ["Pain since noon.", "No fever."]


def test_a_parsed_doc_is_refused():
    doc = Doc(NLP.vocab, words=["Smith", "came", "."], heads=[1, 1, 1], deps=["nsubj", "ROOT", "punct"])
    with pytest.raises(ClinbertError, match="before the parser") as caught:
        NLP.get_pipe("clinbert_sentences")(doc)
    assert "Smith" not in str(caught.value)


def test_an_unknown_backend_is_refused_by_the_config():
    with pytest.raises(ConfigValidationError, match="backend"):
        make_pipeline(backend="pysdb")


def test_component_serialization():
    pipe = make_pipeline(backend="parser", sections_key="own").get_pipe("clinbert_sentences")
    copy = make_pipeline().get_pipe("clinbert_sentences").from_bytes(pipe.to_bytes())
    assert (copy.backend, copy.sections_key) == ("parser", "own")
