"""The planted diseases: what makes heart failure and pancreatic cancer come, which a model can find.

The mechanisms are invented; they are no medicine. Three kinds lead to each disease, and each acts by itself (noisy or):

- *precursor*: a condition that raises the risk. A bag of codes sees it.
- *order*: A before B raises the risk much, B before A not at all. Half of the patients with the pair have it the one
  way and half the other: the same codes, as often, in as many visits.
- *gap*: D after C raises the risk much if it comes within 90 days. Half of the patients with the pair have it after 7
  to 85 days, half after 120 to 400; again the codes are the same.

Heart failure, among type 2 diabetics: 0.06 without any; chronic kidney disease 0.12; sleep apnoea before atrial
fibrillation 0.6; acute kidney failure within 90 days of pneumonia 0.6. Of all others 3 % get it, whatever they have.

Pancreatic cancer, from 45 years on: 0.02 without any; chronic pancreatitis 0.12; weight loss before thrombosis of the
leg 0.6; jaundice within 90 days of pain in the stomach 0.6. Younger ones never get it.

Any patient may have a pair (40 % have each), also those on whom it has no effect. The disease comes 60 to 240 days
after the last visit of a pair. Of ten patients with heart failure nine have it coded at a second visit, 14 to 90
days later.
"""

import random
from typing import NamedTuple, Optional

from .conditions import (
    APNOEA,
    FIBRILLATION,
    JAUNDICE,
    KIDNEY_DISEASE,
    KIDNEY_FAILURE,
    PANCREATITIS,
    PNEUMONIA,
    STOMACH_PAIN,
    THROMBOSIS,
    WEIGHT_LOSS,
    Condition,
)

# Days between the two of a pair with a gap, near and far.
NEAR, FAR = (7, 85), (120, 400)
# Days from the last cause to the disease.
DELAY = (60, 240)
# The share of patients who have a pair.
PAIRED = 0.4
# Within this part of the time that a patient is followed the first of a pair comes.
WINDOW = (0.15, 0.5)


class Mechanism(NamedTuple):
    """What leads to a disease; the numbers are risks, in a patient's time, of those among whom it acts.

    base (float), precursor (Condition), precursor_risk (float).
    ordered (tuple[Condition, Condition]): A and B; near (tuple[Condition, Condition]): C and D; pair_risk (float).
    """

    base: float
    precursor: Condition
    precursor_risk: float
    ordered: tuple[Condition, Condition]
    near: tuple[Condition, Condition]
    pair_risk: float


HEART_FAILURE = Mechanism(0.06, KIDNEY_DISEASE, 0.12, (APNOEA, FIBRILLATION), (PNEUMONIA, KIDNEY_FAILURE), 0.6)
PANCREATIC_CANCER = Mechanism(0.02, PANCREATITIS, 0.12, (WEIGHT_LOSS, THROMBOSIS), (STOMACH_PAIN, JAUNDICE), 0.6)
OTHER_HEART_FAILURE = 0.03


class Course(NamedTuple):
    """What a mechanism gives a patient.

    visits (dict[int, list[Condition]]): days of the pairs' visits.
    order (Optional[bool]), gap (Optional[bool]): whether the pair raises the risk; None where there is none.
    last (int): the day of the last of these visits, 0 for none.
    """

    visits: dict[int, list[Condition]]
    order: Optional[bool]
    gap: Optional[bool]
    last: int


def plant(mechanism: Mechanism, followed: int, rng: random.Random) -> Course:
    """Draw a patient's pairs.

    mechanism (Mechanism): the disease's; followed (int): days; rng (random.Random): the patient's.
    RETURNS (Course): the pairs, whether or not they have an effect on this patient.
    """
    visits: dict[int, list[Condition]] = {}
    order = gap = None
    first, end = (int(part * followed) for part in WINDOW)
    last = 0
    if rng.random() < PAIRED:
        order = rng.random() < 0.5
        days = sorted(rng.sample(range(first, end + FAR[1]), 2))
        for day, condition in zip(days, mechanism.ordered if order else mechanism.ordered[::-1], strict=True):
            visits.setdefault(day, []).append(condition)
        last = days[1]
    if rng.random() < PAIRED:
        gap = rng.random() < 0.5
        day = rng.randint(first, end)
        days = [day, day + rng.randint(*(NEAR if gap else FAR))]
        for day, condition in zip(days, mechanism.near, strict=True):
            visits.setdefault(day, []).append(condition)
        last = max(last, days[1])
    return Course(visits, order, gap, last)


def risk(mechanism: Mechanism, course: Course, precursor: bool) -> float:
    """The probability of the disease, by a noisy or of its causes."""
    free = 1 - mechanism.base
    free *= 1 - mechanism.precursor_risk if precursor else 1
    free *= 1 - mechanism.pair_risk if course.order else 1
    free *= 1 - mechanism.pair_risk if course.gap else 1
    return 1 - free
