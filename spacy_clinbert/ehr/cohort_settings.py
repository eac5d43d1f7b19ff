"""Cohorts as config files, checked: sets of codes, rules in their order, and two designs."""

from collections.abc import Iterable
from configparser import Error as ParserError
from pathlib import Path
from typing import Any, Dict, Literal, Mapping, Optional, Set, Tuple, Union

from confection import Config, ConfigValidationError
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, field_validator, model_validator

from ..errors import ClinbertError
from .normalise import split_code
from .schemas import DIAGNOSES

FOLDER = Path(__file__).with_name("cohorts")
Design = Literal["paper", "landmark"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CodeSet(_Section):
    """Codes that mean one thing. In a config file each system is a setting of its own.

    codes (dict[str, tuple[str, ...]]): patterns by code system, as text: `?` is any one character, `*` any rest,
        `[1-3]` one of some; dots in ICD codes may stand or not.
    value_min (float | None): the least value of a measurement that counts.
    """

    codes: Dict[str, Tuple[str, ...]]
    value_min: Optional[float] = None

    @model_validator(mode="before")
    @classmethod
    def _from_section(cls, section: Any) -> Any:
        if not isinstance(section, dict) or "codes" in section:
            return section
        given = dict(section)
        value_min = given.pop("value_min", None)
        return {"codes": {system: _words(patterns) for system, patterns in given.items()}, "value_min": value_min}

    @model_validator(mode="after")
    def _known(self) -> "CodeSet":
        _check_systems(self.codes)
        return self


class Rule(_Section):
    """One condition on patients: exactly one of visits, age_at and days_after, and a bound.

    about (str): the rule in words, for the flow table.
    visits (tuple[str, ...]): counted are visits that have a code of any of these sets.
    age_at (str | None): counted is the age in years at the "index", or at the first visit with a code of this set.
    days_after (str | None): counted are the days from the first visit with a code of this set to the index.
    at_least, at_most (int | None): the bounds.
    of (str): "all", or "cases", whom alone the design `paper` asks it.
    when (str): "record", the whole of it, or "before", only what may be predicted from; in the design `landmark` it is
        always before.
    where_known (bool): the rule holds only where the source has any such code at all.
    """

    about: str
    visits: Tuple[str, ...] = ()
    age_at: Optional[str] = None
    days_after: Optional[str] = None
    at_least: Optional[int] = None
    at_most: Optional[int] = None
    of: Literal["all", "cases"] = "all"
    when: Literal["record", "before"] = "record"
    where_known: bool = False

    @field_validator("visits", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        return _words(value)

    @model_validator(mode="after")
    def _one(self) -> "Rule":
        if sum(map(bool, (self.visits, self.age_at, self.days_after))) != 1:
            raise ValueError("give one of visits, age_at and days_after")
        if self.at_least is None and self.at_most is None:
            raise ValueError("give at_least or at_most")
        return self

    @property
    def sets(self) -> Tuple[str, ...]:
        """The sets of codes that it names."""
        others = (self.age_at if self.age_at != "index" else None, self.days_after)
        return (*self.visits, *(name for name in others if name))


class About(_Section):
    """What a cohort is.

    title (str): in words.
    outcome (str): the set of codes to predict, and the name of the label.
    visit_systems (tuple[str, ...]): the code systems whose codes make a visit; a day of laboratory values is none.
    """

    title: str
    outcome: str
    visit_systems: Tuple[str, ...] = DIAGNOSES

    @field_validator("visit_systems", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        return _words(value)

    @field_validator("visit_systems")
    @classmethod
    def _known(cls, value: Tuple[str, ...]) -> Tuple[str, ...]:
        _check_systems(value)
        return value


class Paper(_Section):
    """Case-control as published: cases at their first visit with the outcome, controls at their last visit.

    outcome_visits (int): visits with the outcome that make a case; who has fewer, but some, is left out.
    bias (str): what is wrong with it, which must be said.
    """

    outcome_visits: PositiveInt = 1
    bias: str = Field(min_length=1)


class Landmark(_Section):
    """The same index for all who are then alive: the end of one of the patient's visits.

    visit (int): which of the visits that fit: 1 is the first, -2 the last but one.
    having (str | None): a visit fits if it has a code of this set.
    after (str | None), after_days (int): and begins so many days after the first visit with a code of that set.
    age (int | None): and begins at this age in years or later.
    horizon_days (int | None): the outcome counts whose visit begins after the index, within so many days; None for the
        next visit.
    recurrent (bool): whether patients stay in who had the outcome before.
    """

    visit: int = 1
    having: Optional[str] = None
    after: Optional[str] = None
    after_days: int = Field(default=0, ge=0)
    age: Optional[int] = None
    horizon_days: Optional[PositiveInt] = None
    recurrent: bool = False

    @field_validator("visit")
    @classmethod
    def _some(cls, value: int) -> int:
        if not value:
            raise ValueError("visits count from 1, or from -1 back")
        return value


class Cohort(_Section):
    """A cohort: one attribute a section of its config file.

    `sets` and `rules` are by name, the rules in the order in which they are asked.
    """

    cohort: About
    sets: Dict[str, CodeSet]
    rules: Dict[str, Rule] = {}
    paper: Optional[Paper] = None
    landmark: Optional[Landmark] = None

    @property
    def needed(self) -> Set[str]:
        """The sets that every source must be able to have: but for those of rules that hold only where known."""
        rules = {name for rule in self.rules.values() if not rule.where_known for name in rule.sets}
        index = (self.landmark.having, self.landmark.after) if self.landmark else ()
        return {self.cohort.outcome, *rules, *(name for name in index if name)}

    @model_validator(mode="after")
    def _named(self) -> "Cohort":
        for name in sorted(self.needed.union(*(rule.sets for rule in self.rules.values()))):
            if name not in self.sets:
                raise ValueError(f"there is no section [sets.{name}]")
            if not any(self.sets[name].codes.values()):
                raise ValueError(f'the set {name} has no codes: give such as --sets.{name}.ICD10CM "I50*"')
        return self

    def design(self, name: Design) -> Union[Paper, Landmark]:
        """The settings of a design; raises a ClinbertError if there are none."""
        found = self.paper if name == "paper" else self.landmark
        if found is None:
            raise ClinbertError(f'the cohort "{self.cohort.title}" has no design {name}: choose the other')
        return found


def cohort_names() -> list[str]:
    """The names of the cohorts that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.cfg"))


def read_cohort(name_or_path: Union[str, Path], overrides: Mapping[str, Any] = {}) -> Cohort:
    """Read and check a cohort.

    name_or_path (str | Path): one of `cohort_names`, or else a config file.
    overrides (Mapping[str, Any]): values that replace those of the file, keyed by "section.setting".
    RETURNS (Cohort): the cohort.
    RAISES (ClinbertError): if it cannot be read, or a setting is missing, unknown or out of range.
    """
    name = str(name_or_path)
    path = FOLDER / f"{name}.cfg" if name in cohort_names() else Path(name)
    if not path.is_file():
        raise ClinbertError(f"{name} is no config file and no cohort: the cohorts are {', '.join(cohort_names())}")
    try:
        config: Dict[str, Any] = Config().from_str(path.read_text(encoding="utf-8"), interpolate=False)
        for key, value in overrides.items():
            *sections, setting = key.split(".")
            place = config
            for section in sections:
                place = place.setdefault(section, {})
            place[setting] = value
        return Cohort.model_validate(config)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        said = first["msg"].removeprefix("Value error, ")
        raise ClinbertError(f"cohort {name}{' at ' if where else ''}{where}: {said[:1].lower()}{said[1:]}") from None
    except (ConfigValidationError, ParserError, OSError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).strip().splitlines()[-1:]).strip()
        raise ClinbertError(f"cohort {name} cannot be read: {reason}") from None


def _words(value: Any) -> Any:
    """Words with blanks between. A number is none: as a code it has lost its zeros, as in 041 or 250.10."""
    if isinstance(value, (int, float)):
        raise ValueError("codes and names are text, not numbers: put them between quotation marks")
    return tuple(value.split()) if isinstance(value, str) else value


def _check_systems(names: Iterable[str]) -> None:
    """No event is of a system whose name is another spelling of one of ours."""
    for name in names:
        spelt = split_code(f"{name}/0").system
        if spelt != name:
            raise ValueError(f"there is no code system {name}" + (f": it is called {spelt}" if spelt else ""))
