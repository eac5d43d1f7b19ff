"""Imported Hugging Face classifiers predict what transformers predicts on the same pieces."""

import json
import shutil

import numpy as np
import pytest
import spacy
import torch
from classifier_checkpoints import classes_of_tokens, probabilities_of_text, write_classifier

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.tag_schemes import read_scheme
from spacy_clinbert.synthetic.i2b2_2010 import make_record
from spacy_clinbert.training.import_checkpoint import import_checkpoint

NOTES = [make_record(number, 0)[1].text for number in range(4)]
# Longer than a window of 64 wordpieces, in one sentence.
LONG = "He denies " + ", ".join(["fever and chest pain"] * 30) + "."

IOB2 = ["I-problem", "O", "B-test", "B-problem", "I-test"]
SCHEMES = {
    "iob2": IOB2,
    "pad": ["<pad>", "O", "B-problem", "I-problem", "X"],
    "iob1": ["B-x", "I-y", "I-x", "O"],
    "io": ["DATE", "O", "PATIENT"],
    "bilou": ["O", "B-x", "I-x", "L-x", "U-x", "B-y", "I-y", "L-y", "U-y"],
    "twice": ["B-x", "O", "I-x", "B-x", "I-x"],
    "bioes": ["S_x", "E_x", "I_x", "B_x", "O"],
}


def mentions_of(doc, tags):
    """Mentions of IOB2 tags by the CoNLL rule: an I goes on after a B or I of its label, and else begins one."""
    found, before = [], "O"
    starts = {sentence.start for sentence in doc.sents}
    for token, tag in zip(doc, tags):
        before = "O" if token.i in starts else before
        if not tag:
            continue
        if tag != "O":
            if tag[0] == "I" and before != "O" and before[2:] == tag[2:]:
                found[-1][1] = token.i + 1
            else:
                found.append([token.i, token.i + 1, tag[2:]])
        before = tag
    return found


def expect_same(nlp, folder, names, texts):
    """The pipeline's entities are those of transformers' likeliest classes, which are returned."""
    as_tag = dict(zip(names, read_scheme(names).tags)) | {"": ""}
    encoder, seen = nlp.get_pipe("clinbert_ner").model.get_ref("tok2vec"), set()
    for doc in nlp.pipe(texts):
        classes = classes_of_tokens(folder, encoder, doc)
        expected = mentions_of(doc, [as_tag[one] for one in classes])
        assert [[ent.start, ent.end, ent.label_] for ent in doc.ents] == expected
        assert all(0 < score <= 1 for score in doc.spans["clinbert_ner"].attrs["scores"])
        seen |= set(classes)
    return seen - {""}


@pytest.mark.parametrize("name", SCHEMES)
def test_entities_are_those_of_the_likeliest_classes(tmp_path, name):
    names = SCHEMES[name]
    folder = write_classifier(tmp_path / "checkpoint", names)
    nlp = import_checkpoint(str(folder)).nlp
    assert len(expect_same(nlp, folder, names, [NOTES[0], LONG])) > 2, "it must predict several classes"
    doc = nlp(NOTES[1])
    formed = doc.spans["clinbert_ner"].attrs["well_formed"]
    assert all(formed) == (read_scheme(names).name in ("io", "iob1"))


@pytest.mark.parametrize("kind", ["Electra", "DistilBert", "Roberta"])
def test_other_encoders(tmp_path, kind):
    folder = write_classifier(tmp_path / "checkpoint", IOB2, kind)
    nlp = import_checkpoint(str(folder)).nlp
    assert len(expect_same(nlp, folder, IOB2, [NOTES[0], LONG])) > 1


def test_iob2_classes_become_the_heads_own(tmp_path):
    from transformers import AutoModelForTokenClassification

    folder = write_classifier(tmp_path / "checkpoint", IOB2)
    ner = import_checkpoint(str(folder)).nlp.get_pipe("clinbert_ner")
    plain = AutoModelForTokenClassification.from_pretrained(folder).classifier
    output = ner.model.get_ref("output_layer")
    order = [IOB2.index(tag) for tag in ("O", "B-problem", "I-problem", "B-test", "I-test")]
    assert ner.labels == ("problem", "test")
    np.testing.assert_array_equal(output.get_param("W"), plain.weight.detach().numpy()[order])
    np.testing.assert_array_equal(output.get_param("b"), plain.bias.detach().numpy()[order])


def test_names_can_be_given(tmp_path):
    folder = write_classifier(tmp_path / "checkpoint", ["LABEL_0", "LABEL_1", "LABEL_2"])
    with pytest.raises(ClinbertError, match=r"3 classes have no names .*--labels"):
        import_checkpoint(str(folder))
    with pytest.raises(ClinbertError, match="has 3 classes, but --labels names 2"):
        import_checkpoint(str(folder), classes=["O", "B-x"])
    with pytest.raises(ClinbertError, match="one of its 3 classes has an empty name"):
        import_checkpoint(str(folder), classes=["O", "B-x", " "])
    imported = import_checkpoint(str(folder), classes=["O", "B-x", "I-x"])
    assert imported.summary["scheme"] == "iob2" and imported.nlp.get_pipe("clinbert_ner").labels == ("x",)


TEXTS = ["He denies fever .", "Patient was admitted with chest pain and shortness of breath .", "Aspirin"]


@pytest.mark.parametrize("kind", ["Bert", "Roberta", "DistilBert", "Electra", "Albert"])
@pytest.mark.parametrize("multi", [False, True])
def test_categories_are_those_of_transformers(tmp_path, kind, multi):
    names = ["PRESENT", "ABSENT", "POSSIBLE"]
    problem = "multi_label_classification" if multi else "single_label_classification"
    folder = write_classifier(tmp_path / "checkpoint", names, kind, "Sequence", problem_type=problem)
    nlp = import_checkpoint(str(folder)).nlp
    nlp.to_disk(tmp_path / "model")
    nlp = spacy.load(tmp_path / "model")
    for doc in nlp.pipe(TEXTS):
        found = [doc.cats[name] for name in names]
        np.testing.assert_allclose(found, probabilities_of_text(folder, doc, multi), atol=1e-4)
    assert nlp(LONG)._.clinbert_left_out > 0


def test_classes_of_texts_without_names_are_said(tmp_path):
    folder = write_classifier(tmp_path / "checkpoint", ["LABEL_0", "LABEL_1"], task="Sequence")
    assert "does not name the classes" in import_checkpoint(str(folder)).summary["warning"]
    named = import_checkpoint(str(folder), classes=["no", "yes"])
    assert "warning" not in named.summary and set(named.nlp("fever").cats) == {"no", "yes"}


def change_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    config.update(changes)
    (folder / "config.json").write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def drop_weights(folder, *names):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    save_file({key: value for key, value in weights.items() if key not in names}, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "holds no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "is not JSON"),
        (lambda f: change_config(f, architectures=["BertForMaskedLM"]), "no classification head .*BertForMaskedLM"),
        (lambda f: change_config(f, architectures=None), "no classification head .*no architecture named"),
        (lambda f: change_config(f, architectures=["OwnForTokenClassification"]), "code of its own"),
        (lambda f: change_config(f, is_encoder_decoder=True), "encoder with a decoder"),
        (lambda f: change_config(f, id2label={"0": "O", "1": "B-x"}), "differ in a size"),
        (lambda f: drop_weights(f, "classifier.weight"), "lack classifier.weight: its head is not trained"),
        (lambda f: drop_weights(f, "bert.embeddings.LayerNorm.weight"), "lack 1 tensors of the encoder"),
        (lambda f: (f / "model.safetensors").write_bytes(b"no weights"), "cannot be loaded"),
        (lambda f: (f / "model.safetensors").unlink(), "cannot be loaded"),
        (lambda f: change_config(f, id2label={str(i): "O" for i in range(5)}), "is an entity"),
        (lambda f: change_config(f, id2label={str(i): "O" for i in range(1, 6)}), "does not count its classes from 0"),
    ],
)
def test_what_cannot_be_imported_is_one_sentence(tmp_path, checkpoint, change, message):
    folder = shutil.copytree(checkpoint, tmp_path / "checkpoint")
    change(folder)
    with pytest.raises(ClinbertError, match=message):
        import_checkpoint(str(folder))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_classifier(tmp_path_factory.mktemp("iob2") / "checkpoint", IOB2)


def test_a_head_of_several_layers_is_not_imported(tmp_path):
    folder = write_classifier(tmp_path / "checkpoint", IOB2, "ModernBert", norm_bias=False)
    with pytest.raises(ClinbertError, match="layers that are not linear: LayerNorm"):
        import_checkpoint(str(folder))


def test_a_tokenizer_without_fast_form_is_one_sentence(tmp_path):
    from transformers import CanineConfig, CanineForTokenClassification, CanineTokenizer

    shape = {"hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 32}
    config = CanineConfig(**shape, num_hash_buckets=64, id2label=dict(enumerate(IOB2)))
    CanineForTokenClassification(config).save_pretrained(tmp_path / "checkpoint")
    CanineTokenizer().save_pretrained(tmp_path / "checkpoint")
    with pytest.raises(ClinbertError, match="has no fast form: add a tokenizer"):
        import_checkpoint(str(tmp_path / "checkpoint"))


@pytest.mark.parametrize("config", [{"problem_type": "regression"}, {}])
def test_a_regression_is_not_imported(tmp_path, config):
    names = ["a", "b"] if config else ["a"]
    folder = write_classifier(tmp_path / "checkpoint", names, task="Sequence", **config)
    with pytest.raises(ClinbertError, match="is a regression"):
        import_checkpoint(str(folder))


def test_a_pickle_of_code_is_never_run(tmp_path, checkpoint):
    folder = shutil.copytree(checkpoint, tmp_path / "checkpoint", ignore=shutil.ignore_patterns("*.safetensors"))
    ran = tmp_path / "ran"

    class Harm:
        def __reduce__(self):
            return ran.touch, ()

    torch.save({"classifier.weight": Harm()}, folder / "pytorch_model.bin")
    with pytest.raises(ClinbertError, match="cannot be loaded"):
        import_checkpoint(str(folder))
    assert not ran.exists()


def test_weights_without_safetensors(tmp_path, checkpoint):
    from safetensors.torch import load_file

    folder = shutil.copytree(checkpoint, tmp_path / "checkpoint", ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save(load_file(checkpoint / "model.safetensors"), folder / "pytorch_model.bin")
    pipelines = [import_checkpoint(str(one)).nlp for one in (checkpoint, folder)]
    safe, state = ([(ent.start, ent.end) for ent in nlp(NOTES[0]).ents] for nlp in pipelines)
    assert safe == state != []


@pytest.mark.parametrize("names", [SCHEMES["io"], SCHEMES["bilou"]])
def test_training_goes_on_from_an_imported_pipeline(tmp_path, names):
    from spacy.training import Example

    folder = write_classifier(tmp_path / "checkpoint", names, hidden_dropout_prob=0.0, initializer_range=0.05)
    import_checkpoint(str(folder)).nlp.to_disk(tmp_path / "model")
    nlp = spacy.load(tmp_path / "model")
    label = nlp.get_pipe("clinbert_ner").labels[0]
    gold = nlp.make_doc("He denies fever and chest pain .")
    gold.ents = [spacy.tokens.Span(gold, 2, 3, label=label), spacy.tokens.Span(gold, 4, 6, label=label)]
    optimizer = nlp.resume_training()
    optimizer.learn_rate = 0.005
    annotating = ["clinbert_sections", "clinbert_sentences"]
    for _ in range(30):
        nlp.update([Example(nlp.make_doc(gold.text), gold)], sgd=optimizer, annotates=annotating)
    assert [(ent.text, ent.label_) for ent in nlp(gold.text).ents] == [("fever", label), ("chest pain", label)]


def test_the_meta_says_where_it_comes_from(checkpoint, tmp_path):
    nlp = import_checkpoint(str(checkpoint), lang="pt").nlp
    assert nlp.lang == "pt" and nlp.get_pipe("clinbert_sections").lexicon.language == "pt"
    assert nlp.meta["name"] == "checkpoint" and "BertForTokenClassification checkpoint" in nlp.meta["description"]
    assert nlp.meta["sources"] == [
        {"name": "checkpoint checkpoint", "url": "", "author": "", "license": "not stated", "gated": "unknown"}
    ]
    with pytest.raises(ClinbertError, match=r'lang "xx" has no lexicon .* en, pt'):
        import_checkpoint(str(checkpoint), lang="xx")
    with pytest.raises(ClinbertError, match="not reachable on the model hub"):
        import_checkpoint("my-lab/no-such-model")
