"""Encoders other than BERT: RoBERTa loses positions, Longformer pads by itself, ModernBERT has no pooler."""

from pathlib import Path

import numpy as np
import pytest
import spacy
import torch
from spacy.tokens import Doc
from spacy.vocab import Vocab
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    LongformerConfig,
    LongformerModel,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    RobertaTokenizerFast,
)

from spacy_clinbert.components.pair import make_pair
from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.note_encoder import NoteEncoder
from spacy_clinbert.models.note_pairs import NotePairs
from spacy_clinbert.models.note_windows import NoteWindows

WORDS = "The patient was admitted with chest pain and shortness of breath , denies fever .".split()
SHAPE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


def byte_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" ".join(WORDS)] * 20, trainer)
    return tokenizer


def write(kind: str, folder: Path) -> Path:
    torch.manual_seed(0)
    specials = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
    }
    raw = byte_tokenizer()
    if kind == "modernbert":
        raw.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>",
            pair="<s> $A </s> $B </s>",
            special_tokens=[("<s>", raw.token_to_id("<s>")), ("</s>", raw.token_to_id("</s>"))],
        )
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, cls_token="<s>", sep_token="</s>", **specials)
    else:
        raw.post_processor = processors.RobertaProcessing(
            ("</s>", raw.token_to_id("</s>")), ("<s>", raw.token_to_id("<s>"))
        )
        tokenizer = RobertaTokenizerFast(tokenizer_object=raw, **specials)
    size = len(tokenizer)
    ids = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    if kind == "roberta":
        model = RobertaModel(RobertaConfig(vocab_size=size, max_position_embeddings=66, **ids, **SHAPE))
    elif kind == "longformer":
        config = LongformerConfig(vocab_size=size, max_position_embeddings=66, attention_window=16, **ids, **SHAPE)
        model = LongformerModel(config)
    else:
        ids = {**ids, "cls_token_id": 0, "sep_token_id": 2}
        model = ModernBertModel(ModernBertConfig(vocab_size=size, max_position_embeddings=64, **ids, **SHAPE))
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["roberta", "longformer", "modernbert"])
def test_encoder_takes_it(kind, tmp_path):
    folder = write(kind, tmp_path / kind)
    encoder = NoteEncoder(str(folder))
    docs = [Doc(Vocab(), words=WORDS), Doc(Vocab(), words=WORDS * 30), Doc(Vocab(), words=["\n"])]
    encoder.initialize(X=docs)
    shim = encoder.shims[0]
    assert shim.trained_length == shim.max_positions == 64
    rows = encoder.predict(docs)
    assert [part.shape for part in rows] == [(len(doc), 32) for doc in docs]
    assert rows[1].any(axis=1).all() and not rows[2].any()
    for part, doc in zip(rows, docs):
        np.testing.assert_allclose(part, encoder.predict([doc])[0], atol=1e-4)
    # A word is cut as in running text, with the blank before it.
    assert shim.pieces.cut("patient") == shim.pieces.tokenizer(" patient", add_special_tokens=False).input_ids
    again = NoteEncoder("gone").from_bytes(encoder.to_bytes())
    np.testing.assert_array_equal(again.predict(docs)[0], rows[0])
    assert again.shims[0].pieces.cut("patient") == shim.pieces.cut("patient")
    still = NoteEncoder(str(folder), dropout=0.0, freeze_layers=1)
    still.initialize(X=docs)
    np.testing.assert_allclose(still.begin_update(docs)[0][0], still.predict(docs)[0], atol=1e-4)
    _, backprop = encoder.begin_update(docs)
    backprop([np.ones_like(part) for part in rows])
    assert any(p.grad is not None for p in shim._model.parameters())


@pytest.mark.parametrize("architecture", [NoteWindows, NotePairs])
@pytest.mark.parametrize("kind", ["roberta", "longformer", "modernbert"])
def test_windows_and_pairs_of_it(kind, architecture, tmp_path):
    folder = write(kind, tmp_path / kind)
    nlp = spacy.blank("en")
    texts = [("chest pain", "denies fever"), ("", "fever"), (" ".join(WORDS * 9), "pain"), ("", "")]
    docs = [make_pair(nlp, *pair) for pair in texts]
    found = []
    for bound in (4096, 64):
        encoder = architecture(str(folder), dropout=0.0, max_batch_pieces=bound, freeze_layers=1)
        encoder.initialize(X=docs)
        rows, backprop = encoder.begin_update(docs)
        backprop([np.ones_like(part) for part in rows])
        parameters = encoder.shims[0]._model.named_parameters()
        found.append({name: p.grad.numpy().copy() for name, p in parameters if p.grad is not None})
        for part, doc in zip(rows, docs):
            np.testing.assert_allclose(part, encoder.predict([doc])[0], atol=1e-4)
    largest = max(np.abs(gradient).max() for gradient in found[0].values())
    assert largest > 0 and found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        np.testing.assert_allclose(found[1][name], gradient, atol=1e-5 * largest)
    again = architecture("gone").from_bytes(encoder.to_bytes())
    np.testing.assert_allclose(again.predict(docs)[2], encoder.predict(docs)[2], atol=1e-6)
    assert encoder.shims[0].pooled == (kind != "modernbert")


@pytest.mark.parametrize("kind", ["roberta", "longformer", "modernbert"])
def test_openvino_gives_torchs_rows_or_refuses_it(kind, tmp_path):
    folder = write(kind, tmp_path / kind)
    docs = [Doc(Vocab(), words=WORDS), Doc(Vocab(), words=WORDS * 30), Doc(Vocab(), words=["\n"])]
    expected, found = NoteEncoder(str(folder)), NoteEncoder(str(folder), engine="openvino")
    for encoder in (expected, found):
        encoder.initialize(X=docs)
    if kind == "longformer":
        # Its trace holds the padding to its attention window fixed.
        with pytest.raises(ClinbertError, match=r"\(LongformerModel\): leave engine"):
            found.predict(docs)
        return
    for part, wanted in zip(found.predict(docs), expected.predict(docs)):
        np.testing.assert_allclose(part, wanted, atol=1e-4)
    found.shims[0].keep_compiled()
    again = NoteEncoder("gone", engine="openvino").from_bytes(found.to_bytes())
    np.testing.assert_allclose(again.predict(docs)[0], expected.predict(docs)[0], atol=1e-4)
    assert again.shims[0].max_positions == 64
