"""Trainings above patients: closed forms on balanced normal data, limits, coverage, undefined cases."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from scipy.special import logit

from medrepro.stats import (
    auroc,
    auroc_on_logit_scale,
    bootstrap,
    bootstrap_auroc,
    delong,
    two_level_auroc,
    two_level_mean,
)
from medrepro.stats.two_level import variance_parts


def simulated(n=150, trainings=5, spread=0.2, seed=0, models=1):
    """Labels (n,) and scores (models, trainings, n) that share half of their noise; spread: SD of the separation."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.4).astype(int)
    apart = 1.2 + spread * rng.normal(size=(models, trainings, 1))
    noise = math.sqrt(0.5) * (rng.normal(size=n) + rng.normal(size=(models, trainings, n)))
    return y, apart * y + noise


def area(y, score):
    """AUROC by counting pairs; nan when a class is missing."""
    above = score[y == 1][:, None] - score[y == 0]
    return ((above > 0) + 0.5 * (above == 0)).mean() if above.size else math.nan


def bounds(estimate):
    return [estimate.low, estimate.value, estimate.high]


# ---------------------------------------------------------------- against closed forms


def test_variance_parts_are_those_of_a_two_way_table_without_replication():
    """Means of columns of a (S, n) table: the mean squares of a two-way analysis of variance, written out."""
    rng = np.random.default_rng(1)
    trainings, n = 6, 40
    x = 0.8 * rng.normal(size=(trainings, 1)) + rng.normal(size=n) + 0.5 * rng.normal(size=(trainings, n))
    covariance = np.cov(x) / n
    patients, training = variance_parts(x.mean(axis=1), covariance)
    grand, rows, columns = x.mean(), x.mean(axis=1), x.mean(axis=0)
    ms_training = n * ((rows - grand) ** 2).sum() / (trainings - 1)
    residual = x - rows[:, None] - columns + grand
    ms_residual = (residual**2).sum() / ((trainings - 1) * (n - 1))
    ms_patients = trainings * ((columns - grand) ** 2).sum() / (n - 1)
    assert training == pytest.approx((ms_training - ms_residual) / (trainings * n))
    assert patients == pytest.approx(ms_patients / (trainings * n))


def test_without_noise_between_patients_it_is_the_t_interval_of_scipy_over_trainings():
    """Every patient gets the same prediction, so that only trainings vary."""
    values = np.array([0.61, 0.70, 0.66, 0.58, 0.74])
    found = two_level_mean(lambda y, p: p.mean(), np.zeros(30), np.repeat(values[:, None], 30, axis=1), seed=0)
    expected = scipy_stats.ttest_1samp(values, 0)
    interval = expected.confidence_interval(0.95)
    np.testing.assert_allclose(bounds(found.difference), [interval.low, values.mean(), interval.high], rtol=1e-12)
    assert found.statistic == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue)


def test_equal_trainings_leave_the_interval_over_patients():
    y, scores = simulated(n=400, trainings=1)
    estimate = two_level_auroc(y, np.repeat(scores[0], 5, axis=0)).estimate()
    plain = auroc_on_logit_scale(delong(y, scores[0]))
    # t with n - 1 = 399 degrees of freedom in place of the normal quantile
    widened = scipy_stats.t.ppf(0.975, 399) / scipy_stats.norm.ppf(0.975)
    half, expected = (logit(e.high) - logit(e.value) for e in (estimate, plain))
    assert half == pytest.approx(expected * widened, rel=1e-9)
    difference = two_level_auroc(y, np.stack([np.repeat(scores[0], 5, axis=0), np.zeros((5, 400))])).compare(0, 1)
    paired = delong(y, np.stack([scores[0, 0], np.zeros(400)])).compare(0, 1)
    assert difference.statistic == pytest.approx(paired.statistic)
    assert difference.p_value == pytest.approx(2 * scipy_stats.t.sf(paired.statistic, 399))
    tiny = two_level_auroc(
        np.tile(y, 50), np.tile(np.stack([scores[0, 0]] * 5 + [-scores[0, 0]] * 5), 50).reshape(2, 5, -1)
    )
    assert tiny.compare(0, 1).log10_p < -300
    drawn = two_level_auroc(y, np.repeat(scores[0], 5, axis=0), method="percentile", n_boot=300, seed=4).estimate()
    np.testing.assert_allclose(bounds(drawn), bounds(bootstrap_auroc(y, scores[0], n_boot=300, seed=4).estimate()))


def test_drawn_trainings_by_hand():
    """The percentile method draws the patients of `bootstrap` and averages over trainings drawn with replacement."""
    y, scores = simulated()
    fit = two_level_auroc(y, scores[0], method="percentile", n_boot=200, seed=9)
    patients = bootstrap_auroc(y, scores[0], n_boot=200, seed=9).replicates
    counts = np.random.default_rng([9, 1]).multinomial(5, [0.2] * 5, size=200)
    drawn = (patients * counts).sum(axis=1) / 5
    np.testing.assert_allclose([fit.estimate().low, fit.estimate().high], np.quantile(drawn, [0.025, 0.975]))


def test_general_statistic_agrees_with_the_closed_form_for_auroc():
    y, scores = simulated(n=200)
    closed = two_level_auroc(y, scores[0]).estimate()
    general = two_level_mean(area, y, scores[0], n_boot=1500, seed=0).difference
    assert general.value == pytest.approx(closed.value, abs=1e-12)
    assert general.high - general.low == pytest.approx(closed.high - closed.low, rel=0.08)
    drawn = two_level_mean(area, y, scores[0], n_boot=200, method="percentile", seed=3).difference
    fast = two_level_auroc(y, scores[0], n_boot=200, method="percentile", seed=3).estimate()
    np.testing.assert_allclose(bounds(drawn), bounds(fast), rtol=1e-12)


# ---------------------------------------------------------------- properties


@pytest.mark.parametrize("method", ["t", "percentile"])
def test_comparison_is_paired_and_antisymmetric(method):
    y, scores = simulated(models=2)
    how = {"method": method, "n_boot": 200, "seed": 1} if method == "percentile" else {}
    fit = two_level_auroc(y, scores, **how)
    there, back = fit.compare(0, 1), fit.compare(1, 0)
    np.testing.assert_allclose(bounds(there.difference), [-b for b in bounds(back.difference)][::-1], atol=1e-12)
    same = two_level_auroc(y, np.stack([scores[0], np.tanh(scores[0] / 9)]), **how).compare(0, 1)
    np.testing.assert_allclose(bounds(same.difference), [0, 0, 0], atol=1e-15)
    assert math.isnan(same.p_value)
    assert "no width" in same.difference.note or "without width" in same.difference.note


def test_order_of_trainings_and_patients_does_not_matter():
    y, scores = simulated()
    rng = np.random.default_rng(0)
    patients, trainings = rng.permutation(y.size), rng.permutation(5)
    moved = two_level_auroc(y[patients], scores[0][trainings][:, patients], units=np.arange(y.size)[patients] // 2)
    plain = two_level_auroc(y, scores[0], units=np.arange(y.size) // 2)
    np.testing.assert_allclose(bounds(moved.estimate()), bounds(plain.estimate()), rtol=1e-12)
    assert plain.estimate().n == 75


def test_it_is_wider_than_patients_alone_when_trainings_differ():
    y, scores = simulated(n=2000, spread=0.4)
    both, patients = two_level_auroc(y, scores[0]).estimate(), delong(y, scores[0]).estimate(0)
    assert both.high - both.low > 2 * (patients.high - patients.low)


def test_interval_covers_the_method_where_patients_only_does_not():
    """300 studies of 1000 patients and 5 trainings whose true AUROC varies with SD 0.03."""
    covered = np.zeros(2)
    truth = scipy_stats.norm.cdf(1 / math.sqrt(2 + 0.14**2))
    rng = np.random.default_rng(3)
    for _ in range(300):
        y = (rng.random(1000) < 0.5).astype(int)
        apart = rng.normal(1, 0.14, size=(5, 1))
        scores = apart * y + math.sqrt(0.5) * (rng.normal(size=1000) + rng.normal(size=(5, 1000)))
        for k, estimate in enumerate((two_level_auroc(y, scores).estimate(), auroc(y, scores[0]))):
            covered[k] += estimate.low <= truth <= estimate.high
    # Monte Carlo error of 0.95 over 300 studies: 0.013
    assert covered[0] / 300 == pytest.approx(0.95, abs=0.04)
    assert covered[1] / 300 < 0.85


# ---------------------------------------------------------------- undefined, few


def test_one_training_has_a_value_and_no_interval():
    y, scores = simulated(trainings=1)
    for how in ({}, {"method": "percentile", "n_boot": 50, "seed": 0}):
        one = two_level_auroc(y, scores[0], **how).estimate()
        assert one.value == delong(y, scores[0]).aucs[0]
        assert math.isnan(one.low)
        assert "a single training" in one.note


def test_fewer_than_five_trainings_are_named():
    y, scores = simulated(trainings=3)
    assert "fewer than 5 trainings" in two_level_auroc(y, scores[0]).estimate().note
    assert two_level_auroc(*simulated()).estimate().note == ""


def test_perfect_separation_in_every_training_has_no_interval_and_says_so():
    perfect = two_level_auroc([0, 0, 1, 1], np.tile([1.0, 2.0, 3.0, 4.0], (5, 1))).estimate()
    assert perfect.value == 1
    assert math.isnan(perfect.low)
    assert "logit is infinite" in perfect.note


def test_missing_class_is_nan_with_the_class_named():
    for how in ({}, {"method": "percentile", "n_boot": 50, "seed": 0}):
        none = two_level_auroc(np.ones(10, dtype=int), np.random.default_rng(0).normal(size=(5, 10)), **how).estimate()
        assert none.undefined
        assert "no negative case" in none.note


def test_undefined_resamples_of_a_general_statistic_are_counted():
    y, scores = np.array([1] + [0] * 29), np.random.default_rng(0).normal(size=(5, 30))
    found = two_level_mean(area, y, scores, n_boot=200, seed=0).difference
    assert found.undefined  # 36 % of the resamples hold no positive
    plain = bootstrap(area, y, scores[0], n_boot=200, seed=0)
    assert found.note.split(" resamples")[0] == plain.note.split(" resamples")[0]  # the same resamples
    assert "no interval" in found.note


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: two_level_auroc([0, 1], [1, 2]), "scores must have 2 or 3 dimension"),
        (lambda: two_level_auroc([0, 1], np.empty((0, 2))), "at least one training"),
        (lambda: two_level_auroc([0, 1], [[1, 2, 3]]), "scores must have as many cases as y_true"),
        (lambda: two_level_auroc([0, 1], [[1, 2]], method="normal"), "method must be one of 't', 'percentile'"),
        (lambda: two_level_auroc([0, 1], [[1, 2]], method="percentile"), "give n_boot and seed"),
        (lambda: two_level_auroc([0, 1], [[1, 2]], level=95), "level must be between"),
        (lambda: two_level_auroc([0, 1], [[1, np.nan]]), "scores must not hold nan"),
        (lambda: two_level_auroc([0, 1], [[1, 2]]).estimate(1), "i must be between 0 and 0"),
        (lambda: two_level_mean(np.mean, [0, 1], seed=0), "at least one array of predictions"),
        (lambda: two_level_mean(np.mean, [0, 1], [1, 2], seed=0), r"predictions 0 must have shape"),
        (
            lambda: two_level_mean(np.mean, [0, 1], [[1, 2]], [[1, 2], [1, 2]], seed=0),
            r"predictions 1 .* \(1, 2, ...\)",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
