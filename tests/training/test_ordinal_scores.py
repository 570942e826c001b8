"""Kappas of many arms from one set of resamples, rankings and the second reader."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau
from sklearn.metrics import cohen_kappa_score

from medrepro.stats import bootstrap, cohen_kappa
from medrepro.training.ordinal_ranks import kendall_tau, rank_agreement, rank_estimates
from medrepro.training.ordinal_scores import (
    WEIGHTINGS,
    confusion,
    grade_errors,
    kappa_values,
    method_difference,
    score_grades,
    second_reader_kappa,
)

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "ordinal.json").read_text())
RNG = np.random.default_rng(0)
TRUTH = RNG.integers(0, 5, (120, 2))
UNITS = pd.Series(np.repeat(np.arange(40), 3), name="patient_id")


def _reader(share: float, seed: int) -> np.ndarray:
    """The truth, with a share of grades moved by one or more."""
    rng = np.random.default_rng(seed)
    return np.clip(TRUTH + rng.integers(-2, 3, TRUTH.shape) * (rng.random(TRUTH.shape) < share), 0, 4)


ARMS = {"good": _reader(0.3, 1), "bad": _reader(0.9, 2)}


def _scores(**changes):
    return score_grades(
        TRUTH, ARMS, **{"n_grades": 5, "findings": ("a", "b"), "units": UNITS, "n_boot": 200, "seed": 0, **changes}
    )


def test_kappas_agree_with_scikit_learn_for_every_finding_and_weighting():
    expected = [
        [cohen_kappa_score(TRUTH[:, f], ARMS["good"][:, f], weights=WEIGHTINGS[w]) for w in WEIGHTINGS] for f in (0, 1)
    ]
    np.testing.assert_allclose(kappa_values(TRUTH, ARMS["good"], n_grades=5), expected, atol=1e-12)
    np.testing.assert_allclose(_scores().values[0], expected, atol=1e-12)


@pytest.mark.parametrize("classes", [5, 7])
def test_empty_classes_do_not_change_kappa(classes):
    """The authors pass seven classes for five grades; torchmetrics computed the reference in single precision."""
    truth, read = (np.array(REFERENCE["grades"][name])[:, None] for name in ("truth", "read"))
    expected = list(REFERENCE["kappas by number of classes"][str(classes)].values())
    np.testing.assert_allclose(kappa_values(truth, read, n_grades=classes)[0], expected, atol=1e-6)


def test_the_resamples_are_those_of_the_plain_bootstrap_over_patients():
    def plain(truth, read):
        return cohen_kappa(truth[:, 1], read[:, 1], weights="quadratic", categories=range(5)).value

    expected = bootstrap(plain, TRUTH, ARMS["bad"], units=UNITS, n_boot=200, seed=0)
    found = _scores().kappa("bad", "quadratic", "b")
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))
    assert (found.n, found.unit) == (40, "patient")


def test_a_difference_is_paired_and_its_mean_over_findings():
    scores = _scores()
    found = scores.difference("good", "bad", "linear").difference
    gaps = (scores.values[0] - scores.values[1])[:, 1]
    assert found.value == pytest.approx(gaps.mean())
    assert found.low > 0
    alike = score_grades(TRUTH, {"one": ARMS["bad"], "two": ARMS["bad"]}, n_grades=5, units=UNITS, n_boot=50, seed=0)
    same = alike.difference("one", "two", "none").difference
    assert same.value == same.low == same.high == 0


def test_the_mean_over_trainings_is_the_mean_of_their_kappas():
    scores = _scores()
    assert scores.kappa(["good", "bad"], "none").value == pytest.approx(scores.values[:, :, 0].mean())
    values, replicates = scores.means("none", [["good"], ["bad"]])
    assert values.shape == (2, 1)
    assert replicates.shape == (200, 2, 1)


def test_a_matrix_of_costs_is_a_weighting():
    costs = np.abs(np.subtract.outer(np.arange(5), np.arange(5))).astype(float)
    found = kappa_values(TRUTH, ARMS["bad"], n_grades=5, weightings={"clinic": costs, "linear": "linear"})
    np.testing.assert_allclose(found[:, 0], found[:, 1])


def test_errors_and_confusion_count_what_they_say():
    truth, read = np.array([[0], [1], [4], [2]]), np.array([[0], [2], [1], [2]])
    errors = grade_errors(truth, read, n_grades=5, units=np.arange(4), n_boot=20, seed=0)
    assert errors["mean distance"].value == 1.0
    assert errors["two grades off or more"].value == 0.25
    table = confusion(truth, read, n_grades=5)
    assert table.shape == (1, 5, 5)
    assert table[0, 4, 1] == table[0, 1, 2] == 1


def test_a_method_difference_is_wider_than_one_of_these_models_when_trainings_differ():
    a = np.stack([_reader(share, k) for k, share in enumerate((0.1, 0.5, 0.3, 0.6))])
    b = np.stack([_reader(0.8, k) for k in range(10, 14)])
    method = method_difference(TRUTH, a, b, None, n_grades=5, units=UNITS, n_boot=100, seed=0).difference
    arms = {f"a{k}": x for k, x in enumerate(a)} | {f"b{k}": x for k, x in enumerate(b)}
    scores = score_grades(TRUTH, arms, n_grades=5, units=UNITS, n_boot=200, seed=0)
    models = scores.difference([f"a{k}" for k in range(4)], [f"b{k}" for k in range(4)], "none").difference
    assert method.value == pytest.approx(models.value)
    assert method.high - method.low > 1.5 * (models.high - models.low)


def test_two_readers_with_equal_numbers_of_readings_agree_as_their_symmetric_table_says():
    first, second = TRUTH[:, 0], ARMS["bad"][:, 0]
    ratings = np.column_stack([first, second]).astype(float)
    found = second_reader_kappa(ratings, "linear", n_grades=5, units=UNITS, n_boot=50, seed=0)
    both = np.concatenate([first, second]), np.concatenate([second, first])
    assert found.value == pytest.approx(cohen_kappa(*both, weights="linear", categories=range(5)).value)


def test_kendalls_tau_is_scipys_where_nothing_is_tied():
    a, b = RNG.normal(size=(2, 6))
    assert kendall_tau(a, b) == pytest.approx(kendalltau(a, b).statistic)
    assert kendall_tau([1, 2, 3], [1, 1, 1]) == 0


def test_ranks_count_from_the_largest_and_ties_share_the_mean():
    values = [0.5, 0.9, 0.5]
    ranks = rank_estimates(("a", "b", "c"), values, np.tile(values, (10, 1)), n=7, unit="patient")
    assert [ranks[k].value for k in "abc"] == [2.5, 1.0, 2.5]
    assert (ranks["b"].low, ranks["b"].n) == (1.0, 7)


def _condition(order: np.ndarray, noise: float, seed: int, trainings: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = order + noise * rng.normal(size=(trainings, order.size))
    return values, values + 0.3 * rng.normal(size=(200, trainings, order.size))


def test_a_condition_that_turns_the_ranking_round_is_found():
    order = np.arange(6.0)
    found = rank_agreement(_condition(order, 0.1, 1), _condition(order[::-1].copy(), 0.1, 2), n=50)
    assert (found.across.value, found.within.value) == (-1.0, 1.0)
    assert found.difference.high < 0


def test_the_same_ranking_under_the_same_noise_shows_no_difference():
    """Across and within are means over halves of different trainings, so neither gains from shared noise."""
    gaps = [
        rank_agreement(_condition(np.arange(6.0), 2.0, 2 * k), _condition(np.arange(6.0), 2.0, 2 * k + 1), n=50)
        for k in range(60)
    ]
    values = np.array([gap.difference.value for gap in gaps])
    assert abs(values.mean()) < 4 * values.std() / len(values) ** 0.5
    assert 0.2 < np.mean([gap.within.value for gap in gaps]) < 0.9  # the noise does disturb the ranking


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: score_grades(TRUTH, {}, n_grades=5, units=UNITS, seed=0), "graded must hold at least one arm"),
        (lambda: score_grades(TRUTH, {"x": TRUTH[:9]}, n_grades=5, units=UNITS, seed=0), r"graded\['x'\] must have"),
        (lambda: score_grades(TRUTH, ARMS, n_grades=4, units=UNITS, seed=0), "y_true must hold grades from 0 to 3"),
        (lambda: _scores(findings=("a",)), "findings must name the 2 columns"),
        (lambda: _scores().kappa("best", "none"), "arm must be one of good, bad, got 'best'"),
        (lambda: _scores().kappa("good", "cubic"), "weighting must be one of none, linear, quadratic"),
        (lambda: _scores().kappa("good", "none", "c"), "finding must be one of a, b"),
        (lambda: kappa_values(TRUTH.astype(float), TRUTH, n_grades=5), "y_true must be whole numbers"),
        (lambda: rank_agreement(*[(np.zeros((1, 3)), np.zeros((5, 1, 3)))] * 2, n=5), "2 to 10 trainings, got 1"),
        (lambda: kendall_tau([1], [1]), "at least 2"),
        (lambda: rank_estimates(("a",), [1, 2], np.zeros((4, 2)), n=3), r"values must be \(1,\)"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
