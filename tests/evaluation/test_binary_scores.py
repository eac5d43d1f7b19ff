"""Scores of two classes against scikit-learn, ties, one class, recalibration and bins of equal mass."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from spacy_clinbert.evaluation.binary_scores import BinaryScores
from spacy_clinbert.evaluation.recalibration import SMALLEST, Recalibration
from spacy_clinbert.evaluation.reliability import BINS, calibration_error, reliability


@st.composite
def rows(draw):
    """Few different probabilities, so that there are ties; both classes; weights of which some are 0."""
    number = draw(st.integers(2, 40))
    truth = [1.0, 0.0, *draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=number - 2, max_size=number - 2))]
    tenths = draw(st.lists(st.integers(0, 10), min_size=number, max_size=number))
    weights = draw(st.lists(st.integers(0, 3), min_size=number, max_size=number))
    return np.array(tenths) / 10, np.array(truth), np.array([1, 1, *weights[2:]], dtype=float)


@settings(max_examples=60)
@given(rows())
def test_weighted_scores_are_those_of_scikit_learn(drawn):
    probabilities, truth, weights = drawn
    scores = BinaryScores(probabilities, truth, calibration=True)
    found = scores(np.stack([weights, np.ones(len(truth))]))
    for row, used in zip(found, (weights, None)):
        auroc, auprc, brier = row[:3]
        assert auroc == pytest.approx(roc_auc_score(truth, probabilities, sample_weight=used))
        assert auprc == pytest.approx(average_precision_score(truth, probabilities, sample_weight=used))
        assert brier == pytest.approx(brier_score_loss(truth, probabilities, sample_weight=used))
    np.testing.assert_allclose(found[1], scores.point())


@settings(max_examples=30)
@given(rows(), st.randoms())
def test_the_order_of_rows_is_of_no_matter(drawn, random):
    probabilities, truth, _ = drawn
    order = np.array(random.sample(range(len(truth)), len(truth)))
    one, other = (BinaryScores(probabilities[i], truth[i], False).point() for i in (slice(None), order))
    np.testing.assert_allclose(one, other)
    assert calibration_error(probabilities, truth) == pytest.approx(
        calibration_error(probabilities[order], truth[order])
    )


@pytest.mark.parametrize(("truth", "auprc"), [([1.0, 1.0, 1.0], 1.0), ([0.0, 0.0, 0.0], np.nan), ([], np.nan)])
def test_one_class_only_has_no_auroc(truth, auprc):
    truth = np.array(truth)
    found = BinaryScores(np.linspace(0.1, 0.9, len(truth)), truth, calibration=True).point()
    np.testing.assert_array_equal(found[[0, 3, 4]], np.nan)
    np.testing.assert_allclose(found[1], auprc)
    assert np.isnan(found[2]) == (len(truth) == 0)


def logits(probabilities):
    bounded = np.clip(probabilities, SMALLEST, 1 - SMALLEST)
    return np.log(bounded / (1 - bounded))


@pytest.mark.parametrize(("intercept", "slope"), [(0.0, 1.0), (-0.7, 0.5), (0.4, 2.0)])
def test_recalibration_finds_what_was_put_in(intercept, slope):
    random = np.random.default_rng(1)
    log_odds = random.normal(-1, 1, 40_000)
    truth = (random.random(40_000) < 1 / (1 + np.exp(-log_odds))).astype(float)
    probabilities = 1 / (1 + np.exp(-(log_odds - intercept) / slope))
    found = np.ravel(Recalibration(probabilities, truth)(np.ones((1, len(truth)))))
    np.testing.assert_allclose(found, [intercept, slope], atol=0.05)


def test_one_step_is_near_the_fit_of_the_resample():
    random = np.random.default_rng(2)
    probabilities = random.beta(1, 4, 3000)
    truth = (random.random(3000) < probabilities).astype(float)
    weights = random.multinomial(3000, np.full(3000, 1 / 3000), size=5).astype(float)
    intercepts, slopes = Recalibration(probabilities, truth)(weights)
    for row, intercept, slope in zip(weights, intercepts, slopes):
        whole = LogisticRegression(C=np.inf, tol=1e-8).fit(logits(probabilities)[:, None], truth, sample_weight=row)
        assert (intercept, slope) == pytest.approx((whole.intercept_[0], whole.coef_[0, 0]), abs=0.01)


@pytest.mark.parametrize(
    ("probabilities", "truth"),
    [
        ([0.2, 0.3, 0.8, 0.9], [0, 0, 1, 1]),
        ([0.9, 0.8, 0.3, 0.2], [0, 0, 1, 1]),
        ([0.2, 0.5, 0.5, 0.9], [0, 0, 1, 1]),
        ([0.5, 0.5, 0.5, 0.5], [0, 1, 0, 1]),
        ([0.1, 0.4], [1, 1]),
    ],
)
def test_no_slope_where_outcomes_are_told_apart_or_nothing_tells_them(probabilities, truth):
    found = Recalibration(np.array(probabilities), np.array(truth, dtype=float))(np.ones((2, len(truth))))
    assert np.isnan(found).all()


def test_probabilities_of_0_and_1_have_a_slope():
    found = Recalibration(np.array([0.0, 1.0, 0.0, 1.0, 0.5]), np.array([0.0, 1.0, 1.0, 0.0, 1.0]))
    assert np.isfinite(found(np.ones((1, 5)))).all()


def test_bins_are_of_equal_mass_and_ties_stay_together():
    random = np.random.default_rng(3)
    probabilities = random.permutation(np.linspace(0.001, 0.4, 300))
    bins = reliability(probabilities, (random.random(300) < probabilities).astype(float))
    assert [one.rows for one in bins] == [300 // BINS] * BINS
    assert all(one.low <= one.observed <= one.high for one in bins)
    assert [one.expected for one in bins] == sorted(one.expected for one in bins)
    tied = reliability(np.array([0.5] * 40 + [0.1]), np.zeros(41))
    assert [one.rows for one in tied] == [1, 40]
    assert [one.rows for one in reliability(np.array([0.3]), np.ones(1))] == [1] and reliability(
        np.empty(0), np.empty(0)
    ) == []


def test_calibration_error_by_hand():
    # 30 rows make 15 bins of two each.
    probabilities, truth = np.arange(30) / 100, np.zeros(30)
    truth[28:] = 1
    pairs = [(probabilities[i : i + 2].mean(), truth[i : i + 2].mean()) for i in range(0, 30, 2)]
    assert calibration_error(probabilities, truth) == pytest.approx(np.mean([abs(p - y) for p, y in pairs]))
    assert np.isnan(calibration_error(np.empty(0), np.empty(0)))


@settings(max_examples=30)
@given(st.integers(1, 12), st.integers(0, 10_000))
def test_calibration_error_is_that_of_equal_parts(rows_a_bin, seed):
    random = np.random.default_rng(seed)
    probabilities = random.permutation(np.linspace(0.01, 0.97, BINS * rows_a_bin))
    truth = (random.random(len(probabilities)) < 0.4).astype(float)
    parts = np.array_split(np.argsort(probabilities), BINS)
    expected = np.mean([abs(probabilities[part].mean() - truth[part].mean()) for part in parts])
    assert calibration_error(probabilities, truth) == pytest.approx(expected)


@settings(max_examples=30)
@given(rows())
def test_ties_are_in_one_bin_and_bins_in_order(drawn):
    probabilities, truth, _ = drawn
    bins = reliability(probabilities, truth)
    assert sum(one.rows for one in bins) == len(truth) and len(bins) <= min(BINS, len(set(probabilities)))
    assert [one.expected for one in bins] == sorted(one.expected for one in bins)
    ends = np.cumsum([one.rows for one in bins])
    ordered = np.sort(probabilities)
    assert all(ordered[end - 1] < ordered[end] for end in ends[:-1])


def test_draws_of_one_system_do_not_narrow_the_interval():
    probabilities, truth = np.array([0.5] * 10), np.array([1.0, 0.0] * 5)
    (once,) = reliability(probabilities, truth)
    (twice,) = reliability(np.tile(probabilities, 2), np.tile(truth, 2), copies=2)
    assert twice == once._replace(rows=20)
