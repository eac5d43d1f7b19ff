"""What is drawn of a synthetic patient, whatever form it is then written in."""

from datetime import date, datetime
from typing import NamedTuple, Optional

from .conditions import Drug, Test


class Given(NamedTuple):
    """A drug that was given, and when."""

    drug: Drug
    time: datetime


class Measured(NamedTuple):
    """A measurement, when it was made and its value."""

    test: Test
    time: datetime
    value: float


class Visit(NamedTuple):
    """A visit.

    number (int): unique among all patients; admit, discharge (datetime); inpatient (bool).
    version (int): 9 or 10, that of ICD; codes (list[str]): without dots, in the order of their ranks.
    drugs (list[Given]), tests (list[Measured]): what was given and measured.
    """

    number: int
    admit: datetime
    discharge: datetime
    inpatient: bool
    version: int
    codes: list[str]
    drugs: list[Given]
    tests: list[Measured]


class Planted(NamedTuple):
    """What is known of a patient beyond the visits.

    diabetes (str): "type 2", a key of `OTHER_DIABETES` or "".
    hf_order, hf_gap, paca_order, paca_gap (Optional[bool]): whether the pair was planted the way that raises the risk,
        or the other way; None where it was not planted.
    heart_failure, pancreatic_cancer (Optional[date]): when it was first coded.
    """

    diabetes: str
    hf_order: Optional[bool]
    hf_gap: Optional[bool]
    paca_order: Optional[bool]
    paca_gap: Optional[bool]
    heart_failure: Optional[date]
    pancreatic_cancer: Optional[date]


class Patient(NamedTuple):
    """A patient.

    number (int): from 1; seed (int): that of all; birth (date); sex (str): "F" or "M"; death (Optional[datetime]).
    visits (list[Visit]): in their order, none on the day of another; planted (Planted): what is in them.
    """

    number: int
    seed: int
    birth: date
    sex: str
    death: Optional[datetime]
    visits: list[Visit]
    planted: Planted
