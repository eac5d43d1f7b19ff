"""The flow table of a cohort: how many patients each rule left out, and which."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import polars as pl

FLOW = pl.Schema(
    {"step": pl.String(), "left_out": pl.Int64(), "left": pl.Int64(), "cases": pl.Int64(), "note": pl.String()}
)


@dataclass(frozen=True)
class Step:
    """A row of the flow table.

    step (str): the rule, in words. left_out, left (int): patients. cases (int | None): of those left, None as long as
        it is not told who is one. note (str): such as that the rule was not applied.
    """

    step: str
    left_out: int
    left: int
    cases: int | None = None
    note: str = ""


@dataclass
class Flow:
    """Patients on their way through the rules.

    people (pl.DataFrame): who is left, with `subject_id`, and `label` as soon as it is told.
    steps (list[Step]): the rules so far; left_out (list[pl.DataFrame]): subject_id, visit_id (null) and reason.
    """

    people: pl.DataFrame
    steps: list[Step] = field(default_factory=list)
    left_out: list[pl.DataFrame] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.steps.append(Step("all patients", 0, self.people.height))

    def keep(self, step: str, kept: pl.DataFrame, note: str = "") -> None:
        """Go on with some of the patients; `kept` may have further columns."""
        lost = self.people.join(kept, on="subject_id", how="anti")
        self.left_out.append(
            lost.select("subject_id", visit_id=pl.lit(None, pl.String), reason=pl.lit(f"not in the cohort: {step}"))
        )
        cases = int(kept["label"].sum()) if "label" in kept.columns else None
        self.steps.append(Step(step, lost.height, kept.height, cases, note))
        self.people = kept

    def skip(self, step: str, note: str) -> None:
        """Say that a rule was not applied."""
        self.keep(step, self.people, f"not applied: {note}")


def add_flows(flows: Iterable[list[Step]]) -> list[Step]:
    """Add the flows of different patients, all of the same steps."""
    total: list[Step] = []
    for steps in flows:
        total = [_add(*pair) for pair in zip(total, steps, strict=True)] if total else steps
    return total


def _add(one: Step, other: Step) -> Step:
    cases = None if one.cases is None or other.cases is None else one.cases + other.cases
    return replace(one, left_out=one.left_out + other.left_out, left=one.left + other.left, cases=cases)


def flow_table(steps: Iterable[Step]) -> pl.DataFrame:
    """Make the flow table, FLOW."""
    return pl.DataFrame([vars(step) for step in steps], FLOW)
