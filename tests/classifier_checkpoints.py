"""Small Hugging Face classifiers with random weights, written to folders by transformers, and what they predict."""

from pathlib import Path

import numpy as np
import torch
from spacy.tokens import Doc
from tiny_models import write_bert
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from spacy_clinbert.models.doc_windows import lay_windows

SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    # Large, so that predictions differ from token to token.
    "initializer_range": 0.6,
}
DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48, "max_position_embeddings": 64}


def write_classifier(folder: Path, labels: list[str], kind: str = "Bert", task: str = "Token", **config) -> Path:
    """Write a classifier with its tokenizer.

    kind (str): "Bert", "Electra", "DistilBert", "Roberta", …, as transformers names its classes.
    task (str): "Token" or "Sequence".
    """
    import transformers

    tokenizer = write_byte_tokenizer(folder) if kind in ("Roberta", "ModernBert") else write_bert_tokenizer(folder)
    shape = {**DISTIL, "initializer_range": 0.6} if kind == "DistilBert" else SHAPE
    if kind == "Roberta":
        shape = {**shape, "max_position_embeddings": 66}
    settings = {**shape, "pad_token_id": tokenizer.pad_token_id, "id2label": dict(enumerate(labels)), **config}
    torch.manual_seed(3)
    made = getattr(transformers, f"{kind}Config")(vocab_size=len(tokenizer), **settings)
    model = getattr(transformers, f"{kind}For{task}Classification")(made)
    # Biases are drawn as zeros; those of a head must come over too.
    torch.nn.init.normal_([p for name, p in model.named_parameters() if name.endswith("bias")][-1], std=0.1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_bert_tokenizer(folder: Path):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(write_bert(folder, num_hidden_layers=1))


def write_byte_tokenizer(folder: Path):
    from transformers import RobertaTokenizerFast

    raw = Tokenizer(models.BPE(unk_token="<unk>"))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    raw.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    raw.train_from_iterator(["the patient denies fever , chest pain and nausea ."] * 20, trainer)
    ends = [(piece, raw.token_to_id(piece)) for piece in ("</s>", "<s>")]
    raw.post_processor = processors.RobertaProcessing(*ends)
    return RobertaTokenizerFast(tokenizer_object=raw, add_prefix_space=True, model_max_length=64)


def classes_of_tokens(folder: Path, encoder, doc: Doc) -> list[str]:
    """The class that transformers gives the first wordpiece of each token, "" where it has none.

    It is given the words of each of the encoder's windows: a sentence, or a part of a long one.
    """
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    model = AutoModelForTokenClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
    shim = encoder.shims[0]
    laid = lay_windows(shim, doc, "NoteEncoder", "sentence", "sections", None, None)
    found = [""] * len(doc)
    for window in laid.windows:
        inside = [i for i in range(len(doc)) if window.start <= laid.starts[i] < laid.starts[i + 1] <= window.end]
        batch = tokenizer([doc[i].text for i in inside], is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            best = model(batch["input_ids"]).logits[0].argmax(dim=1).tolist()
        for place, (word, one) in enumerate(zip(batch.word_ids(), best)):
            first = word is not None and batch.word_ids()[place - 1] != word
            if first and window.keep_start <= laid.starts[inside[word]] < window.keep_end:
                found[inside[word]] = model.config.id2label[one]
    return found


def probabilities_of_text(folder: Path, doc: Doc, multi: bool) -> np.ndarray:
    """The probabilities that transformers gives a text, cut into the same words."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, add_prefix_space=True)
    words = [token.text for token in doc if token.text.strip()]
    batch = tokenizer(words, is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(batch["input_ids"]).logits[0]
    return (logits.sigmoid() if multi else logits.softmax(dim=0)).numpy()
