"""Kappas and percentages: vcd, psych, statsmodels, scikit-learn, published tables, clusters, undefined cases."""

import json
import math
import time
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss

from medrepro.stats import (
    bootstrap,
    category_counts,
    cohen_kappa,
    fleiss_kappa,
    fleiss_test,
    pairwise_kappa,
    percent_agreement,
    wilson,
)

Z = 1.959963984540054
IRRCAC = json.loads((Path(__file__).parents[1] / "reference" / "agreement.json").read_text())

# Fleiss (1971), table 1: 30 patients, 6 psychiatrists, 5 diagnoses. Published: kappa 0.430; for the five diagnoses
# 0.245, 0.245, 0.520, 0.471, 0.566. Standard errors of Fleiss, Nee & Landis (1979) give z = 17.65 and
# 5.19, 5.19, 11.03, 9.99, 12.01 (as printed by R's irr 0.84.1, kappam.fleiss(diagnoses, detail = TRUE)).
FLEISS_1971 = np.array(
    [
        [0, 0, 0, 6, 0], [0, 3, 0, 0, 3], [0, 1, 4, 0, 1], [0, 0, 0, 0, 6], [0, 3, 0, 3, 0], [2, 0, 4, 0, 0],
        [0, 0, 4, 0, 2], [2, 0, 3, 1, 0], [2, 0, 0, 4, 0], [0, 0, 0, 0, 6], [1, 0, 0, 5, 0], [1, 1, 0, 4, 0],
        [0, 3, 3, 0, 0], [1, 0, 0, 5, 0], [0, 2, 0, 3, 1], [0, 0, 5, 0, 1], [3, 0, 0, 1, 2], [5, 1, 0, 0, 0],
        [0, 2, 0, 4, 0], [1, 0, 2, 0, 3], [0, 0, 0, 0, 6], [0, 1, 0, 5, 0], [0, 2, 0, 1, 3], [2, 0, 0, 4, 0],
        [1, 0, 0, 4, 1], [0, 5, 0, 1, 0], [4, 0, 0, 0, 2], [0, 2, 0, 4, 0], [1, 0, 5, 0, 0], [0, 0, 0, 0, 6],
    ]
)  # fmt: skip


def two_readers(n=120, seed=0, grades=4):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, grades, n)
    return a, np.where(rng.random(n) < 0.6, a, rng.integers(0, grades, n))


def several_readers(n=60, readers=4, seed=0, missing=0.3):
    rng = np.random.default_rng(seed)
    ratings = np.clip(rng.integers(1, 6, (n, 1)) + rng.integers(-1, 2, (n, readers)), 1, 5).astype(float)
    ratings[rng.random((n, readers)) < missing] = np.nan
    return ratings


def error(estimate):
    return (estimate.value - estimate.low) / Z


# ---------------------------------------------------------------- Cohen


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_cohen_kappa_and_its_standard_error_match_vcd(from_r, weights):
    r = from_r["kappa"]
    found = cohen_kappa(r["a"], r["b"], weights=weights)
    value, ase = r[weights or "unweighted"]
    assert found.value == pytest.approx(value, rel=1e-10)
    assert error(found) == pytest.approx(ase, rel=1e-8)


def test_cohen_kappa_matches_psych(from_r):
    r = from_r["kappa"]
    plain, squared = cohen_kappa(r["a"], r["b"]), cohen_kappa(r["a"], r["b"], weights="quadratic")
    assert plain.value == pytest.approx(r["psych"]["kappa"], rel=1e-9)
    assert squared.value == pytest.approx(r["psych"]["weighted"], rel=1e-9)
    assert error(plain) ** 2 == pytest.approx(r["psych"]["var_kappa"], rel=1e-6)


ratings_pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=3, max_size=25)


@given(ratings_pairs, st.sampled_from([None, "linear", "quadratic"]))
def test_cohen_kappa_matches_sklearn(pairs, weights):
    a, b = np.array(pairs).T
    ours = cohen_kappa(a, b, weights=weights, categories=range(4)).value
    if np.unique(pairs).size == 1:
        assert math.isnan(ours)
    else:
        assert ours == pytest.approx(cohen_kappa_score(a, b, weights=weights, labels=range(4)), abs=1e-10)


@given(ratings_pairs, st.permutations(range(4)))
def test_plain_kappa_ignores_names_and_order_of_categories_and_raters(pairs, names):
    a, b = np.array(pairs).T
    renamed = np.array([f"grade {k}" for k in names])
    plain, other = cohen_kappa(a, b), cohen_kappa(renamed[b], renamed[a])
    np.testing.assert_allclose([other.value, other.low], [plain.value, plain.low], atol=1e-9)


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_clusters_of_one_case_change_nothing(weights):
    a, b = two_readers()
    plain, clustered = cohen_kappa(a, b, weights=weights), cohen_kappa(a, b, weights=weights, units=np.arange(120))
    np.testing.assert_allclose([clustered.low, clustered.high], [plain.low, plain.high], rtol=1e-12)


def test_copies_of_cases_in_clusters_add_no_information():
    a, b = two_readers()
    thrice = cohen_kappa(np.tile(a, 3), np.tile(b, 3), units=np.tile(np.arange(120), 3))
    plain = cohen_kappa(a, b)
    np.testing.assert_allclose([thrice.low, thrice.value], [plain.low, plain.value], rtol=1e-12)
    assert (thrice.n, thrice.unit) == (120, "cluster")


def test_kappa_bootstrap_over_clusters_equals_the_general_bootstrap():
    a, b = two_readers()
    units = pd.Series(np.arange(120) // 3, name="patient_id")
    fast = cohen_kappa(a, b, weights="quadratic", units=units, n_boot=100, method="bca", seed=5)
    slow = bootstrap(
        lambda p, q: cohen_kappa_score(p, q, weights="quadratic", labels=range(4)),
        a, b, units=units, n_boot=100, method="bca", seed=5,
    )  # fmt: skip
    np.testing.assert_allclose([fast.low, fast.value, fast.high], [slow.low, slow.value, slow.high], rtol=1e-10)
    assert (fast.n, fast.unit, fast.n_boot, fast.seed) == (40, "patient", 100, 5)


def test_matrix_of_quadratic_disagreements_equals_quadratic_weights():
    a, b = two_readers()
    matrix = 7.0 * (np.arange(4)[:, None] - np.arange(4)) ** 2
    assert cohen_kappa(a, b, weights=matrix).value == pytest.approx(cohen_kappa(a, b, weights="quadratic").value)


def test_unused_last_category_does_not_change_kappa():
    a, b = two_readers()
    for weights in (None, "quadratic"):
        small, large = (cohen_kappa(a, b, weights=weights, categories=range(k)) for k in (4, 7))
        np.testing.assert_allclose([large.value, large.low], [small.value, small.low], rtol=1e-12)


def test_kappa_of_one_category_is_nan_and_of_identical_raters_one_without_width():
    constant = cohen_kappa([1, 1, 1], [1, 1, 1])
    assert constant.undefined
    assert "one category" in constant.note
    same = cohen_kappa([0, 1, 2], [0, 1, 2])
    assert (same.low, same.value, same.high) == (1, 1, 1)
    assert "no width" in same.note


# ---------------------------------------------------------------- Fleiss


def test_fleiss_kappa_matches_the_published_example():
    assert fleiss_kappa(FLEISS_1971).value == pytest.approx(0.430, abs=5e-4)
    assert fleiss_test(FLEISS_1971).statistic == pytest.approx(17.65, abs=5e-3)
    published = zip([0.245, 0.245, 0.520, 0.471, 0.566], [5.19, 5.19, 11.03, 9.99, 12.01], strict=True)
    for category, (value, z) in enumerate(published):
        assert fleiss_kappa(FLEISS_1971, category=category).value == pytest.approx(value, abs=5e-4)
        assert fleiss_test(FLEISS_1971, category=category).statistic == pytest.approx(z, abs=5e-3)


def test_fleiss_kappa_matches_statsmodels():
    counts = category_counts(several_readers(missing=0))
    assert fleiss_kappa(counts).value == pytest.approx(statsmodels_fleiss(counts), abs=1e-12)


@pytest.mark.parametrize("name", ["complete", "two raters"])
def test_fleiss_kappa_and_its_standard_error_match_irrcac(name):
    ratings = IRRCAC[name]["ratings"]
    value, se, observed, _ = IRRCAC[name]["irrCAC"]["fleiss"]
    found = fleiss_kappa(category_counts(ratings))
    assert (found.value, error(found)) == pytest.approx((value, se), abs=1e-11)
    assert percent_agreement(ratings).value == pytest.approx(observed, abs=1e-11)


def test_pairwise_kappa_with_missing_ratings_matches_irrcac():
    ratings = np.array(IRRCAC["four raters"]["ratings"], dtype=float)
    found = pairwise_kappa(ratings, n_boot=None)
    value, se, *_ = IRRCAC["four raters"]["irrCAC, rated twice"]["fleiss"]
    assert (found.value, error(found)) == pytest.approx((value, se), abs=1e-11)


def test_fleiss_interval_matches_gwets_formula_written_out():
    counts, raters = FLEISS_1971.astype(float), 6
    share = counts.mean(axis=0) / raters
    chance = (share**2).sum()
    agreement = (counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))
    kappa = (agreement.mean() - chance) / (1 - chance)
    own_chance = counts @ share / raters
    own = (agreement - chance) / (1 - chance) - 2 * (1 - kappa) * (own_chance - chance) / (1 - chance)
    n = len(counts)
    assert error(fleiss_kappa(FLEISS_1971)) == pytest.approx(math.sqrt(((own - kappa) ** 2).sum() / n / (n - 1)))


def test_null_standard_error_matches_ratings_without_agreement():
    rng = np.random.default_rng(0)
    counts = rng.multinomial(4, [0.5, 0.3, 0.2], size=(800, 40))
    spread = np.std([fleiss_kappa(c).value for c in counts], ddof=1)
    errors = [t.difference.value / t.statistic for t in map(fleiss_test, counts)]
    assert np.mean(errors) == pytest.approx(spread, rel=0.1)  # 800 tables: relative error 0.025


def test_fleiss_with_clusters_of_one_subject_is_the_plain_one():
    plain, clustered = fleiss_kappa(FLEISS_1971), fleiss_kappa(FLEISS_1971, units=np.arange(30))
    assert clustered.low == pytest.approx(plain.low, rel=1e-12)


def test_fleiss_names_the_functions_for_unequal_numbers_of_raters():
    with pytest.raises(ValueError, match=r"same number of raters, at least 2, got 2 to 3: use pairwise_kappa"):
        fleiss_kappa([[1, 1], [2, 1]])


def test_fleiss_kappa_of_one_category_is_nan():
    assert "one category" in fleiss_kappa([[3, 0], [3, 0]]).note
    assert math.isnan(fleiss_test([[3, 0], [3, 0]]).p_value)


# ---------------------------------------------------------------- random pairs of raters


def brute_force_pairs(ratings, disagreement, by_subject):
    """Kappa from an explicit list of ordered pairs and their weights."""
    rows = [row[~np.isnan(row)] for row in ratings]
    pairs = [(p, q, 1 / (len(r) * (len(r) - 1)) if by_subject else 1.0) for r in rows for p, q in permutations(r, 2)]
    first, second, weight = np.array(pairs).T
    observed = (weight * disagreement(first, second)).sum() / weight.sum()
    expected = (np.outer(weight, weight) * disagreement(first[:, None], second)).sum() / weight.sum() ** 2
    return 1 - observed / expected


@pytest.mark.parametrize("pairs", ["subject", "pair"])
@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_pairwise_kappa_matches_an_explicit_list_of_pairs(pairs, weights):
    ratings = several_readers()
    disagreement = {
        None: lambda p, q: p != q, "linear": lambda p, q: np.abs(p - q), "quadratic": lambda p, q: (p - q) ** 2
    }[weights]  # fmt: skip
    found = pairwise_kappa(ratings, weights=weights, pairs=pairs, seed=0)
    assert found.value == pytest.approx(brute_force_pairs(ratings, disagreement, pairs == "subject"), abs=1e-12)
    assert "fewer than two ratings" in found.note


def test_pairwise_kappa_with_equal_numbers_of_raters_is_fleiss_kappa():
    ratings = several_readers(missing=0)
    ours, fleiss = pairwise_kappa(ratings, n_boot=None), fleiss_kappa(category_counts(ratings))
    np.testing.assert_allclose([ours.value, ours.low, ours.high], [fleiss.value, fleiss.low, fleiss.high], rtol=1e-10)


def test_pairwise_kappa_ignores_which_column_a_rater_is_in():
    ratings = several_readers()
    shuffled = np.random.default_rng(1).permuted(ratings, axis=1)
    a, b = (pairwise_kappa(r, weights="linear", seed=0) for r in (ratings, shuffled))
    np.testing.assert_allclose([a.low, a.value, a.high], [b.low, b.value, b.high], rtol=1e-12)


def test_pairwise_kappa_resamples_the_clusters_above_subjects():
    ratings = np.tile(several_readers(missing=0.2), (4, 1))
    units = np.tile(np.arange(60), 4)
    clustered, naive = pairwise_kappa(ratings, units=units, seed=0), pairwise_kappa(ratings, seed=0)
    assert clustered.n == 60
    # four copies of a nodule in its patient: the interval is twice as wide as four independent nodules suggest
    assert (clustered.high - clustered.low) / (naive.high - naive.low) == pytest.approx(2, rel=0.15)


def test_linearised_and_bootstrap_intervals_of_pairwise_kappa_agree():
    ratings, units = several_readers(n=600), np.arange(600) // 2
    closed = pairwise_kappa(ratings, weights="quadratic", units=units, n_boot=None)
    drawn = pairwise_kappa(ratings, weights="quadratic", units=units, n_boot=4000, method="normal", seed=0)
    assert error(drawn) == pytest.approx(error(closed), rel=0.06)


def test_clustered_kappa_intervals_cover_the_truth():
    """300 data sets of 60 patients with 4 nodules of one difficulty, two of three readers each; error 0.013."""
    rng = np.random.default_rng(6)

    def draw(patients):
        easy = np.repeat(rng.random(patients) < 0.5, 4)[:, None]
        truth = rng.integers(0, 3, (4 * patients, 1))
        ratings = np.where(
            rng.random((4 * patients, 3)) < np.where(easy, 0.95, 0.5), truth, rng.integers(0, 3, (4 * patients, 3))
        )
        ratings = ratings.astype(float)
        ratings[rng.random(4 * patients) < 0.5, 2] = np.nan
        return ratings, np.repeat(np.arange(patients), 4)

    truth = np.mean([pairwise_kappa(draw(3000)[0], n_boot=None).value for _ in range(10)])
    covered = np.zeros(3)
    for seed in range(300):
        ratings, units = draw(60)
        intervals = (
            pairwise_kappa(ratings, units=units, n_boot=None),
            pairwise_kappa(ratings, units=units, n_boot=400, seed=seed),
            pairwise_kappa(ratings, n_boot=None),
        )
        covered += [e.low <= truth <= e.high for e in intervals]
    closed, drawn, unclustered = covered / 300
    assert closed == pytest.approx(0.95, abs=0.04)
    assert drawn == pytest.approx(0.95, abs=0.04)
    assert unclustered < closed - 0.03


def test_thousand_resamples_of_nine_hundred_patients_take_milliseconds():
    ratings = several_readers(n=900)
    start = time.perf_counter()
    pairwise_kappa(ratings, weights="quadratic", units=np.arange(900), seed=0)
    assert time.perf_counter() - start < 0.5


# ---------------------------------------------------------------- percentages


def test_percent_agreement_of_two_raters_is_a_wilson_proportion():
    a, b = two_readers()
    found, proportion = percent_agreement(np.column_stack([a, b])), wilson(int((a == b).sum()), 120)
    np.testing.assert_allclose(
        [found.low, found.value, found.high], [proportion.low, proportion.value, proportion.high]
    )
    single = percent_agreement(np.column_stack([a, b]), units=np.arange(120))
    assert single.low == pytest.approx(found.low, rel=1e-12)


def test_percent_agreement_averages_pairs_within_subjects():
    found = percent_agreement([["x", "x", None], ["x", "y", "x"], ["y", None, None]])
    assert found.value == pytest.approx((1 + 1 / 3) / 2)
    assert found.n == 2
    assert "1 subject with fewer" in found.note


def test_percent_agreement_bootstrap_is_near_its_closed_interval():
    ratings = several_readers(n=400)
    closed, drawn = percent_agreement(ratings), percent_agreement(ratings, n_boot=4000, seed=0)
    np.testing.assert_allclose([drawn.low, drawn.high], [closed.low, closed.high], atol=0.006)


# ---------------------------------------------------------------- bad input

ORDER = [0, 1, 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cohen_kappa([0, 1], [0, 1, 1]), "b must have as many cases as a"),
        (lambda: cohen_kappa([], []), "a must have shape"),
        (lambda: cohen_kappa([0, np.nan], [0, 1]), "must not hold missing ratings, got 1"),
        (lambda: cohen_kappa([0, 3], [0, 1], categories=ORDER), r"must lie in categories \[0, 1, 2\], got 3"),
        (lambda: cohen_kappa([0, 1], [0, 1], categories=[0, 0, 1]), "categories must be distinct"),
        (lambda: cohen_kappa(["low", "high"], ["low", "low"], weights="linear"), "categories must give the order"),
        (lambda: cohen_kappa([0, 1], [0, 1], weights="cubic"), "weights must be one of 'linear', 'quadratic'"),
        (lambda: cohen_kappa([0, 1], [0, 1], weights=np.eye(2)), "weights must be disagreements"),
        (lambda: cohen_kappa([0, 1], [0, 1], weights=np.zeros((3, 3))), r"weights must have shape \(2, 2\)"),
        (lambda: cohen_kappa([0, 1], [0, 1], n_boot=10), "seed must be a whole number"),
        (lambda: fleiss_kappa([[1.5, 0.5]]), "whole numbers"),
        (lambda: fleiss_kappa([1, 2]), r"counts must be numbers of shape \(n, k\)"),
        (lambda: fleiss_kappa([[1, 1]], category=2), "category must be a column between 0 and 1"),
        (lambda: fleiss_test([[1, 0]]), "at least 2"),
        (lambda: pairwise_kappa([[1, 2], [2, 2]]), "seed must be a whole number"),
        (lambda: pairwise_kappa([[1, np.nan], [np.nan, 2]], seed=0), "at least one subject with two ratings"),
        (lambda: pairwise_kappa([[1, 2]], pairs="rating", seed=0), "pairs must be one of"),
        (lambda: pairwise_kappa([[1, 2]], units=[1, 2], seed=0), "units must have as many cases as ratings"),
        (lambda: percent_agreement([[1], [2]]), "ratings must have shape"),
        (lambda: percent_agreement([[1, 2]], level=0), "level must be between"),
        (lambda: category_counts([[np.nan, np.nan]]), "at least one rating"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
