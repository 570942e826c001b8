"""Several seeds as one estimate: against closed forms, and with the coverage that the interval promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from medrepro.stats.results import Estimate
from medrepro.study.pooling import pool

Z = stats.norm.ppf(0.975)


def seed_estimate(value: float, se: float = 0.02) -> Estimate:
    return Estimate(value, value - Z * se, value + Z * se, n=100, unit="patient")


def test_seeds_that_draw_their_own_patients_give_the_t_interval_of_scipy():
    values = [0.81, 0.84, 0.80, 0.86, 0.83]
    pooled = pool([seed_estimate(v) for v in values], vary=("data", "training"), level=0.95)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert pooled.value == pytest.approx(np.mean(values))
    assert (pooled.low, pooled.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert pooled.n == 500


def test_seeds_that_share_patients_keep_the_patients_variance():
    values = [0.81, 0.84, 0.80, 0.86, 0.83]
    pooled = pool([seed_estimate(v, se=0.03) for v in values], vary=("training",), level=0.95)
    half = stats.t.ppf(0.975, 4) * math.sqrt(np.var(values, ddof=1) / 5 + 0.03**2)
    assert (pooled.low, pooled.high) == pytest.approx((np.mean(values) - half, np.mean(values) + half), abs=1e-12)
    assert pooled.n == 100


@pytest.mark.parametrize("vary", [("training",), ("data", "training")])
def test_the_pooled_interval_covers_the_truth_as_often_as_it_says(vary):
    rng, hits, rounds = np.random.default_rng(5), 0, 2000
    for _ in range(rounds):
        patients = rng.normal(0, 0.03, 5 if "data" in vary else 1)
        trainings = rng.normal(0, 0.02, 5)
        estimates = [seed_estimate(0.8 + x, se=0.03) for x in patients + trainings]
        pooled = pool(estimates, vary=vary, level=0.95)
        hits += pooled.low <= 0.8 <= pooled.high
    # Shared patients: the t quantile with 4 degrees of freedom on a mostly known variance is conservative.
    assert hits / rounds > 0.95 - 4 * math.sqrt(0.95 * 0.05 / rounds)


def test_one_seed_or_an_undefined_seed_is_undefined_with_a_note():
    assert "fewer than two" in pool([seed_estimate(0.8)], vary=("training",), level=0.95).note
    broken = Estimate(math.nan, math.nan, math.nan, note="one class")
    assert pool([seed_estimate(0.8), broken], vary=("training",), level=0.95).undefined
