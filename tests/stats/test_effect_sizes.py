"""Effect sizes: R, vcd, statsmodels, brute force, clusters, zero cells."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind, wilcoxon
from statsmodels.stats.contingency_tables import Table2x2

from medrepro.stats import cliffs_delta, cohen_d, odds_ratio, rank_biserial, risk_difference, risk_ratio

MEASURES = json.loads((Path(__file__).parents[1] / "reference" / "measures.json").read_text())
RANKS = json.loads((Path(__file__).parents[1] / "reference" / "rank_tests.json").read_text())["effects"]
TESTS, BINARY, EFFECTS = MEASURES["tests"], MEASURES["binary"], MEASURES["effects"]
U, V, W = (np.array(TESTS[name]) for name in "uvw")


def rows_of(table):
    """Exposure and outcome of every case of a table [[exposed with, without], [others with, without]]."""
    counts = np.ravel(table)
    return np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)


tables = st.lists(st.integers(0, 12), min_size=4, max_size=4).filter(lambda t: t[0] + t[1] > 0 and t[2] + t[3] > 0)
samples = st.lists(st.integers(-4, 4), min_size=2, max_size=12)


def test_cohen_d_and_its_noncentral_interval_match_r():
    found = cohen_d(U, V)
    assert found.value == pytest.approx(EFFECTS["d"][0], rel=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(EFFECTS["d_interval"]), rel=1e-6)
    unbiased = cohen_d(U, V, unbiased=True)
    factor = EFFECTS["hedges_factor"][0]
    assert (unbiased.value, unbiased.low) == pytest.approx((factor * found.value, factor * found.low))


def test_effect_sizes_match_rs_effectsize():
    u, v, w = (np.array(RANKS[name], dtype=float) for name in "uvw")
    assert cliffs_delta(u, v).value == pytest.approx(RANKS["cliffs_delta"][0], rel=1e-10)
    assert rank_biserial(u, w, n_boot=2, seed=0).value == pytest.approx(RANKS["rank_biserial"][0], rel=1e-10)
    # effectsize searches its noncentral limits by optimisation, to about 1e-6.
    paired, unbiased = cohen_d(u, w, paired=True), cohen_d(u, v, unbiased=True)
    for found, expected in ((paired, RANKS["d_paired"]), (unbiased, RANKS["g"])):
        assert found.value == pytest.approx(expected[0], rel=1e-9)
        assert (found.low, found.high) == pytest.approx(tuple(expected[1:]), abs=1e-6)


@pytest.mark.filterwarnings("ignore:Precision loss")  # SciPy on a constant sample
@given(samples, samples)
def test_the_interval_of_d_excludes_zero_exactly_when_student_does(a, b):
    found = cohen_d(a, b)
    p = ttest_ind(a, b).pvalue if not found.undefined else math.nan
    if abs(p - 0.05) > 1e-6:
        assert (found.low > 0 or found.high < 0) == (p < 0.05)


def test_d_swaps_sign_with_the_samples_and_ignores_the_unit_of_measurement():
    for paired in (False, True):
        b = W if paired else V
        found, swapped = cohen_d(U, b, paired=paired), cohen_d(b, U, paired=paired)
        assert (found.value, found.low) == pytest.approx((-swapped.value, -swapped.high), rel=1e-7)
        scaled = cohen_d(10 * U + 3, 10 * b + 3, paired=paired)
        assert (found.value, found.low, found.high) == pytest.approx((scaled.value, scaled.low, scaled.high), rel=1e-7)


def test_paired_d_is_the_mean_over_the_spread_of_the_differences():
    found = cohen_d(U, W, paired=True)
    assert found.value == pytest.approx((U - W).mean() / (U - W).std(ddof=1))
    assert found.unit == "pair"


def test_intervals_of_d_cover_the_truth():
    rng = np.random.default_rng(0)
    drawn = [cohen_d(rng.normal(0.8, 1, 10), rng.normal(0, 1, 10)) for _ in range(150)]
    assert np.mean([e.low <= 0.8 <= e.high for e in drawn]) == pytest.approx(0.95, abs=0.05)


@pytest.mark.parametrize("n", [2, 3, 10, 1000])
@pytest.mark.parametrize("effect", [0.0, 0.3, 3.0, 30.0, 1e6])
def test_limits_of_d_are_quantiles_of_simulated_noncentral_t(n, effect):
    base = np.arange(n, dtype=float)
    found = cohen_d(base + effect * base.std(ddof=1), base)
    assert found.value == pytest.approx(effect, rel=1e-6, abs=1e-9)
    rng = np.random.default_rng(0)
    df, scale = 2 * n - 2, math.sqrt(2 / n)
    noise, spread = rng.normal(size=100_000), np.sqrt(rng.chisquare(df, 100_000) / df)
    for limit, tail in ((found.low, 0.975), (found.high, 0.025)):
        assert np.mean((noise + limit / scale) / spread <= effect / scale) == pytest.approx(tail, abs=0.003)


@pytest.mark.parametrize(
    ("a", "b", "paired", "note"),
    [
        ([1, 1, 1], [0, 0], False, "no spread"),
        ([0.1, 0.2, 0.3], [0.2, 0.3, 0.4], True, "no spread"),
        ([1], [2], False, "too few"),
        ([1], [2], True, "too few"),
    ],
)
def test_d_without_spread_is_nan_with_a_note(a, b, paired, note):
    found = cohen_d(a, b, paired=paired)
    assert found.undefined
    assert note in found.note


@given(samples, samples)
def test_cliffs_delta_matches_brute_force(a, b):
    gaps = np.sign(np.subtract.outer(a, b))
    found = cliffs_delta(a, b)
    assert found.value == pytest.approx(gaps.mean(), abs=1e-12)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert cliffs_delta(b, a).value == pytest.approx(-found.value, abs=1e-12)


def test_cliffs_delta_names_separation_and_single_values():
    assert "perfect separation" in cliffs_delta([5, 6], [1, 2]).note
    assert cliffs_delta([5], [1, 2]).undefined
    assert cliffs_delta([5], [1, 2]).value == 1


@given(samples.filter(any))
def test_rank_biserial_matches_the_statistic_of_wilcoxon(gaps):
    gaps = np.array(gaps, dtype=float)
    found = rank_biserial(gaps, np.zeros(gaps.size), n_boot=2, seed=0)
    n = np.count_nonzero(gaps)
    smaller = wilcoxon(gaps, method="asymptotic").statistic
    assert abs(found.value) == pytest.approx(1 - 4 * smaller / (n * (n + 1)), abs=1e-12)


def test_rank_biserial_has_an_interval_over_clusters_and_a_note_without_differences():
    patient = pd.Series(np.arange(14) // 2, name="patient_id")
    found = rank_biserial(U, W, units=patient, n_boot=200, seed=0)
    assert (found.n, found.unit, found.n_boot) == (7, "patient", 200)
    assert found.low < found.value < found.high <= 1
    assert "undefined" in rank_biserial([1, 2], [1, 2], n_boot=5, seed=0).note


def test_two_by_two_measures_match_r():
    exposed, outcome = rows_of(BINARY["table"])
    found = odds_ratio(exposed, outcome)
    assert found.value == pytest.approx(BINARY["odds_ratio"][0], rel=1e-10)
    assert (found.low, found.high) == pytest.approx(tuple(BINARY["odds_ratio_interval"]), rel=1e-8)
    ratio = risk_ratio(exposed, outcome)
    assert math.log(ratio.high / ratio.value) / 1.959963984540054 == pytest.approx(BINARY["log_risk_ratio_se"][0])
    difference = risk_difference(exposed, outcome)
    assert (difference.low, difference.high) == pytest.approx(tuple(BINARY["newcombe_unpaired"]), rel=1e-10)


@given(tables.filter(all))
def test_ratios_match_statsmodels_on_any_full_table(table):
    exposed, outcome = rows_of(table)
    reference = Table2x2(np.reshape(table, (2, 2)), shift_zeros=False)
    for found, value, bounds in (
        (odds_ratio(exposed, outcome), reference.oddsratio, reference.oddsratio_confint()),
        (risk_ratio(exposed, outcome), reference.riskratio, reference.riskratio_confint()),
    ):
        assert (found.value, found.low, found.high) == pytest.approx((value, *bounds), rel=1e-9)


@given(tables)
def test_risk_difference_mirrors_when_the_groups_swap(table):
    exposed, outcome = rows_of(table)
    found, mirrored = risk_difference(exposed, outcome), risk_difference(1 - exposed, outcome)
    assert (found.value, found.low, found.high) == pytest.approx((-mirrored.value, -mirrored.high, -mirrored.low))
    assert -1 <= found.low <= found.value <= found.high <= 1


def test_clusters_of_one_change_nothing_and_copies_add_no_information():
    exposed, outcome = rows_of(BINARY["table"])
    n = exposed.size
    for measure in (odds_ratio, risk_ratio, risk_difference):
        plain, alone = measure(exposed, outcome), measure(exposed, outcome, units=np.arange(n))
        copies = measure(np.tile(exposed, 3), np.tile(outcome, 3), units=np.tile(np.arange(n), 3))
        for other in (alone, copies):
            assert (other.low, other.high, other.n) == pytest.approx((plain.low, plain.high, n))


def test_clusters_that_hold_both_groups_are_allowed_for():
    rng = np.random.default_rng(2)
    level = np.repeat(rng.normal(0, 2, 200), 2)  # both cases of a patient share a level
    outcome = rng.random(400) < 1 / (1 + np.exp(-level))
    exposed = np.tile([1, 0], 200)
    paired = risk_difference(exposed, outcome, units=np.arange(400) // 2)
    plain = risk_difference(exposed, outcome)
    assert paired.high - paired.low < 0.9 * (plain.high - plain.low)


def test_identical_outcomes_in_both_groups_give_no_difference():
    found = risk_difference([1, 1, 0, 0], [1, 0, 1, 0])
    assert found.value == 0
    assert found.low == pytest.approx(-found.high)


@pytest.mark.parametrize(
    ("table", "odds", "risk"),
    [([3, 0, 2, 4], math.inf, 3.0), ([0, 3, 2, 4], 0.0, 0.0), ([2, 3, 0, 4], math.inf, math.inf)],
)
def test_a_zero_cell_has_a_value_and_a_note(table, odds, risk):
    exposed, outcome = rows_of(table)
    found = odds_ratio(exposed, outcome)
    assert found.value == odds
    assert "a cell of the table is 0" in found.note
    assert found.undefined
    assert risk_ratio(exposed, outcome).value == pytest.approx(risk)


def test_tables_without_contrast_are_nan_with_a_note():
    for measure in (odds_ratio, risk_ratio, risk_difference):
        assert "only one group" in measure([1, 1, 1], [1, 0, 1]).note
    assert math.isnan(risk_ratio([1, 1, 0], [0, 0, 0]).value)
    assert "the estimated variance is 0" in risk_ratio([1, 1, 0], [1, 1, 1]).note
    assert "a single cluster" in odds_ratio([1, 1, 0, 0], [1, 0, 1, 0], units=[3, 3, 3, 3]).note
    assert "no case has the outcome" in odds_ratio([1, 1, 0], [0, 0, 0]).note


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cohen_d([1, math.nan], [1, 2]), "a must not hold nan"),
        (lambda: cohen_d([1, 2], [1, math.inf]), "b must be finite"),
        (lambda: cohen_d([1, 2], [1], paired=True), "b must have as many cases as a"),
        (lambda: cliffs_delta([], [1]), "a must hold at least one value"),
        (lambda: cliffs_delta(["x"], [1]), "a must hold real numbers"),
        (lambda: rank_biserial([1, 2], [1], seed=0), "b must have as many cases as a"),
        (lambda: risk_difference([0, 1], [0, 2]), "outcome must hold 0 and 1"),
        (lambda: risk_ratio([0, 1], [0, 1], level=95), "level must be between 0 and 1"),
        (lambda: odds_ratio([0, 1], [0]), "outcome must have as many cases as exposed"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
