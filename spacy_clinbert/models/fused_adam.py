"""Steps of an encoder's weights by PyTorch's fused AdamW, at the rates and on the state of Thinc's optimizer."""

from typing import Any, Mapping, cast

from thinc.api import Optimizer

Key = tuple[int, str]


def is_adamw(optimizer: Optimizer) -> bool:
    """Whether an optimizer is what `fused_step` computes: Adam whose decay is its own term, without averages.

    optimizer (Optimizer): Thinc's.
    RETURNS (bool): whether it is.
    """
    adam = optimizer.b1 > 0 and optimizer.b2 > 0 and not optimizer.use_radam
    return adam and optimizer.averages is None and (optimizer.L2_is_weight_decay or not optimizer.L2)


def fused_step(optimizer: Optimizer, parameters: Mapping[Key, Any]) -> None:
    """Update weights where they are, all at once.

    Moments and counts of steps are kept in Thinc's optimizer, as tensors. Unlike Thinc's own step, which clips each
    gradient by itself, `grad_clip` is the largest norm of all gradients together, as in PyTorch; and epsilon is added
    to the corrected second moment, as in Kingma and Ba 2015, algorithm 1.

    optimizer (Optimizer): Thinc's, of which `is_adamw` holds.
    parameters (Mapping[Key, Parameter]): the weights with gradients, by the optimizer's keys.
    """
    import torch
    from torch.nn.utils import clip_grad_norm_
    from torch.optim.adamw import adamw

    if not parameters:
        return
    weights = list(parameters.values())
    if optimizer.grad_clip:
        clip_grad_norm_(weights, optimizer.grad_clip)
    first, second = cast("dict[Key, Any]", optimizer.mom1), cast("dict[Key, Any]", optimizer.mom2)
    for key, weight in parameters.items():
        if key not in first:
            first[key], second[key] = torch.zeros_like(weight), torch.zeros_like(weight)
    # PyTorch adds one to each count itself.
    counts = torch.tensor([float(optimizer.nr_update[key]) for key in parameters], device=weights[0].device)
    with torch.no_grad():
        adamw(
            weights,
            [weight.grad for weight in weights],
            [first[key] for key in parameters],
            [second[key] for key in parameters],
            [],
            list(counts.unbind()),
            fused=True,
            amsgrad=False,
            beta1=optimizer.b1,
            beta2=optimizer.b2,
            lr=optimizer.learn_rate,
            weight_decay=optimizer.L2,
            eps=optimizer.eps,
            maximize=False,
        )
    for key in parameters:
        optimizer.nr_update[key] += 1
