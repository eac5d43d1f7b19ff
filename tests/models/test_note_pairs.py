"""The encoder of pairs: two texts as BERT sees them, shortened as BERT does, one row each."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc
from spacy.vocab import Vocab
from thinc.api import Adam
from tiny_models import LETTERS, WORDS

from spacy_clinbert.errors import ClinbertError
from spacy_clinbert.models.note_pairs import NotePairs, count_left_out, shortened

VOCAB = Vocab()


def make_doc(premise: list[str], hypothesis: list[str]) -> Doc:
    doc = Doc(VOCAB, words=[*premise, "\n", *hypothesis])
    doc.spans["premise"] = [doc[: len(premise)]] if premise else []
    doc.spans["hypothesis"] = [doc[len(premise) + 1 :]] if hypothesis else []
    return doc


PAIRS = [
    ("the patient denies chest pain .".split(), "he has pain".split()),
    ("fever".split(), "the patient was admitted with pneumonia and given aspirin daily".split()),
    ([], "no fever".split()),
    ("no fever".split(), []),
    ([], []),
]


def build(folder, **config):
    model = NotePairs(str(folder), **config)
    model.initialize()
    return model


def by_transformers(folder, pairs, pooler=True):
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    rows = []
    for premise, hypothesis in pairs:
        # In lists, since transformers takes a second text that is empty for none.
        output = model(**tokenizer([" ".join(premise)], [" ".join(hypothesis)], return_tensors="pt"))
        rows.append((output.pooler_output[0] if pooler else output.last_hidden_state[0, 0]).detach().numpy())
    return rows


@pytest.mark.parametrize("pooler", [True, False])
def test_rows_are_those_of_transformers(tiny_bert, pooler):
    model = build(tiny_bert, pooler=pooler)
    together = model.predict([make_doc(*pair) for pair in PAIRS])
    for pair, row, expected in zip(PAIRS, together, by_transformers(tiny_bert, PAIRS, pooler)):
        assert row.shape == (1, 32)
        np.testing.assert_allclose(row[0], expected, atol=1e-5)
        np.testing.assert_allclose(model.predict([make_doc(*pair)])[0], row, atol=1e-4)
    assert model.predict([]) == []


def test_the_side_of_a_word_matters(tiny_bert):
    model = build(tiny_bert)
    one, other = model.predict([make_doc(["fever", "pain"], ["plan"]), make_doc(["fever"], ["pain", "plan"])])
    assert np.abs(one - other).max() > 1e-4


def loop(first: int, second: int, limit: int) -> tuple[int, int]:
    """BERT's own way."""
    while first + second > limit:
        if first > second:
            first -= 1
        else:
            second -= 1
    return first, second


@given(st.integers(0, 60), st.integers(0, 60), st.integers(2, 60))
def test_the_longer_side_is_shortened_one_at_a_time(first, second, limit):
    assert shortened(first, second, limit) == loop(first, second, limit)


@pytest.mark.parametrize(("n_first", "n_second"), [(20, 3), (3, 20), (20, 20)])
def test_pairs_that_are_too_long_lose_their_ends_and_are_counted(tiny_bert, n_first, n_second):
    model = build(tiny_bert, max_pieces=16)
    premise, hypothesis = (["fever", "pain", "plan", "home"] * 5)[:n_first], (["chills", "clinic"] * 10)[:n_second]
    kept = loop(n_first, n_second, 13)
    whole = build(tiny_bert).predict([make_doc(premise[: kept[0]], hypothesis[: kept[1]])])[0]
    doc = make_doc(premise, hypothesis)
    np.testing.assert_allclose(model.predict([doc])[0], whole, atol=1e-5)
    assert count_left_out(model, doc) == n_first + n_second - 13
    assert count_left_out(model, make_doc(*PAIRS[0])) == 0


def write_roberta(folder):
    """A small RoBERTa: pairs with two separators, one token type."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaModel

    folder.mkdir()
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *LETTERS, *WORDS]
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(dict.fromkeys(pieces))}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=False)
    specials = {"bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>", **specials)
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = RobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=66, pad_token_id=1, **sizes)
    RobertaModel(config).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["type_vocab_size"] == 2
    return folder


@pytest.mark.parametrize("types", [1, 2])
def test_a_roberta_gets_pairs_of_its_own_form(tmp_path, types):
    import torch
    from transformers import RobertaConfig, RobertaModel

    folder = write_roberta(tmp_path / "roberta")
    # Published RoBERTas have one token type; transformers' default is two, of which the second is never used.
    config = RobertaConfig.from_pretrained(folder, type_vocab_size=types)
    torch.manual_seed(0)
    RobertaModel(config).save_pretrained(folder)
    model = build(folder)
    form = model.shims[0].pieces.pair_form
    assert (form.before, form.between, form.behind) == ([0], [2, 2], [2])
    for row, expected in zip(
        model.predict([make_doc(*pair) for pair in PAIRS]), by_transformers(folder, PAIRS), strict=True
    ):
        np.testing.assert_allclose(row[0], expected, atol=1e-5)


@pytest.mark.parametrize("key", ["premise", "hypothesis"])
def test_a_doc_that_is_no_pair_is_an_error_and_one_without_text_is_not(tiny_bert, key):
    model = build(tiny_bert)
    doc = make_doc(*PAIRS[0])
    del doc.spans[key]
    with pytest.raises(ClinbertError, match=r"make_pair.*spacy_clinbert.Corpus.v1"):
        model.predict([doc])
    rows = model.predict([Doc(VOCAB), Doc(VOCAB, words=["\n", " "]), make_doc([], [])])
    np.testing.assert_allclose(rows[0], rows[2], atol=1e-6)
    np.testing.assert_allclose(rows[1], rows[2], atol=1e-6)


def test_token_types_and_pooler_learn_and_are_saved(tiny_bert):
    model = build(tiny_bert, dropout=0.0, max_batch_pieces=20)
    docs = [make_doc(*pair) for pair in PAIRS]
    rows, backprop = model.begin_update(docs)
    backprop([2 * row for row in rows])
    bert = model.shims[0]._model
    assert bert.embeddings.token_type_embeddings.weight.grad.any(dim=1).all()
    assert bert.pooler.dense.weight.grad.any()
    model.finish_update(Adam(0.001))
    loaded = NotePairs("gone/for-good").from_bytes(model.to_bytes())
    for row, expected in zip(loaded.predict(docs), model.predict(docs)):
        np.testing.assert_allclose(row, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"max_pieces": 4}, "at least 5"),
        ({"max_pieces": 65}, "64 positions"),
        ({"dropout": -0.1}, "at most 1.0"),
        ({"width": 31}, "set width = 32"),
    ],
)
def test_settings_out_of_range_are_one_sentence(tiny_bert, config, message):
    with pytest.raises(ClinbertError, match=message) as error:
        build(tiny_bert, **config).predict([make_doc(*PAIRS[0])])
    assert str(error.value).startswith("NotePairs: ") and "\n" not in str(error.value)
