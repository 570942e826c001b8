"""Classical tests, of two samples and of blocks: R, statsmodels, enumeration, undefined cases."""

import json
import math
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from medrepro.stats import (
    bootstrap,
    correlation,
    fisher,
    friedman,
    mann_whitney,
    mcnemar,
    page_trend,
    t_test,
    wilcoxon_signed_rank,
)

MEASURES = json.loads((Path(__file__).parents[1] / "reference" / "measures.json").read_text())
TESTS, BINARY, CORRELATION = MEASURES["tests"], MEASURES["binary"], MEASURES["correlation"]
U, V, W = (np.array(TESTS[name]) for name in "uvw")
TIED_U, TIED_V, TIED_W = (np.array(TESTS[f"tied_{name}"]) for name in "uvw")
RANKS = json.loads((Path(__file__).parents[1] / "reference" / "rank_tests.json").read_text())
ONE, TWO = np.array(BINARY["one"]), np.array(BINARY["two"])

bits = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=40)
distinct = st.lists(st.integers(-50, 50), min_size=2, max_size=6, unique=True)


def assert_matches_r(found, r, rel=1e-9):
    assert found.statistic == pytest.approx(r["statistic"][0], rel=rel)
    assert found.p_value == pytest.approx(r["p"][0], rel=rel)
    assert found.log10_p == pytest.approx(math.log10(r["p"][0]), rel=rel)
    estimate = found.difference
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((r["estimate"][0], *r["interval"]), rel=rel)


def test_t_tests_match_r():
    assert_matches_r(t_test(U, V, paired=False), TESTS["welch"])
    assert_matches_r(t_test(U, W, paired=True, level=0.9), TESTS["paired"])


def test_rank_tests_match_r_with_exact_distributions():
    assert_matches_r(mann_whitney(U, V), TESTS["mann_whitney"])
    assert_matches_r(wilcoxon_signed_rank(U, W), TESTS["wilcoxon"])


def test_rank_tests_match_r_with_ties():
    assert mann_whitney(TIED_U, TIED_V).p_value == pytest.approx(TESTS["mann_whitney_tied_p"][0], rel=1e-9)
    found = wilcoxon_signed_rank(TIED_U, TIED_W)
    assert found.p_value == pytest.approx(TESTS["wilcoxon_tied_p"][0], rel=1e-9)
    zeros = int((TIED_U == TIED_W).sum())
    assert f"{zeros} pairs without difference left out" in found.difference.note


@given(distinct, distinct)
def test_exact_mann_whitney_matches_enumeration(a, b):
    a, b = np.array(a) * 2.0, np.array(b) * 2.0 + 1  # even and odd values cannot tie
    ranks = stats.rankdata(np.concatenate([a, b]))
    sums = np.array([sum(c) for c in combinations(ranks, a.size)])
    seen = ranks[: a.size].sum()
    p = min(1.0, 2 * min(np.mean(sums <= seen), np.mean(sums >= seen)))
    assert mann_whitney(a, b).p_value == pytest.approx(p, rel=1e-9)


@given(st.lists(st.integers(1, 60), min_size=2, max_size=8, unique=True), st.integers(0, 255))
def test_exact_signed_rank_matches_enumeration(sizes, signs):
    gaps = np.array([s if signs >> i & 1 else -s for i, s in enumerate(sizes)], dtype=float)
    ranks = stats.rankdata(np.abs(gaps))
    sums = np.array([ranks @ np.array(flips) for flips in product((0, 1), repeat=gaps.size)])
    seen = ranks[gaps > 0].sum()
    p = min(1.0, 2 * min(np.mean(sums <= seen), np.mean(sums >= seen)))
    assert wilcoxon_signed_rank(gaps, np.zeros(gaps.size)).p_value == pytest.approx(p, rel=1e-9)


def test_normal_and_exact_order_intervals_agree_at_the_change_over():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.5, 1, 49), rng.normal(0, 1, 49)
    a_more, b_more = np.append(a, a[:1] + 1e-9), np.append(b, b[:1])
    for test in (mann_whitney, wilcoxon_signed_rank):
        exact, normal = test(a, b), test(a_more, b_more)
        assert exact.method.endswith("exact")
        assert normal.method.endswith("normal")
        assert (normal.difference.low, normal.difference.high) == pytest.approx(
            (exact.difference.low, exact.difference.high), abs=0.05
        )


@pytest.mark.parametrize("test", [mann_whitney, wilcoxon_signed_rank, lambda a, b: t_test(a, b, paired=True)])
def test_swapping_the_samples_mirrors_the_result_and_a_shift_moves_it(test):
    found, swapped, moved = test(U, W), test(W, U), test(U + 1, W)
    assert found.p_value == pytest.approx(swapped.p_value)
    assert (found.difference.low, found.difference.high) == pytest.approx(
        (-swapped.difference.high, -swapped.difference.low)
    )
    assert moved.difference.low == pytest.approx(found.difference.low + 1)


def test_tiny_p_values_keep_their_size():
    found = t_test(np.arange(500) % 2 + 1e6, np.arange(500) % 2, paired=False)
    assert found.p_value == 0
    assert found.log10_p < -1000
    for test in (wilcoxon_signed_rank, mann_whitney):
        separated = test(np.arange(2000) + 3000.0, np.zeros(2000))
        assert separated.log10_p < -300


@given(st.lists(st.integers(0, 4), min_size=2, max_size=30), st.lists(st.integers(0, 4), min_size=2, max_size=30))
def test_mann_whitney_with_ties_matches_scipy(a, b):
    found = mann_whitney(a, b)
    if np.ptp([*a, *b]) > 0 and found.method.endswith("normal"):
        expected = stats.mannwhitneyu(a, b, method="asymptotic")
        assert (found.statistic, found.p_value) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-9)


def test_tests_without_information_are_nan_with_a_note():
    for found, note in (
        (t_test([0.1, 0.2, 0.3], [0.2, 0.3, 0.4], paired=True), "no spread"),
        (t_test([1, 1], [1, 1], paired=False), "no spread"),
        (t_test([1], [1, 2], paired=False), "single value"),
        (wilcoxon_signed_rank([1, 2], [1, 2]), "no pair differs"),
        (mann_whitney([1, 1], [1, 1]), "all values are equal"),
        (mcnemar([0, 1, 1], [0, 1, 1]), "no pair is discordant"),
        (fisher([[3, 4], [0, 0]]), "an empty row or column"),
        (friedman(np.ones((4, 3))), "all values of every block"),
        (page_trend(np.ones((4, 3))), "all values of every block"),
        (correlation([1, 1, 1], [1, 2, 3]), "constant"),
    ):
        assert math.isnan(found.p_value), note
        assert math.isnan(found.statistic), note
        assert note in found.difference.note


def test_few_values_have_no_rank_interval():
    assert "too few values" in wilcoxon_signed_rank([1, 2, 4], [0, 0, 0]).difference.note
    assert "too few values" in mann_whitney([1, 2], [3, 4]).difference.note


# ---------------------------------------------------------------- counts


def test_mcnemar_and_its_interval_match_r():
    found = mcnemar(ONE, TWO, exact=False)
    assert found.statistic == pytest.approx(BINARY["mcnemar"]["statistic"][0])
    assert found.p_value == pytest.approx(BINARY["mcnemar"]["p"][0], rel=1e-9)
    assert mcnemar(ONE, TWO).p_value == pytest.approx(BINARY["mcnemar_exact_p"][0], rel=1e-9)
    assert (found.difference.low, found.difference.high) == pytest.approx(tuple(BINARY["newcombe_paired"]), rel=1e-9)


@given(bits)
def test_mcnemar_matches_statsmodels(pairs):
    a, b = np.array(pairs).T
    table = [[np.sum((a == i) & (b == j)) for j in (0, 1)] for i in (0, 1)]
    for exact in (True, False):
        found = mcnemar(a, b, exact=exact)
        expected = statsmodels_mcnemar(table, exact=exact, correction=False).pvalue if np.any(a != b) else math.nan
        assert found.p_value == pytest.approx(expected, rel=1e-9, nan_ok=True)
        assert -1 <= found.difference.low <= found.difference.value <= found.difference.high <= 1
        mirrored = mcnemar(b, a, exact=exact)
        assert mirrored.p_value == pytest.approx(found.p_value, nan_ok=True)
        assert mirrored.difference.low == pytest.approx(-found.difference.high)


def test_clustered_mcnemar_reduces_to_the_plain_one_and_ignores_copies():
    plain = mcnemar(ONE, TWO, exact=False)
    alone = mcnemar(ONE, TWO, units=np.arange(90))
    copies = mcnemar(np.tile(ONE, 4), np.tile(TWO, 4), units=np.tile(np.arange(90), 4))
    for found in (alone, copies):
        assert (found.statistic, found.p_value) == pytest.approx((plain.statistic, plain.p_value))
        assert (found.difference.low, found.difference.high) == pytest.approx(
            (plain.difference.low, plain.difference.high)
        )
        assert found.difference.n == 90


def test_fisher_matches_r():
    found = fisher(BINARY["table"])
    r = BINARY["fisher"]
    assert found.p_value == pytest.approx(r["p"][0], rel=1e-9)
    # R's root search stops at an absolute error near 1e-4 in 1 / odds ratio, the tails are checked below.
    bounds = (found.difference.value, found.difference.low, found.difference.high)
    assert bounds == pytest.approx((r["estimate"][0], *r["interval"]), rel=5e-3)


def test_the_exact_limits_of_fisher_leave_their_tails():
    found = fisher(BINARY["table"]).difference
    (hit, missed), (other_hit, other_missed) = BINARY["table"]
    margins = (hit + missed + other_hit + other_missed, hit + missed, hit + other_hit)
    assert stats.nchypergeom_fisher(*margins, found.low).sf(hit - 1) == pytest.approx(0.025, rel=1e-4)
    assert stats.nchypergeom_fisher(*margins, found.high).cdf(hit) == pytest.approx(0.025, rel=1e-4)
    assert stats.nchypergeom_fisher(*margins, found.value).mean() == pytest.approx(hit, rel=1e-6)


def test_fisher_with_a_zero_cell_has_a_one_sided_limit():
    found = fisher([[5, 0], [2, 6]])
    assert found.difference.value == found.difference.high == math.inf
    assert found.difference.low > 1
    assert "a cell of the table is 0" in found.difference.note


# ---------------------------------------------------------------- blocks and correlation


def test_friedman_matches_r_and_gives_kendalls_w():
    blocks = np.array(CORRELATION["blocks"])
    found = friedman(blocks)
    assert (found.statistic, found.p_value) == pytest.approx(tuple(CORRELATION["friedman"]), rel=1e-9)
    agreed = friedman(np.tile([3, 1, 2], (5, 1)))
    assert agreed.difference.value == pytest.approx(1)


def test_page_trend_is_one_for_a_perfect_order_and_minus_one_for_its_reverse():
    rows = np.tile([1.0, 2, 3, 4], (3, 1))
    assert page_trend(rows).difference.value == pytest.approx(1)
    assert page_trend(rows).p_value == pytest.approx(1 / 24**3)  # one of all arrangements of three rows
    assert page_trend(rows[:, ::-1]).difference.value == pytest.approx(-1)
    shuffled = np.random.default_rng(0).normal(size=(9, 4))
    mean = np.mean([stats.spearmanr(row, [1, 2, 3, 4]).statistic for row in shuffled])
    assert page_trend(shuffled).difference.value == pytest.approx(mean)


@pytest.mark.parametrize("blocks", ["blocks", "tied"])
def test_page_trend_matches_coin_also_with_ties(blocks):
    """15 blocks of 4 treatments: the normal form. SciPy's leaves ties out of the variance."""
    values = np.array(RANKS["trend"][blocks])
    found = page_trend(values)
    z, p = RANKS["trend"]["page" if blocks == "blocks" else "page_tied"]
    assert "normal" in found.method
    assert found.p_value == pytest.approx(p, rel=1e-9)
    assert found.log10_p == pytest.approx(math.log10(stats.norm.sf(z)), rel=1e-9)
    assert found.statistic == pytest.approx(stats.page_trend_test(values).statistic, rel=1e-12)
    if blocks == "tied":
        assert stats.page_trend_test(values).pvalue > 1.3 * found.p_value


def test_page_trend_with_ties_keeps_its_level():
    """1,000 tables of grades without trend: a rate of 0.05 lies within 0.014 in 95 % of such experiments."""
    rng = np.random.default_rng(2)
    rejected = np.mean([page_trend(rng.integers(0, 3, (20, 4))).p_value < 0.05 for _ in range(1000)])
    assert rejected == pytest.approx(0.05, abs=0.02)


def test_friedman_with_ties_matches_r():
    found = friedman(RANKS["trend"]["tied"])
    assert (found.statistic, found.p_value) == pytest.approx(tuple(RANKS["trend"]["friedman_tied"]), rel=1e-9)
    assert found.difference.value == pytest.approx(RANKS["trend"]["kendall_w_tied"][0], rel=1e-9)


def test_rank_correlation_intervals_match_the_formulas_in_r():
    u, w = RANKS["effects"]["u"], RANKS["effects"]["w"]
    for kind in ("spearman", "kendall"):
        found = correlation(u, w, kind=kind).difference
        assert (found.value, found.low, found.high) == pytest.approx(tuple(RANKS["correlation"][kind]), rel=1e-9)
    p = RANKS["correlation"]["spearman_p"][0]
    assert correlation(u, w, kind="spearman").p_value == pytest.approx(p, rel=1e-9)


def test_correlations_match_r():
    pearson = correlation(U, W)
    r = CORRELATION["pearson"]
    assert pearson.p_value == pytest.approx(r["p"][0], rel=1e-9)
    estimate = pearson.difference
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((r["estimate"][0], *r["interval"]), rel=1e-9)
    spearman = correlation(TIED_U, TIED_W, kind="spearman")
    assert spearman.difference.value == pytest.approx(CORRELATION["spearman"][0], rel=1e-9)
    kendall = correlation(TIED_U, TIED_W, kind="kendall")
    assert kendall.difference.value == pytest.approx(CORRELATION["kendall"]["estimate"][0], rel=1e-9)
    assert kendall.p_value == pytest.approx(CORRELATION["kendall"]["p"][0], rel=1e-6)


@pytest.mark.parametrize("kind", ["pearson", "spearman", "kendall"])
def test_correlation_intervals_agree_with_the_bootstrap(kind):
    rng = np.random.default_rng(4)
    a = rng.normal(size=300)
    b = 0.6 * a + rng.normal(size=300)
    found = correlation(a, b, kind=kind).difference
    test = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}[kind]
    drawn = bootstrap(lambda x, y: test(x, y).statistic, a, b, n_boot=400, seed=0)
    assert (found.low, found.high) == pytest.approx((drawn.low, drawn.high), abs=0.03)


def test_perfect_and_tiny_correlations_are_named():
    assert "perfect correlation" in correlation([1, 2, 3, 4, 5], [2, 4, 6, 8, 10]).difference.note
    assert "too few cases" in correlation([1, 2, 4], [2, 1, 3]).difference.note


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: t_test([1, 2], [1], paired=True), "b must have as many cases as a"),
        (lambda: wilcoxon_signed_rank([1, math.nan], [1, 2]), "a must not hold nan"),
        (lambda: mann_whitney([1, math.inf], [1, 2]), "a must be finite"),
        (lambda: mcnemar([0, 1], [0, 2]), "b must hold 0 and 1"),
        (lambda: mcnemar([0, 1], [0, 1], exact="yes"), "exact must be one of"),
        (lambda: mcnemar([0, 1], [0, 1], exact=True, units=[1, 1]), "exact must be False or None"),
        (lambda: fisher([[1, 2, 3], [1, 2, 3]]), "table must hold four counts"),
        (lambda: fisher([[1, -2], [1, 2]]), "table must hold whole numbers"),
        (lambda: friedman([[1, 2], [1, 2]]), "values must have shape"),
        (lambda: page_trend([[1, 2, math.nan], [1, 2, 3]]), "values must not hold nan"),
        (lambda: page_trend([[1, 2, math.inf], [1, 2, 3]]), "values must be finite, got 1"),
        (lambda: friedman([[1, 2, 3]]), "n >= 2 blocks"),
        (lambda: t_test([], [1.0], paired=False), "a must hold at least one value"),
        (lambda: mcnemar([], []), "a must have shape"),
        (lambda: correlation([[1, 2]], [1, 2]), "a must have 1 dimension"),
        (lambda: correlation([1, 2], [1, 2], kind="phi"), "kind must be one of"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
