"""The clinical tokenizer: scispaCy's tokens, each placeholder one token, the text exact."""

import gzip
import json
import pickle

import pytest
import spacy
from component_notes import NOTE, notes
from hypothesis import example, given, settings
from hypothesis import strategies as st
from imported_modules import imported
from scispacy.custom_tokenizer import combined_rule_tokenizer

from spacy_clinbert.components.tokenizer import create_clinical_tokenizer, tokenizer_of
from spacy_clinbert.rules import find_placeholders

CONFIG = {"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}}
NLP = spacy.blank("en", config=CONFIG)
FINE = create_clinical_tokenizer(fine=True)(spacy.blank("en"))
SCISPACY = combined_rule_tokenizer(spacy.blank("en"))


def words(text, tokenizer=NLP.tokenizer):
    return [token.text for token in tokenizer(text)]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", []),
        (" ", [" "]),
        (" \n\t", [" \n\t"]),
        ("[**2101-5-3**]", ["[**2101-5-3**]"]),
        ("Attending:[**First Name3 (LF) 101**]", ["Attending", ":", "[**First Name3 (LF) 101**]"]),
        ("Dr.[**Last Name (STitle) 7**], MD.", ["Dr.", "[**Last Name (STitle) 7**]", ",", "MD", "."]),
        ("[**Name1**][**Name2**]  x", ["[**Name1**]", "[**Name2**]", " ", "x"]),
        (" [**Hospital1\n18**]\n", [" ", "[**Hospital1\n18**]", "\n"]),
        ("Ms. ___ and ___.", ["Ms.", "___", "and", "___", "."]),
        ("[**Name1**] ", ["[**Name1**]"]),
        ("COX-2 q.d. don't", ["COX-2", "q.d", ".", "do", "n't"]),
    ],
)
def test_words(text, expected):
    doc = NLP.tokenizer(text)
    assert [token.text for token in doc] == expected
    assert doc.text == text


def test_fine_tokens_are_cut_inside_words_but_not_inside_placeholders():
    found = words("03/04/2101, T-101.2 on [**2101-3-4**], x-ray 1,5 mg e.g. don't", FINE)
    assert found[:6] == ["03", "/", "04", "/", "2101", ","]
    assert found[6:12] == ["T", "-", "101", ".", "2", "on"]
    assert found[12:] == ["[**2101-3-4**]", ",", "x", "-", "ray", "1", ",", "5", "mg", "e.g.", "do", "n't"]


@settings(max_examples=150, deadline=None)
@given(notes, st.booleans())
@example(NOTE, True)
def test_text_is_exact_and_each_placeholder_is_one_token(text, fine):
    doc = (FINE if fine else NLP.tokenizer)(text)
    assert doc.text == text
    spans = {(token.idx, token.idx + len(token)) for token in doc}
    assert spans >= {(placeholder.start, placeholder.end) for placeholder in find_placeholders(text)}


@settings(max_examples=100, deadline=None)
@given(notes)
@example(NOTE)
def test_stretches_between_placeholders_are_scispacys(text):
    placeholders = find_placeholders(text)
    ends = [0, *(placeholder.end for placeholder in placeholders)]
    starts = [*(placeholder.start for placeholder in placeholders), len(text)]
    expected = [(token.text, token.norm_) for a, b in zip(ends, starts, strict=True) for token in SCISPACY(text[a:b])]
    held = {placeholder.start for placeholder in placeholders}
    found = [(token.text, token.norm_) for token in NLP.tokenizer(text) if token.idx not in held]
    # The blank after a placeholder belongs to it, so that only tokens of blanks may differ.
    assert [pair for pair in found if not pair[0].isspace()] == [pair for pair in expected if not pair[0].isspace()]


def test_norms_of_special_cases_survive_beside_a_placeholder():
    doc = NLP.tokenizer("[**Name1**] didn't")
    assert [token.norm_ for token in doc] == ["[**name1**]", "do", "not"]


def test_language_of_the_pipeline():
    nlp = spacy.blank("pt", config=CONFIG)
    assert words("Dr. [**Name1**] às 10h.", nlp.tokenizer) == ["Dr.", "[**Name1**]", "às", "10h", "."]
    assert nlp.tokenizer.vocab is nlp.vocab


def test_building_one_leaves_the_pipeline_alone():
    nlp = spacy.blank("en")
    before = nlp.tokenizer
    create_clinical_tokenizer()(nlp)
    assert nlp.tokenizer is before


def test_round_trips(tmp_path):
    nlp = spacy.blank("en", config=CONFIG)
    nlp.tokenizer.add_special_case("s/p", [{"ORTH": "s/"}, {"ORTH": "p"}])
    text = NOTE + " s/p CABG"
    expected = words(text, nlp.tokenizer)
    assert expected[-3:] == ["s/", "p", "CABG"]
    nlp.to_disk(tmp_path / "model")
    nlp.tokenizer.to_disk(tmp_path / "tokenizer", exclude=["vocab"])
    fresh = [spacy.blank("en", config=CONFIG).tokenizer for _ in range(2)]
    copies = [
        spacy.load(tmp_path / "model").tokenizer,
        spacy.blank("en", config=CONFIG).from_bytes(nlp.to_bytes()).tokenizer,
        fresh[0].from_bytes(nlp.tokenizer.to_bytes()),
        fresh[1].from_disk(tmp_path / "tokenizer"),
        pickle.loads(pickle.dumps(nlp.tokenizer)),
    ]
    for copy in copies:
        assert words(text, copy) == expected
        assert type(copy) is type(nlp.tokenizer)
    plain = spacy.blank("en", config=CONFIG).tokenizer.from_bytes(nlp.tokenizer.to_bytes(), exclude=["exceptions"])
    assert "s/p" in words(text, plain)


def test_pipe_gives_the_docs_in_order():
    texts = [NOTE, "", "x [**Name1**]"]
    assert [doc.text for doc in NLP.tokenizer.pipe(texts, batch_size=2)] == texts


@pytest.mark.external
def test_real_notes_keep_their_text_and_scispacys_tokens(shared):
    with gzip.open(shared / "data/notes/mtsamples.jsonl.gz", "rt", encoding="utf8") as lines:
        texts = [json.loads(line)["text"] for line in lines][::10]
    assert len(texts) > 100
    for text in texts:
        doc = NLP.tokenizer(text)
        assert doc.text == text
        if not find_placeholders(text):
            assert [token.text for token in doc] == words(text, SCISPACY)


@pytest.mark.parametrize("lang", ["en", "pt"])
@pytest.mark.parametrize("fine", [False, True])
def test_without_a_pipeline_it_is_the_same(lang, fine):
    alone, of_pipeline = tokenizer_of(lang, fine), create_clinical_tokenizer(fine)(spacy.blank(lang))
    for text in (NOTE, "Dr. J. can't go, e.g. d'água; 10mg/kg p/ 03/04/2101"):
        found = [[(t.text, t.whitespace_, t.norm_, t.lex.prefix_) for t in one(text)] for one in (alone, of_pipeline)]
        assert found[0] == found[1]


def test_without_a_pipeline_no_other_package_is_imported():
    code = "from spacy_clinbert.components.tokenizer import tokenizer_of; tokenizer_of('en')"
    assert imported(code, ("transformers", "spacy_transformers")) == []
