"""Bootstrap and permutation: scipy and R's boot on the same resamples, clusters, strata, exactness, p values."""

import math
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from medrepro.stats import (
    auroc,
    bootstrap,
    bootstrap_auroc,
    bootstrap_estimate,
    bootstrap_p_value,
    bootstrap_replicates,
    bootstrap_test,
    delong,
    permutation_test,
    resampling,
    roc_bootstrap,
)
from medrepro.stats._inputs import make_clusters
from medrepro.stats.resampling import bca_acceleration, bootstrap_sums, sums_replicates

METHODS = ("percentile", "basic", "normal", "bca")


def simulated(n=200, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(int)
    return y, np.round(rng.normal(size=(2, n)) + y, 1), rng.integers(0, n // 3, n)


def bounds(estimate):
    return [estimate.low, estimate.value, estimate.high]


# ---------------------------------------------------------------- reference values


@pytest.mark.parametrize(("ours", "scipys"), [("percentile", "percentile"), ("basic", "basic"), ("bca", "BCa")])
def test_intervals_match_scipy_on_the_same_resamples(ours, scipys):
    x = np.random.default_rng(3).exponential(size=40)
    theirs = stats.bootstrap((x,), np.mean, n_resamples=999, method=scipys, rng=np.random.default_rng(0))
    clusters = make_clusters(x.size, None)
    acceleration = bca_acceleration((x.sum() - x) / (x.size - 1), clusters)
    found = bootstrap_estimate(x.mean(), theirs.bootstrap_distribution, n=40, acceleration=acceleration, method=ours)
    np.testing.assert_allclose([found.low, found.high], theirs.confidence_interval, rtol=1e-12)


def test_bca_of_two_strata_matches_scipy_for_two_samples():
    rng = np.random.default_rng(5)
    a, b = rng.exponential(size=15), rng.exponential(size=25)
    theirs = stats.bootstrap((a, b), lambda p, q, axis: p.mean(axis) / q.mean(axis), method="BCa", rng=rng)
    strata, data = np.repeat([0, 1], [15, 25]), np.concatenate([a, b])
    clusters = make_clusters(40, None, strata)
    left = [data[np.arange(40) != i] for i in range(40)]
    side = [strata[np.arange(40) != i] for i in range(40)]
    jackknife = np.array([x[s == 0].mean() / x[s == 1].mean() for x, s in zip(left, side, strict=True)])
    acceleration = bca_acceleration(jackknife, clusters)
    found = bootstrap_estimate(
        a.mean() / b.mean(),
        theirs.bootstrap_distribution,
        n=1,
        acceleration=acceleration,
        method="bca",
        level=0.95,
        seed=0,
    )
    np.testing.assert_allclose([found.low, found.high], theirs.confidence_interval, rtol=1e-12)


def test_intervals_match_r_boot_on_its_own_resamples(from_r):
    r = from_r["bootstrap"]
    data, drawn = np.array(r["data"]), np.array(r["replicates"])
    clusters = make_clusters(len(data), None)
    left = [np.delete(data, i, axis=0).mean(axis=0) for i in range(len(data))]
    acceleration = bca_acceleration(np.array([u / v for u, v in left]), clusters)
    assert acceleration == pytest.approx(r["acceleration"], rel=1e-9)
    for method in ("percentile", "basic", "bca"):
        found = bootstrap_estimate(r["value"], drawn, n=25, acceleration=acceleration, method=method)
        # boot takes neighbouring order statistics and its own influences; in this tail they are 0.009 SD apart.
        np.testing.assert_allclose([found.low, found.high], r[method], atol=0.03 * drawn.std())


def test_standard_error_of_a_mean_is_recovered():
    x = np.random.default_rng(0).normal(size=100)
    found = bootstrap(np.mean, x, method="normal", n_boot=4000, seed=1)
    expected = 1.959964 * x.std() / math.sqrt(x.size)
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.05)  # error of 4000 resamples: 0.011


# ---------------------------------------------------------------- clusters, strata, pairing


def test_cluster_bootstrap_of_a_mean_has_the_cluster_standard_error():
    rng = np.random.default_rng(2)
    units = np.repeat(np.arange(100), 4)
    x = rng.normal(size=100)[units] + 0.1 * rng.normal(size=400)
    spread = bootstrap_replicates(np.mean, x, units=units, n_boot=4000, seed=0).std()
    means = x.reshape(100, 4).mean(axis=1)
    assert spread == pytest.approx(means.std() / 10, rel=0.05)
    assert spread > 1.8 * bootstrap_replicates(np.mean, x, n_boot=1000, seed=0).std()


def test_whole_clusters_are_drawn_and_strata_keep_their_size():
    units = np.array([3, 1, 1, 2, 3, 3, 0, 4])
    strata = np.array([0, 1, 1, 1, 0, 0, 0, 1])

    def check(u, s):
        for cluster, size in ((0, 1), (1, 2), (2, 1), (3, 3), (4, 1)):
            assert np.count_nonzero(u == cluster) % size == 0
        drawn = sum(np.count_nonzero(u == c) / size for c, size in ((0, 1), (3, 3)))
        assert drawn == 2  # two clusters in stratum 0
        return float(s.mean())

    values = bootstrap_replicates(check, units, strata, units=units, strata=strata, n_boot=200, seed=0)
    assert len(set(values)) > 1  # cluster sizes differ, so the share of cases does vary


def test_arrays_share_the_resample():
    x = np.random.default_rng(0).normal(size=50)
    found = bootstrap(lambda a, b: float(np.abs(a - b).max()), x, x.copy(), n_boot=50, seed=0)
    assert bounds(found) == [0, 0, 0]
    assert "no width" in found.note


def test_equal_seeds_agree_and_others_do_not():
    x = np.random.default_rng(0).normal(size=50)
    assert bootstrap(np.mean, x, seed=4) == bootstrap(np.mean, x, seed=4)
    assert bootstrap(np.mean, x, seed=4) != bootstrap(np.mean, x, seed=5)


def test_unit_is_named_after_the_series():
    x = np.arange(6.0)
    patients = pd.Series(["a", "a", "b", "b", "c", "c"], name="patient_id")
    found = bootstrap(np.mean, x, units=patients, seed=0)
    assert (found.n, found.unit) == (3, "patient")
    assert str(found).endswith("n = 3 patients")


def test_several_quantities_share_one_set_of_resamples():
    x = np.random.default_rng(0).normal(size=50)
    drawn = bootstrap_replicates(lambda v: [v.mean(), v.max()], x, n_boot=100, seed=7)
    assert drawn.shape == (100, 2)
    found = bootstrap_estimate(x.mean(), drawn[:, 0], n=50, unit="case", seed=7)
    assert found == bootstrap(np.mean, x, n_boot=100, seed=7)


# ---------------------------------------------------------------- undefined


def test_few_undefined_resamples_are_left_out_and_counted():
    y, scores, _ = simulated(40)
    y[:] = 0
    y[:4] = 1  # (1 - 4 / 40)^40 = 1.5 % of resamples hold no positive
    found = bootstrap_auroc(y, scores[0], n_boot=1000, seed=0).estimate()
    assert not found.undefined
    assert "of 1000 resamples, which are left out" in found.note
    fixed = bootstrap_auroc(y, scores[0], strata=y, n_boot=1000, seed=0).estimate()
    assert fixed.note == ""
    assert "stratified" in fixed.method


def test_many_undefined_resamples_give_no_interval():
    found = bootstrap_auroc([1, 0, 0, 0, 0], [3, 1, 2, 4, 5], seed=0).estimate()
    assert found.value == 0.5
    assert math.isnan(found.low)
    assert "no interval" in found.note


@pytest.mark.parametrize(("undefined", "has_interval"), [(10, True), (11, False)])
def test_one_in_ten_undefined_resamples_is_the_limit(undefined, has_interval):
    drawn = np.concatenate([np.full(undefined, np.nan), np.linspace(0, 1, 100 - undefined)])
    assert bootstrap_estimate(0.5, drawn, n=5).undefined != has_interval


def test_undefined_value_is_nan_with_a_note():
    assert "undefined on these data" in bootstrap(lambda x: math.nan, [1.0, 2.0], seed=0).note
    assert bootstrap_auroc([1, 1], [1, 2], seed=0).estimate().undefined


def test_bca_with_all_resamples_on_one_side_is_nan_not_an_error():
    found = bootstrap(np.max, np.arange(30.0), method="bca", n_boot=50, seed=0)
    assert found.value == 29
    assert math.isnan(found.low) or found.low <= found.high


# ---------------------------------------------------------------- bootstrap_auroc


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("design", ["cases", "units", "strata", "both"])
def test_fast_auc_bootstrap_equals_the_general_one(method, design):
    y, scores, units = simulated(90)
    how = {}
    if design in ("units", "both"):
        how["units"] = units
    if design in ("strata", "both"):
        how["strata"] = y if design == "strata" else units % 2
    fast = bootstrap_auroc(y, scores, method=method, n_boot=60, seed=3, **how)
    slow = bootstrap(roc_auc_score, y, scores[0], method=method, n_boot=60, seed=3, **how)
    np.testing.assert_allclose(bounds(fast.estimate(0)), bounds(slow), rtol=1e-12)

    def difference(labels, a, b):
        return roc_auc_score(labels, a) - roc_auc_score(labels, b)

    for rule in ("centred", "share"):
        ours = fast.compare(0, 1, rule=rule)
        theirs = bootstrap_test(difference, y, *scores, rule=rule, method=method, n_boot=60, seed=3, **how)
        np.testing.assert_allclose(bounds(ours.difference), bounds(theirs.difference), atol=1e-12)
        assert ours.p_value == theirs.p_value
        assert ours.statistic == pytest.approx(theirs.statistic)


def test_result_does_not_depend_on_how_resamples_are_batched(monkeypatch):
    y, scores, units = simulated()
    whole = bootstrap_auroc(y, scores, units=units, n_boot=50, seed=0)
    original = resampling.count_chunks
    monkeypatch.setattr(
        roc_bootstrap, "count_chunks", lambda c, n, seed, width, dtype: original(c, n, seed, 1_000_000, dtype)
    )
    pieces = bootstrap_auroc(y, scores, units=units, n_boot=50, seed=0)
    assert np.array_equal(whole.replicates, pieces.replicates)


@pytest.mark.parametrize("use_units", [False, True])
def test_auc_bootstrap_agrees_with_delong_in_large_samples(use_units):
    y, scores, units = simulated(2000, seed=8)
    units = units if use_units else None
    closed, drawn = delong(y, scores, units=units), bootstrap_auroc(y, scores, units=units, n_boot=4000, seed=1)
    np.testing.assert_allclose(drawn.aucs, closed.aucs, atol=1e-14)
    np.testing.assert_allclose(np.diag(drawn.covariance), np.diag(closed.covariance), rtol=0.12)
    assert drawn.compare(0, 1).statistic == pytest.approx(closed.compare(0, 1).statistic, rel=0.06)


def test_models_that_rank_alike_have_difference_zero_and_undefined_p():
    y, scores, _ = simulated()
    same = bootstrap_auroc(y, [scores[0], scores[0] ** 3], seed=0).compare(0, 1)
    assert bounds(same.difference) == [0, 0, 0]
    assert math.isnan(same.p_value)
    assert "rank every case alike" in same.difference.note


def test_million_cases_do_not_overflow():
    rng = np.random.default_rng(0)
    y = np.arange(1_000_000) % 2
    score = np.round(rng.normal(size=y.size) + y, 2)
    found = bootstrap_auroc(y, score, method="normal", n_boot=20, seed=0).estimate()
    closed = auroc(y, score)
    assert found.value == pytest.approx(closed.value, abs=1e-12)
    assert (found.high - found.low) == pytest.approx(closed.high - closed.low, rel=0.6)  # 20 resamples: error 0.16


def test_thousand_resamples_of_two_thousand_cases_take_under_a_second():
    y, scores, _ = simulated(2000)
    start = time.perf_counter()
    bootstrap_auroc(y, scores, seed=0)
    assert time.perf_counter() - start < 1


def test_cluster_sums_equal_the_general_bootstrap():
    rng = np.random.default_rng(0)
    x, w, units = rng.normal(size=60), rng.random(60), rng.integers(0, 20, 60)
    clusters = make_clusters(60, units)
    sums = clusters.sums(np.stack([x * w, w])).T
    for method in METHODS:
        fast = bootstrap_sums(sums, lambda t: t[..., 0] / t[..., 1], clusters, method=method, n_boot=80, seed=2)
        slow = bootstrap(lambda a, b: (a * b).sum() / b.sum(), x, w, units=units, method=method, n_boot=80, seed=2)
        np.testing.assert_allclose(bounds(fast), bounds(slow), rtol=1e-10)


# ---------------------------------------------------------------- p values


def test_p_value_rules_by_hand():
    drawn = np.array([-0.5, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0])
    # centred on 2: |t - 2| >= 2 for 4.0 only besides -0.5 (2.5) -> 2 of 9
    assert bootstrap_p_value(2.0, drawn) == pytest.approx(3 / 10)
    assert bootstrap_p_value(2.0, drawn, rule="share") == pytest.approx(2 * 2 / 10)
    assert bootstrap_p_value(2.0, drawn, null=2.0) == 1.0
    assert math.isnan(bootstrap_p_value(0.0, np.zeros(9)))


def test_centred_p_value_is_uniform_under_the_null():
    rng = np.random.default_rng(11)
    p = []
    for _ in range(300):
        x = rng.normal(size=60)
        drawn = rng.multinomial(60, np.full(60, 1 / 60), size=400) @ x / 60
        p.append(bootstrap_p_value(x.mean(), drawn))
    # share below 0.1: 0.1 with Monte Carlo error 0.017
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=0.052)


# ---------------------------------------------------------------- permutation


def test_exact_sign_flip_matches_scipy():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0.8, size=(2, 10))
    b -= 0.8
    theirs = stats.permutation_test(
        (a, b), lambda x, y, axis: (x - y).mean(axis), permutation_type="samples", n_resamples=np.inf
    )
    ours = permutation_test(a, b, paired=True, seed=0)
    assert "all 1024" in ours.method
    assert ours.p_value == pytest.approx(theirs.pvalue)
    by_callable = permutation_test(a, b, paired=True, statistic=lambda x, y: x.mean() - y.mean(), seed=0)
    assert by_callable.p_value == ours.p_value


def test_exact_two_sample_test_matches_scipy():
    rng = np.random.default_rng(2)
    a, b = rng.normal(1, size=6), rng.normal(size=6)
    theirs = stats.permutation_test(
        (a, b), lambda x, y, axis: x.mean(axis) - y.mean(axis), vectorized=True, n_resamples=np.inf
    )
    for statistic in (None, lambda x, y: x.mean() - y.mean()):
        ours = permutation_test(a, b, paired=False, statistic=statistic, seed=0)
        assert "all 924" in ours.method
        assert ours.p_value == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("paired", [True, False])
def test_drawn_permutations_approach_the_normal_test(paired):
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.2, size=150), rng.normal(size=150)
    p = (stats.ttest_rel if paired else stats.ttest_ind)(a, b).pvalue
    found = permutation_test(a, b, paired=paired, n_permutations=4999, seed=0)
    assert found.p_value == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 4999) + 0.003)
    assert math.isnan(found.difference.low)
    assert "no interval" in found.difference.note


def test_drawn_permutations_never_give_p_zero():
    a = np.arange(40.0) + 100
    assert permutation_test(a, np.zeros(40), paired=True, n_permutations=99, seed=0).p_value == 1 / 100


def test_units_move_as_a_whole():
    a, b, units = [3.0, 3, 3, 1, 1, 1], [0.0] * 6, [0, 0, 0, 1, 1, 1]
    # two clusters: four sign assignments, of which two are as extreme
    assert permutation_test(a, b, paired=True, units=units, seed=0).p_value == 0.5
    two = permutation_test([3.0, 3, 2], [0.0, 0], paired=False, units=([1, 1, 2], [3, 3]), seed=0)
    assert two.difference.n == 3
    assert two.p_value == pytest.approx(1 / 3)
    swapped = permutation_test(a, b, paired=True, statistic=lambda p, q: p.sum() - q.sum(), units=units, seed=0)
    assert swapped.p_value == 0.5


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap(np.mean, seed=0), "at least one array"),
        (lambda: bootstrap(np.mean, [], seed=0), "array 0 must have at least one case"),
        (lambda: bootstrap(np.mean, [1, 2], [1], seed=0), "array 1 must have as many cases as array 0"),
        (lambda: bootstrap(np.mean, [1, 2], method="BCa", seed=0), "method must be one of 'percentile'"),
        (lambda: bootstrap(np.mean, [1, 2], n_boot=1, seed=0), "n_boot must be a whole number >= 2"),
        (lambda: bootstrap(np.mean, [1, 2], n_boot=1e3, seed=0), "n_boot must be a whole number"),
        (lambda: bootstrap(np.mean, [1, 2], level=1.0, seed=0), "level must be between"),
        (lambda: bootstrap(np.mean, [1, 2], seed=-1), "seed must be a whole number >= 0"),
        (lambda: bootstrap(np.mean, [1, 2], seed=None), "seed must be a whole number >= 0, got None"),
        (lambda: bootstrap(np.mean, [1, 2], units=[1, 1], strata=[0, 1], seed=0), "strata must be constant within"),
        (lambda: bootstrap_replicates(np.mean, [1, 2], strata=[0.0, np.nan], seed=0), "strata must be known"),
        (lambda: bootstrap_test(np.mean, [1, 2], rule="both", seed=0), "rule must be one of"),
        (lambda: bootstrap_p_value(1.0, [1, 2], rule="median"), "rule must be one of"),
        (lambda: bootstrap(lambda x: [1.0, 2.0], [1, 2], seed=0), "statistic must return one number"),
        (lambda: bootstrap_estimate(1.0, [[1, 2]], n=5), "replicates must have shape"),
        (lambda: bootstrap_auroc([0, 1], [1, np.nan], seed=0), "scores must not hold nan"),
        (lambda: bootstrap_auroc([0, 1], [1, 2], method="t", seed=0), "method must be one of"),
        (lambda: bootstrap_auroc([0, 1], [1, 2], seed=0).estimate(2), "i must be between 0 and 0"),
        (lambda: permutation_test([1, 2], [1], paired=True, seed=0), "b must have as many cases as a"),
        (lambda: permutation_test([1, np.nan], [1, 2], paired=True, seed=0), "a must not hold nan"),
        (lambda: permutation_test([1], ["x"], paired=False, seed=0), "b must hold real numbers"),
        (lambda: permutation_test([1], [2], paired=False, units=[1, 2, 3], seed=0), "pair"),
        (lambda: permutation_test([1, 2], [2], paired=False, units=([1, 2], [2]), seed=0), "1 units in both"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def rated(seed=0, n=2000):
    rng = np.random.default_rng(seed)
    return rng.multinomial(4, rng.dirichlet(np.ones(3), size=n)).astype(float)


def kappa_like(totals):
    return totals[..., 0] / totals[..., 1] + totals[..., 2] ** 2 / 1e6


def test_drawing_kinds_gives_the_distribution_of_drawing_clusters():
    sums = rated()
    clusters = make_clusters(len(sums), None)
    one = sums_replicates(sums, kappa_like, clusters, n_boot=20_000, seed=1)
    by_kind = sums_replicates(sums, kappa_like, clusters, n_boot=20_000, seed=1, by_kind=True)
    assert not np.array_equal(one, by_kind)
    spread = one.std()
    assert abs(one.mean() - by_kind.mean()) < 4 * spread * np.sqrt(2 / 20_000)
    assert by_kind.std() == pytest.approx(spread, rel=4 / np.sqrt(20_000))
    quantiles = [0.025, 0.5, 0.975]
    np.testing.assert_allclose(np.quantile(one, quantiles), np.quantile(by_kind, quantiles), atol=0.1 * spread)


def test_many_kinds_or_strata_are_drawn_cluster_by_cluster():
    different = np.random.default_rng(0).normal(size=(200, 3))
    few = rated(n=200)
    for sums, strata in ((different, None), (few, np.arange(200) % 2)):
        clusters = make_clusters(200, None, strata)
        one, by_kind = (
            sums_replicates(sums, kappa_like, clusters, n_boot=20, seed=1, by_kind=kind) for kind in (False, True)
        )
        assert np.array_equal(one, by_kind)


@pytest.mark.parametrize("dtype", [float, np.int64])
@pytest.mark.parametrize("grouping", ["none", "units", "strata"])
@pytest.mark.parametrize("n", [12, 200_000])
def test_counts_in_pieces_are_the_draws_one_by_one(dtype, grouping, n):
    units = np.arange(n) // 3 if grouping == "units" else None
    strata = np.arange(n) % 2 if grouping == "strata" else None
    clusters = make_clusters(n, units, strata)
    rng = np.random.default_rng(3)
    drawn = [np.bincount(clusters.draw(rng), minlength=clusters.count) for _ in range(5)]
    for width in (1, 700_000, 10**7):
        pieces = list(resampling.count_chunks(clusters, 5, 3, width, dtype))
        assert all(piece.dtype == dtype for piece in pieces)
        assert np.array_equal(np.concatenate(pieces), drawn)
