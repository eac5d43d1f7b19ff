"""The model that a run starts from: new, an encoder's with and without heads, and what does not fit."""

import logging
import sys

import pytest
import torch
from tiny_exports import PIECES, write_export
from tiny_models import write_bert
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertModel,
    RobertaConfig,
    RobertaForMaskedLM,
)

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.checkpoints import read_tokenizer
from spacy_clinbert.pretraining.model import load_model
from spacy_clinbert.pretraining.settings import ModelSettings
from spacy_clinbert.pretraining.vocabulary import write_tokenizer

SIZES = {"hidden_size": 32, "layers": 2, "heads": 2, "feed_forward": 64}
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = write_export(tmp_path_factory.mktemp("export") / "instances", notes=3)
    return AutoTokenizer.from_pretrained(folder / "tokenizer")


def save(folder, model_class, tokenizer, **config):
    torch.manual_seed(3)
    settings = {**SMALL, "vocab_size": len(tokenizer), "max_position_embeddings": 40, **config}
    config_class = RobertaConfig if model_class is RobertaForMaskedLM else BertConfig
    model = model_class(config_class(**settings))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


@pytest.mark.parametrize(("objective", "kind"), [("mlm+nsp", BertForPreTraining), ("mlm", BertForMaskedLM)])
def test_a_new_model_has_the_sizes_asked_for(tokenizer, objective, kind):
    model = load_model(ModelSettings(objective=objective, dropout=0.2, **SIZES), tokenizer, 32)
    assert type(model) is kind and model.config.vocab_size == len(PIECES)
    assert (model.config.num_hidden_layers, model.config.max_position_embeddings) == (2, 32)
    assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} == {0.2}
    longer = load_model(ModelSettings(objective=objective, length=64, **SIZES), tokenizer, 32)
    assert longer.config.max_position_embeddings == 64 and longer.config.hidden_dropout_prob == 0.1


@pytest.mark.parametrize(
    ("saved", "objective", "said"),
    [
        (BertForPreTraining, "mlm+nsp", []),
        (BertForPreTraining, "mlm", []),
        (BertForMaskedLM, "mlm", []),
        (BertForMaskedLM, "mlm+nsp", ["no pooler", "no next sentence head"]),
        (BertModel, "mlm", ["no masked language modelling head"]),
        (BertModel, "mlm+nsp", ["no masked language modelling head", "no next sentence head"]),
    ],
)
def test_weights_are_taken_over_and_heads_that_lack_are_said(tokenizer, tmp_path, caplog, saved, objective, said):
    before = save(tmp_path / "bert", saved, tokenizer)
    with caplog.at_level(logging.WARNING, "spacy_clinbert"):
        model = load_model(ModelSettings(init=str(tmp_path / "bert"), objective=objective), tokenizer, 32)
    then, now = before.base_model.state_dict(), model.base_model.state_dict()
    taken = [name for name in then if name in now]
    assert len(taken) >= 37 and all(torch.equal(then[name], now[name]) for name in taken)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == bool(said) and all(part in messages[0] for part in said)
    if saved is not BertModel:
        head = "cls.predictions.transform.dense.weight"
        assert torch.equal(before.state_dict()[head], model.state_dict()[head])


def test_dropout_is_set_on_an_encoder_only_where_it_is_asked_for(tokenizer, tmp_path):
    save(tmp_path / "bert", BertForPreTraining, tokenizer)
    for asked, rates in ((None, {0.1}), (0.0, {0.0})):
        model = load_model(ModelSettings(init=str(tmp_path / "bert"), dropout=asked), tokenizer, 32)
        assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} == rates


def test_placeholder_tags_get_rows_of_their_own(tokenizer, tmp_path):
    before = save(tmp_path / "bert", BertForPreTraining, tokenizer)
    tokenizer.save_pretrained(tmp_path / "tagged")
    tagged = AutoTokenizer.from_pretrained(tmp_path / "tagged")
    tagged.add_special_tokens({"additional_special_tokens": ["[NAME]", "[DATE]"]})
    model = load_model(ModelSettings(init=str(tmp_path / "bert")), tagged, 32)
    rows = model.get_input_embeddings().weight
    assert rows.shape[0] == model.config.vocab_size == len(PIECES) + 2
    assert torch.equal(rows[: len(PIECES)], before.get_input_embeddings().weight)
    assert model.get_output_embeddings().weight is rows and model.cls.predictions.bias.shape == (len(PIECES) + 2,)


def other_tokenizer(folder, pieces, cased=True):
    folder.mkdir()
    write_tokenizer(pieces, folder, cased=cased, length=32)
    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("pieces", [PIECES[:-3], [*PIECES, "##x"], [*PIECES[:-2], PIECES[-1], PIECES[-2]]])
def test_instances_of_another_tokenizer_are_refused(tokenizer, tmp_path, pieces):
    save(tmp_path / "bert", BertForPreTraining, tokenizer)
    other = other_tokenizer(tmp_path / "other", pieces)
    if len(pieces) > len(PIECES):
        # More pieces could be tags; that they stand in the model's own vocabulary too tells that they are not.
        save(tmp_path / "bert", BertForPreTraining, other)
        other = tokenizer
    with pytest.raises(ClinbertError, match="export again with --tokenizer") as raised:
        load_model(ModelSettings(init=str(tmp_path / "bert")), other, 32)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("rows", "refused"), [(-1, True), (0, False), (127, False), (128, True)])
def test_an_encoder_whose_tokenizer_is_not_of_its_size_is_refused(tokenizer, tmp_path, rows, refused):
    """Rows to spare are Megatron-LM's, which fills its table up to a multiple of 128."""
    save(tmp_path / "bert", BertForPreTraining, tokenizer, vocab_size=len(tokenizer) + rows)
    settings = ModelSettings(init=str(tmp_path / "bert"))
    if not refused:
        assert load_model(settings, tokenizer, 32).config.vocab_size == len(tokenizer) + rows
        return
    with pytest.raises(
        ClinbertError, match=f"{len(tokenizer)} pieces and a model of {len(tokenizer) + rows}"
    ) as raised:
        load_model(settings, tokenizer, 32)
    assert "\n" not in str(raised.value)


def test_instances_of_another_casing_are_refused(tokenizer, tmp_path):
    save(tmp_path / "bert", BertForPreTraining, tokenizer)
    with pytest.raises(ClinbertError, match="keeps upper case"):
        load_model(ModelSettings(init=str(tmp_path / "bert")), other_tokenizer(tmp_path / "o", PIECES, cased=False), 32)


def test_longer_instances_than_positions_are_refused(tokenizer, tmp_path):
    save(tmp_path / "bert", BertForPreTraining, tokenizer)
    with pytest.raises(ClinbertError, match=r"up to 41 pieces, but .* 40 positions"):
        load_model(ModelSettings(init=str(tmp_path / "bert")), tokenizer, 41)
    with pytest.raises(ClinbertError, match=r"model\.length has 16 positions"):
        load_model(ModelSettings(length=16, **SIZES), tokenizer, 32)


def test_no_next_sentence_without_a_bert(tokenizer, tmp_path):
    save(tmp_path / "roberta", RobertaForMaskedLM, tokenizer, type_vocab_size=1)
    with pytest.raises(ClinbertError, match='objective = "mlm"'):
        load_model(ModelSettings(init=str(tmp_path / "roberta")), tokenizer, 32)


def test_a_damaged_encoder_and_one_that_is_nowhere_are_one_sentence(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    save(tmp_path / "bert", BertForPreTraining, tokenizer)
    weights = tmp_path / "bert" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])
    for init, message in ((str(tmp_path / "bert"), "copy its files again"), ("no/such-model", "not reachable")):
        with pytest.raises(ClinbertError, match=message) as raised:
            load_model(ModelSettings(init=init), tokenizer, 32)
        assert "\n" not in str(raised.value)


def write_tensorflow(folder):
    folder.mkdir()
    (folder / "vocab.txt").write_text("".join(f"{piece}\n" for piece in PIECES), encoding="utf-8")
    (folder / "bert_config.json").write_text(BertConfig(**SMALL, vocab_size=len(PIECES)).to_json_string())
    for name in ("bert_model.ckpt.index", "bert_model.ckpt.data-00000-of-00001", "bert_model.ckpt.meta"):
        (folder / name).write_bytes(b"")
    return folder


def test_a_tensorflow_checkpoint_without_tensorflow_is_one_sentence(tokenizer, tmp_path, monkeypatch):
    folder = write_tensorflow(tmp_path / "biobert")
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(ClinbertError, match="TensorFlow is not installed") as raised:
        load_model(ModelSettings(init=str(folder)), tokenizer, 32)
    assert "\n" not in str(raised.value)
    (folder / "bert_model.ckpt.index").unlink()
    with pytest.raises(ClinbertError, match="0 files"):
        load_model(ModelSettings(init=str(folder)), tokenizer, 32)


@pytest.mark.parametrize(("objective", "heads"), [("mlm+nsp", True), ("mlm", True), ("mlm+nsp", False)])
def test_a_tensorflow_checkpoint_gives_the_same_outputs(tokenizer, tmp_path, caplog, objective, heads):
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    folder = write_tensorflow(tmp_path / "biobert")
    for path in folder.glob("*.ckpt.*"):
        path.unlink()
    torch.manual_seed(5)
    model = BertForPreTraining(BertConfig.from_json_file(folder / "bert_config.json")).eval()
    # Google's names: no "weight" in embeddings, gamma and beta, kernels the other way round.
    names = (
        (".", "/"),
        ("layer/", "layer_"),
        ("embeddings/weight", "embeddings"),
        ("LayerNorm/weight", "LayerNorm/gamma"),
        ("LayerNorm/bias", "LayerNorm/beta"),
        ("seq_relationship/weight", "seq_relationship/output_weights"),
        ("seq_relationship/bias", "seq_relationship/output_bias"),
        ("predictions/bias", "predictions/output_bias"),
        ("/weight", "/kernel"),
    )
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        for name, tensor in model.named_parameters():
            for ours, theirs in names:
                name = name.replace(ours, theirs)
            if heads or not name.startswith("cls"):
                values = tensor.detach().numpy()
                tf.compat.v1.get_variable(name, initializer=values.T if name.endswith("kernel") else values)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver().save(session, str(folder / "biobert_model.ckpt"))
    with caplog.at_level(logging.WARNING, "spacy_clinbert"):
        read = load_model(ModelSettings(init=str(folder), objective=objective), tokenizer, 32).eval()
    pieces = torch.arange(5, 15)[None]
    wanted = model(pieces, output_hidden_states=True)
    given = read(pieces, output_hidden_states=True)
    assert torch.allclose(wanted.hidden_states[-1], given.hidden_states[-1], atol=1e-5)
    assert ("new weights are drawn" in caplog.text) != heads
    if heads:
        logits = given["prediction_logits" if objective == "mlm+nsp" else "logits"]
        assert torch.allclose(wanted.prediction_logits, logits, atol=1e-5)


@pytest.mark.parametrize("cased", [True, False])
@pytest.mark.parametrize("files", ["vocab.txt alone", "vocab.txt and config.json", "as clinbert vocab writes it"])
def test_a_tokenizer_lower_cases_only_where_its_pieces_are_lower_case(tmp_path, cased, files):
    pieces = PIECES if cased else [piece if piece.startswith("[") else piece.lower() for piece in PIECES]
    if files.startswith("as"):
        write_tokenizer(pieces, tmp_path, cased=cased, length=32)
    else:
        (tmp_path / "vocab.txt").write_text("".join(f"{piece}\n" for piece in pieces), encoding="utf-8")
    if "config" in files:
        BertConfig(**SMALL).save_pretrained(tmp_path)
    tokenizer = read_tokenizer(str(tmp_path))
    assert tokenizer.is_fast and tokenizer.do_lower_case != cased
    assert tokenizer.tokenize("given Metoprolol") == ["given", "Metoprolol" if cased else "metoprolol"]


def test_a_folder_without_a_tokenizer_is_one_sentence(tmp_path):
    for content, message in ((None, "holds none of"), (b"\xff\xfe", "cannot be loaded")):
        if content:
            (tmp_path / "vocab.txt").write_bytes(content)
        with pytest.raises(ClinbertError, match=message) as raised:
            read_tokenizer(str(tmp_path))
        assert "\n" not in str(raised.value)


def test_bert_without_its_heads_still_trains_on_one_of_the_catalogues_kind(tmp_path, caplog):
    """A folder with the encoder alone, as conversions of BioBERT are."""
    folder = write_bert(tmp_path / "bare")
    own = AutoTokenizer.from_pretrained(folder)
    with caplog.at_level(logging.WARNING, "spacy_clinbert"):
        model = load_model(ModelSettings(init=str(folder)), own, 64)
    assert type(model) is BertForPreTraining and "new weights are drawn" in caplog.text
