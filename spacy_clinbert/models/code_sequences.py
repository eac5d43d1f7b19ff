"""Patients' codes as arrays: what of them an encoder reads, and how they are laid side by side."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Sequence

import numpy as np

from .code_styles import AGES, CLS, GAPS, PAD, STYLES

if TYPE_CHECKING:
    from .code_bert import CodeBertConfig

# Steps of the scale of gaps that double a gap, in days: 1, 7, 30 and 365 days are 2, 6, 10 and 17 steps.
STEPS = 2.0
DAYS_A_YEAR = 365.25
UNKNOWN_AGE = np.iinfo(np.int32).min


class Codes(NamedTuple):
    """The codes of patients, one behind the other.

    ids, visits, ranks, days (ndarray): int64 of shape (n_codes,): id, number of the visit from 1, order within the
        visit from 1 or 0 where unknown, and days from the first visit's admission to that of its visit.
    starts (ndarray): where each patient's codes begin, shape (n_patients + 1,).
    ages (ndarray): days from birth to the first visit's admission, or `UNKNOWN_AGE`, shape (n_patients,).
    """

    ids: np.ndarray
    visits: np.ndarray
    ranks: np.ndarray
    days: np.ndarray
    starts: np.ndarray
    ages: np.ndarray

    def take(self, patients: np.ndarray) -> "Codes":
        """Give some of the patients, in the order of their numbers given."""
        return self._cut(self.starts[patients], self.starts[patients + 1], self.ages[patients])

    def latest(self, most: int) -> "Codes":
        """Give the latest codes of each patient."""
        return self._cut(np.maximum(self.starts[:-1], self.starts[1:] - most), self.starts[1:], self.ages)

    def _cut(self, firsts: np.ndarray, lasts: np.ndarray, ages: np.ndarray) -> "Codes":
        ends = np.concatenate([[0], np.cumsum(lasts - firsts)])
        places = np.repeat(firsts - ends[:-1], lasts - firsts) + np.arange(ends[-1])
        ids, visits, ranks, days = (column[places] for column in self[:4])
        return Codes(ids, visits, ranks, days, ends, ages)


def join(parts: Sequence[Codes]) -> Codes:
    """Put patients one behind the other."""
    lengths = np.concatenate([np.diff(part.starts) for part in parts])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    ids, visits, ranks, days = (np.concatenate([part[i] for part in parts]) for i in range(4))
    return Codes(ids, visits, ranks, days, starts, np.concatenate([part.ages for part in parts]))


@dataclass(frozen=True)
class CodeLayout:
    """Lays patients side by side as an encoder reads them.

    config (CodeBertConfig): the encoder's.
    max_codes (int): how many codes of a patient are read: the latest.
    """

    config: "CodeBertConfig"
    max_codes: int

    @property
    def cls(self) -> int:
        """How many places stand before the codes."""
        return int(STYLES[self.config.style].cls)

    def lengths(self, starts: np.ndarray) -> np.ndarray:
        """Places that each patient takes without padding, shape (n_patients,)."""
        return np.minimum(np.diff(starts), self.max_codes) + self.cls

    def pad(self, codes: Codes) -> dict[str, np.ndarray]:
        """Give the encoder's inputs, each patient padded to the longest, or to the full length where pads count.

        codes (Codes): the patients.
        RETURNS (dict[str, ndarray]): input_ids, attention_mask, token_type_ids (visits), rank_ids, age_ids and gap_ids
            where the encoder has such tables: int64 of shape (n_patients, places).
        """
        config = self.config
        # What was cut off is not there for gaps and visits either, as in a Doc that was made of the latest codes.
        codes = codes.latest(self.max_codes)
        lengths = self.lengths(codes.starts)
        full = config.pooling == "sum_with_pads"
        width = self.max_codes + self.cls if full else max(self.cls + 1, int(lengths.max(initial=0)))
        columns = np.arange(width)
        places = codes.starts[1:, None] - lengths[:, None] + columns
        inside = (columns >= self.cls) & (columns < lengths[:, None])

        def lay(flat: np.ndarray, filling: int = 0) -> np.ndarray:
            if not len(flat):
                return np.full(inside.shape, filling, dtype=np.int64)
            return np.where(inside, flat[np.where(inside, places, 0)], filling)

        ids = lay(codes.ids, PAD)
        ids[:, : self.cls] = CLS
        laid = {"input_ids": ids, "attention_mask": (columns < lengths[:, None]).astype(np.int64)}
        visits = lay(codes.visits)
        if STYLES[config.style].renumbers:
            visits = np.where(inside, visits - visits[:, self.cls : self.cls + 1] + 1, 0)
        laid["token_type_ids"] = visits.clip(0, config.type_vocab_size - 1)
        if STYLES[config.style].ranks:
            laid["rank_ids"] = lay(codes.ranks.clip(0, config.rank_vocab_size - 1))
        if config.ages:
            laid["age_ids"] = lay(age_ids(codes))
        if config.gaps:
            laid["gap_ids"] = lay(gap_ids(codes))
        return laid


def age_ids(codes: Codes) -> np.ndarray:
    """The age at each code in years, plus 1; 0 where it is unknown or below 0: shape (n_codes,)."""
    ages = np.repeat(codes.ages, np.diff(codes.starts)).astype(np.int64)
    years = (ages + codes.days) // DAYS_A_YEAR
    return np.where((ages == UNKNOWN_AGE) | (years < 0), 0, years.clip(0, AGES - 2) + 1).astype(np.int64)


def gap_ids(codes: Codes) -> np.ndarray:
    """The days between the admissions of each code's visit and the one before, on a logarithmic scale from 1; 0 in a
    patient's first visit: shape (n_codes,)."""
    if not len(codes.ids):
        return codes.ids
    first = np.zeros(len(codes.ids) + 1, dtype=bool)
    first[codes.starts[:-1]] = True
    first = first[:-1]
    numbers = np.arange(len(codes.ids))
    begins = first | (codes.visits != np.roll(codes.visits, 1))
    steps = np.log2(1.0 + (codes.days - np.roll(codes.days, 1)).clip(0)) * STEPS
    gaps = np.where(first, 0, 1 + np.rint(steps).clip(0, GAPS - 2)).astype(np.int64)
    return gaps[np.maximum.accumulate(np.where(begins, numbers, 0))]
