"""Sentences as examples: the same sentences as in prediction, every entity kept, counted without a pipeline."""

import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import DocBin, Span

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.training.sentences import make_sentences_reader

RULES = ("clinbert_placeholders", "clinbert_sections", "clinbert_sentences")
NOTE = "Chief Complaint:\nChest pain. He denies fever on [**2101-3-4**].\n\n \n1. Aspirin 81 mg\n2. Metformin\n"


@pytest.fixture(scope="module")
def nlp():
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}})
    for name in RULES:
        nlp.add_pipe(name)
    return nlp


def read(nlp, docs, folder):
    path = folder / "docs.spacy"
    DocBin(docs=docs).to_disk(path)
    return make_sentences_reader(str(path))


def test_they_are_the_sentences_of_the_pipeline(nlp, tmp_path):
    docs = [nlp.make_doc(NOTE), nlp.make_doc(NOTE[17:] * 3), nlp.make_doc("")]
    reader = read(nlp, docs, tmp_path)
    examples = list(reader(nlp))
    expected = [sent.text_with_ws for doc in docs for sent in nlp(doc.text).sents]
    assert [example.reference.text for example in examples] == expected
    assert len(reader) == len(examples) > 10
    for example in examples:
        assert example.predicted.text == example.reference.text
        assert [t.text for t in example.predicted] == [t.text for t in example.reference]
        assert not example.predicted.ents and not example.predicted.has_annotation("SENT_START")
        # What the rules say of the sentence alone is what they say of it in its note.
        assert len(list(nlp(example.predicted.copy()).sents)) == 1


def test_blanks_alone_are_no_example(nlp, tmp_path):
    assert list(read(nlp, [nlp.make_doc(" \n \n"), nlp.make_doc("")], tmp_path)(nlp)) == []


@given(bounds=st.sets(st.integers(0, 21), max_size=8))
def test_every_entity_is_kept_and_cut_where_its_sentence_ends(bounds, nlp, tmp_path_factory):
    doc = nlp.make_doc(NOTE)
    edges = sorted(bounds)
    doc.ents = [Span(doc, a, b, "x") for a, b in zip(edges[::2], edges[1::2])]
    sentences = list(nlp(NOTE).sents)
    expected = [
        (max(ent.start, sent.start) - sent.start, min(ent.end, sent.end) - sent.start)
        for sent in sentences
        for ent in doc.ents
        if ent.start < sent.end and ent.end > sent.start
    ]
    reader = read(nlp, [doc], tmp_path_factory.mktemp("docs"))
    found = [(ent.start, ent.end) for example in reader(nlp) for ent in example.reference.ents]
    assert found == expected


def test_portuguese_titles_need_their_lexicon(tmp_path):
    nlp = spacy.blank("pt")
    text = "Queixa principal: DISPNEIA\nEm uso de: AAS 100 MG\n"
    path = tmp_path / "docs.spacy"
    DocBin(docs=[nlp(text)]).to_disk(path)
    found = [example.reference.text for example in make_sentences_reader(path, "pt")(nlp)]
    assert "".join(found) == text and len(found) == len(make_sentences_reader(path, "pt"))


@pytest.mark.parametrize("content", [None, b"", b"PHI of Mr. Smith"])
def test_what_cannot_be_read_is_one_sentence(content, nlp, tmp_path):
    path = tmp_path / "docs.spacy"
    if content is not None:
        path.write_bytes(content)
    reader = make_sentences_reader(path)
    for act in (lambda: list(reader(nlp)), lambda: len(reader)):
        with pytest.raises(ClinbertError, match="clinbert convert") as error:
            act()
        assert str(path) in str(error.value) and "Smith" not in str(error.value)


def test_a_file_that_changes_is_counted_again(nlp, tmp_path):
    reader = read(nlp, [nlp.make_doc("One. ")], tmp_path)
    assert len(reader) == 1
    path = tmp_path / "docs.spacy"
    DocBin(docs=[nlp.make_doc(NOTE)]).to_disk(path)
    assert len(reader) == len(list(reader(nlp))) > 1
