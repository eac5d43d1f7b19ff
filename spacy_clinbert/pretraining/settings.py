"""The settings of a pretraining run: sections [paths], [model] and [training] of a recipe, checked."""

from pathlib import Path
from typing import Literal, Optional, Union

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator


class Section(BaseModel):
    """A section of a recipe: nothing unknown, nothing changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Paths(Section):
    """Where the instances lie, and where the model goes.

    instances (Path): a folder that `clinbert export` wrote: Parquet shards of instances or blocks and manifest.json.
    held_out (bool | Path): what the model is scored on: another such folder; true for one note in twenty of
        `instances`, which then is not trained on (`held_out.py` says which); false for nothing.
    output (Path): folder for the model; an earlier one is replaced. Checkpoints lie beside it in `.NAME.checkpoints`.
    """

    instances: Path
    held_out: Union[bool, Path] = True
    output: Path


class ModelSettings(Section):
    """The model to pretrain.

    init (str | None): folder, alias, hub id or folder of a TensorFlow checkpoint to start from; None for new weights.
    objective (str): "mlm+nsp" (masked pieces and next sentence) or "mlm".
    hidden_size, layers, heads, feed_forward (int | None): the sizes of a new model, not used with `init`.
    dropout (float | None): of hidden states and attention; None for that of `init`, or Google's 0.1 in a new model.
    length (int | None): positions of a new model; None for the length of the instances.

    The tokenizer is that of the export, without which its pieces mean nothing.
    """

    init: Optional[str] = None
    objective: Literal["mlm+nsp", "mlm"] = "mlm+nsp"
    hidden_size: Optional[PositiveInt] = None
    layers: Optional[PositiveInt] = None
    heads: Optional[PositiveInt] = None
    feed_forward: Optional[PositiveInt] = None
    dropout: Optional[float] = Field(default=None, ge=0, lt=1)
    length: Optional[int] = Field(default=None, ge=8)

    @model_validator(mode="after")
    def _new_or_not(self) -> "ModelSettings":
        if self.init is None:
            if not (self.hidden_size and self.layers and self.heads and self.feed_forward):
                raise ValueError("without init, a new model needs hidden_size, layers, heads and feed_forward")
            if self.hidden_size % self.heads:
                raise ValueError(f"hidden_size {self.hidden_size} is no multiple of heads {self.heads}")
        return self


class TrainingSettings(Section):
    """The training; the defaults of the numbers are those of Google BERT's `run_pretraining.py`.

    steps (int | None), epochs (float | None): updates, or passes over the instances; one of the two.
    batch_size (int): sequences in an update, over all processes and accumulated parts.
    accumulate (int): parts in which each process takes its share of an update, one after the other.
    learning_rate, weight_decay (float): of AdamW; biases and layer norms do not decay.
    beta1, beta2, epsilon (float): of AdamW.
    clip (float): largest norm of all gradients together.
    warmup_steps (int): updates over which the rate rises.
    schedule (str): what follows the warm-up: "linear" and "cosine" fall to zero at the last step; "constant".
    bf16 (bool): compute in bfloat16; the weights stay in float32.
    masking (str): "static", as exported, or "dynamic", drawn anew each time an instance is seen (blocks have no masks).
    mask_probability (float): share of the pieces to predict where masking is dynamic.
    seed (int): of new weights, order, dynamic masks and dropout.
    log_steps (int): updates between two lines of the log, which give the mean losses since the last.
    save_steps (int): updates between two checkpoints, a multiple of `log_steps`; 0 for none.
    evaluation_steps (int): updates between two evaluations; 0 for one at the end only.
    """

    steps: Optional[PositiveInt] = None
    epochs: Optional[float] = Field(default=None, gt=0)
    batch_size: PositiveInt = 32
    accumulate: PositiveInt = 1
    learning_rate: float = Field(default=5e-5, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.999, ge=0, lt=1)
    epsilon: float = Field(default=1e-6, gt=0)
    clip: float = Field(default=1.0, gt=0)
    warmup_steps: int = Field(default=10_000, ge=0)
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    bf16: bool = False
    masking: Literal["static", "dynamic"] = "static"
    mask_probability: float = Field(default=0.15, gt=0, lt=1)
    # Below the limit of NumPy's global generator.
    seed: int = Field(default=12345, ge=0, lt=2**32)
    log_steps: PositiveInt = 100
    save_steps: int = Field(default=1000, ge=0)
    evaluation_steps: int = Field(default=0, ge=0)

    @property
    def unit(self) -> int:
        """Of how many sequences an update has a multiple."""
        return self.batch_size

    @model_validator(mode="after")
    def _together(self) -> "TrainingSettings":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give one of steps and epochs, and null for the other")
        if self.save_steps % self.log_steps:
            raise ValueError(f"save_steps {self.save_steps} is no multiple of log_steps {self.log_steps}")
        return self


class Settings(Section):
    """All settings of a run, one attribute a section of the recipe."""

    paths: Paths
    model: ModelSettings
    training: TrainingSettings
