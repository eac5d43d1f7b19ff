"""`spacy train` with configs/assertion.cfg on a synthetic corpus: entities carried, rules before the encoder."""

import warnings
from pathlib import Path

import pytest
import spacy
from spacy.cli.train import train
from spacy.tokens import DocBin

from spacy_clinbert.corpora.docs import make_doc
from spacy_clinbert.corpora.i2b2_2010 import FORMAT
from spacy_clinbert.evaluation.assertion_scorer import gold_assertions
from spacy_clinbert.synthetic.i2b2_2010 import make_record
from spacy_clinbert.training.corpus import make_corpus

CONFIG = Path(__file__).parents[2] / "configs" / "assertion.cfg"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}})
    docs = [make_doc(make_record(number, 0)[1], nlp.tokenizer, FORMAT)[0] for number in range(1, 5)]
    path = tmp_path_factory.mktemp("corpus") / "train.spacy"
    DocBin(attrs=["ENT_IOB", "ENT_TYPE"], store_user_data=True, docs=docs).to_disk(path)
    return path


@pytest.fixture(scope="module")
def trained(corpus, tiny_bert, tmp_path_factory):
    output = tmp_path_factory.mktemp("model")
    overrides = {
        "paths.train": str(corpus),
        "paths.dev": str(corpus),
        "paths.encoder": str(tiny_bert),
        "recipe.epochs": 12,
        "recipe.learn_rate": 0.003,
        "training.eval_frequency": 24,
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="clinbert_assertion: .* no Doc of the batch has entities")
        train(CONFIG, output, overrides=overrides)
    return spacy.load(output / "model-last")


def test_it_learns_from_carried_entities(trained, corpus):
    """Better than to call every problem present."""
    examples = list(make_corpus(corpus, carry=["ents"])(trained))
    gold = [one for example in examples for one in gold_assertions(example.reference).values()]
    scores = trained.evaluate(examples)
    assert scores["assertion_f"] > gold.count("present") / len(gold) + 0.1
    assert scores["assertion_p"] == pytest.approx(scores["assertion_r"], abs=0.02)
    assert trained.meta["performance"]["assertion_f"] == pytest.approx(scores["assertion_f"])
    assert 0 < trained.meta["performance"]["assertion_macro_f"] < 1


def test_only_problems_are_asserted(trained, corpus):
    (example, *_) = make_corpus(corpus, carry=["ents"])(trained)
    doc = trained(example.predicted)
    assert {ent.label_ for ent in doc.ents} == {"problem", "test", "treatment"}
    assert {ent.label_ for ent in doc.spans["clinbert_assertion"]} == {"problem"}
    assert all(bool(ent._.clinbert_assertion) == (ent.label_ == "problem") for ent in doc.ents)


def test_the_saved_pipeline_names_its_metrics_in_the_config(trained):
    assert trained.config["training"]["score_weights"]["assertion_f"] == 1.0
