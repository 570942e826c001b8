"""Calibration: R's glm, statsmodels, scikit-learn, torchmetrics, clusters, undefined cases."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from medrepro.stats import brier_score, expected_calibration_error, recalibrate

MEASURES = json.loads((Path(__file__).parents[1] / "reference" / "measures.json").read_text())
Y, R = np.array(MEASURES["roc"]["y"]), MEASURES["calibration"]
PROB = np.array(R["prob"])
Z = 1.959963984540054
STORED = json.loads((Path(__file__).parents[1] / "reference" / "classification.json").read_text())
CASES = {**STORED["cases"], **STORED["one class"]}


def simulated(n, seed=0, slope=1.0, intercept=0.0):
    rng = np.random.default_rng(seed)
    prob = expit(rng.normal(-0.5, 1.2, n))
    return rng.random(n) < expit(intercept + slope * logit(prob)), prob


def test_brier_score_matches_r_and_scikit_learn():
    found = brier_score(Y, PROB)
    assert found.value == pytest.approx(R["brier"][0], rel=1e-12)
    assert found.value == pytest.approx(brier_score_loss(Y, PROB), rel=1e-12)
    losses = (PROB - Y) ** 2
    assert found.high - found.value == pytest.approx(Z * losses.std(ddof=1) / 10)


@pytest.mark.parametrize("name", CASES)
def test_brier_score_equals_stored_values_of_scikit_learn(name):
    assert brier_score(CASES[name]["y"], CASES[name]["prob"]).value == pytest.approx(CASES[name]["brier"], rel=1e-12)


@pytest.mark.parametrize("n_bins", [5, 10, 15])
@pytest.mark.parametrize("name", [name for name in STORED["cases"] if name != "ties"])
def test_calibration_error_equals_stored_values_of_torchmetrics(name, n_bins):
    """No probability on an edge: bins of torchmetrics hold their left edge, ours the right one as in scikit-learn."""
    case = CASES[name]
    found = expected_calibration_error(case["y"], case["prob"], n_bins=n_bins, n_boot=2, seed=0)
    assert found.value == pytest.approx(case["calibration error"][str(n_bins)], rel=1e-8)


def test_brier_score_has_known_values():
    assert brier_score([0, 1], [0.0, 1.0]).value == 0
    assert "no width" in brier_score([0, 1], [0.0, 1.0]).note
    assert brier_score([0, 0, 0, 1], [0.25] * 4).value == pytest.approx(0.25 * 0.75)
    assert brier_score([0, 1], [1.0, 0.0]).value == 1


def test_copies_in_clusters_add_no_information():
    plain = brier_score(Y, PROB)
    copies = brier_score(np.tile(Y, 3), np.tile(PROB, 3), units=np.tile(np.arange(100), 3))
    assert (copies.low, copies.high, copies.n) == pytest.approx((plain.low, plain.high, 100))
    one, three = recalibrate(Y, PROB), recalibrate(np.tile(Y, 3), np.tile(PROB, 3), units=np.tile(np.arange(100), 3))
    assert (three.slope.low, three.slope.high) == pytest.approx((one.slope.low, one.slope.high))


@pytest.mark.parametrize(("bins", "strategy"), [("width", "uniform"), ("mass", "quantile")])
@pytest.mark.parametrize("n_bins", [2, 7, 15])
def test_calibration_error_matches_the_curve_of_scikit_learn(bins, strategy, n_bins):
    observed, predicted = calibration_curve(Y, PROB, n_bins=n_bins, strategy=strategy)
    edges = np.linspace(0, 1, n_bins + 1)
    edges = edges if bins == "width" else np.quantile(PROB, edges)
    sizes = np.bincount(np.searchsorted(edges[1:-1], PROB), minlength=n_bins)
    expected = (np.abs(observed - predicted) * sizes[sizes > 0]).sum() / 100
    found = expected_calibration_error(Y, PROB, bins=bins, n_bins=n_bins, n_boot=20, seed=0)
    assert found.value == pytest.approx(expected, rel=1e-12)
    assert f"{n_bins} bins of equal {bins}" in found.note


def test_calibration_error_finds_a_planted_shift_and_shrinks_without_one():
    y, prob = simulated(20_000)
    fair = expected_calibration_error(y, prob, n_boot=200, seed=0)
    assert 0 <= fair.low < fair.value < 0.02
    off, _ = simulated(20_000, intercept=1.0)
    assert expected_calibration_error(off, prob, n_boot=200, seed=0).low > 0.1


def test_expected_bias_of_the_calibration_error_is_as_documented():
    values = [expected_calibration_error(*simulated(1000, s), n_boot=2, seed=0, bins="mass").value for s in range(40)]
    assert np.mean(values) == pytest.approx(0.35 * math.sqrt(10 / 1000), rel=0.2)


def test_tied_probabilities_stay_in_one_bin_of_equal_mass():
    found = expected_calibration_error([0, 1] * 10, [0.5] * 20, bins="mass", n_bins=4, n_boot=20, seed=0)
    assert found.value == 0


def test_recalibration_matches_glm_of_r():
    found = recalibrate(Y, PROB)
    assert found.slope.value == pytest.approx(R["slope"][0], rel=1e-9)
    assert found.intercept.value == pytest.approx(R["intercept"][0], rel=1e-9)
    assert (found.slope.n, found.slope.n_pos, found.slope.n_neg) == (100, 40, 60)


def test_recalibration_intervals_match_the_sandwich_of_statsmodels():
    design = sm.add_constant(logit(PROB))
    patient = pd.Series(np.arange(100) // 3, name="patient_id")
    model = sm.GLM(Y, design, family=sm.families.Binomial())
    plain = model.fit(cov_type="HC0", tol=1e-12).bse[1] * math.sqrt(100 / 99)
    options = {"groups": patient.to_numpy(), "use_correction": False}
    clustered = model.fit(cov_type="cluster", cov_kwds=options, tol=1e-12).bse[1] * math.sqrt(34 / 33)
    for units, error in ((None, plain), (np.arange(100), plain), (patient, clustered)):
        slope = recalibrate(Y, PROB, units=units).slope
        assert (slope.high - slope.value) / Z == pytest.approx(error, rel=1e-6)
    assert recalibrate(Y, PROB, units=patient).slope.unit == "patient"


def test_recalibration_recovers_what_was_planted_and_undoes_itself():
    y, prob = simulated(20_000, slope=0.6, intercept=-0.5)
    found = recalibrate(y, prob)
    assert found.slope.low < 0.6 < found.slope.high
    halved = recalibrate(y, expit(2 * logit(prob)))
    assert halved.slope.value == pytest.approx(found.slope.value / 2, rel=1e-8)
    shifted = recalibrate(y, expit(logit(prob) + found.intercept.value))
    assert shifted.intercept.value == pytest.approx(0, abs=1e-9)


def test_recalibration_intervals_cover_the_truth():
    slopes = [recalibrate(*simulated(300, seed)).slope for seed in range(200)]
    assert np.mean([e.low <= 1 <= e.high for e in slopes]) == pytest.approx(0.95, abs=0.05)


def test_extreme_probabilities_still_converge():
    prob = np.array([1e-12, 1e-9, 0.3, 1 - 1e-9, 1 - 1e-12, 1e-10])
    found = recalibrate([1, 0, 1, 1, 0, 0], prob)
    assert math.isfinite(found.slope.value)
    assert math.isfinite(found.intercept.value)


@pytest.mark.parametrize(
    ("y", "prob", "note"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.2, 0.9], "separate the classes"),
        ([1, 1, 0, 0], [0.1, 0.2, 0.3, 0.9], "separate the classes"),
        ([0, 1, 0, 1], [0.3] * 4, "all probabilities are equal"),
        ([1, 1, 1, 1], [0.3, 0.4, 0.5, 0.6], "a class is missing"),
    ],
)
def test_a_slope_that_does_not_exist_is_nan_with_a_note(y, prob, note):
    found = recalibrate(y, prob)
    assert found.slope.undefined
    assert note in found.slope.note
    assert found.intercept.undefined == (len(set(y)) == 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: brier_score([0, 1], [0.5, 1.2]), r"prob must lie in \[0, 1\], got 1.2"),
        (lambda: brier_score([0, 2], [0.5, 0.5]), "y_true must hold 0 and 1"),
        (lambda: brier_score([0, 1], [0.5, 0.5], n_boot=10), "seed must be a whole number"),
        (lambda: expected_calibration_error([0, 1], [0.5], seed=0), "prob must have as many cases"),
        (lambda: expected_calibration_error([0, 1], [0.5, 0.5], bins="equal", seed=0), "bins must be one of"),
        (lambda: expected_calibration_error([0, 1], [0.5, 0.5], n_bins=1, seed=0), "n_bins must be a whole number"),
        (lambda: recalibrate([0, 1], [0.0, 0.5]), "prob must lie strictly between 0 and 1, got 1 values"),
        (lambda: recalibrate([0, 1], [0.5, 0.5], level=95), "level must be between 0 and 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
