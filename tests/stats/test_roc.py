"""AUC and DeLong: R's pROC, brute force, invariances, clusters, undefined cases, size."""

import math
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp
from scipy import stats
from sklearn.metrics import roc_auc_score

from medrepro.stats import auroc, delong, delong_unpaired, multilabel_auroc, roc
from medrepro.stats.roc import _two_sided_t


@st.composite
def small_samples(draw):
    """Labels with two or more of each class and heavily tied scores of two models."""
    n_pos, n_neg = draw(st.integers(2, 8)), draw(st.integers(2, 8))
    scores = st.lists(st.integers(-3, 3), min_size=n_pos + n_neg, max_size=n_pos + n_neg)
    return np.repeat([1, 0], [n_pos, n_neg]), np.array([draw(scores), draw(scores)])


def brute_force(y, scores):
    """AUCs and DeLong covariance from the kernel matrix, as the paper writes it."""
    pos, neg = scores[:, y == 1], scores[:, y == 0]
    kernel = (pos[:, :, None] > neg[:, None, :]) + 0.5 * (pos[:, :, None] == neg[:, None, :])
    v10, v01 = kernel.mean(axis=2), kernel.mean(axis=1)
    return kernel.mean(axis=(1, 2)), np.cov(v10) / pos.shape[1] + np.cov(v01) / neg.shape[1]


def simulated(n=400, seed=0, models=2):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(int)
    return y, np.round(rng.normal(size=(models, n)) + y, 1)


# ---------------------------------------------------------------- reference values


def test_auc_variance_and_interval_match_proc(from_r):
    r = from_r["roc"]
    found = delong(r["y"], [r["a"], r["b"]])
    np.testing.assert_allclose(found.aucs, r["auc"][:2], rtol=1e-12)
    np.testing.assert_allclose(np.diag(found.covariance), r["variance"][:2], rtol=1e-10)
    np.testing.assert_allclose(found.covariance[0, 1], r["covariance"], rtol=1e-10)
    for level, (low, value, high) in ((0.95, r["interval_95"]), (0.9, r["interval_90"])):
        estimate = auroc(r["y"], r["a"], level=level)
        np.testing.assert_allclose([estimate.low, estimate.value, estimate.high], [low, value, high], rtol=1e-10)
        assert (estimate.n, estimate.n_pos, estimate.n_neg, estimate.unit) == (120, 50, 70, "case")


def test_paired_comparison_matches_proc(from_r):
    r = from_r["roc"]
    found = delong(r["y"], [r["a"], r["b"]]).compare(0, 1)
    assert found.statistic == pytest.approx(r["paired_z"], rel=1e-10)
    assert found.p_value == pytest.approx(r["paired_p"], rel=1e-9)
    assert found.log10_p == pytest.approx(math.log10(r["paired_p"]), rel=1e-9)


def test_unpaired_comparison_matches_proc(from_r):
    r = from_r["roc"]
    found = delong_unpaired(r["y"], r["a"], r["y2"], r["c2"])
    assert found.statistic == pytest.approx(r["unpaired_t"], rel=1e-10)
    assert found.p_value == pytest.approx(r["unpaired_p"], rel=1e-9)
    half = stats.t.ppf(0.975, r["unpaired_df"]) * math.sqrt(r["variance"][0] + r["variance"][2])
    assert found.difference.high - found.difference.value == pytest.approx(half, rel=1e-9)


def test_clustered_covariance_matches_obuchowski_written_out_in_r(from_r):
    r = from_r["roc"]
    found = delong(r["y"], [r["a"], r["b"]], units=from_r["clustered_roc"]["cluster"])
    np.testing.assert_allclose(found.covariance, from_r["clustered_roc"]["covariance"], rtol=1e-10)
    assert (found.n, found.unit) == (45, "cluster")


# ---------------------------------------------------------------- properties


@given(small_samples())
def test_delong_matches_brute_force_with_ties(sample):
    y, scores = sample
    aucs, covariance = brute_force(y, scores)
    found = delong(y, scores)
    np.testing.assert_allclose(found.aucs, aucs, atol=1e-14)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-14)
    contrast = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    difference = found.compare(0, 1).difference
    assert (difference.high - difference.low) / 2 == pytest.approx(1.959963985 * math.sqrt(max(contrast, 0)), abs=1e-7)


@given(small_samples())
def test_strictly_increasing_transform_changes_nothing(sample):
    y, scores = sample
    plain, moved = delong(y, scores), delong(y, np.exp(scores / 2.0) - 40)
    assert np.array_equal(plain.aucs, moved.aucs)
    assert np.array_equal(plain.covariance, moved.covariance)


@given(small_samples())
def test_swapping_labels_or_sign_gives_one_minus_auc_with_the_same_covariance(sample):
    y, scores = sample
    plain = delong(y, scores)
    for other in (delong(1 - y, scores), delong(y, -scores)):
        np.testing.assert_allclose(other.aucs, 1 - plain.aucs, atol=1e-14)
        np.testing.assert_allclose(other.covariance, plain.covariance, atol=1e-14)


@given(small_samples(), st.randoms(use_true_random=False))
def test_order_of_cases_does_not_matter(sample, random):
    y, scores = sample
    order = random.sample(range(y.size), y.size)
    units = np.arange(y.size) // 2
    plain, shuffled = delong(y, scores, units=units), delong(y[order], scores[:, order], units=units[order])
    np.testing.assert_allclose(shuffled.aucs, plain.aucs, atol=1e-14)
    np.testing.assert_allclose(shuffled.covariance, plain.covariance, atol=1e-14)


@given(small_samples())
def test_clusters_of_one_case_give_delong(sample):
    y, scores = sample
    plain, clustered = delong(y, scores), delong(y, scores, units=[f"patient {i}" for i in range(y.size)])
    np.testing.assert_allclose(clustered.covariance, plain.covariance, atol=1e-15)


@given(small_samples(), st.integers(2, 4))
def test_copies_of_each_case_in_its_cluster_add_no_information(sample, copies):
    y, scores = sample
    plain = delong(y, scores)
    tiled = delong(np.tile(y, copies), np.tile(scores, copies), units=np.tile(np.arange(y.size), copies))
    np.testing.assert_allclose(tiled.covariance, plain.covariance, atol=1e-14)
    assert tiled.n == y.size


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.int64])
def test_score_dtype_does_not_matter(dtype):
    y, scores = simulated()
    rounded = np.round(scores * 10)
    assert np.array_equal(delong(y, rounded.astype(dtype)).covariance, delong(y, rounded).covariance)


@pytest.mark.parametrize("labels", [np.int8, np.float32, bool])
def test_label_dtype_does_not_matter(labels):
    y, scores = simulated()
    assert delong(y.astype(labels), scores).aucs[0] == pytest.approx(roc_auc_score(y, scores[0]), abs=1e-14)


# ---------------------------------------------------------------- undefined and degenerate


def test_missing_class_is_nan_with_the_class_named():
    none = auroc([1, 1, 1], [0.1, 0.2, 0.3])
    assert none.undefined
    assert "no negative case" in none.note
    assert "no positive case" in auroc([0, 0], [0.1, 0.2]).note
    assert math.isnan(delong([0, 0], [[1, 2], [2, 1]]).compare(0, 1).p_value)


def test_single_positive_has_a_value_but_no_interval():
    one = auroc([0, 0, 1], [1, 3, 2])
    assert one.value == 0.5
    assert math.isnan(one.low)
    assert "single positive" in one.note
    two_images = auroc([0, 0, 1, 1], [1, 3, 2, 2], units=["p1", "p2", "p3", "p3"])
    assert "single positive cluster" in two_images.note


def test_perfect_separation_has_zero_width_and_says_so():
    perfect = auroc([0, 0, 1, 1], [1, 2, 3, 4])
    assert (perfect.low, perfect.value, perfect.high) == (1, 1, 1)
    assert "perfect separation" in perfect.note
    constant = auroc([0, 0, 1, 1], [7, 7, 7, 7])
    assert (constant.low, constant.value, constant.high) == (0.5, 0.5, 0.5)
    assert "no variation" in constant.note


def test_interval_stays_inside_zero_and_one():
    near = auroc([0] * 10 + [1] * 10, [*range(9), 10.5, *range(10, 20)])
    assert near.value < near.high == 1.0


@pytest.mark.parametrize("units", [None, np.arange(400) // 2])
def test_models_that_rank_alike_differ_by_exactly_zero_with_undefined_p(units):
    y, scores = simulated()
    same = delong(y, [scores[0], np.tanh(scores[0] / 5)], units=units).compare(0, 1)
    assert (same.difference.low, same.difference.value, same.difference.high) == (0, 0, 0)
    assert math.isnan(same.p_value)
    assert "rank every case alike" in same.difference.note


def test_comparison_is_antisymmetric():
    y, scores = simulated()
    found = delong(y, scores)
    there, back = found.compare(0, 1), found.compare(1, 0)
    assert there.difference.value == -back.difference.value
    assert there.p_value == back.p_value


# ---------------------------------------------------------------- size


def test_million_cases_take_seconds_and_do_not_overflow():
    rng = np.random.default_rng(1)
    y = np.arange(1_000_000) % 2
    scores = (rng.normal(size=y.size) + y).astype(np.float32)
    start = time.perf_counter()
    found = delong(y, np.stack([scores, -scores]))
    assert time.perf_counter() - start < 10
    truth = stats.norm.cdf(1 / math.sqrt(2))
    assert abs(found.aucs[0] - truth) < 5 * math.sqrt(found.covariance[0, 0])
    comparison = found.compare(0, 1)
    assert comparison.p_value == 0.0  # underflows
    assert comparison.log10_p == pytest.approx(stats.norm.logsf(comparison.statistic) / math.log(10), rel=1e-3)
    assert comparison.log10_p < -10_000


@pytest.mark.parametrize(("t", "df"), [(60.0, 25.3), (-45.0, 4000.0), (400.0, 150.0)])
def test_tiny_p_of_student_t_keeps_its_logarithm(t, df):
    with mp.workdps(60):
        x = mp.mpf(df) / (mp.mpf(df) + mp.mpf(t) ** 2)
        exact = mp.log10(mp.betainc(mp.mpf(df) / 2, 0.5, 0, x, regularized=True))
    assert _two_sided_t(t, df)[1] == pytest.approx(float(exact), rel=1e-9)


# ---------------------------------------------------------------- coverage


def test_clustered_interval_covers_the_truth_and_the_plain_one_does_not():
    """60 patients with 6 images that share half of their variance; truth Phi(1 / sqrt 2), 600 data sets."""
    rng = np.random.default_rng(20)
    truth, runs, patients, images = stats.norm.cdf(1 / math.sqrt(2)), 600, 60, 6
    units = np.repeat(np.arange(patients), images)
    covered = np.zeros(2)
    for _ in range(runs):
        ill = rng.random(patients) < 0.5
        y = ill[units]
        shared = rng.normal(size=patients)[units] * math.sqrt(0.5)
        score = y + shared + rng.normal(size=units.size) * math.sqrt(0.5)
        for k, cluster in enumerate((units, None)):
            estimate = auroc(y, score, units=cluster)
            covered[k] += estimate.low <= truth <= estimate.high
    clustered, plain = covered / runs
    # Monte Carlo error of a 95 % coverage is 0.009; Wald intervals at AUC 0.76 on 60 clusters lose about one point.
    assert clustered == pytest.approx(0.95, abs=0.03)
    assert plain < 0.80


# ---------------------------------------------------------------- several labels


def multilabel(n=300, labels=3, models=2, seed=4):
    rng = np.random.default_rng(seed)
    y = (rng.random((n, labels)) < [0.2, 0.4, 0.6][:labels]).astype(float)
    return y, np.round(rng.normal(size=(models, n, labels)) + y + rng.normal(size=(n, 1)), 1)


def test_multilabel_labels_equal_delong_per_label():
    y, scores = multilabel()
    for units in (None, np.arange(300) // 3):
        found = multilabel_auroc(y, scores, units=units)
        for label in range(3):
            single = delong(y[:, label], scores[:, :, label], units=units)
            np.testing.assert_allclose(found.aucs[:, label], single.aucs)
            np.testing.assert_allclose(found.covariance[label::3, label::3], single.covariance, rtol=1e-10)
            ours, theirs = found.compare(0, 1, label=label), single.compare(0, 1)
            assert ours.p_value == pytest.approx(theirs.p_value, rel=1e-9)
        assert np.linalg.eigvalsh(found.covariance).min() > -1e-12


def test_macro_mean_matches_sklearn_and_its_error_matches_the_spread_over_data_sets():
    y, scores = multilabel()
    found = multilabel_auroc(y, scores)
    assert found.macro[0] == pytest.approx(roc_auc_score(y, scores[0], average="macro"), abs=1e-12)
    runs = [multilabel_auroc(*multilabel(seed=seed)) for seed in range(300)]
    spread = np.std([run.macro[0] for run in runs], ddof=1)
    errors = [(run.estimate(0).high - run.estimate(0).low) / 2 / 1.959964 for run in runs]
    # 300 data sets: relative error of a standard deviation 1 / sqrt(600) = 0.04
    assert np.mean(errors) == pytest.approx(spread, rel=0.13)


def test_the_same_label_twice_leaves_the_macro_interval_as_it_is():
    y, scores = multilabel(labels=1)
    twice = multilabel_auroc(np.repeat(y, 2, axis=1), np.repeat(scores, 2, axis=2)).estimate(0)
    once = auroc(y[:, 0], scores[0, :, 0])
    np.testing.assert_allclose([twice.low, twice.value, twice.high], [once.low, once.value, once.high])


def test_unknown_labels_are_left_out_for_their_label_only():
    y, scores = multilabel()
    y[:40, 1] = np.nan
    found = multilabel_auroc(y, scores)
    rest = auroc(y[40:, 1], scores[0, 40:, 1])
    label = found.estimate(0, label=1)
    np.testing.assert_allclose([label.value, label.low], [rest.value, rest.low])
    assert found.notes == ("", "40 cases with unknown label left out", "")
    assert found.n_pos[1] + found.n_neg[1] == 260


def test_label_without_positives_makes_macro_nan_and_is_named():
    y, scores = multilabel()
    y[:, 2] = 0
    found = multilabel_auroc(y, scores)
    assert math.isnan(found.macro[0])
    assert "label 2: no positive case" in found.estimate(0).note
    assert not found.estimate(0, label=0).undefined


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: auroc([0, 2], [1, 2]), "y_true must hold 0 and 1"),
        (lambda: auroc([0, np.nan], [1, 2]), "y_true must hold 0 and 1"),
        (lambda: auroc([], []), "y_true must have shape"),
        (lambda: auroc([0, 1], [1, np.nan]), "y_score must not hold nan, got 1"),
        (lambda: auroc([0, 1], ["a", "b"]), "y_score must hold real numbers"),
        (lambda: auroc([0, 1], [1, 2, 3]), r"y_score must have as many cases as y_true \(2\), got 3"),
        (lambda: auroc([0, 1], [1, 2], level=95), "level must be between 0 and 1"),
        (lambda: auroc([0, 1], [1, 2], units=[1]), "units must have as many cases"),
        (lambda: auroc([0, 1], [1, 2], units=["a", None]), "units must be known for every case, got 1"),
        (lambda: delong([0, 1], np.empty((0, 2))), "at least one model"),
        (lambda: delong([0, 0, 1, 1], [1, 2, 3, 4]).estimate(1), "i must be between 0 and 0, got 1"),
        (lambda: delong([0, 0, 1, 1], [1, 2, 3, 4]).compare(0, -1), "j must be between"),
        (lambda: delong_unpaired([0, 1], [1, 2], [0, 3], [1, 2]), "y_b must hold 0 and 1"),
        (lambda: delong_unpaired([0, 1], [1, 2], [0, 1], [1, np.inf - np.inf]), "score_b must not hold nan"),
        (lambda: multilabel_auroc([[0, 1]], [[1, 2, 3]]), "scores must have shape"),
        (lambda: multilabel_auroc([[0, 5], [1, 1]], [[1, 2], [1, 2]]), r"y_true\[:, 1\] must hold 0 and 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("ties", [False, True])
def test_pieces_change_nothing(monkeypatch, ties):
    rng = np.random.default_rng(4)
    y = rng.random(300) < 0.4
    scores = rng.normal(size=(3, 300)) + y
    scores = scores.round(1) if ties else scores
    whole = delong(y, scores)
    monkeypatch.setattr(roc, "PIECE", 7)
    pieces = delong(y, scores)
    assert np.array_equal(whole.aucs, pieces.aucs)
    assert np.array_equal(whole.covariance, pieces.covariance)


def test_memory_stays_below_twenty_bytes_a_case_and_model():
    rng = np.random.default_rng(0)
    n, models = 300_000, 2
    y = (rng.random(n) < 0.3).astype(int)
    scores = rng.normal(size=(models, n)) + y
    tracemalloc.start()
    delong(y, scores).compare(0, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * n * models
