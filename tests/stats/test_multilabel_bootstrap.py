"""Bootstrap of several labels: the general bootstrap on the same resamples, the closed form, unknown labels, time."""

import math
import time

import numpy as np
import pytest

from medrepro.stats import bootstrap, bootstrap_auroc, bootstrap_multilabel_auroc, bootstrap_test, multilabel_auroc

METHODS = ("percentile", "basic", "normal", "bca")


def simulated(n=90, labels=3, models=2, seed=4):
    rng = np.random.default_rng(seed)
    y = (rng.random((n, labels)) < np.linspace(0.3, 0.6, labels)).astype(float)
    return y, np.round(rng.normal(size=(models, n, labels)) + y + rng.normal(size=(n, 1)), 1)


def area(y, score):
    above = score[y == 1][:, None] - score[y == 0]
    return ((above > 0) + 0.5 * (above == 0)).mean() if above.size else math.nan


def macro(y, scores):
    known = ~np.isnan(y)
    return float(np.mean([area(y[k, i], scores[k, i]) for i, k in enumerate(known.T)]))


def bounds(estimate):
    return [estimate.low, estimate.value, estimate.high]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("design", ["cases", "units", "strata"])
def test_macro_mean_equals_the_general_bootstrap(method, design):
    y, scores = simulated()
    how = {"cases": {}, "units": {"units": np.arange(90) // 2}, "strata": {"strata": y[:, 0]}}[design]
    common = {"method": method, "n_boot": 60, "seed": 3, **how}
    fast = bootstrap_multilabel_auroc(y, scores, **common)
    np.testing.assert_allclose(bounds(fast.estimate(1)), bounds(bootstrap(macro, y, scores[1], **common)), rtol=1e-12)
    for rule in ("centred", "share"):
        slow = bootstrap_test(lambda t, a, b: macro(t, a) - macro(t, b), y, *scores, rule=rule, **common)
        ours = fast.compare(0, 1, rule=rule)
        np.testing.assert_allclose(bounds(ours.difference), bounds(slow.difference), atol=1e-12)
        assert ours.p_value == slow.p_value


@pytest.mark.parametrize("method", METHODS)
def test_each_label_equals_the_bootstrap_of_one_label(method):
    y, scores = simulated()
    common = {"method": method, "n_boot": 60, "seed": 5, "units": np.arange(90) // 3}
    fit = bootstrap_multilabel_auroc(y, scores, **common)
    for label in range(3):
        single = bootstrap_auroc(y[:, label], scores[:, :, label], **common)
        np.testing.assert_allclose(bounds(fit.estimate(0, label)), bounds(single.estimate(0)), rtol=1e-12)
        ours, theirs = fit.compare(0, 1, label), single.compare(0, 1)
        np.testing.assert_allclose(bounds(ours.difference), bounds(theirs.difference), atol=1e-12)
        assert ours.p_value == theirs.p_value
        assert (ours.difference.n_pos, ours.difference.n) == (int(y[:, label].sum()), 30)


def test_unknown_labels_are_left_out_in_every_resample():
    y, scores = simulated()
    y[:30, 1] = np.nan
    fit = bootstrap_multilabel_auroc(y, scores, n_boot=50, seed=0)
    slow = bootstrap(macro, y, scores[0], n_boot=50, seed=0)
    np.testing.assert_allclose(bounds(fit.estimate(0)), bounds(slow), rtol=1e-12)
    assert fit.notes == ("", "30 cases with unknown label left out", "")
    assert fit.n_pos[1] + fit.n_neg[1] == 60


@pytest.mark.parametrize("use_units", [False, True])
def test_joint_covariance_agrees_with_the_closed_form_in_large_samples(use_units):
    y, scores = simulated(n=1500)
    units = np.arange(1500) // 3 if use_units else None
    closed = multilabel_auroc(y, scores, units=units)
    drawn = bootstrap_multilabel_auroc(y, scores, units=units, n_boot=4000, seed=1)
    np.testing.assert_allclose(drawn.aucs, closed.aucs, atol=1e-14)
    np.testing.assert_allclose(drawn.macro, closed.macro, atol=1e-14)
    # error of a correlation from 4000 resamples: at most 1 / sqrt 4000 = 0.016
    scale = np.sqrt(np.diag(closed.covariance))
    np.testing.assert_allclose((drawn.covariance - closed.covariance) / np.outer(scale, scale), 0, atol=0.08)
    ours, theirs = drawn.estimate(0), closed.estimate(0)
    assert ours.high - ours.low == pytest.approx(theirs.high - theirs.low, rel=0.08)


def test_resamples_without_a_class_lose_the_macro_mean_but_not_the_other_labels():
    y, scores = simulated(n=40)
    y[:, 2] = 0
    y[:4, 2] = 1  # 1.5 % of resamples hold no positive of this label
    fit = bootstrap_multilabel_auroc(y, scores, n_boot=1000, seed=0)
    assert "which are left out" in fit.estimate(0).note
    assert fit.estimate(0, label=0).note == ""
    assert not fit.estimate(0).undefined


def test_label_without_positives_makes_macro_nan_and_is_named():
    y, scores = simulated()
    y[:, 2] = 0
    fit = bootstrap_multilabel_auroc(y, scores, n_boot=20, seed=0)
    assert math.isnan(fit.macro[0])
    assert "label 2: no positive case" in fit.estimate(0).note
    assert "no positive case" in fit.estimate(0, label=2).note
    assert not fit.estimate(0, label=0).undefined
    nobody = y.copy()
    nobody[:, 1] = np.nan
    assert "no case with a known label" in bootstrap_multilabel_auroc(nobody, scores, n_boot=20, seed=0).notes[1]


def test_models_that_rank_alike_have_difference_zero_and_undefined_p():
    y, scores = simulated()
    fit = bootstrap_multilabel_auroc(y, np.stack([scores[0], np.tanh(scores[0] / 9)]), n_boot=50, seed=0)
    for label in (None, 1):
        same = fit.compare(0, 1, label)
        assert bounds(same.difference) == [0, 0, 0]
        assert math.isnan(same.p_value)
        assert "rank every case alike" in same.difference.note


def test_order_of_models_and_labels_only_moves_the_answers():
    y, scores = simulated()
    plain = bootstrap_multilabel_auroc(y, scores, n_boot=40, seed=2)
    moved = bootstrap_multilabel_auroc(y[:, ::-1], scores[::-1, :, ::-1], n_boot=40, seed=2)
    assert np.array_equal(moved.replicates, plain.replicates[:, ::-1, ::-1])


def test_fourteen_labels_of_two_thousand_films_take_seconds():
    y, scores = simulated(n=2000, labels=14, models=1)
    start = time.perf_counter()
    bootstrap_multilabel_auroc(y, scores, n_boot=1000, seed=0)
    assert time.perf_counter() - start < 6  # 0.2 s on an idle core


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_multilabel_auroc([[0, 1]], [[1, 2, 3]], seed=0), "scores must have shape"),
        (lambda: bootstrap_multilabel_auroc([[0, 5], [1, 1]], [[1, 2], [1, 2]], seed=0), r"y_true\[:, 1\] must hold"),
        (lambda: bootstrap_multilabel_auroc([[0], [1]], [[np.nan], [1]], seed=0), "scores must not hold nan"),
        (lambda: bootstrap_multilabel_auroc([[0], [1]], [[2], [1]], method="BCa", seed=0), "method must be one of"),
        (lambda: bootstrap_multilabel_auroc([[0], [1]], [[2], [1]], seed=0).estimate(0, label=1), "label must be"),
        (lambda: bootstrap_multilabel_auroc([0, 1], [2, 1], seed=0), "y_true must have 2 dimension"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
