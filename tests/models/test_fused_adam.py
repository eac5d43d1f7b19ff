"""AdamW of PyTorch on the state of Thinc's optimizer."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from thinc.api import Adam, RAdam

from spacy_clinbert.models.fused_adam import fused_step, is_adamw

SHAPES = {"a": (3, 4), "b": (5,), "c": (1,)}
RATE = 1e-2


def make_adam(rate=RATE, **settings):
    return Adam(rate, use_averages=False, L2_is_weight_decay=True, **{"grad_clip": 0.0, "L2": 0.01, **settings})


def weights_of(seed):
    rng = np.random.default_rng(seed)
    return {(7, name): rng.normal(size=shape).astype("float32") for name, shape in SHAPES.items()}


def run(optimizer, step, seed, steps, only=lambda name, number: True):
    """Weights after some steps with random gradients; `step` takes the optimizer and parameters with gradients."""
    parameters = {key: torch.nn.Parameter(torch.from_numpy(value)) for key, value in weights_of(seed).items()}
    rng = np.random.default_rng(seed + 1)
    for number in range(steps):
        for parameter in parameters.values():
            parameter.grad = torch.from_numpy(rng.normal(size=tuple(parameter.shape)).astype("float32"))
        step(optimizer, {key: value for key, value in parameters.items() if only(key[1], number)})
        optimizer.step_schedules()
    return {key: value.detach().numpy() for key, value in parameters.items()}


def thinc_step(optimizer, parameters):
    for key, parameter in parameters.items():
        parameter.data = torch.from_numpy(optimizer(key, parameter.data.numpy(), parameter.grad.numpy())[0])


@given(
    seed=st.integers(0, 1000),
    steps=st.integers(1, 20),
    decay=st.sampled_from([0.0, 0.01, 0.1]),
    betas=st.sampled_from([(0.9, 0.999), (0.5, 0.9)]),
    eps=st.sampled_from([1e-8, 1e-2]),
)
@hypothesis_settings(max_examples=30)
def test_without_clipping_the_steps_are_those_of_thinc(seed, steps, decay, betas, eps):
    """Thinc decays after its step, PyTorch before; gradients are given, so that no step depends on the decay."""

    def thinc_step_with_corrected_epsilon(optimizer, parameters):
        # Thinc adds it before the second moment is corrected, PyTorch after.
        optimizer.eps = eps * (1 - betas[1] ** (optimizer.nr_update[7, "a"] + 1)) ** 0.5
        thinc_step(optimizer, parameters)

    settings = {"beta1": betas[0], "beta2": betas[1], "eps": eps}
    path = [run(make_adam(L2=0.0, **settings), thinc_step_with_corrected_epsilon, seed, n) for n in range(steps + 1)]
    for key, value in run(make_adam(L2=decay, **settings), fused_step, seed, steps).items():
        expected = path[0][key]
        for before, after in pairwise(path):
            expected = (1 - RATE * decay) * expected + after[key] - before[key]
        # Weights are below 8, where float32 rounds by 2.4e-7; a step and its decay round twice, here and there.
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-6 * steps)


def test_a_weight_that_is_seen_at_some_steps_counts_its_own_steps():
    def sometimes(name, number):
        return name != "b" or number % 3 == 0

    ours = run(make_adam(), fused_step, 1, 10, sometimes)
    theirs = run(make_adam(), thinc_step, 1, 10, sometimes)
    for key, value in ours.items():
        np.testing.assert_allclose(value, theirs[key], atol=2e-5)


def test_the_schedule_of_the_optimizer_holds():
    rates = [0.01, 0.005, 0.0, 0.0]
    assert np.array_equal(
        run(make_adam(iter(rates)), fused_step, 2, 4)[7, "a"], run(make_adam(iter(rates)), fused_step, 2, 2)[7, "a"]
    )


def test_clipping_is_of_all_gradients_together():
    model = torch.nn.ParameterDict({name: torch.nn.Parameter(torch.ones(shape)) for name, shape in SHAPES.items()})
    theirs = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.01, eps=1e-8)
    own = {(7, name): torch.nn.Parameter(value.detach().clone()) for name, value in model.items()}
    optimizer = make_adam(grad_clip=0.5, eps=1e-8)
    rng = np.random.default_rng(0)
    for _ in range(5):
        for name, value in model.items():
            value.grad = torch.from_numpy(rng.normal(size=tuple(value.shape)).astype("float32"))
            own[7, name].grad = value.grad.clone()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        theirs.step()
        fused_step(optimizer, own)
    for name, value in model.items():
        assert torch.allclose(value, own[7, name], atol=1e-7)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (make_adam(), True),
        (Adam(0.1, use_averages=False, L2=0.0, L2_is_weight_decay=False), True),
        (Adam(0.1, use_averages=False, L2=0.1, L2_is_weight_decay=False), False),
        (Adam(0.1, use_averages=True, L2_is_weight_decay=True), False),
        (RAdam(0.1, use_averages=False), False),
        (Adam(0.1, use_averages=False, beta1=0.0, beta2=0.0), False),
    ],
)
def test_other_optimizers_are_left_to_thinc(optimizer, expected):
    assert is_adamw(optimizer) is expected
