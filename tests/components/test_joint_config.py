"""`spacy train` with configs/joint.cfg on two corpora, one of entities and one of labels; freezing, and going on."""

from pathlib import Path
from typing import Any

import pytest
import spacy
import torch
from spacy.cli.train import train
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.util import load_config

from spacy_clinbert.corpora import i2b2_2010, labelled
from spacy_clinbert.corpora.docs import make_doc
from spacy_clinbert.synthetic.i2b2_2010 import make_record as make_concepts
from spacy_clinbert.synthetic.labelled import make_record as make_label
from spacy_clinbert.training.corpus import make_corpus

CONFIG = Path(__file__).parents[2] / "configs" / "joint.cfg"
RULES = ["clinbert_placeholders", "clinbert_sections", "clinbert_sentences"]
HEADS = ("clinbert_ner", "clinbert_textcat")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A folder with both."""
    nlp = spacy.blank("en", config={"nlp": {"tokenizer": {"@tokenizers": "spacy_clinbert.ClinicalTokenizer.v1"}}})
    folder = tmp_path_factory.mktemp("corpus")
    records = {
        "concepts": (i2b2_2010.FORMAT, [make_concepts(number, 0)[1] for number in (1,)]),
        "labels": (labelled.FORMAT, [make_label(number, 0)[1] for number in range(1, 16)]),
    }
    for name, (form, found) in records.items():
        docs = [make_doc(record, nlp.tokenizer, form)[0] for record in found]
        DocBin(attrs=["ENT_IOB", "ENT_TYPE"], store_user_data=True, docs=docs).to_disk(folder / f"{name}.spacy")
    return folder


def run(output: Path, corpus: Path, changes: dict[str, Any], **components: dict[str, Any]) -> spacy.Language:
    """Train with the config but for some settings, and for components that are sourced from a pipeline."""
    config = load_config(CONFIG)
    config["components"].update(components)
    config.to_disk(output.with_suffix(".cfg"))
    overrides = {"paths.train": str(corpus), "paths.dev": str(corpus), "recipe.epochs": 15, "recipe.learn_rate": 0.005}
    threads = torch.get_num_threads()
    # So small a model is slower on more.
    torch.set_num_threads(1)
    train(output.with_suffix(".cfg"), output, overrides={**overrides, "training.eval_frequency": 30, **changes})
    torch.set_num_threads(threads)
    return spacy.load(output / "model-last")


@pytest.fixture(scope="module")
def trained(corpus, tiny_bert, tmp_path_factory):
    output = tmp_path_factory.mktemp("trained") / "joint"
    return run(output, corpus, {"paths.encoder": str(tiny_bert), "components.tok2vec.model.width": 32})


def source(nlp: spacy.Language, **more: Any) -> dict[str, Any]:
    return {"source": str(nlp.path), **more}


def weights(nlp: spacy.Language, name: str) -> list[bytes]:
    model = nlp.get_pipe(name).model
    if name in HEADS:
        return [model.get_ref("output_layer").get_param(one).tobytes() for one in "Wb"]
    # No row goes through the encoder's pooler, which learns nothing.
    parameters = model.shims[0]._model.named_parameters()
    return [value.detach().numpy().tobytes() for key, value in parameters if "pooler" not in key]


def moved(one: spacy.Language, other: spacy.Language, name: str) -> list[bool]:
    return [a != b for a, b in zip(weights(one, name), weights(other, name), strict=True)]


def examples(nlp: spacy.Language, corpus: Path) -> list[Example]:
    return list(make_corpus(corpus, carry=[])(nlp))


def loss(nlp: spacy.Language, corpus: Path, head: str) -> float:
    """Of the saved pipeline, on the rows that its encoder gives."""
    given = examples(nlp, corpus)
    for example in given:
        for name in (*RULES, "tok2vec"):
            example.predicted = nlp.get_pipe(name)(example.predicted)
    pipe = nlp.get_pipe(head)
    return pipe.get_loss(given, pipe.model.predict([example.predicted for example in given]))[0]


def test_each_corpus_teaches_its_head(trained, corpus):
    scores = trained.evaluate(examples(trained, corpus))
    # That of an untrained head is the logarithm of the number of tags: ln 7.
    assert loss(trained, corpus, "clinbert_ner") < 1.2 and scores["ents_f"] is not None and scores["cats_micro_f"] > 0.6
    assert len(trained.get_pipe("clinbert_textcat").labels) == 8
    weighed = trained.config["training"]["score_weights"]
    assert weighed["ents_f"] == weighed["cats_score"] == 0.5


def test_no_tensor_is_left_and_sections_are(trained, corpus):
    for doc in trained.pipe(example.reference.text for example in examples(trained, corpus)[:3]):
        assert doc.tensor is None and doc.cats and "sections" in doc.spans
    with trained.select_pipes(disable=["doc_cleaner"]):
        doc = trained("Chest pain .")
        assert doc.tensor.shape == (3, 32)


def test_the_config_shares_what_joint_training_needs():
    config = load_config(CONFIG)
    assert config["nlp"]["pipeline"] == [*RULES, "tok2vec", *HEADS, "doc_cleaner"]
    assert config["training"]["annotating_components"] == RULES
    filled = config.interpolate()["components"]
    for head in HEADS:
        assert filled[head]["model"]["tok2vec"]["width"] == filled["tok2vec"]["model"]["width"]


def test_a_frozen_encoder_that_annotates_stays_while_new_heads_learn(trained, corpus, tmp_path):
    # A sourced component has no width in the config, so the heads' listeners must be told.
    changes = {f"components.{head}.model.tok2vec.width": 32 for head in HEADS} | {
        "training.frozen_components": ["tok2vec"],
        "training.annotating_components": [*RULES, "tok2vec"],
        "recipe.learn_rate": 0.01,
    }
    nlp = run(tmp_path / "frozen", corpus, changes, tok2vec=source(trained))
    assert not any(moved(trained, nlp, "tok2vec"))
    # That of an untrained head is ln 8.
    assert loss(nlp, corpus, "clinbert_textcat") < 1.7 and loss(nlp, corpus, "clinbert_ner") < 1.2


def test_training_goes_on_from_a_saved_pipeline(trained, corpus, tmp_path):
    sourced = {name: source(trained) for name in ("tok2vec", *HEADS)}
    nlp = run(tmp_path / "more", corpus, {"recipe.epochs": 3}, **sourced)
    for name in sourced:
        assert all(moved(trained, nlp, name))
    for head in HEADS:
        assert loss(nlp, corpus, head) < loss(trained, corpus, head)


def test_a_frozen_head_with_an_encoder_of_its_own_stays_as_it_is(trained, corpus, tmp_path):
    textcat = source(trained, replace_listeners=["model.tok2vec"])
    changes = {"training.frozen_components": ["clinbert_textcat"], "recipe.epochs": 1}
    sourced = {name: source(trained) for name in ("tok2vec", "clinbert_ner")}
    nlp = run(tmp_path / "part", corpus, changes, **sourced, clinbert_textcat=textcat)
    assert all(moved(trained, nlp, "tok2vec")) and not any(moved(trained, nlp, "clinbert_textcat"))
    text = examples(trained, corpus)[-1].reference.text
    assert nlp(text).cats == pytest.approx(trained(text).cats, abs=1e-4)
