"""Operating points, average precision and partial areas: pROC, scikit-learn, torchmetrics, brute force, undefined."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
    roc_auc_score,
)

from medrepro.stats import (
    average_precision,
    bootstrap,
    partial_auroc,
    proportion,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
    threshold_at_sensitivity,
    threshold_at_specificity,
    threshold_metrics,
    wilson,
    youden_threshold,
)

R = json.loads((Path(__file__).parents[1] / "reference" / "measures.json").read_text())["roc"]
STORED = json.loads((Path(__file__).parents[1] / "reference" / "classification.json").read_text())
CASES = STORED["cases"]
SINGLE = 2e-7  # torchmetrics returns counts divided in single precision
FEW = {"n_boot": 50, "seed": 1}
QUICK = {"n_boot": 2, "seed": 0}

cases = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=4, max_size=25).filter(
    lambda rows: 0 < sum(y for y, _ in rows) < len(rows)
)


def split(rows):
    y, score = np.array(rows).T
    return y, score.astype(float)


def brute_points(y, score):
    called = score >= np.append(np.unique(score), np.inf)[:, None]
    return called[:, y == 1].mean(axis=1), 1 - called[:, y == 0].mean(axis=1)


# ---------------------------------------------------------------- the curve


@pytest.mark.parametrize(
    ("key", "between", "focus", "standardised"),
    [
        ("specificity_80_100", (0.8, 1), "specificity", False),
        ("specificity_80_100_mcclish", (0.8, 1), "specificity", True),
        ("specificity_55_73_mcclish", (0.55, 0.73), "specificity", True),
        ("sensitivity_85_97", (0.85, 0.97), "sensitivity", False),
        ("sensitivity_85_97_mcclish", (0.85, 0.97), "sensitivity", True),
    ],
)
def test_partial_auroc_matches_proc(key, between, focus, standardised):
    found = partial_auroc(R["y"], R["score"], between=between, focus=focus, standardised=standardised, **QUICK)
    assert found.value == pytest.approx(R[key][0], rel=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_average_precision_equals_stored_values_of_two_programs(name):
    case = CASES[name]
    found, theirs = average_precision(case["y"], case["prob"], **QUICK).value, case["average precision"]
    assert found == pytest.approx(theirs["scikit-learn"], abs=1e-12)
    assert found == pytest.approx(theirs["torchmetrics"], abs=SINGLE)


@pytest.mark.parametrize("name", CASES)
def test_standardised_partial_auroc_equals_stored_values_of_scikit_learn(name):
    case = CASES[name]
    found = partial_auroc(case["y"], case["prob"], between=(0.8, 1), standardised=True, **QUICK).value
    assert found == pytest.approx(case["area, specificity 0.8 to 1, standardised"]["scikit-learn"], abs=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_fixed_points_equal_stored_values_of_torchmetrics(name):
    case = CASES[name]
    for target, theirs in case["sensitivity at specificity"].items():
        found = sensitivity_at_specificity(case["y"], case["prob"], float(target), **QUICK).value
        assert found == pytest.approx(theirs, abs=SINGLE), target
    for target, theirs in case["specificity at sensitivity"].items():
        found = specificity_at_sensitivity(case["y"], case["prob"], float(target), **QUICK).value
        assert found == pytest.approx(theirs, abs=SINGLE), target


@pytest.mark.parametrize("name", [*CASES, *STORED["one class"]])
def test_metrics_at_a_threshold_equal_stored_values_of_torchmetrics_where_defined(name):
    """torchmetrics says 0 where nothing is to be counted, and adds a small number under the root of the MCC."""
    case = CASES.get(name) or STORED["one class"][name]
    found, theirs = threshold_metrics(case["y"], case["prob"], 0.4), case["at 0.4"]
    for metric, value in theirs.items():
        if metric == "called":
            assert sum(np.array(case["prob"]) >= 0.4) == value
        elif found[metric].undefined:
            assert "undefined" in found[metric].note
            assert metric == "mcc" or value == 0
        else:
            assert found[metric].value == pytest.approx(value, abs=SINGLE), metric


@given(cases, st.floats(0.05, 1))
def test_standardised_partial_auroc_matches_scikit_learn(rows, max_fpr):
    y, score = split(rows)
    found = partial_auroc(y, score, between=(1 - max_fpr, 1), standardised=True, **QUICK)
    assert found.value == pytest.approx(roc_auc_score(y, score, max_fpr=max_fpr), abs=1e-9)


@given(cases, st.floats(0.1, 0.9))
def test_partial_areas_add_up_to_the_area(rows, cut):
    y, score = split(rows)
    for focus in ("specificity", "sensitivity"):
        parts = [partial_auroc(y, score, between=b, focus=focus, **QUICK).value for b in ((0, cut), (cut, 1))]
        assert sum(parts) == pytest.approx(roc_auc_score(y, score), abs=1e-12)


@given(cases)
def test_average_precision_matches_scikit_learn_with_ties(rows):
    y, score = split(rows)
    assert average_precision(y, score, **QUICK).value == pytest.approx(average_precision_score(y, score), abs=1e-12)


@given(cases, st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]))
def test_fixed_points_match_brute_force(rows, target):
    y, score = split(rows)
    sensitivity, specificity = brute_points(y, score)
    best_sensitivity = sensitivity[specificity >= target - 1e-9].max()
    best_specificity = specificity[sensitivity >= target - 1e-9].max()
    assert sensitivity_at_specificity(y, score, target, **QUICK).value == pytest.approx(best_sensitivity)
    assert specificity_at_sensitivity(y, score, target, **QUICK).value == pytest.approx(best_specificity)
    by_specificity = threshold_at_specificity(y, score, target)
    by_sensitivity = threshold_at_sensitivity(y, score, target)
    assert by_specificity.sensitivity == pytest.approx(best_sensitivity)
    assert by_sensitivity.specificity == pytest.approx(best_specificity)
    for point in (by_specificity, by_sensitivity):
        assert point.sensitivity == pytest.approx(np.mean(score[y == 1] >= point.threshold))
        assert point.specificity == pytest.approx(np.mean(score[y == 0] < point.threshold))


def test_fixed_points_and_youden_match_proc():
    y, score = R["y"], R["score"]
    assert sensitivity_at_specificity(y, score, 0.9, **QUICK).value == pytest.approx(R["sensitivity_at_90"][0])
    assert specificity_at_sensitivity(y, score, 0.9, **QUICK).value == pytest.approx(R["specificity_at_90"][0])
    best = youden_threshold(y, score)
    assert best.sensitivity + best.specificity - 1 == pytest.approx(R["youden"][0])


@given(cases)
def test_a_monotone_transform_of_the_scores_changes_nothing(rows):
    y, score = split(rows)
    moved = np.exp(score / 2) - 7
    assert average_precision(y, score, **QUICK) == average_precision(y, moved, **QUICK)
    assert sensitivity_at_specificity(y, score, 0.7, **QUICK) == sensitivity_at_specificity(y, moved, 0.7, **QUICK)
    assert youden_threshold(y, moved).sensitivity == youden_threshold(y, score).sensitivity


@pytest.mark.parametrize("method", ["percentile", "basic", "normal", "bca"])
def test_weighted_resamples_equal_the_plain_bootstrap_with_clusters(method):
    y, score = np.array(R["y"]), np.array(R["score"])
    patient = np.arange(100) // 3
    fast = average_precision(y, score, units=patient, method=method, **FEW)
    slow = bootstrap(average_precision_score, y, score, units=patient, method=method, **FEW)
    np.testing.assert_allclose([fast.low, fast.high], [slow.low, slow.high], rtol=1e-10)
    assert (fast.n, fast.unit) == (34, "cluster")


def test_strata_keep_the_prevalence_in_the_resamples():
    y, score = np.array(R["y"]), np.zeros(100)  # a constant score reaches the prevalence
    kept = average_precision(y, score, strata=y, **FEW)
    assert kept.low == kept.high == pytest.approx(0.4)
    assert average_precision(y, score, **FEW).low < 0.4


def test_a_random_score_reaches_chance():
    rng = np.random.default_rng(3)
    y, score = rng.random(20_000) < 0.1, rng.random(20_000)
    assert average_precision(y, score, **QUICK).value == pytest.approx(0.1, abs=0.02)
    chance = partial_auroc(y, score, between=(0.8, 1), standardised=True, **QUICK)
    assert chance.value == pytest.approx(0.5, abs=0.01)


def test_perfect_separation_reaches_one_without_width():
    y, score = [0, 0, 0, 1, 1, 1], [1, 2, 3, 4, 5, 6]
    for found in (
        average_precision(y, score, strata=y, **FEW),
        partial_auroc(y, score, between=(0.5, 1), standardised=True, strata=y, **FEW),
        sensitivity_at_specificity(y, score, 1.0, strata=y, **FEW),
    ):
        assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)
        assert "no width" in found.note
    assert youden_threshold(y, score).threshold == 4


def test_a_missing_class_is_nan_with_a_note():
    for y, missing in (([0, 0, 0], "no positive case"), ([1, 1, 1], "no negative case")):
        point = youden_threshold(y, [1, 2, 3])
        assert math.isnan(point.threshold)
        assert missing in point.note
        for found in (
            sensitivity_at_specificity(y, [1, 2, 3], 0.9, **FEW),
            specificity_at_sensitivity(y, [1, 2, 3], 0.9, **FEW),
            partial_auroc(y, [1, 2, 3], between=(0.8, 1), **FEW),
        ):
            assert found.undefined
            assert missing in found.note
    assert average_precision([0, 0, 0], [1, 2, 3], **FEW).undefined


def test_all_scores_tied_leave_only_the_two_trivial_points():
    y, score = [0, 1, 0, 1], [2, 2, 2, 2]
    point = threshold_at_specificity(y, score, 0.5)
    assert (point.threshold, point.sensitivity, point.specificity) == (math.inf, 0, 1)
    assert point.note == "nothing is called positive"
    assert threshold_at_specificity(y, score, 0.0).threshold == 2


# ---------------------------------------------------------------- metrics at a fixed threshold


@settings(max_examples=25)
@given(cases, st.integers(0, 5))
def test_threshold_metrics_match_scikit_learn_where_defined(rows, threshold):
    y, score = split(rows)
    called = score >= threshold
    found = threshold_metrics(y, score, threshold)
    expected = {
        "sensitivity": recall_score(y, called),
        "specificity": recall_score(1 - y, ~called),
        "ppv": precision_score(y, called, zero_division=np.nan),
        "npv": precision_score(1 - y, ~called, zero_division=np.nan),
        "accuracy": accuracy_score(y, called),
        "f1": f1_score(y, called, zero_division=np.nan),
        "balanced_accuracy": balanced_accuracy_score(y, called),
        "mcc": matthews_corrcoef(y, called) if 0 < called.sum() < len(y) else math.nan,
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-12, nan_ok=True), name
        assert math.isnan(value) == (name in found[name].note)


def test_shares_have_wilson_intervals_over_their_own_denominator():
    y = np.repeat([1, 0], [20, 30])
    score = np.concatenate([np.arange(20) < 15, np.arange(30) < 6]).astype(float)
    found = threshold_metrics(y, score, 0.5)
    for name, (count, n) in {"sensitivity": (15, 20), "specificity": (24, 30), "ppv": (15, 21)}.items():
        exact = wilson(count, n)
        assert (found[name].low, found[name].high) == pytest.approx((exact.low, exact.high))
        assert (found[name].n, found[name].n_pos, found[name].n_neg) == (n, 20, 30)


def test_clustered_shares_match_proportion_and_clusters_of_one_change_nothing():
    rng = np.random.default_rng(5)
    y = rng.random(120) < 0.4
    score = y + rng.normal(size=120)
    patient = pd.Series(np.arange(120) // 4, name="patient_id")
    clustered = threshold_metrics(y, score, 0.5, units=patient)["sensitivity"]
    direct = proportion(score[y] >= 0.5, units=patient[y])
    assert (clustered.low, clustered.high) == pytest.approx((direct.low, direct.high))
    assert (clustered.n, clustered.unit) == (direct.n, "patient")
    alone = threshold_metrics(y, score, 0.5, units=np.arange(120))
    for name, plain in threshold_metrics(y, score, 0.5).items():
        assert (alone[name].low, alone[name].high) == pytest.approx((plain.low, plain.high))


def test_linearised_and_bootstrap_intervals_agree_on_many_cases():
    rng = np.random.default_rng(6)
    y = rng.random(3000) < 0.3
    score = y + rng.normal(size=3000)
    closed = threshold_metrics(y, score, 0.5)
    drawn = threshold_metrics(y, score, 0.5, n_boot=2000, seed=0)
    for name, found in closed.items():
        width = found.high - found.low
        assert drawn[name].low == pytest.approx(found.low, abs=0.08 * width), name
        assert drawn[name].high == pytest.approx(found.high, abs=0.08 * width), name


def test_a_threshold_chosen_on_float32_scores_calls_the_same_cases():
    rng = np.random.default_rng(7)
    y, score = rng.random(200) < 0.5, rng.random(200).astype(np.float32)
    point = youden_threshold(y, score)
    assert threshold_metrics(y, score, point.threshold)["sensitivity"].value == pytest.approx(point.sensitivity)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: youden_threshold([0, 2], [1, 2]), "y_true must hold 0 and 1"),
        (lambda: youden_threshold([0, 1], [1, math.nan]), "y_score must not hold nan"),
        (lambda: threshold_at_specificity([0, 1], [1, 2], 90), "specificity must be between 0 and 1"),
        (lambda: threshold_at_sensitivity([0, 1], [1, 2], math.nan), "sensitivity must not be nan"),
        (lambda: sensitivity_at_specificity([0, 1], [1], 0.9, seed=0), "y_score must have as many cases"),
        (lambda: specificity_at_sensitivity([0, 1], [1, 2], -0.1, seed=0), "sensitivity must be between 0 and 1"),
        (lambda: threshold_metrics([0, 1], [1, 2], "high"), "threshold must be a number"),
        (lambda: threshold_metrics([0, 1], [1, 2], 1, n_boot=10), "seed must be a whole number"),
        (lambda: average_precision([0, 1], [1, 2], method="exact", seed=0), "method must be one of"),
        (lambda: average_precision([0, 1], [1, 2], seed=-1), "seed must be a whole number"),
        (lambda: partial_auroc([0, 1], [1, 2], between=(1, 0.8), seed=0), "between must satisfy"),
        (lambda: partial_auroc([0, 1], [1, 2], between=0.8, seed=0), "between must be a pair"),
        (lambda: partial_auroc([0, 1], [1, 2], between=(0, 1), focus="both", seed=0), "focus must be one of"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
