"""Every head with the encoders that fit it, trained on a handful of records: what tests of all heads share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import spacy
from clinical_records import CATS, PAIR, make_examples, make_records, step
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed

from spacy_clinbert.components.pair import make_pair


@dataclass(frozen=True)
class Head:
    """A head, and what it needs.

    architecture (str), model (dict): its model, but for the encoder.
    labels (tuple): those of the records.
    what (str): what carries its labels, as errors call it.
    scores (str): the score by label.
    encoders (dict): the encoders that it runs on, with their settings.
    unfit (dict): those that it does not run on, with what their error says.
    carry (tuple): what the reader gives to bare Docs.
    """

    architecture: str
    labels: tuple[str, ...]
    what: str
    scores: str
    encoders: dict[str, dict[str, Any]]
    unfit: dict[str, str]
    model: dict[str, Any] = field(default_factory=dict)
    carry: tuple[str, ...] = ()


TOKENS: dict[str, dict[str, Any]] = {"HashEmbedCNN": {}, "Tok2VecListener": {}, "NoteEncoder": {}}
NO_TOKENS = {"NoteWindows": "NoteEncoder", "NotePairs": "NoteEncoder", "NoteMentions": "NoteEncoder"}
HEADS = {
    "clinbert_ner": Head("TokenClassifier", ("problem", "treatment"), "entities", "ents_per_type", TOKENS, NO_TOKENS),
    "clinbert_spans": Head("LayerClassifier", ("problem", "treatment"), "spans", "spans_per_type", TOKENS, NO_TOKENS),
    "clinbert_textcat": Head(
        "TextClassifier",
        CATS,
        "categories",
        "cats_f_per_type",
        {**TOKENS, "NoteWindows": {"pooling": "cls"}},
        {"HashEmbedCNN": "NoteWindows", "NoteEncoder": "NoteWindows", "Tok2VecListener": "NoteWindows"},
        {"pooling": "mean", "aggregate": "none"},
    ),
    "clinbert_assertion": Head(
        "MentionClassifier",
        ("absent", "present"),
        "assertions",
        "assertion_per_type",
        {**TOKENS, "NoteMentions": {}},
        {"NoteWindows": "NoteEncoder", "NotePairs": "NoteEncoder"},
        carry=("ents",),
    ),
    "clinbert_pair": Head(
        "PairClassifier",
        CATS,
        "categories",
        "cats_f_per_type",
        {"NotePairs": {}},
        dict.fromkeys((*TOKENS, "NoteWindows", "NoteMentions"), "NotePairs"),
        carry=PAIR,
    ),
}
CNN = {"width": 32, "depth": 2, "embed_size": 500, "window_size": 1, "maxout_pieces": 2, "subword_features": True}
NOTHING = ["", "\n", " \n\t ", "\u200b"]


def build(head: str, encoder: str, bert: object, **model: Any) -> Language:
    one = HEADS[head]
    ours = {"@architectures": f"spacy_clinbert.{encoder}.v1", "name": str(bert), "dropout": 0.0}
    nlp = spacy.blank("en")
    tok2vec: dict[str, Any] = ours
    if encoder == "HashEmbedCNN":
        tok2vec = {"@architectures": "spacy.HashEmbedCNN.v2", **CNN, "pretrained_vectors": None}
    elif encoder == "Tok2VecListener":
        ours["@architectures"] = "spacy_clinbert.NoteEncoder.v1"
        nlp.add_pipe("tok2vec", config={"model": {**ours, "width": 32}})
        tok2vec = {"@architectures": "spacy.Tok2VecListener.v1", "width": 32, "upstream": "tok2vec"}
    elif encoder in ("NoteWindows", "NotePairs"):
        # A random pooler leaves rows nearly alike.
        ours["pooler"] = False
    settings = {**one.model, **one.encoders.get(encoder, {}), **model}
    nlp.add_pipe(
        head,
        config={"model": {"@architectures": f"spacy_clinbert.{one.architecture}.v1", "tok2vec": tok2vec, **settings}},
    )
    return nlp


def examples_of(nlp: Language, head: str, records: Sequence[Any] = ()) -> list[Example]:
    return make_examples(nlp, records or make_records(), HEADS[head].carry)


def texts_of(nlp: Language, head: str) -> list[Doc]:
    """Docs as they come to the pipeline, some of which hold nothing."""
    docs = [example.predicted for example in examples_of(nlp, head)]
    more = [nlp.make_doc(text) for text in NOTHING]
    if head == "clinbert_pair":
        more += [make_pair(nlp, "", "fever"), make_pair(nlp, "fever", " ")]
    return [docs[0], *more, *docs[1:]]


def outcome(head: str, doc: Doc) -> dict[str, float]:
    """What a head found, with its probabilities."""
    if head in ("clinbert_textcat", "clinbert_pair"):
        return dict(doc.cats)
    group = doc.spans[head]
    names = group.attrs.get("assertions") or [span.label_ for span in group]
    keys = [f"{span.start}:{span.end} {name}" for span, name in zip(group, names)]
    return dict(zip(keys, group.attrs["scores"]))


def train(nlp: Language, head: str, steps: int) -> list[float]:
    fix_random_seed(0)
    examples = examples_of(nlp, head)
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 0.01 if nlp.pipe_names == [head] else 0.005
    return [step(nlp, examples_of(nlp, head), sgd)[head] for _ in range(steps)]
