"""The list columns of SEQUENCES, from visits and codes that are in order."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa


class Visits(NamedTuple):
    """Visits, those of a patient one after the other, in parallel arrays.

    owner: the row of the patient, ascending; admit, discharge: days since 1970.
    """

    owner: np.ndarray
    admit: np.ndarray
    discharge: np.ndarray


class Codes(NamedTuple):
    """Codes, those of a visit one after the other, in parallel arrays.

    visit: the number of the visit, ascending; code; rank: 0 where unknown.
    """

    visit: np.ndarray
    code: np.ndarray
    rank: np.ndarray


def make_lists(visits: Visits, codes: Codes, patients: int) -> dict[str, pa.ListArray]:
    """Put visits and codes into lists, one for each patient.

    visits (Visits), codes (Codes): in order; patients (int): how many there are.
    RETURNS (dict[str, pa.ListArray]): the list columns of SEQUENCES.
    """
    owner, admit, discharge = (column.astype(np.int64) for column in visits)
    begin = starts(owner)
    first = np.repeat(begin, np.diff(begin, append=len(owner)))
    gap = np.append(admit[1:], 0)[: len(owner)] - discharge
    gap[np.append(begin, len(owner))[1:] - 1] = 0
    by_visit, by_code = _ends(owner, patients), _ends(owner[codes.visit], patients)
    lists = {
        "input_ids": (by_code, codes.code),
        "visit": (by_code, (np.arange(1, len(owner) + 1) - first)[codes.visit]),
        "rank": (by_code, codes.rank),
        "day": (by_code, (admit - admit[first])[codes.visit]),
        "los": (by_visit, discharge - admit),
        "gap": (by_visit, gap),
    }
    return {name: pa.ListArray.from_arrays(ends, values.astype(np.int32)) for name, (ends, values) in lists.items()}


def starts(values: np.ndarray) -> np.ndarray:
    """Where runs of equal values begin: int64."""
    return np.flatnonzero(np.append(True, values[1:] != values[:-1])[: len(values)])


def _ends(owner: np.ndarray, patients: int) -> np.ndarray:
    return np.cumsum(np.append(0, np.bincount(owner, minlength=patients))).astype(np.int32)
