"""The settings of `clinbert ehr pretrain`: sections [paths], [model] and [training] of a recipe, checked."""

from pathlib import Path
from typing import Any, Literal, Optional

from pydantic import BaseModel, Field, PositiveInt, model_validator

from ..models.code_styles import STYLES
from ..pretraining.recipes import About, Shelf
from ..pretraining.settings import Section, TrainingSettings

# Patients of an update come in so many, so that their number is the same on 1, 2, 4, 8 or 16 processes.
LOT = 16


class CodePaths(Section):
    """Where the patients are, and where the encoder goes.

    sequences (Path): a folder that `clinbert ehr prepare` wrote; its train split is trained on.
    held_out (bool): whether the encoder is scored on the valid split.
    output (Path): folder for the encoder; an earlier one is replaced. Checkpoints lie beside it in `.NAME.checkpoints`.
    """

    sequences: Path
    held_out: bool = True
    output: Path


class CodeModelSettings(Section):
    """The encoder to pretrain; the sizes are the published ones.

    style (str): "original", "paper" or "default"; `models/code_styles.py` says what each is.
    pooling (str | None): one of the style's; None for its first.
    ages, gaps (bool | None): tables of ages and of the time between visits; None for what the style says.
    ancestors (Path | None): JSON mapping of codes to their ancestors, whose embeddings are added to the codes'.
    hidden_size, layers, heads, feed_forward (int): the sizes.
    length (int): the longest sequence, `[CLS]` included; of longer patients the latest codes are read, in the style
        "original" they are skipped.
    visits, ranks (int): rows of the tables of visits, and of the order in the visit; what is beyond has the last.
    dropout (float): of hidden states and attention.
    """

    style: Literal["original", "paper", "default"] = "default"
    pooling: Optional[str] = None
    ages: Optional[bool] = None
    gaps: Optional[bool] = None
    ancestors: Optional[Path] = None
    hidden_size: PositiveInt = 192
    layers: PositiveInt = 6
    heads: PositiveInt = 6
    feed_forward: PositiveInt = 64
    length: int = Field(default=512, ge=2)
    visits: int = Field(default=1000, ge=2)
    ranks: int = Field(default=128, ge=2)
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _together(self) -> "CodeModelSettings":
        if self.hidden_size % self.heads:
            raise ValueError(f"hidden_size {self.hidden_size} is no multiple of heads {self.heads}")
        poolings = STYLES[self.style].poolings
        if self.pooling not in (None, *poolings):
            raise ValueError(
                f'pooling "{self.pooling}" is none of the style {self.style}: give {" or ".join(poolings)}'
            )
        if self.style == "original" and (self.ages or self.gaps or self.ancestors):
            raise ValueError("the style original has no ages, gaps and ancestors")
        return self


class CodeTrainingSettings(TrainingSettings):
    """The training; what is not told here is as for notes.

    batch_size (int | None): patients in an update, over all processes and accumulated parts, of similar lengths.
    batch_codes (int | None): instead, padded codes in an update: as many patients as fit, a multiple of 16.
    masking (str | None): "static", one mask for each patient, or "dynamic", drawn anew in each pass; None for what
        the style says.
    mask_probability (float | None): share of a patient's codes to predict, one at least; None for one code a patient.
    """

    batch_size: Optional[PositiveInt] = None  # type: ignore[assignment]
    batch_codes: Optional[PositiveInt] = None
    masking: Optional[Literal["static", "dynamic"]] = None  # type: ignore[assignment]
    mask_probability: Optional[float] = Field(default=0.15, gt=0, lt=1)  # type: ignore[assignment]

    @property
    def unit(self) -> int:
        """Of how many patients an update has a multiple."""
        return self.batch_size or LOT

    @model_validator(mode="after")
    def _one_size(self) -> "CodeTrainingSettings":
        if (self.batch_size is None) == (self.batch_codes is None):
            raise ValueError("give one of batch_size and batch_codes, and null for the other")
        return self


class CodeSettings(Section):
    """All settings of a run, one attribute a section of the recipe."""

    paths: CodePaths
    model: CodeModelSettings
    training: CodeTrainingSettings


SECTIONS: dict[str, type[BaseModel]] = {
    "recipe": About,
    "paths": CodePaths,
    "model": CodeModelSettings,
    "training": CodeTrainingSettings,
}
CODES_SHELF = Shelf(Path(__file__).with_name("recipes"), SECTIONS)


def read_settings(name_or_path: str, overrides: dict[str, Any]) -> CodeSettings:
    """Read and check a recipe of pretraining on codes.

    name_or_path (str): name of a recipe, or a config file.
    overrides (dict[str, Any]): values that replace those of the file, keyed by "section.setting".
    RETURNS (CodeSettings): the settings.
    RAISES (ClinbertError): if the recipe cannot be read, or a setting is missing, unknown or out of range.
    """
    from ..pretraining.recipes import read_recipe

    recipe = read_recipe(name_or_path, overrides, CODES_SHELF)
    return CodeSettings(paths=recipe.paths, model=recipe.model, training=recipe.training)
