"""Bootstrap over patients and draws: what is resampled, that intervals cover, and that differences are paired."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from spacy_clinbert.evaluation.binary_resampling import POWER_80, contrast, draw_weights, resample


def one_block(patients, strata, resamples=300, seed=0):
    return np.concatenate(list(draw_weights(np.array(patients), np.array(strata), resamples, seed)))


def make(number, seed, noise=1.0):
    random = np.random.default_rng(seed)
    truth = (random.random(number) < 0.3).astype(float)
    scores = truth + random.normal(0, noise, number)
    return 1 / (1 + np.exp(-scores)), truth


def run(systems, truth, resamples=400, seed=0, calibration=False):
    number = len(truth)
    weights = draw_weights(np.arange(number), np.zeros(number, dtype=int), resamples, seed)
    return resample(systems, truth, {"all": np.ones(number, dtype=bool)}, weights, calibration, seed)


def test_all_rows_of_a_patient_go_together_and_strata_keep_their_size():
    patients, strata = [0, 0, 1, 2, 2, 3], [1, 0, 0, 1]
    weights = one_block(patients, strata)
    assert (weights[:, 0] == weights[:, 1]).all() and (weights[:, 3] == weights[:, 4]).all()
    per_patient = weights[:, [0, 2, 3, 5]]
    assert (per_patient[:, [0, 1]].sum(axis=1) != 2).any()
    assert (per_patient[:, [0, 3]].sum(axis=1) == 2).all() and (per_patient[:, [1, 2]].sum(axis=1) == 2).all()
    np.testing.assert_allclose(per_patient.mean(axis=0), 1, atol=0.15)


def test_same_seed_same_weights_whatever_the_blocks(monkeypatch):
    before = one_block([0, 1, 2], [0, 0, 0], seed=5)
    assert (before == one_block([0, 1, 2], [0, 0, 0], seed=5)).all()
    assert (before != one_block([0, 1, 2], [0, 0, 0], seed=6)).any()
    monkeypatch.setattr("spacy_clinbert.evaluation.binary_resampling.BLOCK", 7)
    assert (before == one_block([0, 1, 2], [0, 0, 0], seed=5)).all()


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    covered = 0
    # Two normals one standard deviation apart have an AUROC of 0.760.
    for seed in range(60):
        probabilities, truth = make(250, seed)
        low, high = run({"a": probabilities[None]}, truth, 300)["a", "all"].interval()
        covered += low[0] <= 0.7602 <= high[0]
    assert 50 <= covered <= 60


def test_a_system_does_not_differ_from_itself_and_pairing_makes_differences_sure():
    probabilities, truth = make(300, 1)
    random = np.random.default_rng(2)
    near = np.clip(probabilities + random.normal(0, 0.01, 300), 0, 1)
    found = run({"a": probabilities[None], "again": probabilities[None], "near": near[None]}, truth)
    same = contrast(found["a", "all"], found["again", "all"])
    assert (
        (same.difference == 0).all()
        and (same.low == 0).all()
        and (same.high == 0).all()
        and (same.detectable == 0).all()
    )
    low, high = found["a", "all"].interval()
    near_by = contrast(found["a", "all"], found["near", "all"])
    assert (near_by.high - near_by.low < (high - low) / 3).all()
    spread = np.std(found["near", "all"].values - found["a", "all"].values, axis=0)
    np.testing.assert_allclose(near_by.detectable, POWER_80 * spread)


def test_draws_that_differ_widen_the_interval():
    probabilities, truth = make(400, 3)
    random = np.random.default_rng(4)
    stable = np.stack([probabilities] * 5)
    lucky = np.stack([np.clip(probabilities + random.normal(0, 0.1 * k, 400), 0, 1) for k in range(5)])
    found = run({"stable": stable, "lucky": lucky}, truth)
    widths = {name: np.diff(found[name, "all"].interval(), axis=0)[0] for name in ("stable", "lucky")}
    assert widths["lucky"][0] > widths["stable"][0]
    assert found["lucky", "all"].points.shape == (5, 2)
    np.testing.assert_allclose(found["stable", "all"].points, found["stable", "all"].points[:1].repeat(5, axis=0))


def test_resamples_of_one_class_do_not_count_and_nothing_is_said_without_patients():
    truth = np.array([1.0, 0.0, 0.0])
    found = run({"a": np.array([[0.9, 0.2, 0.4]])}, truth, 200, calibration=True)["a", "all"]
    assert np.isnan(found.values[:, 0]).any()
    low, high = found.interval()
    assert np.nanmax(found.values[:, 0]) == 1.0 and np.isnan(low[0]) and np.isnan(low[3]) and low[2] < high[2]
    nobody = resample({"a": np.array([[0.9]])}, np.ones(1), {"all": np.ones(1, dtype=bool)}, iter(()), True)["a", "all"]
    assert np.isnan(nobody.interval()).all()
    assert np.isnan(contrast(nobody, nobody).low).all()


def naive(score, truth, probabilities, weights, draws):
    """A score of each resample by scikit-learn, rows repeated; NaN without both classes."""
    found = []
    for row, drawn in zip(weights.astype(int), draws):
        of_draws = []
        for number in drawn:
            labels, scores = np.repeat(truth, row), np.repeat(probabilities[number], row)
            of_draws.append(score(labels, scores) if 0 < labels.sum() < len(labels) else np.nan)
        found.append(np.mean(of_draws))
    return np.array(found)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 30), st.integers(1, 3))
def test_intervals_and_differences_are_those_of_plain_loops(seed, number, draws):
    random = np.random.default_rng(seed)
    patients = np.sort(random.integers(0, max(2, number // 2), number))
    patients = np.unique(patients, return_inverse=True)[1]
    truth = random.integers(0, 2, number).astype(float)
    truth[:2] = 0, 1
    systems = {name: random.integers(0, 8, (draws, number)) / 7 for name in "ab"}
    group = random.random(number) < 0.7
    group[:2] = True
    strata = np.zeros(patients.max() + 1, dtype=int)
    weights = one_block(patients, strata, 40, seed)
    found = resample(systems, truth, {"g": group}, draw_weights(patients, strata, 40, seed), False, seed)
    # The draws of each resample, the same for both systems.
    drawn = np.random.default_rng([seed, draws]).integers(draws, size=(40, draws))
    for place, score in enumerate((roc_auc_score, average_precision_score)):
        each = {
            name: naive(score, truth[group], one[:, group], weights[:, group], drawn) for name, one in systems.items()
        }
        for name, values in each.items():
            both = ~np.isnan(values)
            np.testing.assert_allclose(found[name, "g"].values[both, place], values[both])
        difference = contrast(found["a", "g"], found["b", "g"])
        spread = (found["b", "g"].values - found["a", "g"].values)[:, place]
        wanted = np.nanpercentile(each["b"] - each["a"] if score is roc_auc_score else spread, (2.5, 97.5))
        np.testing.assert_allclose((difference.low[place], difference.high[place]), wanted, atol=1e-12)


@pytest.mark.parametrize("group", [[True, False, True, True, False, True]])
def test_a_group_is_scored_by_its_own_rows(group):
    probabilities, truth = np.array([0.9, 0.8, 0.3, 0.2, 0.1, 0.4]), np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])
    members = np.array(group)
    weights = draw_weights(np.arange(6), np.zeros(6, dtype=int), 100)
    found = resample({"a": probabilities[None]}, truth, {"g": members}, weights, False)["a", "g"]
    wins = [p > q for p in probabilities[members & (truth == 1)] for q in probabilities[members & (truth == 0)]]
    assert found.points[0, 0] == pytest.approx(np.mean(wins))
