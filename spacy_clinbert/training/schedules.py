"""Steps counted in epochs, for configs whose rate falls to zero with the last of them."""

import math
from collections.abc import Iterable
from typing import Sized

from spacy.util import registry
from thinc.api import warmup_linear


@registry.misc("spacy_clinbert.steps_of_epochs.v1")
def steps_of_epochs(corpus: Sized, batch_size: int, epochs: int) -> int:
    """Count the updates in some epochs.

    Both `training.max_steps` and `training.eval_frequency` take it: spaCy evaluates at multiples of the latter, the
    last step included, where `training.max_epochs` would end one step before the last evaluation.

    corpus (Sized): examples of an epoch, as the reader of `spacy_clinbert.Sentences.v1` counts them.
    batch_size (int): examples in an update.
    epochs (int): number of epochs.
    RETURNS (int): number of updates.
    """
    return epochs * math.ceil(len(corpus) / batch_size)


@registry.schedules("spacy_clinbert.warmup_linear.v1")
def warmup_share(initial_rate: float, warmup: float, total_steps: int) -> Iterable[float]:
    """Raise a rate linearly from zero and lower it linearly to zero (Devlin et al. 2019).

    initial_rate (float): the highest rate.
    warmup (float): share of the steps in which it rises.
    total_steps (int): number of steps.
    RETURNS (Iterable[float]): the rate at each step.
    """
    return warmup_linear(initial_rate, round(warmup * total_steps), total_steps)
