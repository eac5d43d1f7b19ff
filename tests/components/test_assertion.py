"""`clinbert_assertion`: what it learns, writes, saves and reports."""

import random
import shutil
import warnings

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.util import fix_random_seed, minibatch

from spacy_clinbert.corpora.docs import make_doc
from spacy_clinbert.corpora.i2b2_2010 import FORMAT
from spacy_clinbert.corpora.records import Mention, Record
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.synthetic.grammar import load_templates

TEXTS = [
    ("The patient denies fever and chills .", [("fever", "absent"), ("chills", "absent")]),
    ("The patient was admitted with chest pain .", [("chest pain", "present")]),
    ("CT scan showed no pneumonia .", [("pneumonia", "absent")]),
    ("History of hypertension and heart failure .", [("hypertension", "present"), ("heart failure", "present")]),
]
CNN = {
    "@architectures": "spacy.HashEmbedCNN.v2",
    "width": 48,
    "depth": 2,
    "embed_size": 1000,
    "window_size": 1,
    "maxout_pieces": 2,
    "subword_features": True,
    "pretrained_vectors": None,
}


def bert(folder):
    return {"@architectures": "spacy_clinbert.NoteEncoder.v1", "name": str(folder)}


def make_pipeline(tok2vec, ent_labels=None, **model):
    nlp = spacy.blank("en")
    architecture = {"@architectures": "spacy_clinbert.MentionClassifier.v1", "tok2vec": tok2vec, **model}
    nlp.add_pipe("clinbert_assertion", config={"model": architecture, "ent_labels": ent_labels})
    return nlp


def make_example(nlp, record, carry=True):
    """A gold Doc and the bare one, to which the reader with `carry = ["ents"]` has copied the entities."""
    gold, _ = make_doc(record, nlp.tokenizer, FORMAT)
    bare = nlp.make_doc(record.text)
    if carry:
        bare.ents = [Span(bare, ent.start, ent.end, label=ent.label_) for ent in gold.ents]
    return Example(bare, gold)


def annotate(text, mentions):
    places = [((text.index(words), text.index(words) + len(words)), assertion) for words, assertion in mentions]
    return Record("r", text, tuple(Mention((place,), "problem", assertion=one) for place, one in places))


def examples_of(nlp, carry=True):
    return [make_example(nlp, annotate(*item), carry) for item in TEXTS]


def train(nlp, steps=30, learn_rate=0.003):
    examples = examples_of(nlp)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = learn_rate
    for _ in range(steps):
        nlp.update(examples_of(nlp), sgd=optimizer)
    return examples


def found(doc):
    return [(ent.text, ent._.clinbert_assertion) for ent in doc.ents]


def given_ents(nlp, text, *mentions, label="problem"):
    return make_example(nlp, annotate(text, [(words, "") for words in mentions])).predicted


@pytest.fixture(scope="module")
def trained(tiny_bert):
    fix_random_seed(0)
    nlp = make_pipeline(bert(tiny_bert))
    train(nlp)
    return nlp


def synthetic(number, held_out, seed):
    """Sentences of an assessment, in which something is asserted."""
    rng = random.Random(seed)
    grammar = load_templates("terms", "sentences", "surrogates", "assertions", held_out=held_out)
    records = []
    while len(records) < number:
        phrase = grammar.expand("assessment", rng)
        spans = [span for span in phrase.spans if span.assertion]
        mentions = [Mention(((span.start, span.end),), span.label, assertion=span.assertion) for span in spans]
        records += [Record("r", phrase.text, tuple(mentions))] if mentions else []
    return records


@pytest.fixture(scope="module")
def cnn():
    """Trained on the synthetic sentences that are not held out, without pretrained weights."""
    fix_random_seed(0)
    nlp = make_pipeline(CNN)
    examples = [make_example(nlp, record) for record in synthetic(1200, held_out=False, seed=1)]
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.003
    rng = random.Random(0)
    for _ in range(5):
        rng.shuffle(examples)
        for batch in minibatch(examples, 32):
            nlp.update(batch, sgd=optimizer, drop=0.1)
    return nlp


def test_it_learns_what_templates_never_seen_assert(cnn):
    known = {record.text for record in synthetic(3000, held_out=False, seed=2)}
    records = [one for one in synthetic(600, held_out=True, seed=3) if one.text not in known]
    scores = cnn.evaluate([make_example(cnn, record) for record in records])
    assert scores["assertion_f"] > 0.87
    assert scores["assertion_macro_f"] > 0.85
    assert len(scores["assertion_per_type"]) == 6


def test_a_cue_is_found_at_a_distance_and_not_beyond_the_sentence(cnn):
    text = "He denies " + ", ".join(["cough"] * 8) + " or fever ."
    doc = given_ents(cnn, text, "fever")
    assert found(cnn(doc)) == [("fever", "absent")]
    words = "He denies cough . Now with fever .".split()
    doc = Doc(cnn.vocab, words=words, sent_starts=[i in (0, 4) for i in range(len(words))])
    doc.ents = [Span(doc, 2, 3, label="problem"), Span(doc, 6, 7, label="problem")]
    assert found(cnn(doc)) == [("cough", "absent"), ("fever", "present")]


def test_it_learns_and_scores(trained):
    scores = trained.evaluate(examples_of(trained))
    assert scores["assertion_f"] == scores["assertion_macro_f"] == 1.0
    assert scores["assertion_per_type"]["absent"] == {"p": 1.0, "r": 1.0, "f": 1.0}
    assert trained.get_pipe("clinbert_assertion").labels == ("absent", "present")


def test_assertions_stay_with_their_entities_through_docbin(trained):
    doc = trained(given_ents(trained, TEXTS[0][0], "fever", "chills"))
    assert [0.5 < ent._.clinbert_assertion_score <= 1.0 for ent in doc.ents] == [True, True]
    assert (doc[0:1]._.clinbert_assertion, doc[0:1]._.clinbert_assertion_score) == ("", None)
    again = next(DocBin(docs=[doc]).from_bytes(DocBin(docs=[doc]).to_bytes()).get_docs(trained.vocab))
    assert found(again) == found(doc) == TEXTS[0][1]


def test_entities_of_other_components_and_only_of_the_labels_asked_for(tiny_bert):
    nlp = make_pipeline(bert(tiny_bert), ent_labels=["problem"])
    train(nlp, steps=5)
    ruler = nlp.add_pipe("entity_ruler", first=True)
    ruler.add_patterns([{"label": "problem", "pattern": "fever"}, {"label": "treatment", "pattern": "aspirin"}])
    doc = nlp("Aspirin no, aspirin given for fever")
    assert [ent.label_ for ent in doc.ents] == ["treatment", "problem"]
    assert [ent.text for ent in doc.spans["clinbert_assertion"]] == ["fever"]
    assert doc.ents[0]._.clinbert_assertion == "" and doc.ents[1]._.clinbert_assertion in ("absent", "present")
    assert not nlp("aspirin").spans["clinbert_assertion"]


def test_the_entities_of_an_entity_ruler_are_learned_from(tiny_bert):
    """Without `carry`, a component in `annotating_components` may set the entities; one it does not find is missed."""
    nlp = make_pipeline(bert(tiny_bert))
    ruler = nlp.add_pipe("entity_ruler", first=True)
    optimizer = nlp.initialize(lambda: examples_of(nlp, carry=False))
    ruler.add_patterns([{"label": "problem", "pattern": mentions[0][0]} for _, mentions in TEXTS])
    optimizer.learn_rate = 0.003
    for _ in range(30):
        nlp.update(examples_of(nlp, carry=False), sgd=optimizer, annotates=["entity_ruler"])
    scores = nlp.evaluate(examples_of(nlp, carry=False))
    assert (scores["assertion_p"], scores["assertion_r"]) == (1.0, pytest.approx(4 / 6))


@pytest.mark.parametrize("pooling", ["mean", "max", "first"])
@pytest.mark.parametrize("context", [0, 8])
def test_every_pooling_learns_with_and_without_context(pooling, context):
    fix_random_seed(0)
    nlp = make_pipeline(CNN, pooling=pooling, context=context)
    examples = train(nlp, steps=40)
    assert nlp.evaluate(examples)["assertion_f"] == 1.0


@pytest.mark.parametrize("text", ["", " \n ", "\u200b", "no entity here"])
def test_docs_without_entities(trained, text):
    doc = trained(text)
    assert doc.text == text and len(doc.spans["clinbert_assertion"]) == 0
    assert trained.evaluate([Example(doc, doc)])["assertion_f"] is None
    assert trained.update([Example(trained.make_doc(text), trained.make_doc(text))])["clinbert_assertion"] == 0.0


def test_entities_at_both_ends_of_a_doc_over_a_sentence_bound_and_with_a_line_end_inside(trained):
    words = ["fever", "and", "chest", "\n", "pain", "no", "chills"]
    doc = Doc(trained.vocab, words=words, sent_starts=[i in (0, 4) for i in range(7)])
    doc.ents = [Span(doc, start, end, label="problem") for start, end in ((0, 1), (2, 5), (6, 7))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert all(assertion for _, assertion in found(trained(doc)))
    whole = Doc(trained.vocab, words=["chest", "pain"])
    whole.ents = [Span(whole, 0, 2, label="problem")]
    assert found(trained(whole))[0][1] in ("absent", "present")


def test_a_saved_pipeline_needs_no_source_folder_and_goes_on_training(tmp_path, tiny_bert):
    folder = shutil.copytree(tiny_bert, tmp_path / "encoder")
    nlp = make_pipeline(bert(folder), ent_labels=["problem"])
    train(nlp)
    nlp.to_disk(tmp_path / "model")
    shutil.rmtree(folder)
    blank = make_pipeline(bert("gone"))

    def scores(pipeline):
        docs = pipeline.pipe(given_ents(pipeline, text, *(words for words, _ in mentions)) for text, mentions in TEXTS)
        return [score for doc in docs for score in doc.spans["clinbert_assertion"].attrs["scores"]]

    loaded = spacy.load(tmp_path / "model")
    assert loaded.get_pipe("clinbert_assertion").ent_labels == {"problem"}
    assert scores(loaded) == pytest.approx(scores(nlp))
    assert scores(blank.from_bytes(nlp.to_bytes())) == pytest.approx(scores(nlp))
    loss = loaded.update(examples_of(loaded), sgd=loaded.resume_training())["clinbert_assertion"]
    assert loss < 0.1


def test_a_class_seen_only_at_test_is_missed_and_not_learned(trained):
    example = make_example(trained, annotate("Possible pneumonia .", [("pneumonia", "possible")]))
    assert trained.update([example])["clinbert_assertion"] == 0.0
    scores = trained.evaluate([example])
    assert scores["assertion_per_type"]["possible"]["r"] == 0.0 and scores["assertion_f"] == 0.0


def test_entities_without_gold_give_no_gradient(trained):
    example = make_example(trained, annotate("fever and chills", [("fever", "present"), ("chills", "")]))
    _, (gradient,) = trained.get_pipe("clinbert_assertion").get_loss([example], [np.zeros((2, 2), dtype="float32")])
    assert gradient.tolist() == [[0.5, -0.5], [0.0, 0.0]]


def test_training_without_entities_is_said_once(tiny_bert):
    nlp = make_pipeline(bert(tiny_bert))
    examples = examples_of(nlp, carry=False)
    nlp.initialize(lambda: examples)
    with pytest.warns(UserWarning, match='6 gold assertions, but no Doc .* carry = \\["ents"\\]') as record:
        for _ in range(3):
            assert nlp.update(examples)["clinbert_assertion"] == 0.0
    assert len(record) == 1


def test_gold_that_cannot_be_learned_is_counted_and_said(tiny_bert):
    nlp = make_pipeline(bert(tiny_bert))
    text = "febrile with chest pain"
    inside = Mention(((19, 23),), "problem", assertion="absent")
    record = annotate(text, [("feb", "present"), ("chest pain", "present")])
    record = Record("r", text, (*record.mentions, inside))
    with pytest.warns(UserWarning, match="2 of 3 gold assertions are of mentions that are no entity") as said:
        nlp.initialize(lambda: [make_example(nlp, record)])
    assert "febrile" not in str(said[0].message)


def test_labels_can_be_given(tiny_bert):
    nlp = make_pipeline(bert(tiny_bert))
    component = nlp.get_pipe("clinbert_assertion")
    with pytest.warns(UserWarning, match="not asked for are not learned: 3 absent"):
        component.initialize(lambda: examples_of(nlp), nlp=nlp, labels=["present", "possible"])
    assert component.label_data == ["present", "possible"]
    assert np.isfinite(nlp.update(examples_of(nlp))["clinbert_assertion"])
    with pytest.raises(ClinbertError, match="comes after"):
        component.add_label("absent")


def test_a_corpus_without_assertions_is_one_sentence(tiny_bert):
    nlp = make_pipeline(bert(tiny_bert))
    with pytest.raises(ClinbertError, match="no assertions"):
        nlp.initialize(lambda: [make_example(nlp, annotate("no fever", [("fever", "")]))])


def test_it_trains_a_shared_encoder_though_no_doc_has_an_entity(tiny_bert):
    """As the last listener, it must give back zeros: else the encoder would wait for it in vain."""
    nlp = spacy.blank("en")
    nlp.add_pipe("tok2vec", config={"model": {**bert(tiny_bert), "width": 32, "dropout": 0.0}})
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 32, "upstream": "tok2vec"}
    tagger = {"@architectures": "spacy.Tagger.v2", "tok2vec": listener, "normalize": False}
    nlp.add_pipe("tagger", config={"model": tagger})
    assertion = {"@architectures": "spacy_clinbert.MentionClassifier.v1", "tok2vec": listener}
    nlp.add_pipe("clinbert_assertion", config={"model": assertion})
    examples = examples_of(nlp)
    for example in examples:
        for token in example.reference:
            token.tag_ = "NN" if len(token) > 3 else "XX"
    optimizer = nlp.initialize(lambda: examples)
    weights = nlp.get_pipe("tok2vec").model.shims[0]._model.embeddings.word_embeddings.weight
    before = weights.detach().clone()
    tagged = Doc(nlp.vocab, words=["fever", "pain"], tags=["NN", "NN"])
    # The tagger's output layer starts at zero, so that its first step has no gradient for the encoder.
    for _ in range(2):
        nlp.update([Example(Doc(nlp.vocab, words=["fever", "pain"]), tagged)], sgd=optimizer)
    assert not before.equal(weights)
    for _ in range(30):
        nlp.update(examples_of(nlp), sgd=optimizer)
    assert found(nlp(given_ents(nlp, TEXTS[1][0], "chest pain"))) == TEXTS[1][1]


def test_it_runs_on_spacy_transformers(tiny_bert):
    nlp = spacy.blank("en")
    spans = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 32, "stride": 24}
    model = {"@architectures": "spacy-transformers.TransformerModel.v3", "name": str(tiny_bert), "get_spans": spans}
    nlp.add_pipe("transformer", config={"model": model})
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
    architecture = {"@architectures": "spacy_clinbert.MentionClassifier.v1", "tok2vec": listener}
    nlp.add_pipe("clinbert_assertion", config={"model": architecture})
    examples = train(nlp)
    assert nlp.evaluate(examples)["assertion_f"] == 1.0
