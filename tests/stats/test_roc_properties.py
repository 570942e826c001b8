"""Properties of everything that is read off the ROC curve: brute force with ties, invariances, dtypes, size.

AUROC and DeLong themselves are in test_roc.py; here are the metrics under resampling weights, the operating points and
the logit interval.
"""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score, roc_auc_score

from medrepro.stats import (
    auroc_on_logit_scale,
    average_precision,
    bootstrap,
    bootstrap_auroc,
    bootstrap_ranks,
    delong,
    partial_auroc,
    rank_bootstrap,
    resampling,
    select_best,
    sensitivity_at_specificity,
    threshold_metrics,
    two_level_auroc,
    youden_threshold,
)

METRICS = ("auroc", "average_precision")


@st.composite
def small_samples(draw, models=2):
    """Labels with one or more of each class and heavily tied scores."""
    n_pos, n_neg = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    scores = st.lists(st.integers(-3, 3), min_size=n_pos + n_neg, max_size=n_pos + n_neg)
    return np.repeat([1, 0], [n_pos, n_neg]), np.array([draw(scores) for _ in range(models)])


def simulated(n=300, models=2, seed=0):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(int)
    return y, np.round(rng.normal(size=(models, n)) + y, 1)


def brute_auroc(y, score):
    above = score[y == 1][:, None] - score[y == 0]
    return ((above > 0) + 0.5 * (above == 0)).mean()


def brute_average_precision(y, score):
    """Sum over distinct thresholds of precision times the recall gained there, straight from the definition."""
    total, recall_before = 0.0, 0.0
    for cut in np.unique(score)[::-1]:
        called = score >= cut
        recall = y[called].sum() / y.sum()
        total += (recall - recall_before) * y[called].mean()
        recall_before = recall
    return total


# ---------------------------------------------------------------- brute force


@given(small_samples())
def test_metrics_match_brute_force_with_ties(sample):
    y, scores = sample
    found = bootstrap_ranks(y, scores, n_boot=2, seed=0)
    for k, score in enumerate(scores):
        assert found.values[k, 0] == pytest.approx(brute_auroc(y, score), abs=1e-14)
        assert found.values[k, 1] == pytest.approx(brute_average_precision(y, score), abs=1e-14)


@given(small_samples(), st.integers(0, 1000))
def test_every_resample_matches_brute_force_on_copied_rows(sample, seed):
    """Counts instead of copies must not change a metric, whatever is drawn and tied."""
    y, scores = sample
    found = bootstrap_ranks(y, scores, n_boot=8, seed=seed).replicates
    rng = np.random.default_rng(seed)
    for row in found:
        take = rng.integers(0, y.size, y.size)
        for k, score in enumerate(scores[:, take]):
            if 0 < y[take].sum() < y.size:
                assert row[k, 0] == pytest.approx(brute_auroc(y[take], score), abs=1e-14)
            else:
                assert math.isnan(row[k, 0])
            if y[take].any():
                assert row[k, 1] == pytest.approx(brute_average_precision(y[take], score), abs=1e-14)
            else:
                assert math.isnan(row[k, 1])


@given(small_samples(models=1), st.sampled_from([0.5, 0.8, 0.9, 1.0]))
def test_operating_points_match_a_search_over_all_thresholds(sample, target):
    y, scores = sample
    score = scores[0]
    points = []
    for cut in [*np.unique(score), np.inf]:
        called = score >= cut
        points.append((called[y == 1].mean(), (~called[y == 0]).mean()))
    best = max(sensitivity for sensitivity, specificity in points if specificity >= target - 1e-12)
    assert sensitivity_at_specificity(y, score, target, n_boot=2, seed=0).value == pytest.approx(best)
    chosen = youden_threshold(y, score)
    assert chosen.sensitivity + chosen.specificity == pytest.approx(max(map(sum, points)))
    at = threshold_metrics(y, score, chosen.threshold)
    assert at["sensitivity"].value == pytest.approx(chosen.sensitivity)
    assert at["specificity"].value == pytest.approx(chosen.specificity)


# ---------------------------------------------------------------- against other software and the general bootstrap


@pytest.mark.parametrize("method", ["percentile", "basic", "normal", "bca"])
@pytest.mark.parametrize("design", ["cases", "units", "strata"])
def test_models_and_metrics_together_equal_scikit_learn_one_by_one(method, design):
    y, scores = simulated(60)
    how = {"cases": {}, "units": {"units": np.arange(60) // 2}, "strata": {"strata": y}}[design]
    common = {"method": method, "n_boot": 40, "seed": 7, **how}
    together = bootstrap_ranks(y, scores, **common)
    for metric, theirs in zip(METRICS, (roc_auc_score, average_precision_score), strict=True):
        slow = bootstrap(theirs, y, scores[1], **common)
        fast = together.estimate(metric, 1)
        np.testing.assert_allclose(
            [fast.value, fast.low, fast.high], [slow.value, slow.low, slow.high], rtol=1e-12, err_msg=metric
        )
        assert (fast.n, fast.n_boot, fast.seed, fast.method) == (slow.n, 40, 7, slow.method)


def test_the_same_resamples_as_the_functions_for_one_metric():
    y, scores = simulated()
    common = {"units": np.arange(300) // 3, "n_boot": 50, "seed": 2}
    together = bootstrap_ranks(y, scores, **common)
    assert np.array_equal(together.replicates[:, :, 0], bootstrap_auroc(y, scores, **common).replicates)
    alone = average_precision(y, scores[0], **common)
    assert together.estimate("average_precision", 0) == alone
    ours, theirs = together.compare("auroc", 0, 1), bootstrap_auroc(y, scores, **common).compare(0, 1)
    assert ours.p_value == theirs.p_value
    np.testing.assert_allclose(together.covariance, np.cov(together.replicates.reshape(50, -1), rowvar=False))


def test_a_metric_of_ones_own_joins_in():
    y, scores = simulated()

    def sensitivity_without_alarm(hits, alarms):
        return np.where(alarms == 0, hits, 0).max(axis=1) / hits[:, -1]

    found = bootstrap_ranks(y, scores, {"clean": sensitivity_without_alarm}, n_boot=30, seed=0)
    expected = sensitivity_at_specificity(y, scores[0], 1.0, n_boot=30, seed=0)
    assert found.estimate("clean", 0).value == expected.value
    assert found.estimate("clean", 0).low == expected.low


# ---------------------------------------------------------------- invariances


@given(small_samples(), st.randoms(use_true_random=False))
def test_order_of_cases_does_not_matter(sample, random):
    y, scores = sample
    order = random.sample(range(y.size), y.size)
    plain, moved = (bootstrap_ranks(*s, n_boot=2, seed=0).values for s in (sample, (y[order], scores[:, order])))
    np.testing.assert_allclose(moved, plain, atol=1e-14)


@given(small_samples())
def test_strictly_increasing_transform_changes_nothing(sample):
    y, scores = sample
    moved = np.exp(scores / 3.0) * 7 - 2
    assert np.array_equal(
        bootstrap_ranks(y, moved, n_boot=5, seed=0).replicates,
        bootstrap_ranks(y, scores, n_boot=5, seed=0).replicates,
        equal_nan=True,
    )
    for curve in (
        lambda s: partial_auroc(y, s, between=(0.5, 1.0), n_boot=3, seed=0).value,
        lambda s: sensitivity_at_specificity(y, s, 0.8, n_boot=3, seed=0).value,
        lambda s: youden_threshold(y, s).sensitivity,
    ):
        assert curve(moved[0]) == curve(scores[0])


@given(small_samples(models=1))
def test_swapping_labels_or_sign_mirrors_auroc_and_never_flips_it(sample):
    y, scores = sample
    value = bootstrap_ranks(y, scores, n_boot=2, seed=0).values[0, 0]
    assert bootstrap_ranks(1 - y, scores, n_boot=2, seed=0).values[0, 0] == pytest.approx(1 - value, abs=1e-14)
    assert bootstrap_ranks(y, -scores, n_boot=2, seed=0).values[0, 0] == pytest.approx(1 - value, abs=1e-14)


@given(small_samples(models=1))
def test_areas_over_two_halves_of_specificity_add_up_to_the_whole(sample):
    y, scores = sample
    halves = [partial_auroc(y, scores[0], between=b, n_boot=2, seed=0).value for b in ((0.0, 0.4), (0.4, 1.0))]
    assert sum(halves) == pytest.approx(brute_auroc(y, scores[0]), abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.int64, np.uint8])
def test_score_dtype_does_not_matter(dtype):
    y, scores = simulated()
    whole = np.round(scores * 10) + 60
    plain, other = (bootstrap_ranks(y, s, n_boot=5, seed=0).replicates for s in (whole, whole.astype(dtype)))
    assert np.array_equal(plain, other)
    thresholds = [youden_threshold(y, s[0]).threshold for s in (whole, whole.astype(dtype))]
    assert thresholds[0] == thresholds[1]


@pytest.mark.parametrize("labels", [np.int8, np.float32, bool])
def test_label_dtype_does_not_matter(labels):
    y, scores = simulated()
    plain, other = (bootstrap_ranks(t, scores, n_boot=5, seed=0).replicates for t in (y, y.astype(labels)))
    assert np.array_equal(plain, other)


def test_neighbouring_float32_scores_are_not_tied():
    score = np.array([1, np.nextafter(np.float32(1), np.float32(2))], dtype=np.float32)
    assert bootstrap_ranks([0, 1], score, n_boot=2, seed=0).values[0, 0] == 1.0


@pytest.mark.parametrize("width", [1_000, 200_000, 10_000_000])
def test_result_does_not_depend_on_how_resamples_are_batched(monkeypatch, width):
    y, scores = simulated()
    whole = bootstrap_ranks(y, scores, n_boot=60, seed=0)
    original = resampling.count_chunks
    monkeypatch.setattr(
        rank_bootstrap, "count_chunks", lambda c, n_boot, seed, width: original(c, n_boot, seed, width=batched)
    )
    batched = width
    pieces = bootstrap_ranks(y, scores, n_boot=60, seed=0)
    assert np.array_equal(whole.replicates, pieces.replicates)
    assert pieces.compare("average_precision", 0, 1) == whole.compare("average_precision", 0, 1)


# ---------------------------------------------------------------- degenerate


def test_missing_class_is_nan_with_the_class_named():
    none = bootstrap_ranks([1, 1, 1], [0.1, 0.2, 0.3], n_boot=20, seed=0)
    assert none.estimate("auroc").undefined
    assert "no negative case" in none.estimate("auroc").note
    assert none.estimate("average_precision").value == 1.0  # defined: every case called is positive
    assert bootstrap_ranks([0, 0], [1, 2], n_boot=20, seed=0).estimate("average_precision").undefined


def test_constant_score_gives_one_half_and_the_prevalence():
    found = bootstrap_ranks([0, 0, 0, 1], [7, 7, 7, 7], n_boot=20, seed=0)
    assert found.values.tolist() == [[0.5, 0.25]]


def test_models_that_rank_alike_have_difference_zero_and_undefined_p():
    y, scores = simulated()
    found = bootstrap_ranks(y, [scores[0], np.tanh(scores[0] / 9)], n_boot=50, seed=0)
    for metric in METRICS:
        same = found.compare(metric, 0, 1)
        assert (same.difference.low, same.difference.value, same.difference.high) == (0, 0, 0)
        assert math.isnan(same.p_value)
        assert "rank every case alike" in same.difference.note


# ---------------------------------------------------------------- the logit interval


@given(small_samples())
def test_logit_interval_is_the_plain_one_on_the_logit_scale(sample):
    y, scores = sample
    fit = delong(y, scores)
    plain, ours = fit.estimate(1), auroc_on_logit_scale(fit, 1)
    assert ours.value == plain.value or (math.isnan(ours.value) and math.isnan(plain.value))
    if plain.value in (0.0, 1.0):
        assert math.isnan(ours.low)
    elif not plain.undefined:
        assert 0 < ours.low <= ours.value <= ours.high < 1
        half = 1.959963984540054 * math.sqrt(fit.covariance[1, 1]) / (plain.value * (1 - plain.value))
        assert ours.high == pytest.approx(expit(logit(plain.value) + half), rel=1e-12)


def test_logit_interval_mirrors_when_labels_are_swapped():
    y, scores = simulated(40)
    there, back = auroc_on_logit_scale(delong(y, scores)), auroc_on_logit_scale(delong(1 - y, scores))
    assert there.low == pytest.approx(1 - back.high)


def test_perfect_separation_has_no_logit_interval_and_says_so():
    perfect = auroc_on_logit_scale(delong([0, 0, 1, 1], [1, 2, 3, 4]))
    assert perfect.value == 1
    assert math.isnan(perfect.low)
    assert "logit is infinite" in perfect.note


# ---------------------------------------------------------------- size


def test_million_cases_do_not_overflow():
    rng = np.random.default_rng(0)
    y = np.arange(1_000_000) % 2
    score = np.round(rng.normal(size=y.size) + y, 3).astype(np.float32)
    start = time.perf_counter()
    found = bootstrap_ranks(y, score, n_boot=2, seed=0)
    assert time.perf_counter() - start < 10  # 0.5 s on an idle core
    assert found.values[0, 0] == pytest.approx(roc_auc_score(y, score), abs=1e-12)
    assert found.values[0, 1] == pytest.approx(average_precision_score(y, score), abs=1e-9)
    whole = partial_auroc(y, score, between=(0.0, 1.0), n_boot=2, seed=0)
    assert whole.value == pytest.approx(found.values[0, 0], abs=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_ranks([0, 1], [1, 2], ("f1",), seed=0), "metrics must be one of 'auroc'"),
        (lambda: bootstrap_ranks([0, 1], [1, 2], (), seed=0), "metrics must name at least one"),
        (lambda: bootstrap_ranks([0, 1], [1, 2], n_boot=5, seed=0).estimate("f1"), "metric must be one of 'auroc'"),
        (lambda: bootstrap_ranks([0, 1], [1, 2], n_boot=5, seed=0).estimate("auroc", 1), "i must be between 0 and 0"),
        (lambda: bootstrap_ranks([0, 2], [1, 2], seed=0), "y_true must hold 0 and 1"),
        (lambda: bootstrap_ranks([0, 1], [1, np.nan], seed=0), "scores must not hold nan"),
        (lambda: bootstrap_ranks([0, 1], [1, 2], method="t", seed=0), "method must be one of"),
        (lambda: select_best([0, 1], [[1, 2]], [0, 1], [[1, 2, 3]], seed=0), "scores_test must have as many cases"),
        (lambda: two_level_auroc([0, 1, 2], [[1, 2, 3]]), "y_true must hold 0 and 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
