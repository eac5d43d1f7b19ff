"""The reader that carries what no rule can find again, and what it refuses."""

import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.training.corpus import make_corpus

TEXT = "He has fever. \nNo pain, denies chills."
PAIR = ["spans:premise", "spans:hypothesis"]


@pytest.fixture
def nlp():
    return spacy.blank("en")


def make_gold(nlp, text=TEXT, number=0) -> Doc:
    doc = nlp(text)
    line = next(token.i for token in doc if "\n" in token.text)
    doc.spans["premise"] = [Span(doc, 0, line, "premise")]
    doc.spans["hypothesis"] = [Span(doc, line + 1, len(doc), "hypothesis")]
    doc.spans["premise"].attrs["scores"] = [0.5]
    doc.ents = [Span(doc, 2, 3, "problem")]
    doc.cats = {"neutral": 1.0}
    for token in doc:
        token.is_sent_start = token.i in (0, line + 1)
    doc.user_data["clinbert_id"] = f"pair {number}"
    return doc


def write(path, docs):
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


@pytest.fixture
def corpus(tmp_path, nlp):
    return write(tmp_path / "pairs.spacy", [make_gold(nlp, number=i) for i in range(3)])


def test_only_what_is_named_is_carried(corpus, nlp):
    (example, *_) = make_corpus(corpus, PAIR)(nlp)
    predicted, gold = example.predicted, example.reference
    for key in ("premise", "hypothesis"):
        (span,), (expected,) = predicted.spans[key], gold.spans[key]
        assert (span.start, span.end, span.label_, span.doc) == (expected.start, expected.end, key, predicted)
    assert predicted.spans["premise"].attrs == {"scores": [0.5]}
    assert not predicted.ents and not predicted.cats and not predicted.has_annotation("SENT_START")
    assert gold.ents and gold.cats


def test_sentences_and_entities_are_carried_where_they_are_named(corpus, nlp):
    (example, *_) = make_corpus(corpus, ["sents", "ents"])(nlp)
    assert [sent.text for sent in example.predicted.sents] == [sent.text for sent in example.reference.sents]
    assert [(e.text, e.label_) for e in example.predicted.ents] == [("fever", "problem")]
    assert not example.predicted.spans


def test_carrying_nothing_is_spacys_own_reader(corpus, nlp):
    ours = [(e.predicted.text, len(e.predicted.spans)) for e in make_corpus(corpus, [])(nlp)]
    assert ours == [(e.predicted.text, 0) for e in spacy.training.Corpus(corpus)(nlp)]


def test_docs_are_counted_and_limited_and_folders_are_read(corpus, nlp):
    assert len(make_corpus(corpus, PAIR)) == 3
    assert len(make_corpus(corpus, PAIR, limit=2)) == len(list(make_corpus(corpus, PAIR, limit=2)(nlp))) == 2
    write(corpus.with_name("more.spacy"), [make_gold(nlp, number=9)])
    assert len(make_corpus(corpus.parent, PAIR)) == 4


def test_words_without_known_blanks_keep_their_tokens(tmp_path, nlp):
    doc = Doc(nlp.vocab, words=["can", "not", "rule", "out", "x/y"])
    doc.spans["premise"], doc.spans["hypothesis"] = [doc[:2]], []
    (example,) = make_corpus(write(tmp_path / "words.spacy", [doc]), PAIR)(nlp)
    assert [token.text for token in example.predicted] == [token.text for token in doc]
    assert len(example.predicted.spans["hypothesis"]) == 0 and "hypothesis" in example.predicted.spans


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"carry": PAIR, "gold_preproc": True}, "gold_preproc = true .* drops all doc.spans"),
        ({"carry": PAIR, "max_length": 100}, "max_length = 100 .* drops all doc.spans"),
        ({"carry": ["sections"]}, '"sections" is unknown'),
        ({"carry": ["spans"]}, "spans:KEY"),
    ],
)
def test_what_is_refused_is_said_in_one_sentence(corpus, settings, message):
    config = {"reader": {"@readers": "spacy_clinbert.Corpus.v1", "path": str(corpus), **settings}}
    with pytest.raises(ClinbertError, match=message) as error:
        spacy.registry.resolve(config)
    assert "\n" not in str(error.value)


def test_other_tokens_are_refused_with_the_documents_name(corpus):
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}})
    docs = [make_gold(spacy.blank("en"), "He took it 2x/day(s).\nPain.", 7)]
    with pytest.raises(ClinbertError, match="document pair 7") as error:
        list(make_corpus(write(corpus.with_name("other.spacy"), docs), PAIR)(nlp))
    assert "Pain" not in str(error.value)
    assert len(list(make_corpus(corpus.with_name("other.spacy"), [])(nlp))) == 1


@pytest.mark.parametrize("what", ["sents", "spans:premise"])
def test_gold_that_lacks_what_is_to_be_carried_is_an_error(tmp_path, nlp, what):
    path = write(tmp_path / "bare.spacy", [nlp("He has fever .")])
    with pytest.raises(ClinbertError, match=f"document 1: it has no {what} to carry"):
        list(make_corpus(path, [what])(nlp))


@pytest.mark.parametrize("content", [None, b"no DocBin, but He has fever"])
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path, nlp, content):
    path = tmp_path / "broken.spacy"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ClinbertError, match=r"broken\.spacy is no \.spacy file") as error:
        list(make_corpus(path, PAIR)(nlp))
    assert "fever" not in str(error.value) and "\n" not in str(error.value)
