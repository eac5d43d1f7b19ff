"""Which notes are kept from training for scores. No torch: the workers of an export ask it too."""

import numpy as np

# One note in so many is held out.
HELD_OUT = 20


def is_held_out(keys: np.ndarray) -> np.ndarray:
    """Whether notes are held out: one in twenty by a hash of the id, the same ones in all exports of a seed.

    keys (np.ndarray): uint64, as `name_keys` gives them for the note ids and the seed of the export.
    RETURNS (np.ndarray): bool, one for each.
    """
    return keys % np.uint64(HELD_OUT) == 0
