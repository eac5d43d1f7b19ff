"""Steps of a head and its encoder with gradients clipped together: Thinc by itself clips each tensor alone."""

from typing import Any, Iterator

from thinc.api import Model, Optimizer, PyTorchShim, xp2torch

from .transformer_shim import TransformerShim


def finish_together(model: Model, optimizer: Optimizer) -> None:
    """Update all weights of a model, with `grad_clip` as the largest norm of all its gradients together.

    So do BERT's own `optimization.py` (Devlin et al. 2019: global norm 1.0) and every loop with `clip_grad_norm_`. The
    gradients of an encoder behind a listener belong to another component.

    model (Model): a head, with its encoder unless that is shared.
    optimizer (Optimizer): Thinc's, of any kind.
    """
    from torch.nn.utils import clip_grad_norm_

    largest = optimizer.grad_clip
    if largest:
        clip_grad_norm_([*gradients_of_thinc(model), *weights_of_torch(model)], largest)
    optimizer.grad_clip = 0.0
    try:
        model.finish_update(optimizer)
    finally:
        optimizer.grad_clip = largest


def gradients_of_thinc(model: Model) -> Iterator[Any]:
    """The gradients of a model's own parameters, each on a tensor that stands for its parameter; memory is shared."""
    import torch

    for node in model.walk():
        for name in node.param_names:
            if node.has_grad(name):
                gradient = xp2torch(node.get_grad(name))
                parameter = torch.empty_like(gradient)
                parameter.grad = gradient
                yield parameter


def weights_of_torch(model: Model) -> Iterator[Any]:
    """The weights inside a model's shims that will be updated."""
    for node in model.walk():
        for shim in node.shims:
            if isinstance(shim, TransformerShim):
                yield from shim.ready_weights().values()
            elif isinstance(shim, PyTorchShim):
                yield from shim._model.parameters()
