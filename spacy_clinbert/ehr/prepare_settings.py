"""The settings of `clinbert ehr prepare`, checked."""

from datetime import date
from typing import Literal, Optional, Tuple

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from .codes import Level
from .schemas import DIAGNOSES


class PrepareSettings(BaseModel):
    """How visits become sequences. In `mode` "original" nothing else is looked at: the original has no settings.

    mode (str): "default", or "original" for exactly the records of Med-BERT's published preprocessing.
    systems (tuple[str, ...] | None): the code systems whose events enter; None for all.
    roll_up (str): the level to which codes are rolled up, "full" for none; `codes.RollUp` says what each is.
    to_icd10 (bool): ICD-9 codes are mapped to ICD-10 first.
    ancestors (bool): ancestors.json is written beside the shards, for encoders that know the hierarchy of codes.
    min_codes (int): a patient with fewer different codes is left out. 3 is what figure 1 of Rasmy et al. 2021 says.
    min_count (int): a code of fewer training patients is unknown; 2 keeps what only one patient has out of the
        vocabulary, which goes into the world with the encoder.
    shares (tuple[int, int, int]): of train, valid and test; 7:1:2 as in Rasmy et al. 2021.
    tolerance_days (int): by how many days a visit may begin before birth or after death.
    earliest, latest (date): between which dates a visit must lie. De-identified dates lie far in the future.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    mode: Literal["default", "original"] = "default"
    systems: Optional[Tuple[str, ...]] = DIAGNOSES
    roll_up: Level = "full"
    to_icd10: bool = False
    ancestors: bool = False
    min_codes: PositiveInt = 3
    min_count: PositiveInt = 2
    shares: Tuple[NonNegativeInt, NonNegativeInt, NonNegativeInt] = (7, 1, 2)
    tolerance_days: int = Field(default=30, ge=0)
    earliest: date = date(1900, 1, 1)
    latest: date = date(2250, 1, 1)

    @model_validator(mode="after")
    def _together(self) -> "PrepareSettings":
        if not self.shares[0]:
            raise ValueError("the first of the shares is that of train: it must not be 0")
        if self.earliest >= self.latest:
            raise ValueError("earliest must lie before latest")
        return self
