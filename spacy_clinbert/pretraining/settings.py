"""The settings of a pretraining run: a config file in spaCy's format, checked."""

from pathlib import Path
from typing import Any, Optional

from confection import Config, ConfigValidationError
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from ..errors import ClinbertError


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Paths(_Section):
    """Where the notes and the tokenizer lie, and where the model goes.

    notes (Path): a table that `read_notes` reads, with the columns it looks for unless others are named here.
    tokenizer (Path): a folder, as `clinbert vocab` writes it.
    output (Path): folder for the model; an earlier one is replaced.
    """

    notes: Path
    id_column: Optional[str] = None
    text_column: Optional[str] = None
    tokenizer: Path
    output: Path


class ModelShape(_Section):
    """The model to pretrain.

    init (str | None): folder, alias or hub id whose weights and sizes it starts from; None for new weights.
    hidden_size, layers, heads, feed_forward (int): the sizes of a new model, not used with `init`.
    dropout (float): of hidden states and attention, for a new model.
    length (int): wordpieces in a training sequence, specials included.
    """

    init: Optional[str] = None
    hidden_size: PositiveInt
    layers: PositiveInt
    heads: PositiveInt
    feed_forward: PositiveInt
    dropout: float = Field(ge=0, lt=1)
    length: int = Field(ge=8)


class Schedule(_Section):
    """The training.

    steps, warmup_steps (int): updates; the rate rises over the warm-up and falls to zero, both linearly.
    batch_size (int): sequences in an update.
    learning_rate, weight_decay (float): of AdamW.
    mask_probability (float): share of the wordpieces to predict.
    seed (int): of weights, order, masks and dropout.
    """

    steps: PositiveInt
    batch_size: PositiveInt
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    warmup_steps: int = Field(ge=0)
    mask_probability: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0)


class Settings(_Section):
    """All settings of a run, one attribute a section of the config file."""

    paths: Paths
    model: ModelShape
    training: Schedule


def read_settings(config_file: Path, overrides: dict[str, Any]) -> Settings:
    """Read and check a config file.

    config_file (Path): sections [paths], [model] and [training].
    overrides (dict[str, Any]): values that replace those of the file, keyed by "section.setting".
    RETURNS (Settings): the settings.
    RAISES (ClinbertError): if the file cannot be read, or a setting is missing, unknown or out of range.
    """
    if not config_file.is_file():
        raise ClinbertError(f"config {config_file} does not exist: configs/pretraining holds examples")
    try:
        return Settings.model_validate(Config().from_disk(config_file, overrides=overrides))
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(map(str, first["loc"]))
        raise ClinbertError(f"config {config_file}, setting {setting}: {first['msg'].lower()}") from error
    except (ConfigValidationError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise ClinbertError(f"config {config_file} cannot be read: {reason}") from error
