"""Gwet's AC1: irrCAC, two-rater formula, prevalence, clusters, edge cases."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrepro.stats import cohen_kappa, gwet_ac1, percent_agreement

NAN = math.nan
# tests/reference/agreement.py: four raters and twelve subjects (Krippendorff's data), three raters, two raters.
IRRCAC = json.loads((Path(__file__).parents[1] / "reference" / "agreement.json").read_text())
SETS = ("four raters", "complete", "two raters")
FOUR_RATERS = np.array(
    [
        [1, 1, NAN, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4],
        [4, 4, 4, 4], [1, 1, 2, 1], [2, 2, 2, 2], [NAN, 5, 5, 5], [NAN, NAN, 1, 1], [NAN, 3, NAN, NAN],
    ]
)  # fmt: skip
Z = 1.959963984540054

two_raters = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=3, max_size=30)


def error_of_gwet(ratings, categories):
    """Value and standard error by the equations of Gwet (2008)."""
    counts = np.array([[np.sum(row == c) for c in categories] for row in ratings], dtype=float)
    raters, n = counts.sum(axis=1), len(counts)
    twice = raters >= 2
    agree = np.where(twice, (counts * (counts - 1)).sum(axis=1) / np.maximum(raters * (raters - 1), 1), 0)
    q, k = (counts / raters[:, None]).mean(axis=0), len(categories)
    chance = (q * (1 - q)).sum() / (k - 1)
    value = (agree.sum() / twice.sum() - chance) / (1 - chance)
    per_subject = n / twice.sum() * (agree - chance * twice) / (1 - chance)
    chance_of_subject = (counts @ (1 - q)) / raters / (k - 1)
    parts = per_subject - 2 * (1 - value) * (chance_of_subject - chance) / (1 - chance)
    return value, math.sqrt(((parts - value) ** 2).sum() / (n * (n - 1)))


def test_value_and_standard_error_match_irrcac():
    for name in SETS:
        ratings = np.array(IRRCAC[name]["ratings"], dtype=float)
        rated_twice = ratings[np.isfinite(ratings).sum(axis=1) >= 2]
        found, complete = gwet_ac1(ratings), gwet_ac1(rated_twice)
        assert found.value == pytest.approx(IRRCAC[name]["irrCAC"]["gwet"][0], abs=1e-11)
        value, error, *_ = IRRCAC[name]["irrCAC, rated twice"]["gwet"]
        assert (complete.value, (complete.value - complete.low) / Z) == pytest.approx((value, error), abs=1e-11)


def test_the_standard_error_differs_from_irrcac_only_by_its_convention_on_subjects_rated_once():
    value, error, *_ = IRRCAC["four raters"]["irrCAC"]["gwet"]
    assert error_of_gwet(FOUR_RATERS, range(1, 6)) == pytest.approx((value, error), abs=1e-11)
    found = gwet_ac1(FOUR_RATERS)
    assert (found.value - found.low) / Z < error
    assert "1 subject with a single rating" in found.note


def test_a_subject_rated_once_hardly_changes_the_standard_error():
    with_it, without = gwet_ac1(FOUR_RATERS), gwet_ac1(FOUR_RATERS[:11], categories=[1, 2, 3, 4, 5])
    assert with_it.value - with_it.low == pytest.approx(without.value - without.low, rel=0.05)


@given(two_raters)
def test_two_raters_match_the_formula_of_the_paper(pairs):
    a, b = np.array(pairs).T
    observed = np.mean(a == b)
    q = np.array([(np.mean(a == k) + np.mean(b == k)) / 2 for k in range(3)])
    chance = (q * (1 - q)).sum() / 2
    found = gwet_ac1(np.column_stack([a, b]), categories=[0, 1, 2])
    assert found.value == pytest.approx((observed - chance) / (1 - chance), abs=1e-12)
    assert gwet_ac1(np.column_stack([b, a]), categories=[2, 0, 1]).value == pytest.approx(found.value, abs=1e-12)


def test_a_rare_category_lowers_kappa_but_not_ac1():
    a = np.repeat([0, 0, 1], [96, 2, 2])
    b = np.repeat([0, 1, 0], [96, 2, 2])
    assert cohen_kappa(a, b).value < 0
    found = gwet_ac1(np.column_stack([a, b]))
    assert found.low > 0.9
    assert found.value < 1


def test_full_agreement_is_one_and_random_ratings_are_near_zero():
    assert gwet_ac1([[1, 1], [2, 2], [1, 1]]).value == 1
    assert "no width" in gwet_ac1([[1, 1], [2, 2], [1, 1]]).note
    one = gwet_ac1([[1, 1], [1, 1]])
    assert one.value == 1
    assert "one category only" in one.note
    ratings = np.random.default_rng(0).integers(0, 4, (4000, 2))
    assert gwet_ac1(ratings).value == pytest.approx(0, abs=0.03)


def test_clusters_of_one_change_nothing_and_copies_add_no_information():
    ratings = FOUR_RATERS
    plain = gwet_ac1(ratings)
    alone = gwet_ac1(ratings, units=np.arange(12))
    copies = gwet_ac1(np.tile(ratings, (3, 1)), units=pd.Series(np.tile(np.arange(12), 3), name="patient_id"))
    for found in (alone, copies):
        assert (found.value, found.low, found.n) == pytest.approx((plain.value, plain.low, 12))
    assert copies.unit == "patient"


def test_subjects_without_ratings_are_not_counted():
    empty = np.vstack([FOUR_RATERS, [NAN] * 4])
    assert gwet_ac1(empty).n == 12
    assert gwet_ac1(empty, units=np.arange(13)).low == pytest.approx(gwet_ac1(FOUR_RATERS).low)


def test_closed_interval_agrees_with_the_bootstrap():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, (600, 1))
    ratings = np.where(rng.random((600, 3)) < 0.7, truth, rng.integers(0, 3, (600, 3)))
    closed, drawn = gwet_ac1(ratings), gwet_ac1(ratings, n_boot=1000, seed=0)
    assert (closed.low, closed.high) == pytest.approx((drawn.low, drawn.high), abs=0.006)
    assert closed.value < percent_agreement(ratings).value


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gwet_ac1([1, 2, 3]), "ratings must have shape"),
        (lambda: gwet_ac1([[1, NAN], [NAN, 2]]), "at least one subject with two ratings"),
        (lambda: gwet_ac1([[1, 3], [1, 2]], categories=[1, 2]), "ratings must lie in categories"),
        (lambda: gwet_ac1([[1, 2], [1, 2]], units=[1]), "units must have as many cases"),
        (lambda: gwet_ac1([[1, 2], [1, 2]], n_boot=10), "seed must be a whole number"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
