"""`clinbert_ner`: what it learns, writes, saves and reports."""

import warnings

import numpy as np
import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example

from spacy_clinbert.errors import ClinbertError

TEXTS = [
    ("The patient denies fever and nausea .", [("fever", "problem"), ("nausea", "problem")]),
    ("He was given aspirin for chest pain .", [("aspirin", "treatment"), ("chest pain", "problem")]),
    (
        "History of diabetes mellitus , on metformin daily .",
        [("diabetes mellitus", "problem"), ("metformin", "treatment")],
    ),
    ("CT scan showed no acute process .", []),
]


def ner_config(folder, **encoder):
    tok2vec = {"@architectures": "spacy_clinbert.NoteEncoder.v1", "name": str(folder), **encoder}
    return {"model": {"@architectures": "spacy_clinbert.TokenClassifier.v1", "tok2vec": tok2vec}}


def gold(nlp, text, mentions):
    doc = nlp.make_doc(text)
    doc.ents = [doc.char_span(text.index(m), text.index(m) + len(m), label=label) for m, label in mentions]
    return Example(nlp.make_doc(text), doc)


def train(nlp, steps=40, texts=TEXTS):
    examples = [gold(nlp, *item) for item in texts]
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.005
    for _ in range(steps):
        nlp.update([gold(nlp, *item) for item in texts], sgd=optimizer)
    return examples


@pytest.fixture(scope="module")
def trained(tiny_bert):
    nlp = spacy.blank("en")
    nlp.add_pipe("clinbert_ner", config=ner_config(tiny_bert))
    train(nlp)
    return nlp


def found(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


def test_it_learns_and_scores(trained):
    scores = trained.evaluate([gold(trained, *item) for item in TEXTS])
    assert scores["ents_f"] == scores["ents_conll_f"] == 1.0
    assert scores["ents_per_type"]["treatment"] == {"p": 1.0, "r": 1.0, "f": 1.0}
    assert trained.get_pipe("clinbert_ner").labels == ("problem", "treatment")


def test_scores_stay_with_their_entities_through_docbin(trained):
    doc = trained(TEXTS[1][0])
    assert [0.5 < ent._.clinbert_score <= 1.0 for ent in doc.ents] == [True, True]
    assert doc[0:1]._.clinbert_score is None
    again = next(DocBin(docs=[doc]).from_bytes(DocBin(docs=[doc]).to_bytes()).get_docs(trained.vocab))
    assert [ent._.clinbert_score for ent in again.ents] == pytest.approx([ent._.clinbert_score for ent in doc.ents])


def test_a_line_end_inside_a_mention_does_not_cut_it(trained):
    doc = trained("He was given aspirin for chest\npain .")
    assert ("chest\npain", "problem") in found(doc)


@pytest.mark.filterwarnings("ignore:NoteEncoder")
def test_no_mention_runs_from_one_sentence_into_the_next(trained):
    words = "He was given aspirin for chest pain .".split()
    whole, cut = (
        Doc(trained.vocab, words=words, sent_starts=[i in starts for i in range(8)]) for starts in ({0}, {0, 6})
    )
    assert ("chest pain", "problem") in found(trained.get_pipe("clinbert_ner")(whole))
    assert all(ent.start >= 6 or ent.end <= 6 for ent in trained.get_pipe("clinbert_ner")(cut).ents)


def test_earlier_entities_stay(trained):
    doc = trained.make_doc(TEXTS[1][0])
    doc.ents = [Span(doc, 5, 6, label="SITE")]
    doc = trained(doc)
    assert found(doc) == [("aspirin", "treatment"), ("chest", "SITE")]
    assert len(doc.spans["clinbert_ner"]) == 2


@pytest.mark.parametrize("text", ["", " \n ", "\u200b"])
def test_docs_without_words(trained, text):
    doc = trained(text)
    assert doc.text == text and not doc.ents


def test_tokens_without_wordpieces_are_neither_learned_nor_tagged(trained):
    doc = Doc(trained.vocab, words=["fever", "\n", "\u200b", "nausea"])
    doc.ents = [Span(doc, 0, 1, label="problem"), Span(doc, 3, 4, label="problem")]
    example = Example(Doc(trained.vocab, words=[token.text for token in doc]), doc)
    tags = trained.get_pipe("clinbert_ner")._gold_tags(example)
    assert tags.tolist() == [1, -1, -1, 1]


def test_labels_may_hold_what_looks_like_a_tag(tiny_bert):
    nlp = spacy.blank("en")
    ner = nlp.add_pipe("clinbert_ner", config=ner_config(tiny_bert))
    example = gold(nlp, TEXTS[1][0], [("aspirin", "CLINICAL-U-DEPT"), ("chest pain", "CLINICAL-U-DEPT")])
    nlp.initialize(lambda: [example])
    assert ner._gold_tags(example).tolist() == [0, 0, 0, 1, 0, 1, 2, 0]


def test_saved_pipeline_needs_no_source_folder(trained, tmp_path, tiny_bert):
    import shutil

    folder = shutil.copytree(tiny_bert, tmp_path / "encoder")
    nlp = spacy.blank("en")
    nlp.add_pipe("clinbert_ner", config=ner_config(folder))
    train(nlp, steps=10)
    nlp.to_disk(tmp_path / "model")
    before = [found(doc) for doc in nlp.pipe(text for text, _ in TEXTS)]
    shutil.rmtree(folder)
    loaded = spacy.load(tmp_path / "model")
    assert [found(doc) for doc in loaded.pipe(text for text, _ in TEXTS)] == before
    changed = {"components.clinbert_ner.decoding": "argmax", "components.clinbert_ner.model.tok2vec.window": "packed"}
    assert spacy.load(tmp_path / "model", config=changed).get_pipe("clinbert_ner").decoding == "argmax"
    blank = spacy.blank("en")
    blank.add_pipe("clinbert_ner", config=ner_config("gone"))
    assert [found(doc) for doc in blank.from_bytes(nlp.to_bytes()).pipe(text for text, _ in TEXTS)] == before


def test_training_goes_on_from_a_loaded_pipeline(trained, tmp_path):
    trained.to_disk(tmp_path / "model")
    nlp = spacy.load(tmp_path / "model")
    optimizer = nlp.resume_training()
    loss = nlp.update([gold(nlp, *item) for item in TEXTS], sgd=optimizer)["clinbert_ner"]
    assert loss < 0.1


def test_gold_off_token_bounds_is_counted_and_said(tiny_bert):
    nlp = spacy.blank("en")
    nlp.add_pipe("clinbert_ner", config=ner_config(tiny_bert))
    cut = Doc(nlp.vocab, words=["feb", "rile", "fever"], spaces=[False, True, False])
    cut.ents = [Span(cut, 0, 1, label="problem"), Span(cut, 2, 3, label="problem")]
    examples = [Example(nlp.make_doc("febrile fever"), cut)]
    with pytest.warns(UserWarning, match="1 of 2 gold entities in 1 documents") as record:
        nlp.initialize(lambda: examples)
    assert "febrile" not in str(record[0].message)
    assert np.isfinite(nlp.update(examples)["clinbert_ner"])


def test_labels_can_be_given(tiny_bert):
    nlp = spacy.blank("en")
    ner = nlp.add_pipe("clinbert_ner", config=ner_config(tiny_bert))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ner.initialize(lambda: [gold(nlp, *TEXTS[1])], nlp=nlp, labels=["treatment"])
    assert ner.label_data == ["treatment"]
    with pytest.warns(UserWarning, match="not asked for count as outside: 1 problem"):
        ner.initialize(lambda: [gold(nlp, *TEXTS[1])], nlp=nlp, labels=["treatment"])
    assert np.isfinite(nlp.update([gold(nlp, *TEXTS[1])])["clinbert_ner"])
    with pytest.raises(ClinbertError, match="comes after"):
        ner.add_label("problem")


def test_an_empty_corpus_is_one_sentence(tiny_bert):
    nlp = spacy.blank("en")
    nlp.add_pipe("clinbert_ner", config=ner_config(tiny_bert))
    with pytest.raises(ClinbertError, match="no entities"):
        nlp.initialize(lambda: [gold(nlp, "CT scan", [])])


def test_a_label_that_train_lacks_counts_as_missed(trained):
    scores = trained.evaluate([gold(trained, "CT scan showed fever .", [("CT scan", "test"), ("fever", "problem")])])
    assert scores["ents_per_type"]["test"]["r"] == 0.0
    assert scores["ents_r"] < 1.0


def test_missing_annotation_is_neither_loss_nor_score(trained):
    nlp = trained
    bare = [Example(nlp.make_doc("fever"), nlp.make_doc("fever"))]
    assert nlp.evaluate(bare)["ents_f"] is None
    assert nlp.update(bare)["clinbert_ner"] == 0.0


@pytest.mark.parametrize(
    "tok2vec",
    [
        {"@architectures": "spacy.HashEmbedCNN.v2", "width": 32, "depth": 2, "embed_size": 200, "window_size": 1,
         "maxout_pieces": 2, "subword_features": True, "pretrained_vectors": None},
    ],
)  # fmt: skip
def test_the_head_runs_on_spacys_tok2vec(tok2vec):
    nlp = spacy.blank("en")
    nlp.add_pipe(
        "clinbert_ner", config={"model": {"@architectures": "spacy_clinbert.TokenClassifier.v1", "tok2vec": tok2vec}}
    )
    train(nlp, steps=30)
    assert nlp.evaluate([gold(nlp, *item) for item in TEXTS])["ents_f"] == 1.0


def test_the_head_runs_on_spacy_transformers(tiny_bert):
    nlp = spacy.blank("en")
    spans = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 32, "stride": 24}
    model = {"@architectures": "spacy-transformers.TransformerModel.v3", "name": str(tiny_bert), "get_spans": spans}
    nlp.add_pipe("transformer", config={"model": model})
    listener = {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
    }
    nlp.add_pipe(
        "clinbert_ner", config={"model": {"@architectures": "spacy_clinbert.TokenClassifier.v1", "tok2vec": listener}}
    )
    examples = train(nlp)
    assert nlp.evaluate(examples)["ents_f"] > 0.8


def test_the_head_trains_a_shared_encoder_though_no_doc_has_gold(tiny_bert):
    nlp = spacy.blank("en")
    encoder = {"@architectures": "spacy_clinbert.NoteEncoder.v1", "name": str(tiny_bert), "width": 32, "dropout": 0.0}
    nlp.add_pipe("tok2vec", config={"model": encoder})
    listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": 32, "upstream": "tok2vec"}
    nlp.add_pipe(
        "tagger", config={"model": {"@architectures": "spacy.Tagger.v2", "tok2vec": listener, "normalize": False}}
    )
    nlp.add_pipe(
        "clinbert_ner", config={"model": {"@architectures": "spacy_clinbert.TokenClassifier.v1", "tok2vec": listener}}
    )
    examples = [gold(nlp, *item) for item in TEXTS]
    for example in examples:
        for token in example.reference:
            token.tag_ = "NN" if len(token) > 3 else "XX"
    optimizer = nlp.initialize(lambda: examples)
    bert = nlp.get_pipe("tok2vec").model.shims[0]._model
    before = bert.embeddings.word_embeddings.weight.detach().clone()
    tagged = Doc(nlp.vocab, words=["fever", "pain"], tags=["NN", "NN"])
    # The tagger's output layer starts at zero, so that its first step has no gradient for the encoder.
    for _ in range(2):
        nlp.update([Example(Doc(nlp.vocab, words=["fever", "pain"]), tagged)], sgd=optimizer)
    assert not before.equal(bert.embeddings.word_embeddings.weight)
    nlp.replace_listeners("tok2vec", "tagger", ["model.tok2vec"])
    ids = [node.shims[0].id for pipe in ("tok2vec", "tagger") for node in nlp.get_pipe(pipe).model.walk() if node.shims]
    assert len(ids) == len(set(ids)) == 2


@pytest.mark.parametrize(
    ("factory", "architecture", "extra"),
    [
        ("ner", "spacy.TransitionBasedParser.v2", {"state_type": "ner", "extra_state_tokens": False, "hidden_width": 16,
                                                    "maxout_pieces": 2, "use_upper": True}),
        ("tagger", "spacy.Tagger.v2", {"normalize": False}),
        ("spancat", "spacy.SpanCategorizer.v1", {"reducer": {"@layers": "spacy.mean_max_reducer.v1", "hidden_size": 16},
                                                  "scorer": {"@layers": "spacy.LinearLogistic.v1"}}),
        ("textcat", "spacy.TextCatReduce.v1", {"exclusive_classes": True, "use_reduce_mean": True,
                                                "use_reduce_max": False,
                                                "use_reduce_first": False, "use_reduce_last": False}),
    ],
)  # fmt: skip
def test_spacys_own_components_run_on_our_encoder(tiny_bert, tmp_path, factory, architecture, extra):
    nlp = spacy.blank("en")
    tok2vec = {"@architectures": "spacy_clinbert.NoteEncoder.v1", "name": str(tiny_bert)}
    nlp.add_pipe(factory, config={"model": {"@architectures": architecture, "tok2vec": tok2vec, **extra}})
    examples = []
    for text, mentions in TEXTS:
        example = gold(nlp, text, mentions)
        example.reference.spans["sc"] = list(example.reference.ents)
        example.reference.cats = {"sick": float(bool(mentions)), "well": float(not mentions)}
        for token in example.reference:
            token.tag_ = "NN" if len(token) > 3 else "XX"
        examples.append(example)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.003
    losses = [nlp.update(examples, sgd=optimizer)[factory] for _ in range(40)]
    assert losses[-1] < losses[0]
    nlp.to_disk(tmp_path / factory)
    before, after = nlp(TEXTS[0][0]), spacy.load(tmp_path / factory)(TEXTS[0][0])
    assert [t.tag_ for t in before] == [t.tag_ for t in after] and found(before) == found(after)
    assert before.cats == pytest.approx(after.cats)
    assert [(s.start, s.end, s.label_) for s in before.spans.get("sc", [])] == [
        (s.start, s.end, s.label_) for s in after.spans.get("sc", [])
    ]
    assert before.ents or before.cats or before.spans.get("sc") or before[0].tag_


def test_scorer_knows_ill_formed_mentions(trained):
    """Two mentions, one of which `argmax` let begin with an I: strict counts one, CoNLL both."""
    example = gold(trained, *TEXTS[0])
    doc = example.predicted
    doc.ents = [Span(doc, 3, 4, label="problem"), Span(doc, 5, 6, label="problem")]
    doc.spans["clinbert_ner"] = list(doc.ents)
    doc.spans["clinbert_ner"].attrs["well_formed"] = [True, False]
    scores = trained.get_pipe("clinbert_ner").score([example])
    assert (scores["ents_p"], scores["ents_r"], scores["ents_conll_f"]) == (1.0, 0.5, 1.0)


def test_the_scorer_compares_characters_not_tokens(trained):
    reference = Doc(trained.vocab, words=["chest", "-", "pain", "x"], spaces=[False, False, True, False])
    reference.ents = [Span(reference, 0, 3, label="problem")]
    predicted = Doc(trained.vocab, words=["chest-pain", "x"], spaces=[True, False])
    predicted.ents = [Span(predicted, 0, 1, label="problem")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trained.get_pipe("clinbert_ner").score([Example(predicted, reference)])["ents_f"] == 1.0
