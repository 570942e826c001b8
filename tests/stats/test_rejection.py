"""Rejection of uncertain answers: by hand, by brute force, against chance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import hypergeom

from medrepro.stats import bootstrap_replicates
from medrepro.stats.rejection import consistent_errors, coverage_curve, reject


def answers(n=120, seed=0, units=None):
    rng = np.random.default_rng(seed)
    uncertainty = rng.choice([0.0, 0.25, 0.45, 0.6, 0.9], n)
    return rng.random(n) < 0.95 - 0.7 * uncertainty, uncertainty


def test_a_filter_by_hand():
    correct = [1, 1, 0, 1, 0, 0, 0, 1]
    uncertainty = [0, 0.3, 0.3, 0.1, 0.30103, 0.6, 0.6, 0.6]
    found = reject(correct, uncertainty, 0.3, n_boot=200, seed=0)
    assert (found.n_kept, found.coverage.value, found.kept.value, found.rejected.value) == (4, 0.5, 0.75, 0.25)
    assert found.gain.difference.value == pytest.approx(0.75 - 0.5)
    # 4 of 8 drawn at random hold at least 3 of the 4 right ones: (4 * 4 + 1) / 70.
    assert found.random_p == pytest.approx(17 / 70)
    assert found.random.value == found.accuracy.value == 0.5


@pytest.mark.parametrize("clustered", [False, True])
def test_the_kept_set_is_formed_anew_in_each_resample(clustered):
    """The fast sums against the definition, on the same resamples."""
    correct, uncertainty = answers()
    units = np.repeat(np.arange(40), 3) if clustered else None

    def gain(right, uncertain):
        kept = uncertain <= 0.3
        return right[kept].mean() - right.mean() if kept.any() else np.nan

    slow = bootstrap_replicates(gain, correct.astype(float), uncertainty, units=units, n_boot=300, seed=4)
    fast = reject(correct, uncertainty, 0.3, units=units, n_boot=300, seed=4)
    low, high = np.quantile(slow, [0.025, 0.975])
    assert (fast.gain.difference.low, fast.gain.difference.high) == pytest.approx((low, high))
    assert fast.gain.p_value == pytest.approx(min(1, 2 * (1 + min((slow <= 0).sum(), (slow >= 0).sum())) / 301))
    assert fast.gain.difference.n == (40 if clustered else 120)
    assert np.isnan(fast.random_p) == clustered


def test_resamples_that_keep_nothing_are_counted():
    correct, uncertainty = np.array([1, 0] * 10), np.ones(20)
    uncertainty[0] = 0
    found = reject(correct, uncertainty, 0.5, n_boot=2000, seed=0)
    assert found.n_empty / 2000 == pytest.approx((19 / 20) ** 20, abs=0.04)
    assert "undefined in" in found.gain.difference.note
    nothing = reject(correct, uncertainty, -1, n_boot=50, seed=0)
    assert (nothing.n_kept, nothing.n_empty, nothing.coverage.value) == (0, 50, 0)
    assert nothing.kept.undefined
    assert np.isnan(nothing.random_p)


def test_an_uninformative_filter_gains_nothing_as_often_as_its_level_says():
    """Coverage of the gain's 90 % interval for the true gain of 0, and the random test's level, over 200 data sets."""
    rng = np.random.default_rng(0)
    covered, small = 0, 0
    for seed in range(200):
        found = reject(rng.random(150) < 0.6, rng.random(150), 0.5, n_boot=200, level=0.9, seed=seed)
        covered += found.gain.difference.low <= 0 <= found.gain.difference.high
        small += found.random_p <= 0.1
    assert 0.83 < covered / 200 < 0.96
    assert small / 200 < 0.15


def test_the_range_of_random_rejection_is_that_of_random_draws():
    correct, uncertainty = answers()
    found = reject(correct, uncertainty, 0.3, n_boot=50, seed=0)
    rng = np.random.default_rng(1)
    drawn = [correct[rng.permutation(120)[: found.n_kept]].mean() for _ in range(4000)]
    assert (found.random.low, found.random.high) == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.02)


def test_the_curve_is_the_mean_over_random_orders_of_ties():
    correct, uncertainty = answers(40)
    curve = coverage_curve(correct, uncertainty, n_boot=20, seed=0)
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(3000):
        order = np.lexsort([rng.random(40), uncertainty])
        rows.append(np.cumsum(correct[order]) / np.arange(1, 41))
    np.testing.assert_allclose(curve.accuracy, np.mean(rows, axis=0), atol=0.04)
    assert curve.area.value == pytest.approx(curve.accuracy.mean())
    assert curve.accuracy[-1] == curve.best[-1] == correct.mean()
    assert (curve.best >= curve.accuracy - 1e-12).all()
    np.testing.assert_allclose(
        curve.random_low * np.arange(1, 41), hypergeom.ppf(0.025, 40, correct.sum(), np.arange(1, 41))
    )


def test_areas_of_resamples_match_the_curve_of_each_resample():
    correct, uncertainty = answers(60)

    def area(right, uncertain):
        return coverage_curve(right == 1, uncertain, n_boot=2, seed=0).area.value

    slow = bootstrap_replicates(area, correct.astype(float), uncertainty, n_boot=40, seed=3)
    fast = coverage_curve(correct, uncertainty, n_boot=40, seed=3).area
    assert (fast.low, fast.high) == pytest.approx(np.quantile(slow, [0.025, 0.975]))


def test_perfect_and_useless_scores_reach_the_best_area_and_the_accuracy():
    correct = np.array([1] * 30 + [0] * 20)
    assert coverage_curve(correct, 1 - correct, n_boot=10, seed=0).area.value == pytest.approx(
        coverage_curve(correct, 1 - correct, n_boot=10, seed=0).best_area
    )
    assert coverage_curve(correct, np.zeros(50), n_boot=10, seed=0).area.value == pytest.approx(0.6)


def test_consistent_errors_are_wrong_answers_without_doubt():
    share = consistent_errors([0, 0, 0, 1, 1], [0, 0.2, 0.9, 0, 0.9])
    assert (share.value, share.n, share.unit) == (pytest.approx(1 / 3), 3, "wrong answer")
    assert consistent_errors([0, 0, 0, 1], [0, 0.2, 0.9, 0], at_most=0.3).value == pytest.approx(2 / 3)
    assert consistent_errors([1, 1], [0, 1]).undefined
    assert consistent_errors([0, 0, 0], [0, 0, 1], units=["a", "a", "b"]).n == 2


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="correct must hold 0 and 1 only"):
        reject([0, 2], [0, 1], 0.3, seed=0)
    with pytest.raises(ValueError, match=r"uncertainty must have as many cases as correct \(2\), got 3"):
        coverage_curve([0, 1], [0, 1, 2], seed=0)
    with pytest.raises(ValueError, match="uncertainty must not hold nan"):
        reject([0, 1], [0, np.nan], 0.3, seed=0)
    with pytest.raises(ValueError, match="threshold must be a number, got nan"):
        reject([0, 1], [0, 1], float("nan"), seed=0)
