"""Wilson intervals and adjusted p values: R, statsmodels, clusters."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from medrepro.stats import adjust_p, proportion, wilson


def test_wilson_matches_r(from_r):
    r = from_r["proportions"]
    for count, n, level, key in (
        (7, 40, 0.95, "wilson_7_of_40"),
        (0, 12, 0.95, "wilson_0_of_12"),
        (99, 100, 0.9, "wilson_99_of_100_at_90"),
    ):
        found = wilson(count, n, level=level)
        np.testing.assert_allclose([found.low, found.high], r[key], atol=1e-12)
        assert found.value == count / n


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_matches_statsmodels_and_mirrors(pair):
    count, n = pair
    found, mirrored = wilson(count, n), wilson(n - count, n)
    np.testing.assert_allclose([found.low, found.high], proportion_confint(count, n, method="wilson"), atol=1e-12)
    np.testing.assert_allclose([1 - mirrored.high, 1 - mirrored.low], [found.low, found.high], atol=1e-12)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_no_case_is_nan_with_a_note():
    assert wilson(0, 0).undefined
    assert wilson(0, 0).note == "no case"


def test_clusters_of_one_case_give_wilson():
    outcomes = np.array([1, 0, 1, 1, 0, 1, 1])
    plain, clustered = proportion(outcomes), proportion(outcomes, units=list("abcdefg"))
    exact = wilson(5, 7)
    np.testing.assert_allclose([plain.low, plain.high], [exact.low, exact.high], rtol=1e-12)
    np.testing.assert_allclose([clustered.low, clustered.high], [exact.low, exact.high], rtol=1e-12)


def test_copies_in_clusters_add_no_information():
    outcomes = np.array([1, 0, 1, 1, 0, 1, 1])
    copies = proportion(np.tile(outcomes, 5), units=np.tile(np.arange(7), 5))
    assert copies.low == pytest.approx(wilson(5, 7).low, rel=1e-12)
    assert copies.n == 7


def test_all_cases_positive_counts_clusters_not_cases():
    found = proportion(np.ones(30), units=np.arange(30) // 10)
    assert (found.low, found.high) == pytest.approx((wilson(3, 3).low, 1.0))


def test_clusters_with_equal_shares_count_as_one_case_each():
    found, one_each = proportion([0, 1] * 10, units=np.arange(20) // 2), wilson(5, 10)
    np.testing.assert_allclose([found.low, found.high], [one_each.low, one_each.high])


def test_adjusted_p_values_match_r_and_keep_nan(from_r):
    r = from_r["proportions"]
    for method, expected in r["adjusted"].items():
        np.testing.assert_allclose(adjust_p(r["p"], method), expected, rtol=1e-12)
        with_nan = adjust_p([*r["p"], math.nan], method)
        np.testing.assert_allclose(with_nan[:-1], expected, rtol=1e-12)
        assert math.isnan(with_nan[-1])


@pytest.mark.filterwarnings("ignore:divide by zero")  # statsmodels' Sidak of p = 1
@settings(max_examples=15)  # statsmodels' Holm takes 30 ms
@given(st.lists(st.one_of(st.sampled_from([0.0, 0.01, 0.05, 1.0]), st.floats(0, 1)), min_size=1, max_size=12))
def test_adjusted_p_values_match_statsmodels(p):
    names = {"hochberg": "simes-hochberg"}
    for method in ("bonferroni", "sidak", "holm", "hommel", "hochberg", "fdr_bh", "fdr_by"):
        expected = multipletests(p, method=names.get(method, method))[1]
        np.testing.assert_allclose(adjust_p(p, method), expected, rtol=1e-10, atol=1e-12)


def test_no_p_values_and_only_missing_ones_stay_as_they_are():
    assert adjust_p([], "holm").size == 0
    assert np.isnan(adjust_p([math.nan, math.nan], "fdr_bh")).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: wilson(5, 4), r"count must be <= n \(4\), got 5"),
        (lambda: wilson(-1, 4), "count must be a whole number"),
        (lambda: wilson(1.0, 4), "count must be a whole number"),
        (lambda: wilson(1, 4, level=2), "level must be between"),
        (lambda: proportion([0, 2]), "outcomes must hold 0 and 1"),
        (lambda: proportion([0, 1], units=[1]), "units must have as many cases"),
        (lambda: adjust_p([0.5, 1.5]), r"p must have shape \(m,\)"),
        (lambda: adjust_p([0.5], method="none"), "method must be one of bonferroni"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
