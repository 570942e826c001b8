"""Bland-Altman: the data of the Lancet paper, exact coverage, repeated measurements, edge cases."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from medrepro.stats import bland_altman

# Peak expiratory flow in l/min, first readings of 17 subjects (Bland & Altman, Lancet 1986, table 1).
WRIGHT = np.array([494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427])
MINI = np.array([512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451])


def repeated(subjects, repeats, seed, between=1.0, within=1.0):
    """Differences of subjects that share a random bias: variance between + within."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(subjects), repeats)
    gaps = rng.normal(0, between, subjects)[subject] + rng.normal(0, within, subject.size)
    return gaps, subject


def test_bias_and_limits_match_the_lancet_paper():
    found = bland_altman(WRIGHT, MINI)
    assert found.bias.value == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    # The paper uses 2 standard deviations: -79.7 and 75.5. Its interval of the bias is -22.0 to 17.8.
    two = bland_altman(WRIGHT, MINI, coverage=math.erf(math.sqrt(2)))
    assert (two.lower.value, two.upper.value) == pytest.approx((-79.7, 75.5), abs=0.1)
    assert (found.bias.low, found.bias.high) == pytest.approx((-22.0, 17.8), abs=0.1)


def test_swapping_the_methods_mirrors_the_limits_and_a_scale_scales_them():
    found, swapped = bland_altman(WRIGHT, MINI), bland_altman(MINI, WRIGHT)
    assert (found.lower.low, found.lower.high) == pytest.approx((-swapped.upper.high, -swapped.upper.low))
    tenfold = bland_altman(10 * WRIGHT, 10 * MINI)
    assert tenfold.upper.high == pytest.approx(10 * found.upper.high)


def test_subjects_with_one_pair_give_the_plain_limits():
    plain, alone = bland_altman(WRIGHT, MINI), bland_altman(WRIGHT, MINI, units=np.arange(17))
    for name in ("bias", "lower", "upper"):
        a, b = getattr(plain, name), getattr(alone, name)
        assert (a.value, a.low, a.high) == (b.value, b.low, b.high)


def test_repeated_measurements_match_an_analysis_of_variance():
    gaps, subject = repeated(8, 5, seed=3)
    found = bland_altman(gaps, np.zeros(40), units=pd.Series(subject, name="patient_id"))
    groups = gaps.reshape(8, 5)
    within = groups.var(axis=1, ddof=1).mean()
    between = groups.mean(axis=1).var(ddof=1) - within / 5  # balanced: mean squares
    assert found.sd**2 == pytest.approx(between + within)
    assert (found.bias.n, found.bias.unit, found.n_pairs) == (8, "patient", 40)


def test_repeated_measurements_and_their_intervals_match_r():
    r = json.loads((Path(__file__).parents[1] / "reference" / "rank_tests.json").read_text())["bland_altman"]
    found = bland_altman(r["x"], np.zeros(len(r["x"])), units=r["subject"])
    assert found.sd == pytest.approx(r["sd"][0], rel=1e-9)
    for estimate, expected in ((found.bias, r["bias"]), (found.upper, r["upper"])):
        assert (estimate.value, estimate.low, estimate.high) == pytest.approx(tuple(expected), rel=1e-9)


def test_ignoring_repeats_makes_the_intervals_too_short():
    gaps, subject = repeated(10, 20, seed=0, between=2.0)
    plain = bland_altman(gaps, np.zeros(200))
    clustered = bland_altman(gaps, np.zeros(200), units=subject)
    assert clustered.upper.high - clustered.upper.low > 2 * (plain.upper.high - plain.upper.low)


@pytest.mark.parametrize("repeats", [1, 4])
def test_intervals_cover_the_true_limits(repeats):
    between, within = (0.0, 1.0) if repeats == 1 else (1.5, 1.0)
    truth = 1.959963984540054 * math.hypot(between, within)
    covered = []
    for seed in range(300):
        gaps, subject = repeated(20, repeats, seed, between, within)
        found = bland_altman(gaps, np.zeros(gaps.size), units=subject)
        covered.append([found.lower.low <= -truth <= found.lower.high, found.upper.low <= truth <= found.upper.high])
    assert np.mean(covered) == pytest.approx(0.95, abs=0.025)


def test_identical_measurements_have_limits_without_width():
    found = bland_altman([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert found.lower.value == found.lower.high == found.upper.value == found.bias.low == 0
    assert "no width" in found.upper.note


def test_a_single_subject_has_a_bias_only():
    found = bland_altman([3, 5], [2, 2], units=[7, 7])
    assert found.bias.value == 2
    assert found.bias.undefined
    assert math.isnan(found.upper.value)
    assert "a single cluster" in found.upper.note


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bland_altman([1, 2], [1]), "b must have as many cases as a"),
        (lambda: bland_altman([1, math.nan], [1, 2]), "a must not hold nan"),
        (lambda: bland_altman([1, 2], [1, math.inf]), "b must be finite"),
        (lambda: bland_altman([], []), "a must hold at least one value"),
        (lambda: bland_altman([1, 2], [1, 2], coverage=95), "coverage must be between 0 and 1"),
        (lambda: bland_altman([1, 2], [1, 2], units=[1]), "units must have as many cases"),
        (lambda: bland_altman([1, 2], [1, 2], level=0), "level must be between 0 and 1"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
