"""NER and categories on one shared encoder: what each batch teaches it, freezing, saving, and what is left on Docs."""

from collections.abc import Sequence

import pytest
import spacy
import torch
from clinical_records import make_examples, make_records, step
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from spacy.util import fix_random_seed
from thinc.api import Optimizer

NER, CATS = "clinbert_ner", "clinbert_textcat"
BOTH = (NER, CATS)
SHARED = ("tok2vec", "transformer")
LISTENERS = {
    "tok2vec": {"@architectures": "spacy.Tok2VecListener.v1", "width": 32, "upstream": "tok2vec"},
    "transformer": {
        "@architectures": "spacy-transformers.TransformerListener.v1",
        "grad_factor": 1.0,
        "pooling": {"@layers": "reduce_mean.v1"},
    },
}


@pytest.fixture(autouse=True)
def one_thread():
    """So small a model is slower on more."""
    fix_random_seed(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def build(tiny_bert, shared: str, heads: Sequence[str] = BOTH, pooling: str = "mean") -> Language:
    nlp = spacy.blank("en")
    if shared == "tok2vec":
        encoder = {"@architectures": "spacy_clinbert.NoteEncoder.v1", "name": str(tiny_bert), "width": 32}
        nlp.add_pipe("tok2vec", config={"model": {**encoder, "dropout": 0.0}})
    else:
        spans = {"@span_getters": "spacy-transformers.strided_spans.v1", "window": 32, "stride": 24}
        still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        encoder = {"@architectures": "spacy-transformers.TransformerModel.v3", "name": str(tiny_bert)}
        nlp.add_pipe("transformer", config={"model": {**encoder, "get_spans": spans, "transformer_config": still}})
    models = {
        NER: {"@architectures": "spacy_clinbert.TokenClassifier.v1"},
        CATS: {"@architectures": "spacy_clinbert.TextClassifier.v1", "pooling": pooling, "aggregate": "none"},
    }
    for head in heads:
        nlp.add_pipe(head, config={"model": {**models[head], "tok2vec": LISTENERS[shared]}})
    nlp.add_pipe("doc_cleaner", config={"attrs": {"tensor": None, "_.trf_data": None}, "silent": True})
    return nlp


def examples_of(nlp: Language, *gold: str) -> list[Example]:
    """Examples whose gold is of these heads only: a corpus of categories says nothing of entities, and the reverse."""
    examples = make_examples(nlp, make_records())
    for example in examples:
        if CATS not in gold:
            example.reference.cats = {}
        if NER not in gold:
            example.reference.set_ents([], default="missing")
    return examples


def start(nlp: Language) -> Optimizer:
    examples = examples_of(nlp, *BOTH)
    sgd = nlp.initialize(lambda: examples)
    sgd.learn_rate = 0.005
    return sgd


def weights(nlp: Language) -> dict[str, torch.Tensor]:
    """The encoder's weights; those of its pooler are left out, since no row goes through it."""
    (shim,) = (node.shims[0] for node in nlp.get_pipe(nlp.pipe_names[0]).model.walk() if node.shims)
    return {name: one.detach().clone() for name, one in shim._model.named_parameters() if "pooler" not in name}


def share_moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> float:
    return sum(not before[name].equal(after[name]) for name in before) / len(before)


def outcome(doc: Doc) -> tuple[list, dict]:
    return [(e.start, e.end, e.label_, pytest.approx(e._.clinbert_score, abs=1e-4)) for e in doc.ents], {
        label: pytest.approx(value, abs=1e-4) for label, value in doc.cats.items()
    }


@pytest.mark.parametrize("shared", SHARED)
@pytest.mark.parametrize(
    ("heads", "pooling"), [(BOTH, "mean"), (BOTH, "attention"), ((NER,), "mean"), ((CATS,), "max")]
)
def test_together_and_alone_they_learn_and_come_back_from_disk(tiny_bert, tmp_path, shared, heads, pooling):
    nlp = build(tiny_bert, shared, heads, pooling)
    sgd = start(nlp)
    for _ in range(30):
        step(nlp, examples_of(nlp, *BOTH), sgd)
    scores = nlp.evaluate(examples_of(nlp, *BOTH))
    assert [scores[key] for key in ("ents_f", "cats_micro_f") if key in scores] == [1.0] * len(heads)
    nlp.to_disk(tmp_path / "model")
    loaded = spacy.load(tmp_path / "model")
    texts = [record.text for record in make_records()] + [" \n"]
    for one, other in zip(nlp.pipe(texts), loaded.pipe(texts, batch_size=2), strict=True):
        assert outcome(one) == outcome(other)
        for doc in (one, other):
            assert doc.tensor is None and (shared == "tok2vec" or doc._.trf_data is None)


@pytest.mark.parametrize("shared", SHARED)
@pytest.mark.parametrize("heads", [BOTH, BOTH[::-1]], ids=["ner-first", "textcat-first"])
@pytest.mark.parametrize("taught", BOTH)
def test_a_batch_without_gold_for_one_head_teaches_the_encoder_what_the_other_says(tiny_bert, shared, heads, taught):
    moved = {}
    for pipeline in (heads, (taught,)):
        fix_random_seed(0)
        nlp = build(tiny_bert, shared, pipeline)
        sgd = start(nlp)
        output = nlp.get_pipe(taught).model.get_ref("output_layer")
        output.set_param("W", output.ops.xp.linspace(-1, 1, output.get_param("W").size, dtype="f").reshape(
            output.get_param("W").shape
        ))  # fmt: skip
        before = weights(nlp)
        losses = step(nlp, examples_of(nlp, taught), sgd)
        assert [losses[head] > 0 for head in pipeline] == [head == taught for head in pipeline]
        moved[pipeline] = weights(nlp)
        assert share_moved(before, moved[pipeline]) == 1.0
    together, alone = moved[heads], moved[(taught,)]
    for name in together:
        torch.testing.assert_close(together[name], alone[name], atol=1e-4, rtol=0)


@pytest.mark.parametrize("shared", SHARED)
def test_batches_without_words_leave_nothing_waiting(tiny_bert, shared):
    after = []
    for empty in ((), ("",), ("", "")):
        fix_random_seed(0)
        nlp = build(tiny_bert, shared)
        sgd = start(nlp)
        before = weights(nlp)
        if empty:
            losses = step(nlp, [Example(nlp.make_doc(text), nlp.make_doc(text)) for text in empty], sgd)
            assert losses[NER] == losses[CATS] == 0.0 and share_moved(before, weights(nlp)) == 0.0
        assert nlp.update([]) == {}
        assert [nlp.get_pipe(head).update([], sgd=sgd) for head in BOTH] == [{NER: 0.0}, {CATS: 0.0}]
        step(nlp, examples_of(nlp, *BOTH), sgd)
        assert share_moved(before, weights(nlp)) == 1.0
        after.append(weights(nlp))
    for other in after[1:]:
        assert share_moved(after[0], other) == 0.0


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
@pytest.mark.parametrize("shared", SHARED)
def test_docs_without_text_beside_others(tiny_bert, shared, pooling):
    nlp = build(tiny_bert, shared, pooling=pooling)
    sgd = start(nlp)
    before = weights(nlp)
    bare = [Example(nlp.make_doc(text), nlp.make_doc(text)) for text in ("", " \n ")]
    step(nlp, [bare[0], *examples_of(nlp, *BOTH), bare[1]], sgd)
    assert share_moved(before, weights(nlp)) == 1.0
    texts = ["", make_records()[0].text, "", ""]
    alone = [outcome(nlp(text)) for text in texts]
    for size in (1, 2, 4):
        assert [outcome(doc) for doc in nlp.pipe(texts, batch_size=size)] == alone
    assert sum(nlp("").cats.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("shared", SHARED)
def test_a_frozen_encoder_annotates_and_stays(tiny_bert, shared):
    nlp = build(tiny_bert, shared)
    sgd = start(nlp)
    before, loss = weights(nlp), []
    for _ in range(10):
        losses = nlp.update(examples_of(nlp, *BOTH), sgd=sgd, exclude=[shared], annotates=[shared])
        loss.append(losses[NER] + losses[CATS])
    assert loss[-1] < loss[0] and share_moved(before, weights(nlp)) == 0.0


@pytest.mark.parametrize("shared", SHARED)
def test_a_frozen_head_is_first_or_the_encoder_waits_for_it(tiny_bert, shared):
    """spaCy's way, said in docs/heads.md: the last listener sends the gradients on, and a frozen one has none."""
    moved = []
    for heads in (BOTH, BOTH[::-1]):
        nlp = build(tiny_bert, shared, heads)
        sgd = start(nlp)
        before = weights(nlp)
        step(nlp, examples_of(nlp, *BOTH), sgd, exclude=[CATS])
        moved.append(share_moved(before, weights(nlp)))
    assert moved == [0.0, 1.0]


def test_select_pipes_replace_listeners_and_a_disabled_encoder(tiny_bert):
    nlp = build(tiny_bert, "tok2vec", pooling="attention")
    sgd = start(nlp)
    for _ in range(30):
        step(nlp, examples_of(nlp, *BOTH), sgd)
    text = make_records()[0].text
    ents, cats = outcome(nlp(text))
    assert ents and cats
    with nlp.select_pipes(disable=[CATS]):
        assert outcome(nlp(text)) == (ents, {})
    with nlp.select_pipes(enable=["tok2vec", CATS]):
        assert outcome(nlp(text)) == ([], cats)
    # A listener without its encoder reads zeros, and that is silent in spaCy.
    with nlp.select_pipes(disable=["tok2vec"]):
        assert outcome(nlp(text)) != (ents, cats)
    for head in BOTH:
        nlp.replace_listeners("tok2vec", head, ["model.tok2vec"])
    nlp.remove_pipe("tok2vec")
    assert outcome(nlp(text)) == (ents, cats)
