"""The gradients of head and encoder are clipped by one norm, whatever the head, encoder and optimizer."""

import numpy as np
import pytest
import torch
from head_cases import HEADS, build, examples_of
from spacy.language import Language
from thinc.api import Linear, Optimizer, PyTorchGradScaler, PyTorchWrapper, chain

from spacy_clinbert.models.joint_clipping import finish_together
from spacy_clinbert.models.passes import find_shim

CASES = [(head, encoder) for head in HEADS for encoder in HEADS[head].encoders]
RATE = 0.5


def plain(grad_clip: float) -> Optimizer:
    """Steps that are the gradients, times the rate."""
    return Optimizer(RATE, L2=0.0, beta1=0.0, beta2=0.0, grad_clip=grad_clip, use_averages=False)


def weights(nlp: Language, head: str) -> np.ndarray:
    """All weights that a head updates, in one row."""
    found = []
    for node in nlp.get_pipe(head).model.walk():
        found += [node.get_param(name).ravel() for name in node.param_names if node.has_param(name)]
        found += [p.detach().numpy().ravel() for shim in node.shims for p in shim._model.parameters()]
    return np.concatenate(found).copy()


def moved(head: str, encoder: str, bert: object, sgd: Optimizer) -> np.ndarray:
    """How a first update moves the weights."""
    np.random.seed(0)
    torch.manual_seed(0)
    nlp = build(head, encoder, bert)
    examples = examples_of(nlp, head)
    nlp.initialize(lambda: examples)
    before = weights(nlp, head)
    nlp.update(examples, sgd=False)
    nlp.get_pipe(head).finish_update(sgd)
    return weights(nlp, head) - before


@pytest.mark.parametrize(("head", "encoder"), CASES)
def test_one_norm_of_all_gradients_is_the_bound(tiny_bert, head, encoder):
    free = moved(head, encoder, tiny_bert, plain(0.0))
    norm = np.linalg.norm(free) / RATE
    assert norm > 1e-3
    for bound in (norm / 10, norm / 1.5, norm * 2):
        expected = free * min(1.0, bound / norm)
        np.testing.assert_allclose(
            moved(head, encoder, tiny_bert, plain(bound)), expected, rtol=1e-4, atol=1e-6 * RATE * norm
        )


def test_torch_layers_of_thinc_count_too():
    """As the recurrent heads on coded visits have them."""
    layer = torch.nn.Linear(4, 3)
    model = chain(PyTorchWrapper(layer), Linear(2, 3)).initialize()
    own = model.layers[1]
    before = [p.detach().clone().numpy() for p in layer.parameters()]
    before += [own.get_param(name).copy() for name in ("W", "b")]
    _, backprop = model.begin_update(np.ones((5, 4), dtype="float32"))
    backprop(np.full((5, 2), 3.0, dtype="float32"))
    found = [p.grad.clone().numpy() for p in layer.parameters()] + [own.get_grad(name).copy() for name in ("W", "b")]
    norm = np.sqrt(sum((part**2).sum() for part in found))
    finish_together(model, plain(0.5))
    after = [p.detach().numpy() for p in layer.parameters()] + [own.get_param(name) for name in ("W", "b")]
    for old, gradient, new in zip(before, found, after):
        np.testing.assert_allclose(new, old - RATE * gradient * 0.5 / norm, rtol=1e-4, atol=1e-6)


def test_the_optimizer_keeps_its_bound(tiny_bert):
    sgd = plain(0.25)
    moved("clinbert_ner", "NoteEncoder", tiny_bert, sgd)
    assert sgd.grad_clip == 0.25


@pytest.fixture
def scaled(tiny_bert):
    """A pipeline whose encoder scales its gradients fourfold, as fp16 on a GPU does; all gradients are ones by hand."""
    nlp = build("clinbert_ner", "NoteEncoder", tiny_bert)
    examples = examples_of(nlp, "clinbert_ner")
    nlp.initialize(lambda: examples)
    model = nlp.get_pipe("clinbert_ner").model
    shim = find_shim(model.get_ref("tok2vec"))
    shim._grad_scaler = PyTorchGradScaler(enabled=True, init_scale=4.0)
    output = model.get_ref("output_layer")
    for name in output.param_names:
        output.inc_grad(name, np.ones_like(output.get_param(name)))
    for parameter in shim._model.parameters():
        parameter.grad = torch.full_like(parameter, 4.0)
    return nlp, shim, output


def test_scaled_gradients_count_in_their_own_scale(scaled):
    nlp, _, _ = scaled
    before = weights(nlp, "clinbert_ner")
    nlp.get_pipe("clinbert_ner").finish_update(plain(1.0))
    step = weights(nlp, "clinbert_ner") - before
    np.testing.assert_allclose(step, -RATE / np.sqrt(len(step)), rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("spoiled", [float("inf"), float("nan")])
def test_an_overflow_stops_the_encoder_alone(scaled, spoiled):
    nlp, shim, output = scaled
    first = next(iter(shim._model.parameters()))
    first.grad.view(-1)[0] = spoiled
    encoder = [p.detach().clone() for p in shim._model.parameters()]
    head = np.concatenate([output.get_param(name).ravel() for name in output.param_names])
    nlp.get_pipe("clinbert_ner").finish_update(plain(1.0))
    assert all(torch.equal(a, b) for a, b in zip(encoder, shim._model.parameters()))
    step = np.concatenate([output.get_param(name).ravel() for name in output.param_names]) - head
    np.testing.assert_allclose(step, -RATE / np.sqrt(len(step)), rtol=1e-4, atol=1e-7)
    # The next gradients count again, in a scale made smaller.
    assert not shim._grad_scaler.found_inf and float(shim._grad_scaler._scale) == 2.0
    assert all(p.grad is None for p in shim._model.parameters())
