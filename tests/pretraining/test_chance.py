"""Random numbers that are a function of what they are for."""

import numpy as np
import pytest

from spacy_clinbert.pretraining.chance import mix, name_keys, uniform


def test_mix_is_splitmix64_to_the_bit():
    # The outputs that Vigna's reference code gives from 1234567.
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431]
    assert mix(np.array([1234567], dtype=np.uint64), np.arange(4)).tolist() == expected


def test_uniform_numbers_fill_the_unit_interval_evenly():
    drawn = uniform(name_keys(map(str, range(500)), 0)[:, None], np.arange(200))
    assert drawn.min() >= 0 and drawn.max() < 1
    assert np.histogram(drawn, bins=10, range=(0, 1))[0] / drawn.size == pytest.approx(0.1, abs=0.004)
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.15


def test_names_and_seeds_give_other_keys():
    keys = [*name_keys(["a", "b", ""], 1), *name_keys(["a", "b", ""], 2)]
    assert len(set(keys)) == 6 and not len(name_keys([], 1))
