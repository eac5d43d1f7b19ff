"""Small models, written to folders: BERTs with random weights, and a pipeline of rules."""

from pathlib import Path

WORDS = """
the patient was admitted with chest pain and shortness of breath . , : ; ( ) - / he she denies fever chills
nausea vomiting history hypertension diabetes mellitus type 2 heart failure aspirin metformin lisinopril given
mg daily ct scan showed no acute process pneumonia blood pressure plan discharge home follow up in clinic weeks
##s ##ed ##ing ##ly ##al ##ia
""".split()
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def write_bert(folder: Path, hidden_size: int = 32, **config: object) -> Path:
    """Write a small BERT with random weights and a lower-casing wordpiece vocabulary that can spell any ASCII word."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS), *WORDS]
    (folder / "vocab.txt").write_text("\n".join(dict.fromkeys(pieces)) + "\n", encoding="utf-8")
    tokenizer = BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=True, model_max_length=64)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    settings = {
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
    }
    model = BertModel(BertConfig(vocab_size=len(tokenizer), hidden_size=hidden_size, **{**settings, **config}))
    model.save_pretrained(folder)
    return folder


def write_ruler(folder: Path, last: str) -> str:
    """Write a pipeline that finds aspirin and chest pain by rules, with one more component behind them."""
    import spacy

    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "DRUG", "pattern": "aspirin"}, {"label": "PROBLEM", "pattern": "chest pain"}])
    nlp.add_pipe(last)
    nlp.to_disk(folder)
    return str(folder)


def write_ner(folder: Path, encoder: Path) -> str:
    """Write a pipeline of sections, sentences and a `clinbert_ner` that has learnt a little."""
    import spacy
    from spacy.training import Example

    nlp = spacy.blank("en")
    for name in ("clinbert_sections", "clinbert_sentences"):
        nlp.add_pipe(name)
    tok2vec = {"@architectures": "spacy_clinbert.NoteEncoder.v1", "name": str(encoder)}
    model = {"@architectures": "spacy_clinbert.TokenClassifier.v1", "tok2vec": tok2vec}
    nlp.add_pipe("clinbert_ner", config={"model": model})
    doc = nlp.make_doc("patient given aspirin for chest pain .")
    doc.ents = [doc.char_span(14, 21, "treatment"), doc.char_span(26, 36, "problem")]
    optimizer = nlp.initialize(lambda: [Example(nlp.make_doc(doc.text), doc)])
    optimizer.learn_rate = 0.005
    for _ in range(5):
        nlp.update([Example(nlp.make_doc(doc.text), doc)], sgd=optimizer)
    nlp.to_disk(folder)
    return str(folder)
