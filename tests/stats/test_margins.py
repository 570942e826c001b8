"""Equivalence and non-inferiority: statsmodels, agreement with the interval, planted differences."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from medrepro.stats import Estimate, equivalence, equivalence_of, noninferiority, noninferiority_of

TESTS = json.loads((Path(__file__).parents[1] / "reference" / "measures.json").read_text())["tests"]
RANKS = json.loads((Path(__file__).parents[1] / "reference" / "rank_tests.json").read_text())
U, V, W = (np.array(TESTS[name]) for name in "uvw")


@pytest.mark.parametrize("margin", [(-1.0, 1.2), (-0.2, 2.0), (0.6, 0.7)])
def test_equivalence_matches_statsmodels(margin):
    unpaired, paired = equivalence(U, V, margin, paired=False), equivalence(U, W, margin, paired=True)
    p, *_ = ttost_ind(U, V, *margin, usevar="unequal")
    assert unpaired.p_value == pytest.approx(p, rel=1e-9)
    p, lower, upper = ttost_paired(U, W, *margin)
    assert paired.p_value == pytest.approx(p, rel=1e-9)
    assert paired.statistic == pytest.approx(lower[0] if lower[1] > upper[1] else upper[0], rel=1e-9)
    assert paired.log10_p == pytest.approx(math.log10(p), rel=1e-9)


def test_equivalence_and_noninferiority_match_rs_one_sided_tests():
    u, v, w = (np.array(RANKS["effects"][name], dtype=float) for name in "uvw")
    r = {name: value[0] for name, value in RANKS["equivalence"].items()}
    assert equivalence(u, v, r["margin"], paired=False).p_value == pytest.approx(r["welch"], rel=1e-9)
    assert equivalence(u, w, r["margin"], paired=True).p_value == pytest.approx(r["paired"], rel=1e-9)
    assert noninferiority(u, v, r["margin"], paired=False).p_value == pytest.approx(r["noninferiority"], rel=1e-9)


def test_noninferiority_is_the_lower_of_the_two_tests():
    p, lower, _ = ttost_paired(U, W, -0.1, 50.0)
    found = noninferiority(U, W, 0.1, paired=True)
    assert found.p_value == pytest.approx(lower[1], rel=1e-9)
    assert found.p_value == pytest.approx(p, rel=1e-6)


@given(st.floats(0.05, 3), st.sampled_from([0.8, 0.9, 0.95]))
def test_the_tests_decide_as_the_interval_does(margin, level):
    for found in (
        equivalence(U, V, margin, paired=False, level=level),
        equivalence(U, W, margin, paired=True, level=level),
        equivalence_of(Estimate(0.3, 0.1, 0.9, level), margin),
    ):
        inside = -margin < found.difference.low and found.difference.high < margin
        assert inside == (found.p_value < (1 - level) / 2)
    estimate = Estimate(0.02, -0.4, 0.1, level)
    assert (noninferiority_of(estimate, margin).p_value < (1 - level) / 2) == (estimate.low > -margin)


@given(st.floats(-2, 2), st.floats(0.1, 2))
def test_equivalence_is_the_same_when_the_samples_swap(shift, margin):
    for paired in (False, True):
        b = (W if paired else V) + shift
        found, swapped = equivalence(U, b, margin, paired=paired), equivalence(b, U, margin, paired=paired)
        assert found.p_value == pytest.approx(swapped.p_value, rel=1e-6)
        assert found.statistic == pytest.approx(-swapped.statistic, rel=1e-6, abs=1e-9)


def test_a_planted_difference_beyond_the_margin_is_not_called_equivalent():
    rng = np.random.default_rng(0)
    base = rng.normal(size=400)
    worse, same = base - 0.3 + rng.normal(0, 0.1, 400), base + rng.normal(0, 0.1, 400)
    assert equivalence(worse, base, 0.2, paired=True).p_value > 0.99
    assert noninferiority(worse, base, 0.2, paired=True).p_value > 0.99
    assert noninferiority(base, worse, 0.2, paired=True).p_value < 1e-10  # better is not inferior
    assert equivalence(same, base, 0.2, paired=True).p_value < 1e-10


def test_estimates_with_tiny_standard_errors_keep_the_size_of_p():
    found = noninferiority_of(Estimate(0.0, -0.001, 0.001), 0.1)
    assert found.p_value == 0
    assert found.log10_p < -1000


def test_what_cannot_be_tested_is_nan_with_a_note():
    for found, note in (
        (equivalence([1, 1], [1, 1], 0.5, paired=True), "no spread"),
        (noninferiority([1], [2], 0.5, paired=True), "single value"),
        (equivalence_of(Estimate(0.1, math.nan, math.nan), 0.2), "no finite interval"),
        (equivalence_of(Estimate(0.1, 0.0, math.inf), 0.2), "no finite interval"),
        (noninferiority_of(Estimate(0.1, 0.1, 0.1), 0.2), "no length"),
    ):
        assert math.isnan(found.p_value)
        assert note in found.difference.note
    assert noninferiority_of(Estimate(0.1, 0.0, math.inf), 0.2).p_value < 0.001  # the upper arm is not needed


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: equivalence([1, 2], [1, 2], 0.0, paired=True), "margin must be a finite number > 0"),
        (lambda: equivalence([1, 2], [1, 2], (0.2, -0.2), paired=True), "margin must be finite with low < high"),
        (lambda: equivalence([1, 2], [1], 0.1, paired=True), "b must have as many cases as a"),
        (lambda: noninferiority([1, 2], [1, 2], -0.1, paired=False), "margin must be a finite number > 0"),
        (lambda: noninferiority([1, 2], [1, math.nan], 0.1, paired=False), "b must not hold nan"),
        (lambda: equivalence_of(Estimate(0, -1, 1), (1, 2, 3)), "margin must be a number or a pair"),
        (lambda: noninferiority_of(Estimate(0, -1, 1), "small"), "margin must be a number > 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
